"""Lists that cannot be read: nothing is known of what works at that broker, so a person is told where that goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firstbell.model.order import LISTS_LAG_NS

if TYPE_CHECKING:
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
        self._since_ns: int | None = None
        self._is_told = False

    def failed(self, error: Exception, *, partly: bool = False) -> None:
        """A list that orders stand in could not be read.

        Args:
            error: Why.
            partly: Whether some rows of it could be.
        """
        _log.warning("the list of the day could not be read: %s", error)
        now_ns = self._context.clock.monotonic_ns()
        if self._since_ns is None:
            self._since_ns = now_ns
        if self._is_told or now_ns - self._since_ns < LISTS_LAG_NS:
            return
        self._is_told = True
        seen = "what can be read of it counts, and nothing else is known" if partly else "nothing is known of them"
        seconds = (now_ns - self._since_ns) // 1_000_000_000
        self._context.intervene(
            self._name, f"the list of its orders could not be read for {seconds} s, and some are open: {seen}; {error}"
        )

    def ended(self) -> None:
        """A list has been read."""
        self._since_ns, self._is_told = None, False
