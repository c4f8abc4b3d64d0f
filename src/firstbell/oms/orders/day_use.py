"""What one login's orders of a trading day have used of the day's limits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import NEVER_PLACED
from firstbell.oms.orders.day_limits import buy_value, counts_on
from firstbell.oms.orders.marks import Marks

if TYPE_CHECKING:
    from datetime import date

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId

_NOTHING: Final = Decimal(0)
_NOT_COUNTED: Final = (_NOTHING, 0)


class DayUse:
    """Two sums: the value of the buys, in rials, and how many orders there were. Not safe for threads by itself.

    Args:
        day: The trading day.
    """

    def __init__(self, day: date) -> None:
        self.day = day
        self._value = _NOTHING
        self._orders = 0
        self._counted: dict[ClientOrderId, tuple[Decimal, int]] = {}
        self._for_good = Marks()
        """The hashes of the orders that are forgotten and are in the sums."""

    def count(self, entry: Entry) -> None:
        """Count an order as it stands now, in place of how it stood before, if its day's limits do."""
        state, name = entry.state, entry.intent.order.client_order_id
        counts, before = counts_on(entry, self.day), self._counted.get(name)
        if before is None and (not counts or hash(name) in self._for_good):
            return
        before = before or _NOT_COUNTED
        value = buy_value(entry) if counts else _NOTHING
        # One that was taken off the book was an order all the same.
        orders = int(counts and state.status not in NEVER_PLACED)
        self._value += value - before[0]
        self._orders += orders - before[1]
        self._counted[name] = (value, orders)

    def forget(self, name: ClientOrderId) -> None:
        """What an order added to the sums stays in them, and is not added again where it is heard of once more."""
        if self._counted.pop(name, _NOT_COUNTED) != _NOT_COUNTED:
            self._for_good.add(hash(name))

    def used(self, but_for: ClientOrderId | None = None) -> tuple[Decimal, int]:
        """The sums, without what one order has added."""
        value, orders = _NOT_COUNTED if but_for is None else self._counted.get(but_for, _NOT_COUNTED)
        return self._value - value, self._orders - orders
