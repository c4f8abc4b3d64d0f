"""The time around the bell in which nothing is said or asked: announced beforehand, so that no call runs into it."""

from __future__ import annotations

import math
import threading
import time


class Quiet:
    """When there is quiet. For any number of threads.

    Attributes:
        changed: Held while anything here changes, and notified of it; whoever has something to wait for waits on it.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.Lock())
        self._from_s = math.inf

    def begin(self, in_s: float = 0.0) -> None:
        """Be quiet, at once or in so many seconds, until `end`."""
        with self.changed:
            self._from_s = time.monotonic() + in_s
            self.changed.notify_all()

    def end(self) -> None:
        """It is over."""
        with self.changed:
            self._from_s = math.inf
            self.changed.notify_all()

    def left_s(self) -> float:
        """Seconds until it begins: infinity where none is announced, zero or less while it lasts."""
        return self._from_s - time.monotonic()

    @property
    def lasts(self) -> bool:
        """Whether there is quiet now."""
        return self.left_s() <= 0
