"""The exchange behind the paper market, with what each account sees of it, and with what has changed since it was kept.

Not for several threads at once: the market's lock is around it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import VenueFill, VenueOrder
from firstbell.brokers.paper.crowd import CROWD
from firstbell.market import fee_rate
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.instant import epoch_ns, instant
from firstbell.model.report import Fill
from firstbell.model.terms import Side
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, tzinfo

    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.instrument_day import Listing
    from firstbell.simulator.orders import ExchangeOrder, Trade
    from firstbell.simulator.schedule import Schedule

FEES_OF: Final = "XTEH"
"""Whose fees, and whose ticks where an instrument has none of its own."""

_PLENTY: Final = Decimal(10) ** 15


class PaperVenue:
    """An exchange, and its orders and trades as their owners see them.

    Args:
        instruments: What is traded.
        schedule: The day.
        tz: The time zone of its days.
        min_interval_ns: The shortest time between two orders of one account, in ns.

    Attributes:
        exchange: The exchange.
        working: Account → serial → order, of those that work.
        fills: Account → number of the trade → the day and the fill; a trade with oneself stands there once a side.
        touched: The serials of the orders that have changed since they were kept.
        stirred_listings: The instruments of which anything has.
        trades: The trades since, of which somebody but the crowd was a part.
        stirred: Whether anything at all has changed since.
    """

    def __init__(
        self, instruments: Iterable[Instrument], schedule: Schedule, tz: tzinfo, *, min_interval_ns: int = 0
    ) -> None:
        rules = Rules(market=FEES_OF, min_interval_ns=min_interval_ns, min_value=Decimal(0))
        self.exchange = Exchange(
            instruments, schedule, rules=rules, on_order=self._order_changed, on_trade=self._traded
        )
        self.symbols = {each.instrument.symbol: isin for isin, each in self.exchange.listings.items()}
        self.working: defaultdict[str, dict[int, ExchangeOrder]] = defaultdict(dict)
        self.fills: defaultdict[str, dict[tuple[int, str], tuple[date, VenueFill]]] = defaultdict(dict)
        self.touched: set[int] = set()
        self.stirred_listings: set[InstrumentId] = set(self.exchange.listings)
        self.trades: list[tuple[Trade, str, str]] = []
        self.stirred = False
        self._tz = tz
        self._rows: dict[int, VenueOrder] = {}
        self._ended: list[ExchangeOrder] = []
        self.open_crowd()

    def open_crowd(self) -> None:
        """Give the crowd its account, which holds plenty of everything."""
        exchange = self.exchange
        exchange.open_account(CROWD, _PLENTY, dict.fromkeys(exchange.listings, _PLENTY)).unbound = True

    def list_instrument(self, instrument: Instrument) -> None:
        """Trade one more instrument, or describe one anew.

        Raises:
            SimulatorError: It has no reference price.
        """
        self.exchange.list_instrument(instrument)
        self.exchange.accounts[CROWD].holdings[instrument.id] = _PLENTY
        self.symbols[instrument.symbol] = instrument.id
        self.stir(instrument.id)

    def stir(self, instrument: InstrumentId) -> None:
        """Say that something of an instrument has changed, so that it is kept."""
        self.stirred = True
        self.stirred_listings.add(instrument)

    def listing(self, instrument: InstrumentId) -> Listing:
        """An instrument's day, by its ISIN or symbol.

        Raises:
            LookupError: It is not traded here.
        """
        listings = self.exchange.listings
        isin = instrument if instrument in listings else self.symbols.get(instrument)
        if isin is None:
            raise LookupError(f"{instrument} is not traded here")
        return listings[isin]

    def row(self, order: ExchangeOrder) -> VenueOrder:
        """An order as its owner's lists show it."""
        row = self._rows.get(order.serial)
        if row is None:
            row = self._rows[order.serial] = VenueOrder(
                VenueOrderId(str(order.serial)),
                order.instrument,
                order.side,
                order.price,
                order.quantity,
                order.filled_qty,
                order.working,
                refused=False,
                created_at=instant(order.created_at).astimezone(self._tz),
                status=order.status.value,
                client_order_id=order.client_order_id,
                avg_px=order.filled_value / order.filled_qty if order.filled_qty else None,
            )
        return row

    def rows_of(self, account: str, day: date) -> Iterator[VenueOrder]:
        """An account's orders of a day: those made on it, and those of earlier days that still worked on it."""
        begin, end = (
            epoch_ns(datetime.combine(day + timedelta(days=days), time(), tzinfo=self._tz)) for days in (0, 1)
        )
        for order in self.exchange.orders_of(account):
            # What ends with a day ends at the first instant of the next one.
            if order.created_at < end and (
                order.ended_at is None or max(order.ended_at - 1, order.created_at) >= begin
            ):
                yield self.row(order)

    def day(self, at: int) -> date:
        """The day of an instant, in ns since the epoch."""
        return instant(at).astimezone(self._tz).date()

    def forget_before(self, day: date) -> None:
        """Forget what ended before a day, so that a market that is never begun anew does not grow for ever."""
        for order in list(self.exchange.orders.values()):
            if order.ended_at is not None and self.day(order.ended_at) < day:
                self.exchange.forget(order)
                self._rows.pop(order.serial, None)
                self.touched.add(order.serial)
        for fills in self.fills.values():
            for key in [key for key, (at, _) in fills.items() if at < day]:
                del fills[key]

    def clear_up(self) -> None:
        """Forget the crowd's orders that have ended."""
        ended, self._ended = self._ended, []
        for order in ended:
            if order.serial in self.exchange.orders:
                self.exchange.forget(order)

    def booked(self, trade: Trade, account: str, serial: int) -> None:
        """Show a trade to the owner of one of its orders, who is not the crowd."""
        side = self._side_of(trade, serial)
        fee = trade.price * trade.quantity * fee_rate(FEES_OF, side)
        fill = Fill(f"{trade.number}-{side}", trade.quantity, trade.price, fee)
        row = VenueFill(trade.instrument, side, fill, VenueOrderId(str(serial)))
        self.fills[account][trade.number, side] = (self.day(trade.at), row)

    @staticmethod
    def _side_of(trade: Trade, serial: int) -> Side:
        return Side.BUY if serial == trade.buy else Side.SELL

    def index(self, order: ExchangeOrder) -> None:
        """Have an order among the working ones where it works."""
        if order.working:
            self.working[order.account][order.serial] = order
        else:
            self.working[order.account].pop(order.serial, None)

    def _order_changed(self, order: ExchangeOrder) -> None:
        self.stirred = True
        self.touched.add(order.serial)
        self.stirred_listings.add(order.instrument)
        if order.account != CROWD:
            self._rows.pop(order.serial, None)
            self.index(order)
        elif not order.working:
            self._ended.append(order)

    def _traded(self, trade: Trade) -> None:
        buyer, seller = (self.exchange.orders[serial].account for serial in (trade.buy, trade.sell))
        if buyer == seller == CROWD:
            return
        self.trades.append((trade, buyer, seller))
        for account, serial in ((buyer, trade.buy), (seller, trade.sell)):
            if account != CROWD:
                self.booked(trade, account, serial)
