"""Who holds a claim, and whether that process still lives."""

from __future__ import annotations

import os
import socket

import psutil

from firstbell.journal.base import Owner

_CLOCK_SLACK_S = 2.0
"""Start times are computed from the boot time, which moves a little when the system's clock is set."""


def this_process() -> Owner:
    """The process that runs this."""
    return Owner(socket.gethostname(), os.getpid(), psutil.Process().create_time())


def is_alive(owner: Owner) -> bool:
    """Whether the owner's process still runs.

    One on another machine cannot be seen from here and counts as alive: then nothing is taken over.
    """
    if owner.host != socket.gethostname():
        return True
    try:
        process = psutil.Process(owner.pid)
        return abs(process.create_time() - owner.started) <= _CLOCK_SLACK_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
