"""The orders by whose names a key is found on a later day: what is held back, or works for longer than a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.journal.base import HELD_NS
from firstbell.model.identifiers import named_on
from firstbell.model.order_status import DONE
from firstbell.oms.listed_days import LASTING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId


def may_last(entry: Entry) -> bool:
    """Whether an order's key may be one order for longer than a day; of one that is done, whether it was held back."""
    if entry.state.status in DONE:
        return entry.intent.bell_ns == HELD_NS and entry.state.submitted_at is not None
    # One that is not done may have ended with its day, and nobody has looked yet.
    return entry.is_held_back or entry.intent.order.time_in_force in LASTING


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
