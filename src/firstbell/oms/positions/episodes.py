"""What comes and goes again and again, as one thing: it is told once, not each time."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

_What = TypeVar("_What", bound=Hashable)

OVER_NS: Final = 300_000_000_000
"""What has stayed away for this long, in ns, is over: where it comes again, it is told again."""


class Episodes(Generic[_What]):
    """Which of what is so now has not been told yet."""

    def __init__(self) -> None:
        self._last: dict[_What, int] = {}

    def begun(self, now: Iterable[_What], at_ns: int) -> set[_What]:
        """What begins with this, and so is to be told.

        Args:
            now: All that is so now. It is asked for again and again, also while nothing is.
            at_ns: The time on the monotonic clock, in ns.
        """
        going_on = {what: last for what, last in self._last.items() if at_ns - last < OVER_NS}
        here = set(now)
        self._last = going_on | dict.fromkeys(here, at_ns)
        return here - going_on.keys()
