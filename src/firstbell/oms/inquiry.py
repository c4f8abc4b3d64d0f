"""Asking one login's list of the day what became of its orders, and writing down what it says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firstbell.errors import BrokerError, CaptchaError
from firstbell.journal.base import ReportMisfit
from firstbell.model.instant import instant
from firstbell.model.order_status import PLACED, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.listed_days import (
    LASTING,
    all_days,
    days_listed,
    days_to_read,
    exchange_day,
    list_of,
    listed_on,
    listed_with,
    shows_day,
)
from firstbell.oms.lists import MIN_MISSES, Absence, find, in_the_way, names_taken, reading, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from firstbell.brokers.base import Broker, VenueOrder
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import ClientOrderId, RunId, VenueOrderId
    from firstbell.oms.misses_file import MissesFile

_log = logging.getLogger(__name__)

_UNSHOWN = (
    "it got no answer, its day, {day}, is over, and no list shows that day any more: whether it came to its broker, "
    "and what it has traded, is not known; look at the broker"
)


def needs_asking(entry: Entry) -> bool:
    """Whether nobody but the broker's lists can say what became of this order."""
    return entry.state.unresolved and entry.state.status is OrderStatus.SUBMITTED


class Inquiry:
    """The questions asked about one login's orders, with the looks that missed them.

    Args:
        broker: The login's broker.
        journal: Where answers are written.
        clock: Tells how far apart the looks are.
        run_id: The run that asks.
        intervene: Told once of each order of which the list will never tell by itself: its name, and why.
        days: Which day an order is for; see `firstbell.oms.listed_days.days_to_read`.
        misses: What the looks of earlier processes have missed, and where these are kept; None: nobody asks later.
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        clock: Clock,
        run_id: RunId,
        intervene: Callable[[ClientOrderId, str], None] | None = None,
        days: OrderDays | None = None,
        misses: MissesFile | None = None,
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._run_id = run_id
        self._intervene = intervene
        self._days = days
        self._misses = misses
        self._absences = {} if misses is None else self._still_missed(misses)
        self._hindered: dict[ClientOrderId, Absence] = {}
        """The looks after which an order would be known not to be there, were it not for another row."""
        self._told: set[ClientOrderId] = set()
        self.seen: set[ClientOrderId] = set()
        """The orders that the list has shown, whatever it said of them."""

    def _still_missed(self, misses: MissesFile) -> dict[ClientOrderId, Absence]:
        """What earlier processes have missed, of the orders of which nobody knows yet what became of them."""
        missed = misses.read(self._clock.monotonic_ns())
        entries = {name: self._journal.entry(name) for name in missed}
        return {name: missed[name] for name, entry in entries.items() if entry is not None and needs_asking(entry)}

    def look(
        self, names: Sequence[ClientOrderId], rows: tuple[VenueOrder, ...] | None = None, *, whole: bool = True
    ) -> tuple[Entry, ...]:
        """Look once at the list of the day for these orders, all of one login and one day.

        A list that cannot be read changes nothing and is not a miss.

        Args:
            names: Orders that are unresolved, or placed and to be confirmed.
            rows: The list, where whoever asks has just read it; by default it is read now.
            whole: Whether all of its rows could be read: else nothing is absent from it.

        Returns:
            The same orders as they stand now.

        Raises:
            JournalError: The answer could not be written down.
        """
        entries = [entry for name in names if (entry := self._journal.entry(name)) is not None]
        if not entries:
            return ()
        today, day = exchange_day(self._clock.wall_ns()), listed_on(entries[0])
        try:
            if rows is None:
                rows, unread = list_of(self._broker, entries, today, self._days)
                whole = unread is None
        except (BrokerError, CaptchaError) as error:
            _log.warning("the list of the day could not be read: %s", error)
            return tuple(entries)
        days = {each for entry in entries for each in (entry.intent.order.day, *days_to_read(entry, today, self._days))}
        siblings = listed_with(self._journal, entries[0].intent.login, days, self._days)
        speaks = day >= today or self._is_shown(day, today, rows, siblings, entries)
        rows, open_are_known = self._with_open_orders(rows, entries)
        if max(max(all_days(entry, self._days)) for entry in entries) > today:
            # The list in which it may stand is still to come: until then the open orders are all there is.
            whole = whole and open_are_known
        found: set[VenueOrderId] = set()
        # What is surely there and has no name yet takes its row first: it must not pass for another order's.
        unnamed = [each for each in siblings if each.state.status in PLACED and each.state.venue_order_id is None]
        asked = {entry.intent.order.client_order_id: entry for entry in (*unnamed, *entries)}
        for entry in asked.values():
            report = self._judge(entry, rows, siblings, found, speaks=speaks, whole=whole)
            if report is not None:
                self._write(report)
        return tuple(entry for name in names if (entry := self._journal.entry(name)) is not None)

    def _is_shown(
        self,
        day: date,
        today: date,
        rows: Sequence[VenueOrder],
        siblings: Sequence[Entry],
        entries: Sequence[Entry],
    ) -> bool:
        """Whether a list of a day that is over is one of that day: some brokers list today alone, and what lasts.

        So it has to show something of that day that today's list does not.
        """
        own = [each for each in siblings if day in days_listed(each)]
        if not shows_day(day, rows, own):
            return False
        if not any(map(needs_asking, entries)):
            return True
        try:
            still = {row.venue_order_id for row in self._broker.orders(today)}
        except (BrokerError, CaptchaError) as error:
            _log.info("today's list could not be read: %s", error)
            return False
        return shows_day(day, [row for row in rows if row.venue_order_id not in still], own)

    def _with_open_orders(
        self, rows: tuple[VenueOrder, ...], entries: Sequence[Entry]
    ) -> tuple[tuple[VenueOrder, ...], bool]:
        """The list of the day, and for what it does not show the open orders too.

        That list proves no absence, but it does prove presence, should the list of the day lag or leave today out.

        Returns:
            The rows, and whether the open orders are known where they are needed.
        """
        if all(find(entry, rows, frozenset()) is not None for entry in entries):
            return rows, True
        try:
            working = self._broker.open_orders()
        except (BrokerError, CaptchaError) as error:
            _log.info("the open orders could not be read: %s", error)
            return rows, False
        known = {row.venue_order_id for row in rows}
        return (*rows, *(row for row in working if row.venue_order_id not in known)), True

    def _write(self, report: ExecutionReport) -> None:
        try:
            self._journal.append([report])
        except ReportMisfit as error:
            # Another process has asked as well and was quicker; what it wrote stands.
            _log.info("%s", error)

    def _judge(
        self,
        entry: Entry,
        rows: Sequence[VenueOrder],
        siblings: Sequence[Entry],
        found: set[VenueOrderId],
        *,
        speaks: bool,
        whole: bool,
    ) -> ExecutionReport | None:
        order = entry.intent.order
        # One row is one order: what this look has just given to another is taken too.
        taken = names_taken(siblings, entry) | found
        row = find(entry, rows, taken)
        if row is None:
            if not whole:
                return None
            other = in_the_way(entry, rows, taken)
            if other is None or not needs_asking(entry):
                return self._absent(entry, speaks=speaks)
            self._tell(order.client_order_id, other)
            return None
        self._hindered.pop(order.client_order_id, None)
        found.add(row.venue_order_id)
        self._forget_misses(order.client_order_id)
        self.seen.add(order.client_order_id)
        kind = reading(row, entry.state)
        if kind is None:
            return None
        return ExecutionReport(
            client_order_id=order.client_order_id,
            run_id=self._run_id,
            kind=kind,
            at=instant(self._clock.wall_ns()),
            venue_order_id=row.venue_order_id,
            cum_qty=row.filled_qty if row.filled_qty > 0 else None,
            reason=reason_of(kind, row, entry.state),
        )

    def _forget_misses(self, name: ClientOrderId) -> None:
        """Forget the looks that have missed an order: what became of it is known."""
        if self._absences.pop(name, None) is not None and self._misses is not None:
            self._misses.keep(self._absences)

    def _tell(self, name: ClientOrderId, other: VenueOrder) -> None:
        """Say that a row may be an order though it does not look like it; a person is told once that has gone on."""
        why = f"order {other.venue_order_id} of the same instrument and side may be it"
        _log.warning("%s is not in the list, but %s: look at the broker", name, why)
        hindered = self._hindered.setdefault(name, Absence())
        if self._intervene is not None and hindered.missed(self._clock.monotonic_ns()) and name not in self._told:
            self._told.add(name)
            self._intervene(
                name,
                f"it got no answer and is not in the broker's list, but {why}, changed or placed by hand: look at the "
                "broker; until it is known, its login places nothing new",
            )

    def _absent(self, entry: Entry, *, speaks: bool) -> ExecutionReport | None:
        """Count a look that has not shown an order; what follows from it, once there have been enough.

        Args:
            entry: The order.
            speaks: Whether the list was one of the order's day. Some brokers list today alone: then it is certain that
                an order for a day that is over works no more, and nothing else is.
        """
        name = entry.intent.order.client_order_id
        if not needs_asking(entry):
            if entry.state.status in PLACED:
                _log.warning("%s was accepted and is not in the list of the day", name)
            return None
        absence = self._absences.setdefault(name, Absence())
        now_ns = self._clock.monotonic_ns()
        is_absent = absence.missed(now_ns)
        if self._misses is not None and absence.misses <= MIN_MISSES:
            # What comes after these adds nothing that a later process has to know.
            self._misses.keep(self._absences)
        if not is_absent:
            return None
        if not speaks and entry.intent.order.time_in_force in LASTING:
            return None
        seconds = (now_ns - (absence.first_ns or now_ns)) // 1_000_000_000
        kind, reason = (
            ReportKind.REJECTED,
            f"absent from the broker's list of the day in {absence.misses} looks over {seconds} s",
        )
        if not speaks:
            kind, reason = ReportKind.EXPIRED, _UNSHOWN.format(day=listed_on(entry))
            if self._intervene is not None and name not in self._told:
                self._told.add(name)
                self._intervene(name, reason)
        self._forget_misses(name)
        return ExecutionReport(
            client_order_id=name, run_id=self._run_id, kind=kind, at=instant(self._clock.wall_ns()), reason=reason
        )
