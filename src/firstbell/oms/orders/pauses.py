"""Pauses between two tries at what was refused, each longer than the one before: nobody is asked without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_FIRST_NS: Final = 1_000_000_000
_LONGEST_NS: Final = 16_000_000_000


class Pauses:
    """When what has failed may be tried again: after a second, then after twice as long each time.

    Args:
        longest_ns: The longest pause, in ns; 16 s by default.
    """

    def __init__(self, longest_ns: int = _LONGEST_NS) -> None:
        self._longest_ns = longest_ns
        self._until: dict[Hashable, tuple[int, int]] = {}

    def may(self, what: Hashable, now_ns: int) -> bool:
        """Whether it may be tried now, on the monotonic clock in ns."""
        return now_ns >= self._until.get(what, (now_ns, 0))[0]

    def failed(self, what: Hashable, now_ns: int) -> None:
        """It has failed: the next try comes after a pause."""
        _, before_ns = self._until.get(what, (0, 0))
        pause_ns = min(before_ns * 2, self._longest_ns) or _FIRST_NS
        self._until[what] = (now_ns + pause_ns, pause_ns)

    def done(self, what: Hashable) -> None:
        """It has come to what was wanted: nothing is waited for any more."""
        self._until.pop(what, None)

    def ask(self, what: Hashable, now_ns: int, ask: Callable[[], bool]) -> bool:
        """Ask for something, unless it has just failed; whether it was done. What is raised counts as a failure."""
        if not self.may(what, now_ns):
            return False
        done = False
        try:
            done = ask()
        finally:
            if done:
                self.done(what)
            else:
                self.failed(what, now_ns)
        return done
