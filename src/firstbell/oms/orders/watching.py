"""Watching one login's orders: a round reads the broker's lists and writes down what they say."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from firstbell.brokers.base import PartlyUnreadable
from firstbell.errors import BrokerError, CaptchaError
from firstbell.model.instant import instant
from firstbell.model.order_status import PLACED, OrderStatus
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.listed_days import as_one
from firstbell.oms.lists import is_of
from firstbell.oms.orders.day_over import DayOver
from firstbell.oms.orders.day_trades import DayTrades
from firstbell.oms.orders.late_arrivals import LateArrivals
from firstbell.oms.orders.list_reports import ListReports
from firstbell.oms.orders.looks_file import Look
from firstbell.oms.orders.lost_cancels import LostCancels
from firstbell.oms.orders.row_reports import Waiting, is_as_known, reports_of
from firstbell.oms.orders.taken_back import TakenBack
from firstbell.oms.orders.unread_lists import UnreadLists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime

    from firstbell.brokers.base import Broker, VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import AccountName, ClientOrderId, VenueOrderId
    from firstbell.model.order import Order, OrderState
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.listed_days import DaysToRead
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.late_trades import LateTrades

_log = logging.getLogger(__name__)


class _List(NamedTuple):
    """The list of one day; whole, or as far as its rows can be read."""

    rows: tuple[VenueOrder, ...]
    whole: bool


class Watch:
    """Reads the lists of one login's broker.

    Args:
        context: What all logins have in common.
        broker: The login's broker.
        blotter: The login's orders.
        late: What of them has ended, and may turn out to have traded.
        has_price: Whether an order's price is one that the broker has, and its list shows.
        name: The account by which the login is called.
        days: Which day an order is for.
        listed: In which days' lists the login's orders stand.
    """

    def __init__(
        self,
        context: OrderContext,
        broker: Broker,
        blotter: Blotter,
        late: LateTrades,
        has_price: Callable[[Order], bool],
        name: AccountName,
        days: OrderDays,
        listed: DaysToRead,
    ) -> None:
        self._context = context
        self._broker = broker
        self._blotter = blotter
        self._late = late
        self._has_price = has_price
        self._waiting = Waiting()
        self._lost_cancels = LostCancels(context, broker, blotter)
        self._listed = listed
        misses = context.misses_of(blotter.login)
        self._inquiry = Inquiry(broker, context.journal, context.clock, context.run_id, context.intervene, days, misses)
        self._day_over = DayOver(context.journal, context.clock, days, context.run_id, context.intervene)
        self._arrivals = LateArrivals(context, blotter, listed)
        self._taken_back = TakenBack(context, listed)
        self._reports = ListReports(context, blotter)
        self._trades = DayTrades(context, broker, blotter, self._reports, has_price)
        self._no_news: dict[ClientOrderId, tuple[VenueOrder, OrderState]] = {}
        """The rows in which nothing was new, with what was known then: as long as both stay, nothing is."""
        self._seen: tuple[int, frozenset[VenueOrderId]] | None = None
        self.heard_at: datetime | None = None
        """When what other processes have claimed was last taken in; None before that."""
        self._unread = UnreadLists(context, name)

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
        A list that cannot be read changes nothing. Of one that can be read in part only what it shows counts, and what
        it does not show is not missing. Where that goes on, a person is told.

        Raises:
            JournalError: What it says could not be written down.
        """
        self._trades.new_round()
        self._no_news = {name: each for name, each in self._no_news.items() if self._blotter.is_open(name)}
        today = self._context.today()
        groups = self._wanted(today)
        asked_at, lists = instant(self._context.clock.wall_ns()), self._read_all(groups)
        shown: list[ClientOrderId] = []
        missed = False
        for days, entries in groups.items():
            found = [lists[day] for day in days if day in lists]
            if not found:
                missed |= today in days
                continue
            rows = as_one([each.rows for each in found])
            whole = len(found) == len(days) and all(each.whole for each in found)
            there, cancels = self._take_in(entries, rows, today=today in days, whole=whole)
            self._reports.shown((entry for entry, _ in there), asked_at)
            shown += cancels
            missed |= today in days and not (whole and len(there) == len(entries))
        if self.heard_at is not None and any(today in days for days in groups) and not missed:
            self._reports.all_shown(Look(self.heard_at, asked_at))
        for day, each in lists.items():
            self._count_late(day, each.rows)
            self._taken_back.look(day, (*self._blotter.open(), *self._blotter.done()), each.rows)
            self._arrivals.look(day, each.rows)
        self._late.tell()
        self._trades.price(lambda: self._read(self._context.today()))
        self._lost_cancels.look(shown)

    def _wanted(self, today: date) -> dict[tuple[date, ...], list[Entry]]:
        """The open orders, by the days in whose lists they stand, or may."""
        groups: defaultdict[tuple[date, ...], list[Entry]] = defaultdict(list)
        for entry in self._blotter.open():
            if not entry.is_held_back:
                groups[self._listed.of(entry, today)].append(entry)
        return groups

    def _read_all(self, groups: Iterable[tuple[date, ...]]) -> dict[date, _List]:
        """The lists of the days that are wanted, as far as they can be read."""
        wanted = {day for days in groups for day in days}
        self._unread.only(wanted)
        more = (*self._late.days(), *self._arrivals.days())
        lists: dict[date, _List] = {}
        for day in sorted({*wanted, *more}):
            try:
                lists[day] = _List(self._read(day), whole=True)
            except (BrokerError, CaptchaError) as error:
                if isinstance(error, PartlyUnreadable):
                    lists[day] = _List(error.rows, whole=False)
                if day in wanted:
                    self._unread.failed(day, error, partly=day in lists)
            else:
                self._unread.ended(day)
        return lists

    def _take_in(
        self, entries: Sequence[Entry], rows: tuple[VenueOrder, ...], *, today: bool, whole: bool
    ) -> tuple[list[tuple[Entry, VenueOrder]], list[ClientOrderId]]:
        """Write down what the lists tell of orders that stand in them.

        Args:
            entries: The orders.
            rows: The lists, as one.
            today: Whether today's is among them.
            whole: Whether all of them could be read, all rows of them: else nothing is absent from them.

        Returns:
            The orders that they show, and those of them that are to be canceled and are at work.
        """
        now = self._blotter.as_they_stand(entries) if today and self._trades.count(entries, rows) else entries
        there = _shown_in(rows, now)
        cancels = self._compare(there)
        self._ask(now, rows, whole=whole)
        if whole:
            self._day_over.look(self._blotter.as_they_stand(now), rows, self._broker.capabilities)
        return there, cancels

    def _read(self, day: date) -> tuple[VenueOrder, ...]:
        self._broker.login()
        rows = self._broker.orders(day)
        if day == self._context.today():
            names = frozenset(row.venue_order_id for row in rows)
            self._seen = (self._context.clock.monotonic_ns(), names)
        return rows

    def _compare(self, shown_now: Iterable[tuple[Entry, VenueOrder]]) -> list[ClientOrderId]:
        """Write down what rows tell of orders that their broker has.

        Returns:
            Those that are to be canceled and that the list shows at work.
        """
        at_ns, at = self._context.clock.monotonic_ns(), instant(self._context.clock.wall_ns())
        told: list[list[ExecutionReport]] = []
        shown: list[ClientOrderId] = []
        for entry, row in shown_now:
            state, name = entry.state, entry.intent.order.client_order_id
            known = self._no_news.get(name)
            if known is not None and known[1] is state and known[0] == row:
                continue
            if row.working and state.status is OrderStatus.PENDING_CANCEL:
                shown.append(name)
            has_price = self._has_price(entry.intent.order)
            reports = reports_of(row, state, self._reports.report, self._waiting, at_ns, has_price=has_price, at=at)
            if reports:
                told.append(reports)
            if row.filled_qty > state.priced_qty:
                self._trades.are_wanted_of(name)
            elif not reports and is_as_known(row, state, has_price=has_price):
                self._no_news[name] = row, state
        self._reports.write(told)
        return shown

    def _ask(self, entries: Sequence[Entry], rows: tuple[VenueOrder, ...], *, whole: bool) -> None:
        nameless = [e for e in entries if e.state.status in PLACED and e.state.venue_order_id is None]
        unresolved = [entry for entry in entries if entry.state.unresolved]
        if asked := [entry.intent.order.client_order_id for entry in (*nameless, *unresolved)]:
            self._inquiry.look(asked, rows, whole=whole)

    def _count_late(self, day: date, rows: Sequence[VenueOrder]) -> None:
        """Count what traded of orders before they ended and is told only now."""
        told = self._late.reports(day, rows)
        self._reports.write(told)
        for report, *_ in told:
            self._trades.are_wanted_of(report.client_order_id, anew=True)
            self._late.counted(report.client_order_id)


def _shown_in(rows: Sequence[VenueOrder], entries: Sequence[Entry]) -> list[tuple[Entry, VenueOrder]]:
    """The orders that their broker has and a list shows, each with its row."""
    by_name = {row.venue_order_id: row for row in rows}
    by_ours = {row.client_order_id: row for row in rows if row.client_order_id is not None}
    found = []
    for entry in entries:
        state, name = entry.state, entry.intent.order.client_order_id
        if state.status not in PLACED:
            continue
        row = None if state.venue_order_id is None else by_name.get(state.venue_order_id)
        if row is not None and not is_of(row, entry):
            # Another day's order of the same number.
            row = next(
                (each for each in rows if each.venue_order_id == row.venue_order_id and is_of(each, entry)), None
            )
        row = row or by_ours.get(name)
        if row is None:
            _log.info("%s works, and is not in the list of the day", name)
        else:
            found.append((entry, row))
    return found
