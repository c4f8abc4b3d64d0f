"""Orders that were given up as absent and are in a broker's list after all: a person is told of each, once.

A list that is later than any list is promised to be may make two orders of one: what was absent for so long may have
been sent again. Nothing can be taken back here by itself, but nobody is left to find it out alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.order_status import OrderStatus
from firstbell.oms.lists import find, listed_on
from firstbell.oms.orders.blotter import never_came

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from firstbell.brokers.base import VenueOrder
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext


class LateArrivals:
    """Looks for what was given up.

    Args:
        context: What all logins have in common.
        blotter: The login's orders.
    """

    def __init__(self, context: OrderContext, blotter: Blotter) -> None:
        self._context = context
        self._blotter = blotter
        self._told: set[ClientOrderId] = set()

    def look(self, day: date, rows: Sequence[VenueOrder]) -> None:
        """Look for them in the list of a day."""
        for entry in self._blotter.done():
            name, status = entry.intent.order.client_order_id, entry.state.status
            if status is not OrderStatus.REJECTED or name in self._told or not never_came(entry):
                continue
            if listed_on(entry) != day or (row := find(entry, rows, self._blotter.names())) is None:
                continue
            self._told.add(name)
            self._context.intervene(
                name,
                f"it was given up as absent, and {row.venue_order_id} of the broker's list, of which {row.filled_qty} "
                "has traded, is it after all: it may have been sent again, so look at the broker",
            )
