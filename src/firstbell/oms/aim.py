"""When attempts leave, and when they are taken to have arrived: a port, and the plain way by our own clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Aim(Protocol):
    """The bell of one broker's exchange, as it is seen from here."""

    @property
    def bell_ns(self) -> int:
        """The bell, on the exchange's clock, in ns since the epoch."""
        ...

    def arrival_ns(self, sent_ns: int, sent_monotonic_ns: int) -> int:
        """When what left then came to the exchange, as estimated: ns since the epoch, on the exchange's clock."""
        ...

    def again_ns(self, not_before_ns: int) -> int:
        """When to send again what was refused, on the monotonic clock; not before `not_before_ns`."""
        ...

    def was_too_early(self, sent_monotonic_ns: int) -> None:
        """What left then arrived before the bell: the exchange has said so."""
        ...


@dataclass(frozen=True, slots=True)
class OurClock:
    """An `Aim` that takes our clock for the exchange's, and the way there for nothing.

    Attributes:
        bell_ns: The bell, in ns since the epoch.
    """

    bell_ns: int

    def arrival_ns(self, sent_ns: int, sent_monotonic_ns: int) -> int:
        """The instant of sending itself."""
        del sent_monotonic_ns
        return sent_ns

    def again_ns(self, not_before_ns: int) -> int:
        """As soon as it is allowed."""
        return not_before_ns

    def was_too_early(self, sent_monotonic_ns: int) -> None:
        """Nothing to learn: there is no estimate to mend."""
