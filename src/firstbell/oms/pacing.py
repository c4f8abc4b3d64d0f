"""Keeping the broker's interval between two orders of one login."""

from __future__ import annotations


class Pacer:
    """One login's next allowed instant, on the monotonic clock.

    Sending faster than the interval gains nothing and breaks the exchange's rules, so every order of a login, whichever
    section it belongs to, asks the same pacer.

    Args:
        interval_ns: The shortest time between two sendings, in ns.
    """

    def __init__(self, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"an interval of {interval_ns} ns is none")
        self._interval_ns = interval_ns
        self._next_ns: int | None = None

    @property
    def interval_ns(self) -> int:
        """The shortest time between two sendings, in ns."""
        return self._interval_ns

    def earliest(self, wanted_ns: int) -> int:
        """The first instant from `wanted_ns` on at which this login may send again."""
        return wanted_ns if self._next_ns is None else max(wanted_ns, self._next_ns)

    def sent(self, at_ns: int) -> None:
        """Something left at `at_ns`; the next may leave one interval later."""
        self._next_ns = at_ns + self._interval_ns
