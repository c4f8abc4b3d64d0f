"""``firstbell positions``: what is held through our orders, and what it has earned."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape

from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.cli.tables import add_columns, plain_table, print_table, print_warnings
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.errors import BrokerError, CaptchaError, RunError
from firstbell.log import set_up
from firstbell.market.hours import Hours
from firstbell.model.broker_codes import PAPER
from firstbell.model.money import grouped, plain
from firstbell.oms.office import Office
from firstbell.oms.positions import last_prices
from firstbell.oms.positions.book import PositionBook, fees_of
from firstbell.oms.positions.day_marks import DayMarks
from firstbell.oms.positions.prices import BrokerPrices
from firstbell.oms.positions.view import Viewer, summary
from firstbell.risk.trading_state import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from firstbell.brokers.base import Broker, Holding
    from firstbell.model.identifiers import AccountName
    from firstbell.oms.positions.book import PositionKey
    from firstbell.oms.positions.view import PositionView

_SHOWN: Final = Decimal("0.01")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@click.command()
@click.option("--offline", is_flag=True, help="Ask no broker: the last known prices, and no holdings.")
@click.option("--watch", is_flag=True, help="Show them again and again, until Ctrl-C.")
@shared_options
def positions(shell: Shell, *, offline: bool, watch: bool) -> int:
    """Show positions, and profit and loss with fees.

    A position is what an account's orders have come to, by the journal; what the broker says the account holds in all
    stands beside it. Realized profit and fees are today's; unrealized is what closing all of it at the last price would
    earn, the fees of that taken off. A price that is old says so. Where a broker told how much has traded and not at
    what price, the order's price is taken, and every figure made of it has a ~ before it.

    Nobody is logged in for it: without a living token (`firstbell warmup`) the last known prices are shown.
    """
    if watch and shell.json:
        raise click.UsageError("--watch is for people: a program calls this again")
    with Office(load(shell.config), logs_in=False) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=shell.verbose > 0, tz=office.calendar.tz)
        look = _Look(shell, office, offline=offline)
        if not watch:
            look.show()
            return 0
        every_s = office.settings.positions.price_update_interval.total_seconds()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                shell.out.clear()
                look.show()
                time.sleep(every_s)
    return 0


class _Look:
    """One command's looks at the positions."""

    def __init__(self, shell: Shell, office: Office, *, offline: bool) -> None:
        self._shell, self._office, self._offline = shell, office, offline
        settings = office.settings
        fee_of = fees_of(settings.firstbell.market)
        self._book = PositionBook.of(office.journal, settings)
        self._viewer = Viewer(fee_of, settings.positions.stale_after)
        self._hours = Hours(office.calendar)
        self._warned: set[str] = set()
        self._brokers: dict[AccountName, Broker] = {}
        for account in settings.enabled:
            try:
                self._brokers[account.name] = office.broker(account)
            except BrokerError as error:
                self._warn(f"{account.name}: {error}")
        if not offline:
            self._log_in_on_paper()
        self._prices = BrokerPrices(self._brokers, office.clock, self._hours, last_prices.load(office.state_dir))

    def show(self) -> None:
        """Look, and print what there is."""
        now = exchange_now(self._office.clock, self._office.calendar.tz)
        # A watcher writes down the prices that it reads.
        self._prices.learn(last_prices.load(self._office.state_dir))
        # What another process has written is told to nobody here.
        self._book.begin_day(datetime.combine(now.date(), time_of_day(), tzinfo=now.tzinfo))
        self._book.rebuild()
        standings = self._book.standings()
        wanted = [each.key for each in standings if not each.position.is_flat or not each.opening.is_flat]
        if self._offline:
            prices = self._prices.last(wanted)
        else:
            self._warn_of_tokens({account for account, _ in wanted})
            prices = self._prices.read(wanted)
            self._remember()
            now = exchange_now(self._office.clock, self._office.calendar.tz)
        stale_after = self._office.settings.positions.stale_after
        marks = DayMarks.load(self._office.state_dir, now.date())
        marks = marks.seeing(standings, prices, now, opened=self._hours.had_opened, stale_after=stale_after)
        views = [self._viewer.view(each, prices.get(each.key), marks.opening(each.key), now) for each in standings]
        holdings = {} if self._offline else self._holdings()
        if self._shell.json:
            self._shell.print_json(_document(views, holdings, now))
        else:
            _print(self._shell, views, holdings, now)
            if (halt := in_force(self._office.state_dir)) is not None:
                self._shell.out.print(f"[red]Trading is {foreign(str(halt))}[/]")

    def _log_in_on_paper(self) -> None:
        """There it costs nothing, and asks nobody."""
        for broker in self._brokers.values():
            if broker.code == PAPER:
                with contextlib.suppress(BrokerError):
                    broker.login()

    def _warn_of_tokens(self, accounts: set[AccountName]) -> None:
        for account in sorted(accounts):
            broker = self._brokers.get(account)
            if broker is None:
                why = "it is not among the enabled accounts of the config"
            elif broker.is_logged_in:
                continue
            else:
                why = "it has no living token; `firstbell warmup` logs in"
            self._warn(f"{account} is not asked for prices: {why}")

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            print_warnings(self._shell, [text])

    def _remember(self) -> None:
        try:
            last_prices.save(self._office.state_dir, self._prices.known)
        except RunError as error:
            self._warn(str(error))

    def _holdings(self) -> dict[AccountName, tuple[Holding, ...]]:
        """What the brokers say that the accounts hold, of those that can be asked."""
        found = {}
        asked: set[int] = set()
        for account, broker in self._brokers.items():
            # Sections of one login have one broker, and hold together.
            if id(broker) in asked or not broker.is_logged_in:
                continue
            asked.add(id(broker))
            try:
                found[account] = broker.positions()
            except (BrokerError, CaptchaError) as error:
                self._warn(f"what {account} holds is not known: {error}")
        return found


