"""Trades of orders that have ended, told of late: a list may show a canceled order first and its trades afterwards."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.instant import instant
from firstbell.model.order_status import DONE, OrderStatus
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderRole
from firstbell.oms.listed_days import listed_with
from firstbell.oms.lists import MIN_ABSENCE_NS, has_grown, is_of, late_reason, reading
from firstbell.oms.orders.contingency import entered
from firstbell.oms.orders.families import entries_by_plan, family_of, goes_on, never_came

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from firstbell.brokers.base import VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import ClientOrderId, VenueOrderId
    from firstbell.oms.listed_days import DaysToRead
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext

_NOTHING: Final = Decimal(0)
_TAKEN_OFF: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED})
"""Where an order has ended and more of it may have traded than is known."""


class LateTrades:
    """Compares the rows of a login's orders that have ended with what is known to have traded of them.

    Args:
        context: What all logins have in common.
        blotter: The login's orders.
        login: The login.
        days: Which day an order is for.
        listed: In which days' lists the login's orders stand.
    """

    def __init__(
        self, context: OrderContext, blotter: Blotter, login: str, days: OrderDays, listed: DaysToRead
    ) -> None:
        self._context = context
        self._days = days
        self._listed = listed
        self._blotter = blotter
        self._login = login
        self._ended: dict[ClientOrderId, int] = {}
        self._sums: dict[date, dict[VenueOrderId, Decimal]] = {}
        """What each row of a day's last list had traded: each sum is looked at once."""
        self._untold: dict[ClientOrderId, None] = {}
        """Of which orders it is still to be said what their late trades leave."""

    def days(self) -> frozenset[date]:
        """The days whose lists have to be read though nothing open may be on them.

        That goes on for as long after an order was taken off the book as lists are known to lag.
        """
        now_ns = self._context.clock.monotonic_ns()
        done = [entry for entry in self._blotter.done() if may_have_traded(entry)]
        names = [entry.intent.order.client_order_id for entry in done]
        self._ended = {name: self._ended.get(name, now_ns) for name in names}
        lately = [now_ns - self._ended[name] < MIN_ABSENCE_NS for name in names]
        late = [entry for entry, is_late in zip(done, lately, strict=True) if is_late]
        today = self._context.today()
        return frozenset(day for entry in late for day in self._listed.of(entry, today))

    def reports(self, day: date, rows: Sequence[VenueOrder]) -> list[list[ExecutionReport]]:
        """What the list of a day tells of orders that have ended and is not known yet.

        Raises:
            JournalError: The orders that the blotter has forgotten cannot be read.
        """
        before, sums = self._sums.get(day, {}), {row.venue_order_id: row.filled_qty for row in rows if row.filled_qty}
        told = []
        if news := [row for row in rows if row.filled_qty and before.get(row.venue_order_id) != row.filled_qty]:
            known, unseen, today = _by_venue_name(self._blotter.done()), [], self._context.today()
            for row in news:
                entry = known.get(row.venue_order_id)
                if entry is None:
                    unseen.append(row)
                elif has_grown(entry.state, row) and is_of(row, entry) and day in self._listed.of(entry, today):
                    told.append((entry, row))
            told += self._forgotten(day, unseen)
            for _, row in told:
                # Should it not be written down, it is news once more.
                del sums[row.venue_order_id]
        self._sums = {each: held for each, held in self._sums.items() if each == self._context.today()} | {day: sums}
        return [report for entry, row in told if (report := self._report(entry, row))]

    def _forgotten(self, day: date, rows: Sequence[VenueOrder]) -> list[tuple[Entry, VenueOrder]]:
        """Of rows whose sums are new, those of orders that have ended long ago: the journal knows them."""
        names = self._blotter.names()
        by_name = {row.venue_order_id: row for row in rows if row.venue_order_id not in names}
        if not by_name:
            return []
        found = []
        for entry in listed_with(self._context.journal, self._login, [day], self._days):
            name = entry.state.venue_order_id
            row = None if name is None else by_name.get(name)
            if row is not None and entry.state.status in DONE and is_of(row, entry) and has_grown(entry.state, row):
                self._blotter.put(entry)
                found.append((entry, row))
        return found

    def _report(self, entry: Entry, row: VenueOrder) -> list[ExecutionReport]:
        kind, name = reading(row, entry.state), entry.intent.order.client_order_id
        if kind is None:
            return []
        at = instant(self._context.clock.wall_ns())
        report = ExecutionReport(name, self._context.run_id, kind, at, venue_order_id=row.venue_order_id)
        return [replace(report, cum_qty=row.filled_qty, reason=late_reason(entry.state))]

    def counted(self, name: ClientOrderId) -> None:
        """What an order's list has told late is written down: a person is told of it with `tell`."""
        self._untold[name] = None

    def tell(self) -> None:
        """Have a person told where what was told late has left shares that nothing looks after.

        Raises:
            JournalError: The orders that they belong with cannot be read; it is told the next time.
        """
        for name in tuple(self._untold):
            if (entry := self._blotter.entry(name)) is not None:
                siblings = self._context.journal.entries(day=entry.intent.order.day, login=self._login)
                if (why := why_to_look(entry, siblings, makes_rounds=True)) is not None:
                    self._context.intervene(name, why)
            # Only now: should the journal not be readable just then, it is told in the next round.
            del self._untold[name]


