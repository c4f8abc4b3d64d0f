"""When what we send comes to a host, on the host's own clock, from nothing but the ``Date`` headers of its answers.

For aiming, the offset of a clock is not what matters, nor is the way there. It is their sum, the *shift*::

    S = host's clock when our bytes are looked at - our clock when they leave

A probe that left at `sent` and brought the date `d` says that ``sent + S`` lay in ``[d, d + 1 s)``. That is a statement
about the sending side alone, so it is not blurred by the way back, as the offset is. Shifts differ from one sending to
the next, because paths do. Each is taken to be ``S = B + u``: the base `B` is the same for all; the extra `u` is what
this sending's way took longer than the shortest, and lies between 0 and `e`, what its round trip took longer than the
shortest round trip. Where in there nobody knows: evenly, with some slack at both ends, because the shortest round trip
need not have had the shortest way there.

Hence the posterior of `B`, on a grid: a probe's likelihood is the part of ``[B, B + e]`` that lies within its interval,
and never less than a small floor, because no single probe is to be believed without limit. A refusal as too early of
what left at `sent` is one more sighting, of one side: ``sent + S < bell``. The next shift is then as uncertain as `B`
is, plus a `u` drawn as the measured ones were, the latest above all.

Hosts that are several machines with different clocks contradict this: no `B` fits all probes. Then the distribution of
`S` itself is estimated, without a shape, from the intervals (Turnbull, J. R. Stat. Soc. B 38, 1976: self-consistency).
It is as wide as the machines' clocks lie apart.

What this cannot see: a host that renews its header on a timer of its own, and not when its clock's second changes,
looks up to a second slower than it is, and every probe agrees. Nor what a host does between looking at a request and
dating the answer: it is taken to be a millisecond at most, any part of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from operator import itemgetter
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firstbell.clock.offset import Probe

    Points = list[tuple[float, float]]
    """Values in ns, each with its weight."""

_NS: Final = 1_000_000_000
HANDLING_NS: Final = 1_000_000
"""The most that a host is taken to need between looking at a cheap request and dating its answer: 1 ms."""
DRIFT: Final = 20e-6
"""How fast two clocks are taken to part: 20 µs a second. What a probe said blurs by that with its age."""
_HALF_NS: Final = 15 * _NS
"""A way is expected to be as it was lately: what a round trip took counts half as much after so long. While everybody
logs in and reads, ways are longer than they will be at the bell."""
_OLDEST: Final = 0.02
"""And never less than this: what has been seen can come again."""
_EXACT_NS: Final = 20_000
"""What the instants of sending and answering may be wrong by themselves: 20 µs."""
_FLOOR: Final = 0.002
"""How likely a probe is to be all wrong."""
_EARLY_FLOOR: Final = 0.02
"""How likely a refusal as too early is to mean something else."""
_GAP_NS: Final = 1_000_000
"""A contradiction smaller than this, and than the path's own spread, is the floor's business."""
_GRID: Final = 160
_BASES: Final = 100
"""So many bases are combined with every extra: more say no more, and take the bell's own processor."""
_VALUE: Final = itemgetter(0)
_WEIGHT: Final = itemgetter(1)
_ROUNDS: Final = 40


