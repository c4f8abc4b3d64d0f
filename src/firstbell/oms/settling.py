"""Settling by hand what no list tells: a person has looked at the broker and says what became of an order.

Only an order of which nobody knows what became can be settled, and nothing is believed that the broker's list speaks
against.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from firstbell.errors import RunError
from firstbell.model.instant import instant
from firstbell.model.order import LISTS_LAG
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.inquiry import Inquiry, needs_asking
from firstbell.oms.listed_days import days_to_read, exchange_day, list_of, listed_on, listed_with
from firstbell.oms.lists import find, names_taken

if TYPE_CHECKING:
    from firstbell.brokers.base import Broker, VenueOrder
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import ClientOrderId, RunId, VenueOrderId


class Settling:
    """Writes down what a person says of one login's unresolved orders.

    Args:
        broker: The login's broker; its list is read first.
        journal: Where orders stand.
        clock: Both clocks.
        run_id: Under which name it is written.
        days: Which day an order is for; see `firstbell.oms.listed_days.days_to_read`.
    """

    def __init__(
        self, broker: Broker, journal: Journal, clock: Clock, run_id: RunId, days: OrderDays | None = None
    ) -> None:
        self._broker = broker
        self._days = days
        self._journal = journal
        self._clock = clock
        self._run_id = run_id

    def unresolved(self, name: ClientOrderId) -> Entry:
        """The order, if it can be settled.

        Raises:
            RunError: It is not unresolved, or not there.
        """
        entry = self._entry(name)
        if not needs_asking(entry):
            raise RunError(f"{name} is {entry.state.status}: there is nothing to settle")
        return entry

    def is_there(self, name: ClientOrderId, venue_order_id: VenueOrderId) -> Entry:
        """It is at the broker, under this id; with whatever terms it has there now.

        Returns:
            The order as it stands then.

        Raises:
            RunError: It is not unresolved, or the list has no such order, or one that cannot be it.
            BrokerError: The list cannot be read.
            JournalError: It could not be written down.
        """
        entry = self.unresolved(name)
        order = entry.intent.order
        row = next((row for row in self._rows(entry) if row.venue_order_id == venue_order_id), None)
        if row is None:
            raise RunError(f"the broker's list of {listed_on(entry)} has no order {venue_order_id}")
        if (row.instrument, row.side) != (order.instrument, order.side):
            found, wanted = f"{row.side} of {row.instrument}", f"{order.side} of {order.instrument}"
            raise RunError(f"{venue_order_id} is a {found}, and not a {wanted}")
        if venue_order_id in names_taken(self._siblings(entry), entry):
            raise RunError(f"{venue_order_id} is another order of firstbell's")
        if venue_order_id in (entry.known_ids or frozenset()):
            raise RunError(f"{venue_order_id} was there before this order left")
        self._write(name, ReportKind.ACCEPTED, "found at its broker, as settled by hand", row)
        Inquiry(self._broker, self._journal, self._clock, self._run_id, days=self._days).look([name])
        return self._entry(name)

    def never_placed(self, name: ClientOrderId) -> Entry:
        """It never came to the broker.

        Returns:
            The order as it stands then: rejected.

        Raises:
            RunError: It is not unresolved, lists may lag still, or the list has an order that looks like it.
            BrokerError: The list cannot be read.
            JournalError: It could not be written down.
        """
        entry = self.unresolved(name)
        since = entry.state.submitted_at or entry.claimed_at
        left = LISTS_LAG - (instant(self._clock.wall_ns()) - since)
        if left.total_seconds() > 0:
            raise RunError(f"lists may be late, and {name} may come yet: ask again in {left.total_seconds():.0f} s")
        row = find(entry, self._rows(entry), names_taken(self._siblings(entry), entry))
        if row is not None:
            raise RunError(f"{row.venue_order_id} of the broker's list is it: `firstbell orders reconcile` takes it up")
        self._write(name, ReportKind.REJECTED, "it never came to its broker, as settled by hand")
        return self._entry(name)

    def _entry(self, name: ClientOrderId) -> Entry:
        entry = self._journal.entry(name)
        if entry is None:
            raise RunError(f"the journal knows no order {name}")
        return entry

    def _rows(self, entry: Entry) -> tuple[VenueOrder, ...]:
        self._broker.login()
        # Where some rows cannot be read, what a person has seen at the broker is believed.
        rows, _unread = list_of(self._broker, (entry,), exchange_day(self._clock.wall_ns()), self._days)
        return rows

    def _siblings(self, entry: Entry) -> list[Entry]:
        today = exchange_day(self._clock.wall_ns())
        days = {entry.intent.order.day, *days_to_read(entry, today, self._days)}
        return listed_with(self._journal, entry.intent.login, days, self._days)

    def _write(self, name: ClientOrderId, kind: ReportKind, reason: str, row: VenueOrder | None = None) -> None:
        at = instant(self._clock.wall_ns())
        told = ExecutionReport(name, self._run_id, kind, at, reason=reason)
        reports = [told if row is None else replace(told, venue_order_id=row.venue_order_id)]
        state = self._entry(name).state
        if row is not None and (row.price, row.quantity) != (state.price, state.quantity):
            # As it was changed by hand.
            changed = ExecutionReport(name, self._run_id, ReportKind.REPLACED, at, reason="changed at the broker")
            reports.append(replace(changed, price=row.price, quantity=row.quantity))
        self._journal.append(reports)
