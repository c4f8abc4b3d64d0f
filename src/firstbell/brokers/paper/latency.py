"""How long a call to the paper broker takes, so that what waits for answers is practised too."""

from __future__ import annotations

import random
from typing import Final


class Latency:
    """A way there and back that takes a while, drawn anew for each call.

    Args:
        mean_ns: How long a call takes on average, in ns.
        spread_ns: By how much one may take longer or shorter, in ns; every time in between is as likely.
        seed: Where chance begins.

    Raises:
        ValueError: A time is negative, or the spread is more than the mean.
    """

    def __init__(self, mean_ns: int, spread_ns: int = 0, seed: int = 1) -> None:
        if not 0 <= spread_ns <= mean_ns:
            raise ValueError(f"a call that takes {mean_ns} ns on average cannot vary by {spread_ns} ns")
        self._mean_ns = mean_ns
        self._spread_ns = spread_ns
        self._chance = random.Random(seed)  # noqa: S311 - practice is to be repeatable, not unguessable  # nosec B311

    def draw(self) -> tuple[float, float]:
        """The way there and the way back of one call, in seconds."""
        if not self._mean_ns:
            return 0.0, 0.0
        half = (self._mean_ns + self._chance.randint(-self._spread_ns, self._spread_ns)) / 2e9
        return half, half


NO_LATENCY: Final = Latency(0)
"""Every call is answered at once."""
