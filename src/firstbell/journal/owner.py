"""Who holds a claim, and whether that process still lives."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

import psutil

from firstbell.journal.base import Owner

_STOPPED = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP})
_START_FIELD = 19
"""Where a process's start stands in ``/proc/PID/stat`` behind the name in parentheses: field 22 of `proc(5)`."""


def this_process() -> Owner:
    """The process that runs this."""
    return _owner(os.getpid())


def is_alive(owner: Owner) -> bool:
    """Whether the owner's process still runs.

    One on another machine cannot be seen from here and counts as alive: then nothing is taken over. One of this machine
    before it was last started is dead.
    """
    name, _, boot = owner.host.partition("#")
    if name != socket.gethostname():
        return True
    if boot != _boot():
        return False
    try:
        return _started(owner.pid) == owner.started and psutil.Process(owner.pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def is_suspended(owner: Owner) -> bool:
    """Whether the owner's process is on this machine, lives, and has been stopped: by Ctrl-Z or a debugger, say."""
    if owner.host != _machine():
        return False
    try:
        return _started(owner.pid) == owner.started and psutil.Process(owner.pid).status() in _STOPPED
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@functools.lru_cache(maxsize=1)
def _owner(pid: int) -> Owner:
    return Owner(_machine(), pid, _started(pid))


# A child may get the number of a process that has ended.
os.register_at_fork(after_in_child=_owner.cache_clear)


def _machine() -> str:
    return f"{socket.gethostname()}#{_boot()}"


@functools.cache
def _boot() -> str:
    """The machine's present start, or an empty text where the system does not name it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> float:
    """When a process was started: clock ticks since the machine was, which no setting of its clock can move.

    Where the system has no ``/proc``, seconds since the epoch.

    Raises:
        psutil.NoSuchProcess: There is no such process.
    """
    if not Path("/proc/self/stat").exists():
        return psutil.Process(pid).create_time()
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return float(text.rpartition(")")[2].split()[_START_FIELD])