@dataclass(frozen=True)
class ArrivalModel:
    """The next shift: what is to be added to the instant of sending to get the instant of arrival on the host's clock.

    Attributes:
        shifts_ns: The shifts that are possible, ascending, in ns.
        weights: How probable each is; together 1.
        path_spread_ns: How far the path alone spreads them (from the first tenth to the last), were the base known.
        contradiction_ns: 0, or by how much the probes contradict each other: the host is several machines with
            different clocks, or a clock was set meanwhile.
    """

    shifts_ns: tuple[int, ...]
    weights: tuple[float, ...]
    path_spread_ns: int = 0
    contradiction_ns: int = 0

    def __post_init__(self) -> None:
        if not self.shifts_ns or len(self.shifts_ns) != len(self.weights):
            raise ValueError("a model needs shifts, and a weight for each")

    @cached_property
    def cumulative(self) -> tuple[float, ...]:
        """For each shift, how probable it or a smaller one is."""
        return tuple(accumulate(self.weights))

    @cached_property
    def rise_ns(self) -> float:
        """How much the expected shift is more than the least."""
        # Shifts are some 10^18 ns: as floats, only their differences keep each nanosecond.
        first = self.shifts_ns[0]
        return sum((shift - first) * weight for shift, weight in zip(self.shifts_ns, self.weights, strict=True))

    @property
    def median_ns(self) -> int:
        """The shift that the next one is as probably below as above."""
        return self.quantile_ns(0.5)

    def quantile_ns(self, q: float) -> int:
        """The smallest shift that the next one is at most with probability `q`."""
        place = bisect_left(self.cumulative, q * self.cumulative[-1])
        return self.shifts_ns[min(place, len(self.shifts_ns) - 1)]

    def below(self, shift_ns: float) -> float:
        """How probable it is that the next shift is less than this."""
        place = bisect_left(self.shifts_ns, shift_ns)
        return self.cumulative[place - 1] if place else 0.0

    @property
    def spread_ns(self) -> int:
        """From the first tenth to the last, in ns."""
        return self.quantile_ns(0.9) - self.quantile_ns(0.1)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """One probe, relative to a common origin so that floats are exact enough.

    Attributes:
        low: Its shift is at least this …
        high: … and less than this, in ns.
        extra: What its round trip took longer than the shortest, in ns.
        slack: What the extra may be wrong by at either end, in ns.
        recent: How much its extra counts for the next one: 1, less the older it is.
    """

    low: float
    high: float
    extra: float
    slack: float
    recent: float

    @property
    def base_low(self) -> float:
        return self.low - self.extra - self.slack

    @property
    def base_high(self) -> float:
        return self.high + self.slack

    def holds(self, low: float, high: float) -> bool:
        return self.low <= low - self.slack and high + self.extra + self.slack <= self.high

    def likelihoods(self, bases: Sequence[float]) -> list[float]:
        """How likely it is for each base; called often while the bell is waited for, hence written to be quick."""
        low, high, before, after = self.low, self.high, self.slack, self.extra + self.slack
        share = (1 - _FLOOR) / (before + after)
        found = []
        for base in bases:
            start, end = base - before, base + after
            within = min(high, end) - max(low, start)
            found.append(_FLOOR + share * within if within > 0 else _FLOOR)
        return found


def arrivals(
    probes: Sequence[Probe], too_early: Iterable[tuple[int, int]] = (), *, now_ns: int | None = None
) -> ArrivalModel | None:
    """What the probes say about the next shift. Pure, and never raises.

    Args:
        probes: The probes, on any one clock of ours.
        too_early: Refusals as too early: when each attempt was sent, on the same clock, and the bell on the host's, in
            ns.
        now_ns: Now, on the same clock; None for the newest probe's instant.

    Returns:
        The model; about a second wide after a single probe. None where there is no probe.
    """
    if not probes:
        return None
    origin = probes[0].date_s * _NS - probes[0].sent_ns
    newest_ns = max(probe.sent_ns for probe in probes) if now_ns is None else now_ns
    trips = [probe.answered_ns - probe.sent_ns for probe in probes]
    shortest = min(trips)
    # The fewer round trips have been seen, the less the shortest of them is the shortest there is.
    slack = _EXACT_NS + median(trip - shortest for trip in trips) / 4 + shortest / (4 * len(trips))
    sightings = [_sighting(probe, origin, shortest, slack, newest_ns) for probe in probes]
    extras = _extras(sightings, slack, shortest)
    bounds = [float(bell_ns - sent_ns - origin) for sent_ns, bell_ns in too_early]
    gap = max(each.base_low for each in sightings) - min(each.base_high for each in sightings)
    contradicted = gap > max(_GAP_NS, 2 * slack)
    points = _shapeless(sightings, shortest, bounds) if contradicted else _shaped(sightings, extras, bounds)
    return ArrivalModel(
        shifts_ns=tuple(origin + round(shift) for shift, _ in points),
        weights=tuple(weight for _, weight in points),
        path_spread_ns=_spread(extras),
        contradiction_ns=math.ceil(gap) if contradicted else 0,
    )


def _sighting(probe: Probe, origin: int, shortest: int, slack: float, newest_ns: int) -> _Sighting:
    low = probe.date_s * _NS - probe.sent_ns - origin
    age_ns = abs(newest_ns - probe.sent_ns)
    extra = probe.answered_ns - probe.sent_ns - shortest
    return _Sighting(low, low + _NS, extra, slack + DRIFT * age_ns, max(_OLDEST, 0.5 ** (age_ns / _HALF_NS)))


def _extras(sightings: Sequence[_Sighting], slack: float, shortest: float) -> Points:
    """How the next extra is distributed: as the measured ones were, less what the host's handling took of it."""
    handlings = _handling(shortest)
    points = [
        (start + (end - start) * (step + 0.5) / 8 - handling, each.recent)
        for each in sightings
        for start, end in [(-slack, each.extra + slack)]
        for step in range(8)
        for handling in handlings
    ]
    return _thinned(points, 24)


