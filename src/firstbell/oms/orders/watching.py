"""Watching one login's orders: a round reads the broker's lists and writes down what they say."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError
from firstbell.journal.base import ReportMisfit
from firstbell.model.instant import instant
from firstbell.model.order_status import DONE, PLACED, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.lists import has_grown, listed_on
from firstbell.oms.orders.day_over import DayOver
from firstbell.oms.orders.late_arrivals import LateArrivals
from firstbell.oms.orders.loose_trades import is_alone, may_be_of
from firstbell.oms.orders.lost_cancels import LostCancels
from firstbell.oms.orders.row_reports import Waiting, reports_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from firstbell.brokers.base import Broker, VenueFill, VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId, VenueOrderId
    from firstbell.model.order import Order, OrderState
    from firstbell.model.report import Fill
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.late_trades import LateTrades

_log = logging.getLogger(__name__)

_PRICING_TRIES: Final = 30
"""So many rounds the trades of an order are asked for whose sum alone is known; some brokers never name them."""


class Watch:
    """Reads the lists of one login's broker.

    Args:
        context: What all logins have in common.
        broker: The login's broker.
        blotter: The login's orders.
        late: What of them has ended, and may turn out to have traded.
        has_price: Whether an order's price is one that the broker has, and its list shows.
    """

    def __init__(
        self,
        context: OrderContext,
        broker: Broker,
        blotter: Blotter,
        late: LateTrades,
        has_price: Callable[[Order], bool],
    ) -> None:
        self._context = context
        self._broker = broker
        self._blotter = blotter
        self._late = late
        self._has_price = has_price
        self._inquiry = Inquiry(broker, context.journal, context.clock, context.run_id, context.intervene)
        self._waiting = Waiting()
        self._lost_cancels = LostCancels(context, broker, blotter)
        self._arrivals = LateArrivals(context, blotter)
        calendar = context.hours_of(broker.code).calendar
        self._day_over = DayOver(context.journal, context.clock, calendar, context.run_id, context.intervene)
        self._unpriced: dict[ClientOrderId, int] = {}
        self._tried: set[ClientOrderId] = set()
        self._names_orders: bool | None = None
        """Whether the broker says of its trades which order they are of; None until there is one."""
        self._fills: tuple[VenueFill, ...] | None = None
        self._seen: tuple[int, frozenset[VenueOrderId]] | None = None
        self.failures = 0
        """How many rounds in a row the list could not be read."""

    def known_ids(self, within_ns: int) -> frozenset[VenueOrderId] | None:
        """The broker's names of the orders that are there, from a list of at most this age; None where it is unread."""
        now_ns = self._context.clock.monotonic_ns()
        if self._seen is None or now_ns - self._seen[0] > within_ns:
            try:
                self._read(self._context.today())
            except (BrokerError, CaptchaError) as error:
                _log.warning("the list of the day could not be read: %s", error)
                return None
        return None if self._seen is None else self._seen[1] | self._blotter.names()

    def look(self) -> None:
        """One round: the list is compared with what works and what has ended, the unresolved asked for, trades priced.

        A cancel that the list does not show is asked for again, now and then.
        A list that cannot be read changes nothing.

        Raises:
            JournalError: What it says could not be written down.
        """
        self._fills = None
        days: defaultdict[date, list[Entry]] = defaultdict(list)
        for entry in self._blotter.open():
            if not entry.is_held_back:
                days[listed_on(entry)].append(entry)
        if self._context.today() not in days:
            for day in {*self._late.days(), *self._arrivals.days()}:
                days.setdefault(day, [])
        shown: list[ClientOrderId] = []
        for day, entries in days.items():
            try:
                rows = self._read(day)
            except (BrokerError, CaptchaError) as error:
                self.failures += 1
                _log.warning("the list of the day could not be read: %s", error)
                continue
            self.failures = 0
            now = self._with_trades(entries, rows) if day == self._context.today() else entries
            shown += self._compare(now, rows)
            self._ask(now, rows)
            self._day_over.look(self._as_they_stand(now), rows, self._broker.capabilities)
            self._count_late(day, rows)
            self._arrivals.look(day, rows)
        self._price()
        self._lost_cancels.look(shown)

    def _read(self, day: date) -> tuple[VenueOrder, ...]:
        self._broker.login()
        rows = self._broker.orders(day)
        if day == self._context.today():
            names = frozenset(row.venue_order_id for row in rows)
            self._seen = (self._context.clock.monotonic_ns(), names)
        return rows

    def _with_trades(self, entries: list[Entry], rows: Sequence[VenueOrder]) -> list[Entry]:
        """Write down the trades themselves where the list tells of more than is known: told once, with their prices.

        Returns:
            The orders as they stand then.
        """
        if self._names_orders is False:
            return entries
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
        if not grown or (fills := self._read_fills()) is None:
            return entries
        self._write([[self._trade(grown[name], fill)] for name, fill in self._new_trades(grown, fills)])
        return self._as_they_stand(entries)

    def _as_they_stand(self, entries: Sequence[Entry]) -> list[Entry]:
        return [self._blotter.known(entry.intent.order.client_order_id) or entry for entry in entries]

    def _read_fills(self) -> tuple[VenueFill, ...] | None:
        """The broker's trades of the day, read once in each look; None where they cannot be read."""
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

    def _new_trades(
        self, orders: Mapping[VenueOrderId, Entry], fills: Sequence[VenueFill]
    ) -> list[tuple[VenueOrderId, Fill]]:
        """The trades of orders that are not counted yet, by the broker's names of the orders."""
        of_order: defaultdict[VenueOrderId, list[VenueFill]] = defaultdict(list)
        for each in fills:
            if each.venue_order_id is not None:
                of_order[each.venue_order_id].append(each)
        return [
            (name, fill) for name, entry in orders.items() for fill in _countable(entry.state, of_order.get(name, ()))
        ]

    def _compare(self, entries: Sequence[Entry], rows: Sequence[VenueOrder]) -> list[ClientOrderId]:
        """Write down what rows tell of orders that their broker has.

        Returns:
            Those that are to be canceled and that the list shows at work.
        """
        by_name = {row.venue_order_id: row for row in rows}
        by_ours = {row.client_order_id: row for row in rows if row.client_order_id is not None}
        at_ns, at = self._context.clock.monotonic_ns(), instant(self._context.clock.wall_ns())
        told: list[list[ExecutionReport]] = []
        shown: list[ClientOrderId] = []
        for entry in entries:
            state = entry.state
            if state.status not in PLACED:
                continue
            row = None if state.venue_order_id is None else by_name.get(state.venue_order_id)
            row = row or by_ours.get(entry.intent.order.client_order_id)
            if row is None:
                _log.info("%s works, and is not in the list of the day", entry.intent.order.client_order_id)
                continue
            if row.working and state.status is OrderStatus.PENDING_CANCEL:
                shown.append(entry.intent.order.client_order_id)
            has_price = self._has_price(entry.intent.order)
            if reports := reports_of(row, state, self._report, self._waiting, at_ns, has_price=has_price, at=at):
                told.append(reports)
            if row.filled_qty > state.priced_qty:
                self._unpriced.setdefault(entry.intent.order.client_order_id, 0)
        self._write(told)
        return shown

    def _ask(self, entries: Sequence[Entry], rows: tuple[VenueOrder, ...]) -> None:
        nameless = [e for e in entries if e.state.status in PLACED and e.state.venue_order_id is None]
        unresolved = [entry for entry in entries if entry.state.unresolved]
        if asked := [entry.intent.order.client_order_id for entry in (*nameless, *unresolved)]:
            self._inquiry.look(asked, rows)

    def _count_late(self, day: date, rows: Sequence[VenueOrder]) -> None:
        """Count what traded of orders before they ended and is told only now."""
        told = self._late.reports(day, rows)
        self._write(told)
        for report, *_ in told:
            self._unpriced[report.client_order_id] = 0
            self._late.tell(report.client_order_id)

    def _price(self) -> None:
        """Ask for the trades behind the sums that the list names, so that their prices are known."""
        self._find_unpriced()
        names = [name for name in self._unpriced if self._is_unpriced(name)]
        self._unpriced = {name: tries for name, tries in self._unpriced.items() if name in names}
        if not names:
            return
        orders = {
            entry.state.venue_order_id: entry
            for name in names
            if (entry := self._blotter.entry(name)) is not None and entry.state.venue_order_id is not None
        }
        if (fills := self._read_fills()) is None:
            return
        self._write([[self._trade(orders[name], fill)] for name, fill in self._new_trades(orders, fills)])
        self._price_loose([name for name in names if self._is_unpriced(name)], fills)
        self._unpriced = {
            name: tries + 1
            for name, tries in self._unpriced.items()
            if tries + 1 < _PRICING_TRIES and self._is_unpriced(name)
        }

    def _find_unpriced(self) -> None:
        """What has ended today without all of its prices, before this process began or in another one, is asked for."""
        done = {entry.intent.order.client_order_id: entry for entry in self._blotter.done()}
        self._tried &= done.keys()
        for name, entry in done.items():
            unpriced = entry.state.filled_qty > entry.state.priced_qty and name not in self._tried
            if unpriced and listed_on(entry) == self._context.today():
                self._tried.add(name)
                self._unpriced.setdefault(name, 0)

    def _price_loose(self, names: Sequence[ClientOrderId], fills: Sequence[VenueFill]) -> None:
        """Count trades without an order where only one order can be theirs."""
        rows: tuple[VenueOrder, ...] | None = None
        for name in names:
            entries = (*self._blotter.open(), *self._blotter.done())
            entry = self._blotter.known(name)
            if entry is None:
                continue
            has_price = self._has_price(entry.intent.order)
            if not (found := may_be_of(entry, entries, fills, has_price=has_price)):
                continue
            try:
                # Read after the trades: whatever has traded by hand as well is in it.
                rows = self._read(self._context.today()) if rows is None else rows
            except (BrokerError, CaptchaError) as error:
                _log.info("the list of the day could not be read: %s", error)
                return
            if is_alone(entry, entries, rows):
                self._write([[self._trade(entry, fill) for fill in found]])

    def _trade(self, entry: Entry, fill: Fill) -> ExecutionReport:
        report = self._report(entry.intent.order.client_order_id, ReportKind.PARTIALLY_FILLED)
        return replace(report, fill=fill)

    def _is_unpriced(self, name: ClientOrderId) -> bool:
        entry = self._blotter.entry(name)
        return entry is not None and entry.state.filled_qty > entry.state.priced_qty

    def _report(self, name: ClientOrderId, kind: ReportKind) -> ExecutionReport:
        return ExecutionReport(name, self._context.run_id, kind, instant(self._context.clock.wall_ns()))

    def _write(self, told: Sequence[Sequence[ExecutionReport]]) -> None:
        """Write what is told of many orders at once; where one does not fit, each order's by itself."""
        if not told:
            return
        try:
            self._context.journal.append([report for reports in told for report in reports])
        except ReportMisfit:
            for reports in told:
                try:
                    self._context.journal.append(reports)
                except ReportMisfit as error:
                    # Another process has asked as well and was quicker; what it wrote stands.
                    _log.info("%s", error)
                    self._blotter.refresh(reports[0].client_order_id)


def _countable(state: OrderState, fills: Sequence[VenueFill]) -> list[Fill]:
    """The trades of an order that are new, and certainly none of those that are counted.

    A row without a name of the broker's own may be a sum that grows, under another name each time: such rows count once
    the order is done, all together, and only where they make up what has traded.
    """
    if all(each.named for each in fills):
        return [each.fill for each in fills if each.fill.trade_id not in state.trade_ids]
    whole = sum((each.fill.last_qty for each in fills), Decimal(0)) == state.filled_qty
    if state.status in DONE and not state.priced_qty and whole:
        return [each.fill for each in fills]
    return []
