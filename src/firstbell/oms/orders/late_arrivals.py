"""Orders that were given up as absent and are in a broker's list after all: a person is told of each, once.

A list that is later than any list is promised to be may make two orders of one: what was absent for so long may have
been sent again. Nothing can be taken back here by itself, but nobody is left to find it out alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import OrderStatus
from firstbell.oms.lists import find
from firstbell.oms.orders.families import never_came

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from firstbell.brokers.base import VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.listed_days import DaysToRead
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext

_FOR_NS: Final = 300_000_000_000
"""For so long after it was given up the list is read for it, in ns, also when nothing else is open."""


class LateArrivals:
    """Looks for what was given up.

    Args:
        context: What all logins have in common.
        blotter: The login's orders.
        listed: In which days' lists they stand.
    """

    def __init__(self, context: OrderContext, blotter: Blotter, listed: DaysToRead) -> None:
        self._context = context
        self._listed = listed
        self._blotter = blotter
        self._given_up: dict[ClientOrderId, int] = {}
        """When each was first seen to be given up, on the monotonic clock."""
        self._told: set[ClientOrderId] = set()

    def days(self) -> set[date]:
        """The days whose lists may still show something that was given up, within five minutes: to be read for that."""
        now_ns = self._context.clock.monotonic_ns()
        lost = [e for name, e in self._lost() if now_ns - self._given_up.setdefault(name, now_ns) <= _FOR_NS]
        today = self._context.today()
        return {day for entry in lost for day in self._listed.of(entry, today)}

    def look(self, day: date, rows: Sequence[VenueOrder]) -> None:
        """Look for them in the list of a day."""
        today = self._context.today()
        for name, entry in self._lost():
            if day not in self._listed.of(entry, today) or (row := find(entry, rows, self._blotter.names())) is None:
                continue
            self._told.add(name)
            self._context.intervene(
                name,
                f"it was given up as absent, and {row.venue_order_id} of the broker's list, of which {row.filled_qty} "
                "has traded, is it after all: it may have been sent again, so look at the broker",
            )

    def _lost(self) -> Iterator[tuple[ClientOrderId, Entry]]:
        for entry in self._blotter.done():
            name = entry.intent.order.client_order_id
            if entry.state.status is OrderStatus.REJECTED and name not in self._told and never_came(entry):
                yield name, entry
