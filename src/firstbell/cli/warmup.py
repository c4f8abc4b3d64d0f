"""``firstbell warmup``: log in and fill the cache before the bell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import print_warm, print_warnings
from firstbell.cli.warming import warm_with_progress
from firstbell.config import load
from firstbell.log import set_up
from firstbell.model.money import plain
from firstbell.oms.office import Office

if TYPE_CHECKING:
    from firstbell.sniper.warmup import WarmAccount


@click.command()
@shared_options
def warmup(shell: Shell) -> int:
    """Log in and fill the cache: tokens, buying power, price bands, calculated orders.

    Several accounts at once, but politely: one second before each captcha of a host, one log-in per account however
    often this is started, a pause where a broker asks for one. A second call within the cache's life logs in nowhere.

    Exit status 0 when every account is ready, else 1.
    """
    settings = load(shell.config)
    with Office(settings) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=shell.verbose > 0, tz=office.calendar.tz)
        print_warnings(shell, settings.warnings)
        rows = warm_with_progress(shell, office, tokens_until=None)
    if shell.json:
        shell.print_json({"accounts": [_facts(row) for row in rows]})
    else:
        print_warm(shell, rows)
    return 0 if all(row.ready for row in rows) else 1


def _facts(row: WarmAccount) -> dict[str, Any]:
    line = row.line
    instrument = None if line is None else line.instrument
    return {
        "account": row.account.name,
        "broker_code": row.account.broker_code,
        "token_ends_at": None if row.token_ends_at is None else row.token_ends_at.isoformat(timespec="seconds"),
        "buying_power": None if row.buying_power is None else plain(row.buying_power),
        "instrument": row.account.isin,
        "symbol": None if instrument is None else instrument.symbol,
        "name": None if instrument is None else instrument.name,
        "band": None if instrument is None else [plain(instrument.band.low), plain(instrument.band.high)],
        "orders": []
        if line is None
        else [{"price": plain(order.price), "quantity": plain(order.quantity)} for order in line.orders],
        "ready": row.ready,
        "reason": row.why_not,
    }
