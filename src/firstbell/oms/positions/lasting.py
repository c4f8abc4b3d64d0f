"""What only guesses say, and since when: it is acted by once it has lasted for as long as lists of trades lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.order import LISTS_LAG_NS

if TYPE_CHECKING:
    from collections.abc import Hashable


class Lasting:
    """How long something has been so without a break. What is not said once more in a round is forgotten."""

    def __init__(self) -> None:
        self._since: dict[Hashable, int] = {}
        self._now: dict[Hashable, int] = {}

    def has_lasted(self, what: Hashable, at_ns: int) -> bool:
        """Whether it has been so for as long as lists lag; it is so now, at an instant of the monotonic clock."""
        since = self._now[what] = self._since.get(what, at_ns)
        return at_ns - since >= LISTS_LAG_NS

    def end_round(self) -> None:
        """All that is so now has been said."""
        self._since, self._now = self._now, {}
