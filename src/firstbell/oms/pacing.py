"""Keeping the broker's interval between two orders of one login."""

from __future__ import annotations


class Pacer:
    """One login's next allowed instant, on the monotonic clock.

    Sending faster than the interval gains nothing and breaks the exchange's rules, so every order of a login, whichever
    section it belongs to, asks the same pacer.

    Args:
        interval_ns: The shortest time between two sendings, in ns.
        last_ns: When something of this login left last, on the monotonic clock, as another run may have seen to.
    """

    def __init__(self, interval_ns: int, last_ns: int | None = None) -> None:
        if interval_ns <= 0:
            raise ValueError(f"an interval of {interval_ns} ns is none")
        self._interval_ns = interval_ns
        self._last_ns = last_ns

    @property
    def interval_ns(self) -> int:
        """The shortest time between two sendings, in ns."""
        return self._interval_ns

    @property
    def last_ns(self) -> int | None:
        """When something left last, on the monotonic clock; None where nothing has."""
        return self._last_ns

    def earliest(self, wanted_ns: int) -> int:
        """The first instant from `wanted_ns` on at which this login may send again."""
        return wanted_ns if self._last_ns is None else max(wanted_ns, self._last_ns + self._interval_ns)

    def sent(self, at_ns: int) -> None:
        """Something left at `at_ns`; the next may leave one interval later."""
        self._last_ns = at_ns
