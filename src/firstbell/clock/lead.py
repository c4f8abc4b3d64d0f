"""When to send so that the first *accepted* arrival comes as early as can be expected.

What leaves at `f` arrives at ``x = f + S - bell`` after the bell, where the shift `S` is uncertain
(`firstbell.clock.arrival`). If ``x >= 0`` it is accepted, `x` late. If not, it is refused, and may be sent again only
an interval `I` later; it arrives ``x + I``, perhaps to be refused again. So the accepted arrival comes at::

    cost(x) = x                        for x >= 0
              x + ceil(-x / I) * I     for x < 0

Now ``ceil(-x / I)``, for a negative `x`, is the number of ``m = 0, 1, 2 ...`` with ``x < -m * I``. Taking expectations,
with ``F(t) = P(S < t)``::

    cost(f) = f + E[S] - bell + I * (F(bell - f) + F(bell - f - I) + F(bell - f - 2 I) + ...)

For a discrete `S` this rises with slope 1 in `f` and falls, by `I` times a weight, at each ``f = bell - S_i - m * I``:
the instants at which one more of the possible arrivals is no longer early. So the minimum lies at one of those, or at
the first instant that is allowed at all. In words: fire earlier as long as each ms gained adds less than 1 / `I` per ms
to the probability of being early. That is not half a round trip, nor the middle of what is possible: with a sharp lower
edge it is that edge, and with a clock known to half a second it may well be worth an attempt too early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from firstbell.clock.arrival import ArrivalModel

_CANDIDATES: Final = 1000
"""How many instants are looked at, about."""


@dataclass(frozen=True, slots=True)
class Aim:
    """An instant to fire at, and what is expected of it.

    Attributes:
        fire_ns: When to send, on our clock, the one on which the probes were sent.
        expected_delay_ns: How long after the bell the first accepted arrival is expected, on average, in ns.
        early_probability: How probable it is that the first arrival is too early.
    """

    fire_ns: int
    expected_delay_ns: int
    early_probability: float


def aim(model: ArrivalModel, bell_ns: int, interval_ns: int, *, not_before_ns: int | None = None) -> Aim:
    """The best instant to fire at. Pure.

    Args:
        model: The shifts that are possible.
        bell_ns: The bell, on the host's clock.
        interval_ns: What an early arrival costs: the time between two attempts, in ns.
        not_before_ns: The first instant that is allowed, on our clock; None for any.

    Raises:
        ValueError: The interval is not above zero.
    """
    first_ns, last_ns = bell_ns - model.shifts_ns[-1], bell_ns - model.shifts_ns[0]
    if not_before_ns is not None and not_before_ns >= last_ns:
        # Nothing can be early any more: each ns that passes is a ns lost.
        return expect(model, bell_ns, interval_ns, fire_ns=not_before_ns)
    # Enough for all but a model wider than any clock that can be aimed by.
    most = max(1, _CANDIDATES // len(model.shifts_ns))
    steps = range(min((last_ns - first_ns) // interval_ns + 1, most) if interval_ns > 0 else 1)
    candidates = {bell_ns - shift_ns - step * interval_ns for shift_ns in model.shifts_ns for step in steps}
    # Before the first of these all arrivals are early: the same, an interval later, is no worse.
    allowed = {fire_ns for fire_ns in candidates if fire_ns >= first_ns}
    if not_before_ns is not None:
        allowed = {fire_ns for fire_ns in allowed if fire_ns >= not_before_ns} | {not_before_ns}
    aims = [expect(model, bell_ns, interval_ns, fire_ns=fire_ns) for fire_ns in allowed]
    return min(aims, key=lambda each: (each.expected_delay_ns, -each.fire_ns))


def expect(model: ArrivalModel, bell_ns: int, interval_ns: int, *, fire_ns: int) -> Aim:
    """What is to be expected of firing at a given instant, chosen by whomever.

    Raises:
        ValueError: The interval is not above zero.
    """
    if interval_ns <= 0:
        raise ValueError("an interval between attempts is longer than nothing")
    edge_ns = bell_ns - fire_ns
    early = model.below(edge_ns)
    refusals = 0.0
    if (edge_ns - model.shifts_ns[0]) // interval_ns < len(model.shifts_ns):
        while edge_ns > model.shifts_ns[0]:
            refusals += model.below(edge_ns)
            edge_ns -= interval_ns
    else:
        # The same sum, shift by shift.
        for shift_ns, weight in zip(model.shifts_ns, model.weights, strict=True):
            refusals += weight * max(0, -((shift_ns - edge_ns) // interval_ns))
    # Two instants of some 10^18 ns are subtracted before they become floats.
    arrives_ns = fire_ns - bell_ns + model.shifts_ns[0] + model.rise_ns
    return Aim(fire_ns, round(arrives_ns + interval_ns * refusals), early)


def lead_of(fire_ns: int, offset_ns: int, bell_ns: int) -> int:
    """How long before the bell something leaves that leaves at `fire_ns`, in ns.

    Args:
        fire_ns: When it leaves, on our clock.
        offset_ns: The host's clock minus that clock of ours.
        bell_ns: The bell, on the host's clock.
    """
    return bell_ns - offset_ns - fire_ns
