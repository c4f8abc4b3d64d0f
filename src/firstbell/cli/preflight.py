"""``firstbell preflight``: everything tried from this machine, now."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape

from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.cli.tables import add_columns, life, plain_table, print_table, print_warnings
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.errors import RunError
from firstbell.log import set_up
from firstbell.model.money import grouped, plain
from firstbell.oms.office import Office
from firstbell.oms.orders import health_file
from firstbell.sniper.measured import save
from firstbell.sniper.preflight import fly

if TYPE_CHECKING:
    from firstbell.clock.ntp import NtpReading
    from firstbell.sniper.preflight import AccountReport, HostReport, Preflight

_MS: Final = 1_000_000
_LATELY: Final = timedelta(hours=1)


@click.command()
@shared_options
def preflight(shell: Shell) -> int:
    """Try everything from this machine, now: hosts, TLS, round trips, clocks, tokens, money, bands.

    A clock is read from the `Date` headers of a host that takes orders, some twenty cheap requests aimed at the changes
    of its second. More than 50 ms that nothing explains is a warning (`ntp_server` in the config tells how much of it
    is this machine's own error); known to no better than 1 s is a no-go. What is measured is kept for `firstbell run
    --rehearse`. Sends no order.

    Exit status 0 when every account may go, else 1.
    """
    settings = load(shell.config)
    with Office(settings) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=shell.verbose > 0, tz=office.calendar.tz)
        print_warnings(shell, settings.warnings)
        found = fly(office, lambda done: shell.err.print(f"  {escape(done)}", style="dim"))
        print_warnings(shell, (*found.warnings, *_keep(office, found), *_watched(office)))
    if shell.json:
        shell.print_json(_document(found))
    else:
        _print_hosts(shell, found)
        _print_clocks(shell, found)
        _print_accounts(shell, found)
    return 0 if found.go else 1


def _keep(office: Office, found: Preflight) -> tuple[str, ...]:
    """Keep what was measured; what stands in the way of that, in words."""
    if not found.measured.hosts:
        return ()
    try:
        save(office.state_dir, found.measured)
    except RunError as error:
        return (str(error),)
    return ()


def _watched(office: Office) -> tuple[str, ...]:
    """What `firstbell orders watch` has seen lately of brokers that do not answer well, in words."""
    seen = health_file.read(office.state_dir)
    if seen is None or exchange_now(office.clock, office.calendar.tz) - seen[0] > _LATELY:
        return ()
    return tuple(
        f"{name}: of its last {report.calls} calls {report.failures} got no answer, says `firstbell orders watch`; "
        f"the last error: {report.last_error}"
        for name, report in seen[1].items()
        if report.failures
    )


def _print_hosts(shell: Shell, found: Preflight) -> None:
    table = plain_table("Hosts")
    add_columns(table, "broker", "service", "address", "reached", "TLS")
    add_columns(table, "connect, ms", numbers=True)
    for host in found.hosts:
        reached = "[green]yes[/]" if host.reach.problem is None else f"[red]{foreign(host.reach.problem)}[/]"
        connect = "" if host.reach.connect_ms is None else f"{host.reach.connect_ms:.1f}"
        tls = host.reach.tls or ("" if host.url.startswith("https") else "none")
        table.add_row(host.broker_code, host.service, host.url, reached, tls, connect)
    print_table(shell.out, table)


def _print_clocks(shell: Shell, found: Preflight) -> None:
    """The hosts that take orders: how far they are, in both senses, and what that comes to at the bell."""
    table = plain_table("Where orders go")
    add_columns(table, "broker")
    add_columns(
        table, "round trip, ms", "to p95", "clock offset, ms", "lead, ms", "expected after the bell, ms", numbers=True
    )
    for host in found.hosts:
        clock, lead = host.clock, host.lead
        if clock is None:
            if host.clock_problem is not None:
                table.add_row(host.broker_code, "", "", foreign(host.clock_problem))
            continue
        offset = f"{clock.offset_ns / _MS:+.1f} ± {clock.uncertainty_ns / _MS:.1f}"
        row = [f"{clock.round_trip_median_ns / _MS:.1f}", f"{clock.round_trip_p95_ns / _MS:.1f}", offset]
        if lead is not None:
            row += [
                f"{lead.lead_ns / _MS:.1f}{'' if lead.chosen else ' (set)'}",
                f"{lead.aim.expected_delay_ns / _MS:.1f}",
            ]
        table.add_row(host.broker_code, *row)
    print_table(shell.out, table)
    if found.ntp is not None and found.ntp.problem is None:
        offset = f"{found.ntp.offset_ns / _MS:+.1f} ± {found.ntp.uncertainty_ns / _MS:.1f}"
        shell.out.print(f"The time by {escape(found.ntp.server)} minus this machine's: {offset} ms", highlight=False)


def _print_accounts(shell: Shell, found: Preflight) -> None:
    table = plain_table("Accounts")
    add_columns(table, "account", "broker", "token")
    add_columns(table, "buying power", "band", numbers=True)
    add_columns(table, "go")
    for account in found.accounts:
        warm = account.warm
        instrument = None if warm.line is None else warm.line.instrument
        band = "" if instrument is None else f"{grouped(instrument.band.low)} - {grouped(instrument.band.high)}"
        go = "[green]go[/]" if not account.why_not else "[red]no-go:[/] " + foreign("; ".join(account.why_not))
        money = "" if warm.buying_power is None else grouped(warm.buying_power)
        table.add_row(warm.account.name, warm.account.broker_code, life(warm.token_ends_at), money, band, go)
    print_table(shell.out, table)


def _document(found: Preflight) -> dict[str, Any]:
    return {
        "go": found.go,
        "ntp": None if found.ntp is None else _ntp(found.ntp),
        "hosts": [_host(host) for host in found.hosts],
        "accounts": [_account(account) for account in found.accounts],
    }


def _ntp(ntp: NtpReading) -> dict[str, Any]:
    known = ntp.problem is None
    return {
        "server": ntp.server,
        "offset_ms": _ms(ntp.offset_ns) if known else None,
        "uncertainty_ms": _ms(ntp.uncertainty_ns) if known else None,
        "problem": ntp.problem,
    }


def _host(host: HostReport) -> dict[str, Any]:
    clock, lead, ends_at = host.clock, host.lead, host.reach.certificate_ends_at
    return {
        "broker_code": host.broker_code,
        "service": host.service,
        "url": host.url,
        "problem": host.reach.problem,
        "tls": host.reach.tls,
        "certificate_ends_at": None if ends_at is None else ends_at.isoformat(),
        "connect_ms": None if host.reach.connect_ms is None else round(host.reach.connect_ms, 3),
        "offset_ms": None if clock is None else _ms(clock.offset_ns),
        "uncertainty_ms": None if clock is None else _ms(clock.uncertainty_ns),
        "unexplained_ms": None if host.unexplained_ns is None else _ms(host.unexplained_ns),
        "contradiction_ms": None if clock is None else _ms(clock.contradiction_ns),
        "clock_problem": host.clock_problem if clock is None else None,
        "samples": None if clock is None else clock.samples,
        "round_trip_ms": None if clock is None else _ms(clock.round_trip_ns),
        "round_trip_median_ms": None if clock is None else _ms(clock.round_trip_median_ns),
        "round_trip_p95_ms": None if clock is None else _ms(clock.round_trip_p95_ns),
        "lead_ms": None if lead is None else _ms(lead.lead_ns),
        "lead_chosen": None if lead is None else lead.chosen,
        "expected_delay_ms": None if lead is None else _ms(lead.aim.expected_delay_ns),
        "early_probability": None if lead is None else round(lead.aim.early_probability, 4),
    }


def _ms(ns: int) -> float:
    return round(ns / _MS, 3)


def _account(account: AccountReport) -> dict[str, Any]:
    warm = account.warm
    instrument = None if warm.line is None else warm.line.instrument
    return {
        "account": warm.account.name,
        "broker_code": warm.account.broker_code,
        "go": not account.why_not,
        "reasons": list(account.why_not),
        "token_ends_at": None if warm.token_ends_at is None else warm.token_ends_at.isoformat(timespec="seconds"),
        "buying_power": None if warm.buying_power is None else plain(warm.buying_power),
        "band": None if instrument is None else [plain(instrument.band.low), plain(instrument.band.high)],
    }
