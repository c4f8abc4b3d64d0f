"""First among the machine's processes, for the moments in which it counts.

A process that spins is what a scheduler likes to set aside for others, by milliseconds, on a busy machine. Where the
system lets us (root, or CAP_SYS_NICE on Linux) the thread that is about to fire runs in the real-time class; elsewhere
everything works the same, only as punctually as the machine is idle.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def first_in_line() -> Iterator[bool]:
    """Run this thread before all others; whether the system allowed it. For moments only: it can starve the machine."""
    if not hasattr(os, "sched_setscheduler"):
        yield False
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        # Whatever is started meanwhile, a thread or a process, does not inherit it.
        first = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, first, os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO)))
    except OSError:
        # Not allowed, or not in this container.
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, parameters)
