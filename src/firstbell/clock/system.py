"""The port through which everything asks for the time, and the machine's own clocks behind it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks and a pause. A simulation brings its own."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch. It may be set, so it never measures how long something took."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment. It only goes forward: for waiting and for measuring."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause this thread or greenlet for about so many seconds."""
        ...


class SystemClock:
    """The machine's clocks. Under gevent its pause lets the other greenlets run."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds on the monotonic clock."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Pause for about so many seconds; not at all for none or fewer."""
        if seconds > 0:
            time.sleep(seconds)
