"""Lists that cannot be read: nothing is known of what works at that broker, so a person is told where that goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firstbell.model.order import LISTS_LAG_NS

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from firstbell.oms.orders.context import OrderContext

_log = logging.getLogger(__name__)


class UnreadLists:
    """Counts how long one login's lists have not been read, or not wholly, and tells it once each time.

    Args:
        context: What all logins have in common.
        name: The account by which the login is called.
    """

    def __init__(self, context: OrderContext, name: str) -> None:
        self._context = context
        self._name = name
        self._since: dict[date, int] = {}
        """Since when, on the monotonic clock, each day's list has not been read."""
        self._told: set[date] = set()

    def failed(self, day: date, error: Exception, *, partly: bool = False) -> None:
        """The list of a day, in which orders stand, could not be read.

        Args:
            day: The day.
            error: Why.
            partly: Whether some rows of it could be.
        """
        _log.warning("the list of %s could not be read: %s", day, error)
        now_ns = self._context.clock.monotonic_ns()
        waited_ns = now_ns - self._since.setdefault(day, now_ns)
        if day in self._told or waited_ns < LISTS_LAG_NS:
            return
        self._told.add(day)
        seen = "what can be read of it counts, and nothing else is known" if partly else "nothing is known of them"
        self._context.intervene(
            self._name,
            f"the list of its orders of {day} could not be read for {waited_ns // 1_000_000_000} s, and some are open: "
            f"{seen}; {error}",
        )

    def ended(self, day: date) -> None:
        """The list of a day has been read, or nothing that is open stands in it any more."""
        self._since.pop(day, None)
        self._told.discard(day)

    def only(self, days: Collection[date]) -> None:
        """These are the days in whose lists something open stands: those of others need not be read any more."""
        for day in [each for each in self._since if each not in days]:
            self.ended(day)
