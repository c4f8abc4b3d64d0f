"""A path between a client and the exchange that takes as long as a measured one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from firstbell.errors import SimulatorError

if TYPE_CHECKING:
    from collections.abc import Sequence


class MeasuredPath:
    """A path of which round trips have been measured.

    Every call draws one of them, so that spread and outliers come back as they were. How a round trip divides into the
    way there and the way back cannot be measured from one end. Here the shortest one divides in halves, and what a
    call takes longer than that lies on its way there by any part of it, drawn by chance.

    Args:
        round_trips_ns: The measured round trips, in ns.
        seed: Where chance begins, so that a rehearsal may be repeated.

    Raises:
        SimulatorError: There is no round trip, or a negative one.
    """

    def __init__(self, round_trips_ns: Sequence[int], seed: int = 1) -> None:
        if not round_trips_ns or min(round_trips_ns) < 0:
            raise SimulatorError("a path needs at least one measured round trip, and none below zero")
        self._round_trips_ns = tuple(round_trips_ns)
        self._shortest_ns = min(round_trips_ns)
        self._chance = random.Random(seed)  # noqa: S311 - paths are to be repeatable, not unguessable  # nosec B311

    def draw(self) -> tuple[int, int]:
        """The way there and the way back of one call, in ns."""
        round_trip_ns = self._chance.choice(self._round_trips_ns)
        there_ns = self._shortest_ns // 2 + self._chance.randint(0, round_trip_ns - self._shortest_ns)
        return there_ns, round_trip_ns - there_ns
