"""Orders for a day that is over: nobody works them any more, whatever a broker's list goes on saying of them.

Some lists keep calling them working; others show today alone, and say nothing of them at all. Either way such an order
stands in the way: a bracket's stop waits for its profit to be gone, and no broker cancels what is gone already.

An order's day is the one in whose session it was sent. One that was sent when the session had ended, or on a day
without any, waits at its broker for the next session, and that day is its day.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import ReportMisfit
from firstbell.model.instant import instant
from firstbell.model.order_status import DONE, PLACED, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.listed_days import LASTING, came_between, exchange_day, listed_on
from firstbell.oms.lists import Absence
from firstbell.oms.orders.terms_at_broker import is_supplied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from firstbell.brokers.base import Capabilities, VenueOrder
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import ClientOrderId, RunId

_log = logging.getLogger(__name__)

_WORKING: Final = PLACED - DONE
_UNSHOWN: Final = (
    "its day, {day}, is over, and no list shows it: it counts as expired; what it may have traded since it was last "
    "seen is not known, so look at the broker"
)


class DayOver:
    """Ends orders whose day has ended them.

    Args:
        journal: Where that is written.
        clock: Tells what day it is, and how far apart the looks are.
        days: Which day an order is for, by the market's sessions.
        run_id: Who looks.
        intervene: Told of each that no list shows: nobody knows what it traded last.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        days: OrderDays,
        run_id: RunId,
        intervene: Callable[[ClientOrderId, str], None],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._days = days
        self._run_id = run_id
        self._intervene = intervene
        self._absences: dict[ClientOrderId, Absence] = {}

    def waits_for(self, names: Iterable[ClientOrderId]) -> bool:
        """Whether no list has shown one of them, and that has not gone on for long enough to go by it."""
        return any(name in self._absences for name in names)

    def look(self, entries: Iterable[Entry], rows: Sequence[VenueOrder], capabilities: Capabilities) -> None:
        """Look at the list of a day, once what it tells of trades has been written down.

        Args:
            entries: Orders of that day, as they stand.
            rows: The list.
            capabilities: What their broker does by itself.

        Raises:
            JournalError: It could not be written down.
        """
        over = []
        today = exchange_day(self._clock.wall_ns())
        for entry in entries:
            # None leaves before the day on which it is claimed: of most that is all there is to look at.
            is_old = entry.intent.order.day < today and entry.state.status in _WORKING and listed_on(entry) < today
            if is_old and self._is_over(entry, capabilities):
                over.append(entry)
            else:
                self._absences.pop(entry.intent.order.client_order_id, None)
        if not over:
            return
        names = {row.venue_order_id: row for row in rows}
        ours = {row.client_order_id: row for row in rows if row.client_order_id is not None}
        for entry in over:
            name, state = entry.intent.order.client_order_id, entry.state
            row = None if state.venue_order_id is None else names.get(state.venue_order_id)
            row = row or ours.get(name)
            day = listed_on(entry)
            if row is not None:
                self._end(entry, f"its day, {day}, is over (the broker's list calls it {row.status} still)")
            elif self._absences.setdefault(name, Absence()).missed(self._clock.monotonic_ns()):
                why = _UNSHOWN.format(day=day)
                if self._end(entry, why):
                    self._intervene(name, why)

    def _is_over(self, entry: Entry, capabilities: Capabilities) -> bool:
        order = entry.intent.order
        # What the order manager keeps the time of is an order for the day at its broker.
        if order.time_in_force in LASTING and not is_supplied(order, capabilities):
            return False
        now = instant(self._clock.wall_ns())
        # Of one that was answered after the session it is not known which day it is for: the list of the first tells.
        ends = self._days.end_of(came_between(entry)[1])
        return ends is not None and now >= ends

    def _end(self, entry: Entry, why: str) -> bool:
        name = entry.intent.order.client_order_id
        self._absences.pop(name, None)
        report = ExecutionReport(name, self._run_id, ReportKind.EXPIRED, instant(self._clock.wall_ns()), reason=why)
        try:
            self._journal.append([report], where=entry.state)
        except ReportMisfit as error:
            # Another process has written of it meanwhile; the next look sees what.
            _log.info("%s", error)
            return False
        return True
