"""``firstbell preflight``: everything tried from this machine, now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import add_columns, life, plain_table, print_table, print_warnings
from firstbell.config import load
from firstbell.log import set_up
from firstbell.model.money import grouped, plain
from firstbell.oms.office import Office
from firstbell.sniper.preflight import fly

if TYPE_CHECKING:
    from firstbell.sniper.preflight import AccountReport, HostReport, Preflight


@click.command()
@shared_options
def preflight(shell: Shell) -> int:
    """Try everything from this machine, now: hosts, TLS, round trips, clocks, tokens, money, bands.

    A clock is read from the `Date` headers of a host that takes orders, ten cheap requests aimed at the changes of its
    second. More than 50 ms from ours is a warning; known to no better than 1 s is a no-go. Sends no order.

    Exit status 0 when every account may go, else 1.
    """
    settings = load(shell.config)
    with Office(settings) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=shell.verbose > 0, tz=office.calendar.tz)
        print_warnings(shell, settings.warnings)
        found = fly(office, lambda done: shell.err.print(f"  {escape(done)}", style="dim"))
    print_warnings(shell, dict.fromkeys(host.warning for host in found.hosts if host.warning is not None))
    if shell.json:
        shell.print_json(_document(found))
    else:
        _print_hosts(shell, found)
        _print_accounts(shell, found)
    return 0 if found.go else 1


def _print_hosts(shell: Shell, found: Preflight) -> None:
    table = plain_table("Hosts")
    add_columns(table, "broker", "service", "address", "reached", "TLS")
    add_columns(table, "connect, ms", "clock offset, ms", numbers=True)
    for host in found.hosts:
        reached = "[green]yes[/]" if host.reach.problem is None else f"[red]{escape(host.reach.problem)}[/]"
        connect = "" if host.reach.connect_ms is None else f"{host.reach.connect_ms:.1f}"
        tls = host.reach.tls or ("" if host.url.startswith("https") else "none")
        table.add_row(host.broker_code, host.service, host.url, reached, tls, connect, _clock(host))
    print_table(shell.out, table)


def _clock(host: HostReport) -> str:
    if host.clock is None:
        return escape(host.clock_problem or "")
    return f"{host.clock.offset_ns / 1e6:+.1f} ± {host.clock.uncertainty_ns / 1e6:.1f}"


def _print_accounts(shell: Shell, found: Preflight) -> None:
    table = plain_table("Accounts")
    add_columns(table, "account", "broker", "token")
    add_columns(table, "buying power", "band", numbers=True)
    add_columns(table, "go")
    for account in found.accounts:
        warm = account.warm
        instrument = None if warm.line is None else warm.line.instrument
        band = "" if instrument is None else f"{grouped(instrument.band.low)} - {grouped(instrument.band.high)}"
        go = "[green]go[/]" if not account.why_not else "[red]no-go:[/] " + escape("; ".join(account.why_not))
        money = "" if warm.buying_power is None else grouped(warm.buying_power)
        table.add_row(warm.account.name, warm.account.broker_code, life(warm.token_ends_at), money, band, go)
    print_table(shell.out, table)


def _document(found: Preflight) -> dict[str, Any]:
    return {
        "go": found.go,
        "hosts": [_host(host) for host in found.hosts],
        "accounts": [_account(account) for account in found.accounts],
    }


def _host(host: HostReport) -> dict[str, Any]:
    clock, ends_at = host.clock, host.reach.certificate_ends_at
    return {
        "broker_code": host.broker_code,
        "service": host.service,
        "url": host.url,
        "problem": host.reach.problem,
        "tls": host.reach.tls,
        "certificate_ends_at": None if ends_at is None else ends_at.isoformat(),
        "connect_ms": None if host.reach.connect_ms is None else round(host.reach.connect_ms, 3),
        "offset_ms": None if clock is None else round(clock.offset_ns / 1e6, 3),
        "uncertainty_ms": None if clock is None else round(clock.uncertainty_ns / 1e6, 3),
        "round_trip_ms": None if clock is None else round(clock.round_trip_ns / 1e6, 3),
    }


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