def _handling(shortest: float) -> list[float]:
    most = min(HANDLING_NS, shortest / 2)
    return [most * part / 8 for part in (1, 3, 5, 7)]


def _shaped(sightings: Sequence[_Sighting], extras: Points, bounds: Sequence[float]) -> Points:
    """The next shift as one base and one extra."""
    ends = (max(each.base_low for each in sightings), min(each.base_high for each in sightings))
    low, high = min(ends), max(ends)
    margin = (high - low) / 2 + min(each.slack for each in sightings)
    base = _posterior(low - margin, high + margin, sightings, extras, bounds)
    # Once more, where it turned out to be: the first grid may have been coarse.
    step = base[1][0] - base[0][0]
    held = [value for value, weight in base if weight > 1e-7]  # noqa: PLR2004 - nothing that matters lies outside
    base = _posterior(held[0] - step, held[-1] + step, sightings, extras, bounds)
    likely = _thinned((point for point in base if point[1] > 1e-9), _BASES)  # noqa: PLR2004 - likewise
    return _thinned([(value + extra, weight * share) for value, weight in likely for extra, share in extras], 200)


def _posterior(
    low: float, high: float, sightings: Sequence[_Sighting], extras: Points, bounds: Sequence[float]
) -> Points:
    step = (high - low) / _GRID
    grid = [low + step * (place + 0.5) for place in range(_GRID)]
    # Most probes are as likely for any of these bases: they told something when little was known.
    telling = [each for each in sightings if not each.holds(low, high)]
    logs = [0.0] * _GRID
    for each in telling:
        logs = [log + math.log(likely) for log, likely in zip(logs, each.likelihoods(grid), strict=True)]
    for bound in bounds:
        for place, base in enumerate(grid):
            early = sum(share for extra, share in extras if base + extra < bound)
            logs[place] += math.log(_EARLY_FLOOR + (1 - _EARLY_FLOOR) * early)
    most = max(logs)
    weights = [math.exp(log - most) for log in logs]
    total = sum(weights)
    return [(base, weight / total) for base, weight in zip(grid, weights, strict=True)]


def _shapeless(sightings: Sequence[_Sighting], shortest: float, bounds: Sequence[float]) -> Points:
    """The next shift where no one base fits: by self-consistency, stopped early so as to stay wide."""
    ends = sorted({end for each in sightings for end in (each.low, each.high)})
    segments = list(pairwise(ends))
    holding = [
        [place for place, (start, end) in enumerate(segments) if each.low <= start and end <= each.high]
        for each in sightings
    ]
    weights = [1 / len(segments)] * len(segments)
    for _ in range(_ROUNDS):
        shares = [0.0] * len(segments)
        for places in holding:
            total = sum(weights[place] for place in places)
            for place in places:
                shares[place] += weights[place] / total / len(holding)
        weights = shares
    points = [
        (start + (end - start) * (step + 0.5) / 8 - handling, weight * _not_refused(start, bounds))
        for (start, end), weight in zip(segments, weights, strict=True)
        if weight > 1e-6  # noqa: PLR2004 - nothing that matters
        for step in range(8)
        for handling in _handling(shortest)
    ]
    return _thinned(points, 200)


def _not_refused(shift: float, bounds: Sequence[float]) -> float:
    # Which machine refused is not known, nor which one the next attempt will meet: so this persuades only mildly.
    return math.prod(1.0 if shift < bound else 0.3 for bound in bounds[:4])


def _spread(points: Points) -> int:
    total = 0.0
    first: float | None = None
    for value, weight in points:
        total += weight
        if first is None and total >= 0.1:  # noqa: PLR2004 - a tenth
            first = value
        if total >= 0.9:  # noqa: PLR2004 - nine tenths
            return round(value - (value if first is None else first))
    return 0


def _thinned(points: Iterable[tuple[float, float]], count: int) -> Points:
    """About so many points in place of many, ascending, weights together 1.

    Each stands for those up to the next, at the least of them. The lower tail stays fine, because being early is dear.
    """
    ordered = sorted(points, key=_VALUE)
    total = sum(map(_WEIGHT, ordered))
    thin: Points = []
    before = held = 0.0
    most, enough = 1 / count, min(1 / count, 1e-4)
    start: float | None = None
    for value, weight in ordered:
        if start is None:
            start = value
        held += weight / total
        if held >= enough:
            thin.append((start, held))
            before += held
            held, start = 0.0, None
            enough = min(most, 0.1 * before + 1e-4)
    if start is not None:
        thin.append((start, held))
    return thin
