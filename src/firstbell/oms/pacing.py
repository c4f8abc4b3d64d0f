"""Keeping the broker's interval between two orders of one login."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstbell.oms.pace_file import PaceFile


class Pacer:
    """One login's next allowed instant, on the monotonic clock.

    Sending faster than the interval gains nothing and breaks the exchange's rules, so every order of a login, whichever
    section it belongs to, asks the same pacer.

    Args:
        interval_ns: The shortest time between two sendings, in ns.
        last_ns: When something of this login left last, on the monotonic clock, as another run may have seen to.
        shared: What other processes of this machine send of the login; None where nobody else does.
        ahead: Whether turns are taken ahead, by `turn`, for what leaves at its instant without asking once more.
    """

    def __init__(
        self, interval_ns: int, last_ns: int | None = None, shared: PaceFile | None = None, *, ahead: bool = False
    ) -> None:
        if interval_ns <= 0:
            raise ValueError(f"an interval of {interval_ns} ns is none")
        self._interval_ns = interval_ns
        self._last_ns = last_ns
        self._shared = shared
        self._ahead = ahead
        self._reserved_ns: int | None = None
        self._paused_until_ns: int | None = None
        self.taken_ns = 0
        """When the last turn was taken, on the monotonic clock."""

    @property
    def interval_ns(self) -> int:
        """The shortest time between two sendings, in ns."""
        return self._interval_ns

    @property
    def is_ahead(self) -> bool:
        """Whether turns are taken ahead."""
        return self._ahead

    @property
    def last_ns(self) -> int | None:
        """When something left last, on the monotonic clock; None where nothing has."""
        return self._last_ns

    def earliest(self, wanted_ns: int) -> int:
        """The first instant from `wanted_ns` on at which this login may send again, by what this process knows."""
        if self._last_ns is not None:
            wanted_ns = max(wanted_ns, self._last_ns + self._interval_ns)
        return wanted_ns if self._paused_until_ns is None else max(wanted_ns, self._paused_until_ns)

    def pause(self, until_ns: int) -> None:
        """The broker has asked that nothing of this login comes before an instant; what it asked before holds too."""
        self._paused_until_ns = max(until_ns, self._paused_until_ns or until_ns)

    def pause_left_ns(self, now_ns: int) -> int:
        """How much is left of a pause that the broker has asked for, in ns."""
        return 0 if self._paused_until_ns is None else max(self._paused_until_ns - now_ns, 0)

    def take(self, now_ns: int) -> int:
        """Take this login's turn from the other processes, right before something leaves: at `earliest` or later.

        Returns:
            `now_ns`: it may leave now, and for every other process it has left. Else the instant at which to ask again.

        Raises:
            NotSent: What other processes send is not to be known.
        """
        at_ns = now_ns if self._shared is None else self._shared.take(now_ns, self._interval_ns)
        if at_ns <= now_ns:
            self.taken_ns = at_ns
        return at_ns

    def reserve(self, at_ns: int, now_ns: int) -> int:
        """Keep an instant to come for this process: no other sends within an interval of it.

        Returns:
            The instant, or the first one after it that is free.

        Raises:
            NotSent: What other processes send is not to be known.
        """
        own_ns = self.earliest(at_ns)
        if self._shared is None:
            return own_ns
        if own_ns != self._reserved_ns or own_ns < now_ns:
            own_ns = self._reserved_ns = self._shared.reserve(own_ns, now_ns, self._interval_ns)
        return own_ns

    def turn(self, at_ns: int, now_ns: int) -> int:
        """The first instant from `at_ns` on at which this login may send; where turns are taken ahead, it is reserved.

        Raises:
            NotSent: What other processes send is not to be known.
        """
        return self.reserve(at_ns, now_ns) if self._ahead else self.earliest(at_ns)

    def sent(self, at_ns: int) -> None:
        """Something left at `at_ns`; the next may leave one interval later."""
        self._last_ns = at_ns
        if self._shared is not None:
            self._shared.sent(at_ns)
