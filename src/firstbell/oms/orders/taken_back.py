"""Trades that were counted and that a broker's list does not show any more: the exchange may have taken them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.model.order import LISTS_LAG_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date
    from decimal import Decimal

    from firstbell.brokers.base import VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.listed_days import DaysToRead
    from firstbell.oms.orders.context import OrderContext

_LOOKS: Final = 4
"""So many looks, over as long a time as lists may lag, and it is no old list that shows less."""


class TakenBack:
    """Tells a person of them, once: what has been counted stays, for nobody says which trade is gone.

    Args:
        context: What all logins have in common.
        listed: In which days' lists the login's orders stand.
    """

    def __init__(self, context: OrderContext, listed: DaysToRead) -> None:
        self._context = context
        self._listed = listed
        self._since: dict[date, dict[tuple[ClientOrderId, Decimal], tuple[int, int]]] = {}
        """By day: how many looks have shown so much of an order, and since when on the monotonic clock."""
        self._told: set[tuple[ClientOrderId, Decimal]] = set()

    def look(self, day: date, entries: Iterable[Entry], rows: Sequence[VenueOrder]) -> None:
        """Look at the list of a day, once what it tells of has been written down.

        Args:
            day: The day. Of what lasts for longer than a day a list may show today's trades alone.
            entries: The login's orders, as they stand.
            rows: The list.
        """
        shown = {row.venue_order_id: row.filled_qty for row in rows}
        now_ns, before = self._context.clock.monotonic_ns(), self._since.get(day, {})
        now: dict[tuple[ClientOrderId, Decimal], tuple[int, int]] = {}
        for entry in entries:
            name, counted = entry.state.venue_order_id, entry.state.filled_qty
            if not counted or name is None or (there := shown.get(name)) is None or there >= counted:
                continue
            # One that may stand in the lists of two days goes on in one of them.
            if self._listed.of(entry, self._context.today()) == (day,):
                key = (entry.intent.order.client_order_id, there)
                looks, since_ns = before.get(key, (0, now_ns))
                now[key] = (looks + 1, since_ns)
                self._less(entry, there, looks, since_ns, now_ns)
        # Another day's list may be looked at in between.
        self._since = {each: held for each, held in self._since.items() if held and each != day} | {day: now}

    def _less(self, entry: Entry, there: Decimal, looks: int, since_ns: int, now_ns: int) -> None:
        name = entry.intent.order.client_order_id
        if (name, there) not in self._told and looks + 1 >= _LOOKS and now_ns - since_ns >= LISTS_LAG_NS:
            self._told.add((name, there))
            self._context.intervene(
                name,
                f"{entry.state.filled_qty} of it were counted, and the broker's list shows that {there} traded: where "
                "the exchange has taken trades back, what is said of it, of its position and of what is to close that "
                "is too much, so look at the broker",
            )
