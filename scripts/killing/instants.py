"""Deaths at instants around the bell: of the command alone, of all its processes, of a worker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import psutil

from killing.ground import LEAD_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from killing.ground import Ground

_INSTANTS: Final = (-1.0, -0.2, -0.02, 0.0, 0.01, 0.05, 0.25, 1.0)
_WORKERS_LEAD_S: Final = 14.0


def command_dies(ground: Ground, instant_s: float) -> None:
    """The command is killed and Locust is not: nothing new leaves, and what left is found again."""
    _die(ground, instant_s, lambda pid: os.kill(pid, signal.SIGKILL))


def all_die(ground: Ground, instant_s: float) -> None:
    """The command and Locust are killed together."""
    _die(ground, instant_s, lambda pid: os.killpg(pid, signal.SIGKILL))


def worker_dies(ground: Ground, instant_s: float) -> None:
    """One of two workers is killed; the run goes on and says what became of its orders."""
    ground.begin()
    bell_s = time.time() + _WORKERS_LEAD_S
    run = ground.run("run", bell_s, "--processes", "2")
    until(bell_s + instant_s)
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        psutil.Process(run.pid).children()[0].children()[0].kill()
    ground.ended(run, 0, 1, 3)
    ground.reconciled()


def master_dies(ground: Ground, instant_s: float) -> None:
    """The workers' master is killed: they let nothing new leave."""
    ground.begin()
    bell_s = time.time() + _WORKERS_LEAD_S
    run = ground.run("run", bell_s, "--processes", "2")
    until(bell_s + instant_s)
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        psutil.Process(run.pid).children()[0].kill()
    ground.ended(run)
    ground.wait_for_nobody()
    ground.ended(ground.run("again", None))
    ground.reconciled()


def _die(ground: Ground, instant_s: float, kill: Callable[[int], None]) -> None:
    ground.begin()
    bell_s = time.time() + LEAD_S
    run = ground.run("run", bell_s)
    until(bell_s + instant_s)
    with contextlib.suppress(ProcessLookupError):
        kill(run.pid)
    # The next one may come while Locust still winds up, or later.
    again = ground.run("again", None)
    ground.ended(again)
    ground.wait_for_nobody()
    ground.ended(ground.run("once-more", None))
    ground.reconciled()


INSTANTS: Final[Mapping[str, Callable[[Ground], None]]] = MappingProxyType(
    {
        **{f"command{at:+g}": partial(command_dies, instant_s=at) for at in _INSTANTS},
        **{f"all{at:+g}": partial(all_die, instant_s=at) for at in _INSTANTS},
        **{f"worker{at:+g}": partial(worker_dies, instant_s=at) for at in (-2.0, -0.01, 0.02, 0.2)},
        **{f"master{at:+g}": partial(master_dies, instant_s=at) for at in (-2.0, 0.02)},
    }
)
"""Every such death by its name: who, and when in seconds after the bell."""
