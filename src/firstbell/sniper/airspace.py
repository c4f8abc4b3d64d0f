"""Keeping arithmetic out of the way of probes.

What the probes of one host say is some ten milliseconds of arithmetic. Where the seconds of several hosts change
together, so do their probes fly together, and the arithmetic of the first to be back would hold up the answers of the
others: it would look as if their paths were long. So it waits until nobody is in the air.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firstbell.clock import Clock

_LOOK_NS: Final = 2_000_000
_PATIENCE_NS: Final = 200_000_000
"""A probe that is in the air for longer than this says little, and is not waited for."""


class Airspace:
    """Knows how many probes of this process are in the air. For threads and greenlets alike."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying = 0

    @contextlib.contextmanager
    def flight(self) -> Iterator[None]:
        """For as long as a probe of ours is in the air."""
        with self._lock:
            self._flying += 1
        try:
            yield
        finally:
            with self._lock:
                self._flying -= 1

    def await_clear(self, clock: Clock, pause: Callable[[int], bool]) -> bool:
        """Wait until nobody is in the air, a fifth of a second at most.

        Args:
            clock: Ours.
            pause: Waits until an instant of the monotonic clock, and says whether to stop.

        Returns:
            Whether `pause` said to stop.
        """
        until_ns = clock.monotonic_ns() + _PATIENCE_NS
        while self._flying and clock.monotonic_ns() < until_ns:
            if pause(clock.monotonic_ns() + _LOOK_NS):
                return True
        return False
