"""A clock that a test moves."""

from __future__ import annotations


class SteppedClock:
    """Both clocks, moved by whoever waits on them: a test's time, in which nothing happens by itself."""

    def __init__(self, wall_ns: int = 1_795_238_000_000_000_000) -> None:
        self.now_ns = 0
        self._start_ns = wall_ns

    def wall_ns(self) -> int:
        return self._start_ns + self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def move_to(self, monotonic_ns: int) -> None:
        self.now_ns = max(self.now_ns, monotonic_ns)

    def suspend(self, seconds: float) -> None:
        """Let time pass as for a machine that sleeps: by the wall clock alone, as Linux counts."""
        self._start_ns += round(seconds * 1e9)
