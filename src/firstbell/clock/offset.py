"""How far a server's clock is from ours, from nothing but the ``Date`` headers of its answers.

A header is cut to whole seconds, so one answer says little: whenever it was written, between our sending and our having
the answer, the server's clock showed a time in ``[date, date + 1 s)``. Hence::

    date - answered  <  server's clock minus ours  <  date + 1 s - sent

Every probe gives such an interval, a second and a round trip wide, and the truth lies in all of them. Probes that are
answered close to the moment at which the date changes cut it down (`firstbell.clock.probing` aims at it), until about a
round trip remains. This is certain, so people are shown it; what is aimed by is in `firstbell.clock.arrival`.

What this cannot see: a server that renews its header on a timer of its own, and not when its clock's second changes,
looks up to a second slower than it is, and every probe agrees. The refusals of orders that came too early are the check
on that. Our own clock is taken to run evenly while the probes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from firstbell.model.instant import epoch_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """One request and its answer's date.

    Attributes:
        sent_ns: When it was sent, on our clock, in ns since the epoch.
        answered_ns: When its answer was there, likewise.
        date_s: The ``Date`` of the answer, in seconds since the epoch.

    Raises:
        ValueError: It was answered before it was sent.
    """

    sent_ns: int
    answered_ns: int
    date_s: int

    def __post_init__(self) -> None:
        if self.answered_ns < self.sent_ns:
            raise ValueError("a probe is not answered before it is sent")

    @property
    def low_ns(self) -> int:
        """The server's clock minus ours is more than this."""
        return self.date_s * _NS - self.answered_ns

    @property
    def high_ns(self) -> int:
        """The server's clock minus ours is less than this."""
        return (self.date_s + 1) * _NS - self.sent_ns


@dataclass(frozen=True, slots=True)
class OffsetEstimate:
    """How far a server's clock is from ours.

    Attributes:
        offset_ns: The server's clock minus ours: add it to our time to get the server's.
        uncertainty_ns: The truth lies within this of `offset_ns`.
        samples: How many probes it rests on.
        round_trip_ns: The shortest round trip among them.
        contradiction_ns: 0, or by how much the probes contradict each other: the server is several with different
            clocks, or a clock was set meanwhile. `offset_ns` and `uncertainty_ns` then reach every probe, and promise
            no more than that.
    """

    offset_ns: int
    uncertainty_ns: int
    samples: int
    round_trip_ns: int
    contradiction_ns: int = 0


def date_header_s(text: str) -> int | None:
    """A ``Date`` header in seconds since the epoch; None where it is no date."""
    try:
        moment = parsedate_to_datetime(text)
        return epoch_ns(moment) // _NS
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def estimate(probes: Sequence[Probe]) -> OffsetEstimate | None:
    """What the probes say together; None where there are none."""
    if not probes:
        return None
    low = max(probe.low_ns for probe in probes)
    high = min(probe.high_ns for probe in probes)
    narrowest = min(probe.high_ns - probe.low_ns for probe in probes)
    contradiction = max(0, low - high)
    return OffsetEstimate(
        offset_ns=(low + high) // 2,
        # Rounded up, as the middle is rounded down.
        uncertainty_ns=(abs(high - low) + 1) // 2 + (narrowest if contradiction else 0),
        samples=len(probes),
        round_trip_ns=min(probe.answered_ns - probe.sent_ns for probe in probes),
        contradiction_ns=contradiction,
    )
