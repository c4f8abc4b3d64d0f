"""The orders by whose names a key is found on a later day: what is held back, or works for longer than a day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import HELD_NS
from firstbell.model.identifiers import named_on
from firstbell.model.order_status import DONE
from firstbell.oms.listed_days import LASTING, came_between

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from firstbell.journal.base import Entry
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import ClientOrderId

_LONGEST_BREAK: Final = timedelta(days=30)
"""No two sessions lie further apart."""


def may_last(entry: Entry) -> bool:
    """Whether an order's key may be one order for longer than the day by which it is named.

    It is or was held back, and may have left on any later day; or it works for longer than a day. Of what is done and
    never left there is nothing to last.
    """
    was_held = entry.intent.bell_ns == HELD_NS
    has_left = entry.state.submitted_at is not None
    return (was_held or entry.intent.order.time_in_force in LASTING) and (has_left or entry.state.status not in DONE)


def lasts(entry: Entry, now: datetime, days: OrderDays) -> bool:
    """Whether the key of an order that may last still is that order.

    Args:
        entry: The order.
        now: Now, in the exchange's zone.
        days: Which day an order is for.
    """
    order, state = entry.intent.order, entry.state
    if entry.is_held_back or (order.time_in_force in LASTING and state.status not in DONE):
        # Nobody may have looked since it was to end, so on the day of its end it may still be there.
        ends_at = order.instructions.expires_at
        return ends_at is None or now.date() <= ends_at.astimezone(now.tzinfo).date()
    if days.is_one(came_between(entry)[1], now):
        return True
    # What worked for longer than a day may be asked for again just after its end, too.
    ended_at = state.ended_at if order.time_in_force in LASTING else None
    return ended_at is not None and ended_at.astimezone(now.tzinfo).date() == now.date()


class Lasting:
    """Finds such orders by the day of their plan's name, and by that of the order that they protect.

    Nobody has to look at every order for that. Not safe for threads by itself.
    """

    def __init__(self) -> None:
        self._days: dict[date, dict[ClientOrderId, dict[ClientOrderId, Entry]]] = {}

    def put(self, entry: Entry) -> None:
        """Take an order in as it stands now, or out."""
        if not may_last(entry):
            self.drop(entry)
            return
        for day, name in _names(entry):
            among = self._days.setdefault(day, {}).setdefault(name, {})
            among[entry.intent.order.client_order_id] = entry

    def drop(self, entry: Entry) -> None:
        """Take an order out, if it is in."""
        for day, name in _names(entry) if self._days else ():
            entries = self._days.get(day, {}).get(name, {})
            if entries.pop(entry.intent.order.client_order_id, None) is None or entries:
                continue
            del self._days[day][name]
            if not self._days[day]:
                del self._days[day]

    def forget(self, entry: Entry, today: date) -> None:
        """Take out an order that is done and is not remembered any more, unless today its key is looked for by it."""
        if all(day >= today for day, _ in _names(entry)):
            self.drop(entry)

    def new_day(self, today: date) -> None:
        """Another day has begun: take out what had ended long before it."""
        since = today - _LONGEST_BREAK
        known = [entry for names in self._days.values() for entries in names.values() for entry in entries.values()]
        for entry in known:
            ended_at = entry.state.ended_at
            if entry.state.status in DONE and (ended_at is None or ended_at.date() < since):
                self.drop(entry)

    def days(self) -> tuple[date, ...]:
        """The days by which any is named."""
        return tuple(self._days)

    def named(self, day: date, names: Iterable[ClientOrderId]) -> tuple[Entry, ...]:
        """Those that have one of the names of a day, or protect what has."""
        of_day = self._days.get(day, {})
        return tuple(entry for name in names for entry in of_day.get(name, {}).values())


def _names(entry: Entry) -> list[tuple[date, ClientOrderId]]:
    names = {entry.intent.plan_id, entry.intent.order.instructions.parent_id} - {None}
    return [(day, name) for name in names if name is not None and (day := named_on(name)) is not None]