def may_have_traded(entry: Entry) -> bool:
    """Whether an order has been taken off the book with something of it left, that may turn out to have traded."""
    state = entry.state
    return state.status in _TAKEN_OFF and state.venue_order_id is not None and state.leaves_qty > 0


def why_to_look(entry: Entry, siblings: Sequence[Entry], *, makes_rounds: bool = False) -> str | None:
    """Why a person has to look at an order whose trades were told late, in words; None where nothing is amiss.

    Args:
        entry: The order as it stands now.
        siblings: The orders of its login and day, the oldest first.
        makes_rounds: Whether whoever asks makes rounds: these tell by themselves of a bracket that has sold too many.
    """
    late = f"it is {entry.state.status}, and the broker's list now tells that {entry.state.filled_qty} traded"
    group = entry.intent.order.instructions.group
    members = [each for each in siblings if group is not None and family_of(each) == group]
    if (total := sum((each.state.filled_qty for each in members), _NOTHING)) > _most_of(members):
        return f"{late}: the orders of its group have traded {total} together, more than they were to"
    parent_id = entry.intent.order.instructions.parent_id or entry.intent.plan_id
    legs = [each for each in siblings if each.intent.order.instructions.parent_id == parent_id]
    exits = [leg for leg in legs if not goes_on(leg)]
    parent = entries_by_plan(siblings).get(parent_id)
    if parent is None or not exits:
        return None
    left = entered(parent, legs).filled - sum((leg.state.filled_qty for leg in exits), _NOTHING)
    if left < 0:
        return None if makes_rounds else f"{late}: its bracket's exits have traded {-left} more than its entry"
    # What never came to its broker is held back anew, and for one that has traded in full there comes a further one.
    cared_for = any(
        leg.state.status not in DONE or leg.state.status is OrderStatus.FILLED or never_came(leg)
        for leg in entries_by_plan(exits).values()
    )
    if left > 0 and not cared_for:
        return f"{late}: its bracket's exits have ended, so {left} shares are unprotected"
    return None


def _most_of(members: Sequence[Entry]) -> Decimal:
    """What the orders of a group may trade together: exits share one quantity, of others only the first is to trade."""
    if any(each.intent.order.role is OrderRole.ENTRY for each in members):
        return next((each.state.filled_qty for each in members if each.state.filled_qty), _NOTHING)
    return max((each.intent.order.quantity for each in members), default=_NOTHING)


def _by_venue_name(entries: Iterable[Entry]) -> dict[VenueOrderId, Entry]:
    return {e.state.venue_order_id: e for e in entries if e.state.venue_order_id is not None}