def _document(
    views: Sequence[PositionView], holdings: Mapping[AccountName, Sequence[Holding]], now: datetime
) -> dict[str, Any]:
    held = [
        {"account": account, "instrument": each.instrument, "quantity": each.quantity}
        for account, rows in holdings.items()
        for each in rows
    ]
    document: dict[str, Any] = _plain({"at": now, **summary(views), "holdings": held})
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _print(
    shell: Shell, views: Sequence[PositionView], holdings: Mapping[AccountName, Sequence[Holding]], now: datetime
) -> None:
    held = {(account, each.instrument): each.quantity for account, rows in holdings.items() for each in rows}
    table = plain_table(f"Positions: {now:%Y-%m-%d %H:%M:%S}")
    add_columns(table, "account", "instrument")
    add_columns(table, "quantity", "broker says", "average", "last", "age", numbers=True)
    add_columns(table, "realized", "unrealized", "fees", "total", numbers=True)
    for view in views:
        table.add_row(*_cells(view, held.get(view.key)))
    print_table(shell.out, table)
    for line in (*_sums(views), *_out_of_holdings(views), *_held_besides(views, held)):
        shell.out.print(line)


def _cells(view: PositionView, held: Decimal | None) -> Sequence[str]:
    return (
        escape(view.account),
        escape(view.instrument),
        grouped(view.quantity),
        "" if held is None else grouped(held),
        _money(view.average_price, estimated=view.estimated),
        _money(view.last_price),
        _freshness(view),
        _money(view.realized, estimated=view.estimated),
        _money(view.unrealized, estimated=view.estimated),
        _money(view.fees, estimated=view.estimated),
        _money(view.total, estimated=view.estimated),
    )


def _freshness(view: PositionView) -> str:
    if not view.is_open:
        return ""
    if view.age is None:
        return "[yellow]none[/]"
    return f"[yellow]{_span(view.age)}, stale[/]" if view.stale else _span(view.age)


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    return f"{seconds // _MINUTE_S} min" if seconds < _HOUR_S else f"{seconds // _HOUR_S} h"


def _sums(views: Sequence[PositionView]) -> Iterator[str]:
    found = summary(views)
    estimated = any(view.estimated for view in views)
    realized, unrealized, fees, total = (
        _money(found[name], estimated=estimated)
        for name in ("total_realized_pnl", "total_unrealized_pnl", "total_fees", "total_pnl")
    )
    day = "not known" if found["day_pnl"] is None else _money(found["day_pnl"], estimated=estimated)
    yield f"realized {realized}, unrealized {unrealized}, fees {fees}: total {total}; the day {day}"
    if found["unpriced"]:
        yield f"[yellow]{found['unpriced']} without a price: not in these sums[/]"
    elif found["stale"]:
        yield "[yellow]some of these prices are stale[/]"


def _out_of_holdings(views: Sequence[PositionView]) -> Iterator[str]:
    """What was sold today without having been bought through our orders."""
    for view in views:
        if view.from_holdings:
            shares = grouped(view.from_holdings)
            where = f"{escape(view.account)} {escape(view.instrument)}"
            yield f"sold today out of what was held before: {where} {shares}; no profit is reckoned for that"


def _held_besides(views: Sequence[PositionView], held: Mapping[PositionKey, Decimal]) -> Iterator[str]:
    """What the broker says is held of what our orders do not hold."""
    ours = {view.key for view in views}
    besides = [(key, quantity) for key, quantity in held.items() if key not in ours and quantity]
    for (account, instrument), quantity in besides:
        yield f"held besides, says the broker: {foreign(account)} {foreign(instrument)} {grouped(quantity)}"


def _money(number: Decimal | None, *, estimated: bool = False) -> str:
    """A sum of money as people read it: nothing where it is not known, a ~ before it where it is an estimate."""
    return "" if number is None else ("~" if estimated else "") + grouped(number.quantize(_SHOWN))
