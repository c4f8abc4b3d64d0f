"""The broker's list of the day's trades: what it tells of one login's orders, and at which prices."""

from __future__ import annotations

import logging
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError
from firstbell.model.order import LISTS_LAG_NS, Changed
from firstbell.model.order_status import DONE
from firstbell.oms.listed_days import LASTING, days_listed
from firstbell.oms.lists import has_grown
from firstbell.oms.orders.loose_trades import is_alone, may_be_of, sum_of
from firstbell.oms.orders.summed_trades import Traded, beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstbell.brokers.base import Broker, VenueFill, VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId, VenueOrderId
    from firstbell.model.order import Order, OrderState
    from firstbell.model.report import Fill
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.list_reports import ListReports

    OfOrder = Mapping[VenueOrderId, Sequence[VenueFill]]

_log = logging.getLogger(__name__)

_ASKED_FOR_NS: Final = 2 * LISTS_LAG_NS
"""For so long, in ns, the trades of an order are asked for whose sum alone is known: lists lag by less than half of it,
and some brokers never name them."""


class DayTrades:
    """Reads it once a round, and only where the list of orders tells of more than has a price.

    Args:
        context: What all logins have in common.
        broker: The login's broker.
        blotter: The login's orders.
        reports: Where what it tells is written.
        has_price: Whether an order's price is one that the broker has: then nothing of it trades at a worse one.
    """

    def __init__(
        self,
        context: OrderContext,
        broker: Broker,
        blotter: Blotter,
        reports: ListReports,
        has_price: Callable[[Order], bool],
    ) -> None:
        self._context = context
        self._broker = broker
        self._blotter = blotter
        self._reports = reports
        self._has_price = has_price
        self._unpriced: dict[ClientOrderId, int] = {}
        """Since when, on the monotonic clock, each is asked for."""
        self._tried: set[ClientOrderId] = set()
        self._names_orders: bool | None = None
        """Whether the broker says of its trades which order they are of; None until there is one."""
        self._fills: tuple[VenueFill, ...] | None = None

    def new_round(self) -> None:
        """What was read of the list is old."""
        self._fills = None

    def are_wanted_of(self, name: ClientOrderId, *, anew: bool = False) -> None:
        """More of an order has traded than has a price; `anew`: it has just been told."""
        now_ns = self._context.clock.monotonic_ns()
        self._unpriced[name] = now_ns if anew else self._unpriced.get(name, now_ns)

    def count(self, entries: Sequence[Entry], rows: Sequence[VenueOrder]) -> bool:
        """Write down the trades themselves where the list of orders tells of more: told once, with their prices.

        Args:
            entries: Orders of today.
            rows: The list of today's orders.

        Returns:
            Whether anything was written.

        Raises:
            JournalError: It could not be written down.
        """
        if self._names_orders is False:
            return False
        by_name = {row.venue_order_id: row for row in rows if row.filled_qty}
        grown: dict[VenueOrderId, Entry] = {}
        for entry in entries:
            name = entry.state.venue_order_id
            row = None if name is None else by_name.get(name)
            # Of one whose quantity is another one now that has to be written down first: it is not filled yet.
            if (
                name is not None
                and row is not None
                and has_grown(entry.state, row)
                and row.quantity == entry.state.quantity
            ):
                grown[name] = entry
        if not grown or (fills := self._read()) is None:
            return False
        self._write_new(grown, _by_order(fills), {name: by_name[name].filled_qty for name in grown})
        return True

    def price(self, list_of_today: Callable[[], tuple[VenueOrder, ...]]) -> None:
        """Ask for the trades behind the sums that the list of orders names, so that their prices are known.

        Args:
            list_of_today: Reads the list of today's orders anew.

        Raises:
            JournalError: They could not be written down.
        """
        self._find_unpriced()
        self._unpriced = {name: since for name, since in self._unpriced.items() if self._is_unpriced(name)}
        if not self._unpriced or (fills := self._read()) is None:
            return
        entries = [entry for name in self._unpriced if (entry := self._blotter.entry(name)) is not None]
        orders = {name: entry for entry in entries if (name := entry.state.venue_order_id) is not None}
        of_order = _by_order(fills)
        self._write_new(orders, of_order, {name: entry.state.filled_qty for name, entry in orders.items()})
        self._price_sums(orders, of_order)
        self._price_loose(fills, list_of_today)
        until_ns = self._context.clock.monotonic_ns() - _ASKED_FOR_NS
        self._unpriced = {
            name: since for name, since in self._unpriced.items() if since > until_ns and self._is_unpriced(name)
        }

    def _read(self) -> tuple[VenueFill, ...] | None:
        """The trades of the day; None where they cannot be read."""
        if self._fills is not None:
            return self._fills
        try:
            self._broker.login()
            fills = self._broker.fills(self._context.today())
        except (BrokerError, CaptchaError) as error:
            _log.info("the trades of the day could not be read: %s", error)
            return None
        if fills:
            self._names_orders = any(each.venue_order_id is not None for each in fills)
        self._fills = fills
        return fills

    def _write_new(
        self, orders: Mapping[VenueOrderId, Entry], of_order: OfOrder, traded: Mapping[VenueOrderId, Decimal]
    ) -> None:
        """Write down the trades of orders that are not counted yet.

        Args:
            orders: The orders, by the broker's names of them.
            of_order: The trades, likewise.
            traded: How much of each has traded, likewise, by the list of orders.
        """
        new = [
            (entry, fill)
            for name, entry in orders.items()
            for fill in self._countable(entry, of_order.get(name, ()), traded[name])
        ]
        self._reports.write([[self._reports.trade(entry, fill)] for entry, fill in new])

    def _countable(self, entry: Entry, fills: Sequence[VenueFill], traded: Decimal) -> list[Fill]:
        """The trades of an order that are new, and certainly none of those that are counted.

        A row without a name of the broker's own may be a sum that grows, under another name each time: such rows count
        so once the order is done, all together, and only where they make up what has traded; before that, as sums.

        And where what is counted is not among the rows any more as it was, a trade has been named anew, corrected or
        taken back: then a new name need not be a new trade, and only what all of them come to together counts.
        """
        state = entry.state
        if not all(each.named for each in fills):
            whole = sum((each.fill.last_qty for each in fills), Decimal(0)) == state.filled_qty
            is_first = state.status in DONE and not state.priced_qty and whole
            return [each.fill for each in fills] if is_first else []
        new = [each.fill for each in fills if each.fill.trade_id not in state.trade_ids]
        # What was traded on an earlier day, or under a name that a change has ended, is among no rows.
        lasts = entry.intent.order.time_in_force in LASTING
        is_more = state.changed != Changed() or (lasts and not self._is_of_today(entry))
        if not new or _are_new(state, fills, traded if is_more else None):
            return new
        return beyond(state, Traded.of(each.fill for each in fills), has_price=self._has_price(entry.intent.order))

    def _find_unpriced(self) -> None:
        """What has ended today without all of its prices, before this process began or in another one, is asked for."""
        done = {entry.intent.order.client_order_id: entry for entry in self._blotter.done()}
        self._tried &= done.keys()
        for name, entry in done.items():
            unpriced = entry.state.filled_qty > entry.state.priced_qty and name not in self._tried
            if unpriced and self._is_of_today(entry):
                self._tried.add(name)
                self._unpriced.setdefault(name, self._context.clock.monotonic_ns())

    def _price_sums(self, orders: Mapping[VenueOrderId, Entry], of_order: OfOrder) -> None:
        """Count what rows tell that name their order and are no single trades: they may be sums that grow."""
        for name, before in orders.items():
            rows, entry = of_order.get(name, ()), self._blotter.known(before.intent.order.client_order_id)
            if entry is not None and rows and not any(each.named for each in rows):
                traded = Traded.of(each.fill for each in rows)
                self._write(entry, beyond(entry.state, traded, has_price=self._has_price(entry.intent.order)))

    def _price_loose(self, fills: Sequence[VenueFill], list_of_today: Callable[[], tuple[VenueOrder, ...]]) -> None:
        """Count trades without an order where only one order can be theirs."""
        rows: tuple[VenueOrder, ...] | None = None
        for name in self._unpriced:
            entry = self._blotter.known(name)
            if entry is None or not self._is_unpriced(name):
                continue
            has_price = self._has_price(entry.intent.order)
            # Numbers of trades may begin anew each day.
            of_today = [e for e in (*self._blotter.open(), *self._blotter.done()) if self._may_trade_today(e)]
            found = may_be_of(entry, of_today, fills, has_price=has_price)
            found = found or sum_of(entry, of_today, fills, has_price=has_price)
            if not found:
                continue
            try:
                # Read after the trades: whatever has traded by hand as well is in it.
                rows = list_of_today() if rows is None else rows
            except (BrokerError, CaptchaError) as error:
                _log.info("the list of the day could not be read: %s", error)
                return
            if is_alone(entry, of_today, rows):
                self._write(entry, found)

    def _write(self, entry: Entry, found: Sequence[Fill]) -> None:
        self._reports.write_if_unchanged(entry, [self._reports.trade(entry, fill) for fill in found])

    def _is_of_today(self, entry: Entry) -> bool:
        return self._context.today() in days_listed(entry)

    def _may_trade_today(self, entry: Entry) -> bool:
        """Whether one has trades among today's, or may: of earlier days those that work on, or did."""
        lasts = entry.state.status not in DONE or entry.intent.order.time_in_force in LASTING
        return lasts or self._is_of_today(entry)

    def _is_unpriced(self, name: ClientOrderId) -> bool:
        entry = self._blotter.entry(name)
        return entry is not None and entry.state.filled_qty > entry.state.priced_qty


def _by_order(fills: Sequence[VenueFill]) -> dict[VenueOrderId, list[VenueFill]]:
    of_order: defaultdict[VenueOrderId, list[VenueFill]] = defaultdict(list)
    for each in fills:
        if each.venue_order_id is not None:
            of_order[each.venue_order_id].append(each)
    return of_order


def _are_new(state: OrderState, fills: Sequence[VenueFill], traded: Decimal | None) -> bool:
    """Whether an order's trades that are not counted come on top of those that are.

    They do where all that is counted is among the rows, as it was.

    Args:
        state: The order.
        fills: Its trades, as they are listed.
        traded: Where some that is counted may be listed no more: how much has traded. Then they do as well where
            together they are no more than that.
    """
    whole = sum((each.fill.last_qty for each in fills), Decimal(0))
    counted = sum((each.fill.last_qty for each in fills if each.fill.trade_id in state.trade_ids), Decimal(0))
    if counted == state.priced_qty and whole <= state.quantity:
        return True
    return traded is not None and state.priced_qty + whole - counted <= traded
