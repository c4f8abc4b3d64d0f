"""Waiting for a moment, in steps short enough to notice that a clock was set or the machine was suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from firstbell.clock.system import Clock

STEP_S: Final = 0.5
"""Seconds. The longest pause without a look at the clock."""
_NS: Final = 1_000_000_000


def wait_until(clock: Clock, deadline_monotonic_ns: int) -> None:
    """Pause until the monotonic clock has reached a moment, however the wall clock is set meanwhile.

    It returns at once where the moment has passed, and late by as much as the machine's pauses are inexact.
    """
    while (left_ns := deadline_monotonic_ns - clock.monotonic_ns()) > 0:
        clock.sleep(min(left_ns / _NS, STEP_S))


def wait_until_instant(clock: Clock, epoch_ns: int) -> None:
    """Pause until the wall clock has reached an instant, in ns since the epoch; a clock that is set is followed."""
    while (left_ns := epoch_ns - clock.wall_ns()) > 0:
        clock.sleep(min(left_ns / _NS, STEP_S))
