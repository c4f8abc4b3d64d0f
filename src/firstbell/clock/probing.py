"""When to ask a host for its date next, so that the answer says as much as it can.

A probe tells whether its shift was above or below the one at which the date changes. It says most where that is the
middle of what is possible, and this comes round once a second. While much is possible, whatever lies between the
quarters will do, so that several probes are sent for one change of the date, each as soon as it is useful. Later there
is one for each change, until what the probes leave open is little beside what the path itself spreads. In between, some
look where the date surely does not change: a host that is several machines with different clocks is found out by those.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from firstbell.clock.arrival import arrivals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.clock.arrival import ArrivalModel
    from firstbell.clock.offset import Probe

MOST: Final = 40
"""Probes of one host, at most: politeness."""
LEAST: Final = 20
"""Probes before the path, and that there is one clock only, are believed to be known."""
_NS: Final = 1_000_000_000
_GOOD: Final = (1.15, 1_000_000)
"""What is left open is little, when all together spreads by no more than this times what the path alone does; or by no
more than so many ns."""
_FINE: Final = (1.0, 300_000)
"""The same, where there is time."""
_NARROW: Final = 4
"""Before all together spreads by no more than so many times what the path alone does, nobody looks beside it."""
_NEAR_NS: Final = 150_000
"""What lies just beside the possible lies no nearer than this."""
_COARSE: Final = (4, 50_000_000)
"""The window is wide, while it is so many round trips and so many ns wide: then several probes fit in."""
_ROUND: Final = (None, False, True, None)
"""One round of four probes: at the middle, just below what is possible, just above it, at the middle. The second comes
right after the first change of the date, the third right before the next one, so that looking beside costs no time."""
_QUICK: Final = (0, 3)
"""Where the middle is known well enough, its turns in the round are for the round trips alone."""
_GOLDEN: Final = 0.6180339887498949


def next_probe_ns(
    probes: Sequence[Probe],
    now_ns: int,
    *,
    most: int = MOST,
    fine: bool = False,
    model: ArrivalModel | None = None,
) -> int | None:
    """When to send the next probe. Pure.

    Args:
        probes: The probes so far, on any one clock of ours.
        now_ns: Now, on the same clock.
        most: How many probes there may be.
        fine: Whether to go on until next to nothing is left open.
        model: What these probes say, as of lately, where that has been worked out.

    Returns:
        The instant, now or within the next second; None when another probe would not help, for now at least: what is
        known blurs as it ages.
    """
    if (model := model or arrivals(probes, now_ns=now_ns)) is None:
        return now_ns
    times, at_most_ns = _FINE if fine else _GOOD
    enough = model.spread_ns <= max(times * model.path_spread_ns, at_most_ns) and not model.contradiction_ns
    if len(probes) >= most or (enough and len(probes) >= LEAST):
        return None
    if enough and len(probes) % 4 in _QUICK:
        # For the round trips alone; not all at once, because paths change from moment to moment.
        return now_ns + _NS // 10
    shortest_ns = min(probe.answered_ns - probe.sent_ns for probe in probes)
    low_ns, high_ns = _window(model, shortest_ns, len(probes))
    # What is sent now changes the date, if its shift is above this; and so each second, and less the later it is sent.
    changes_ns = low_ns + (-now_ns - low_ns) % _NS
    return now_ns if changes_ns <= high_ns else now_ns + changes_ns - high_ns


def _window(model: ArrivalModel, round_trip_ns: int, count: int) -> tuple[int, int]:
    """The shifts between which the date is to change."""
    low_ns, high_ns = model.quantile_ns(0.25), model.quantile_ns(0.75)
    turn = count * _GOLDEN % 1
    if model.contradiction_ns:
        # Several clocks: look everywhere between them, in an order that leaves no hole.
        at_ns = model.shifts_ns[0] + round((model.shifts_ns[-1] - model.shifts_ns[0]) * turn)
    elif high_ns - low_ns > max(_COARSE[0] * round_trip_ns, _COARSE[1]):
        return low_ns, high_ns
    else:
        narrow = model.spread_ns <= _NARROW * max(model.path_spread_ns, _GOOD[1])
        above = _ROUND[count % 4] if narrow else None
        at_ns = model.median_ns if above is None else _beside(model, count // 4, above=above)
    return at_ns, at_ns


def _beside(model: ArrivalModel, number: int, *, above: bool) -> int:
    """A shift that is not possible: mostly a near one, sometimes one up to half a second away."""
    nearest_ns = max(model.spread_ns / 8, _NEAR_NS)
    farther = (number * _GOLDEN % 1) ** 2
    away_ns = round(nearest_ns * math.pow(max(1.0, _NS / 2 / nearest_ns), farther))
    return model.shifts_ns[-1] + away_ns if above else model.shifts_ns[0] - away_ns
