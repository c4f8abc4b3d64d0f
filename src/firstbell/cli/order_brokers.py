"""``firstbell orders brokers``: how well each account's broker answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from firstbell.cli.order_shell import command_id, quiet_office
from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.cli.tables import add_columns, life, plain_table, print_table
from firstbell.errors import BrokerError, CaptchaError
from firstbell.model.broker_codes import PAPER
from firstbell.oms.orders import health_file
from firstbell.oms.orders.assembling import order_manager

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.model.identifiers import AccountName
    from firstbell.oms.orders.broker_health import HealthReport
    from firstbell.oms.orders.trader import Trader

_FAILED = 1


@click.command()
@click.option("--offline", is_flag=True, help="Ask no broker: only what `orders watch` has seen.")
@shared_options
def brokers(shell: Shell, *, offline: bool) -> int:
    """Show how each account's broker does.

    Its token, its last answer, its error rate and its last error.

    Each broker is asked for the buying power once, where its login has a living token; nobody is logged in for it. What
    `firstbell orders watch` has seen of the last hundred calls stands beside it.

    Exit status 0 when every broker that was asked has answered, else 1.
    """
    with quiet_office(shell, logs_in=False) as office:
        manager = order_manager(office, command_id(office), patience_s=None)
        if not offline:
            with ThreadPoolExecutor(max(len(list(manager.traders)), 1)) as pool:
                list(pool.map(_ask, manager.traders))
        now, seen = manager.health(), health_file.read(office.state_dir)
        tokens = {a.name: t.broker.is_logged_in for t in manager.traders for a in t.login.accounts}
        codes = {a.name: a.broker_code for t in manager.traders for a in t.login.accounts}
    if shell.json:
        shell.print_json(
            {
                "accounts": {name: _facts(report, token=tokens[name]) for name, report in now.items()},
                "watched": None
                if seen is None
                else {"at": seen[0].isoformat(), **{name: _facts(each) for name, each in seen[1].items()}},
            }
        )
    else:
        _print(shell, now, {} if seen is None else seen[1], codes, tokens)
    return _FAILED if any(report.failures for report in now.values()) else 0


def _ask(trader: Trader) -> None:
    if not trader.broker.is_logged_in and trader.broker.code != PAPER:
        return
    try:
        trader.broker.login()
        trader.broker.buying_power(fresh=True)
    except (BrokerError, CaptchaError):
        # It has been counted, with its words.
        return


def _print(
    shell: Shell,
    now: Mapping[AccountName, HealthReport],
    seen: Mapping[AccountName, HealthReport],
    codes: Mapping[AccountName, str],
    tokens: Mapping[AccountName, bool],
) -> None:
    table = plain_table("Brokers")
    add_columns(table, "account", "broker", "token", "answers")
    add_columns(table, "trip, ms", "errors", "of", numbers=True)
    add_columns(table, "last answer", "last error")
    for name, report in now.items():
        watched = seen.get(name)
        counted = watched if watched is not None and watched.calls > report.calls else report
        error = counted.last_error or report.last_error
        table.add_row(
            name,
            codes[name],
            life(report.token_ends_at) if report.token_ends_at else "yes" if tokens[name] else "[yellow]none[/]",
            _answers(report),
            "" if report.round_trip_us is None else f"{report.round_trip_us / 1000:.1f}",
            "" if counted.error_rate is None else f"{counted.error_rate:.0%}",
            str(counted.calls or ""),
            _ago(report.last_answer or counted.last_answer),
            "" if error is None else foreign(error),
        )
    print_table(shell.out, table)


def _answers(report: HealthReport) -> str:
    if not report.calls:
        return "[yellow]not asked[/]"
    return "[green]yes[/]" if report.is_well else "[red]no[/]"


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = max((datetime.now(UTC) - moment).total_seconds(), 0)
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"  # noqa: PLR2004 - two minutes


def _facts(report: HealthReport, *, token: bool | None = None) -> dict[str, Any]:
    return {
        **({} if token is None else {"has_token": token}),
        "last_answer": None if report.last_answer is None else report.last_answer.isoformat(),
        "last_error": report.last_error,
        "calls": report.calls,
        "failures": report.failures,
        "error_rate": report.error_rate,
        "token_ends_at": None if report.token_ends_at is None else report.token_ends_at.isoformat(),
        "round_trip_us": report.round_trip_us,
    }
