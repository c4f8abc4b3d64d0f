"""A process that has imported everything once and forks a child for each command: seconds of start-up less a case.

The child runs the command's own main function, as if it had just been started: a session, an environment, a folder and
streams of its own. Spoken to in JSON lines: ``{"id", "argv", "env", "cwd", "out", "err", "stopped"}`` in, ``{"id",
"pid"}`` and later ``{"pid", "status"}`` out. What is to be stopped waits for a SIGCONT before it does anything. The
nursery ends, with its children, when its standard input does.

Usage: ``python -m killing.nursery locust`` or ``… firstbell``.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import sys
from typing import Any, Final

import gevent
from gevent import monkey

_LOOK_S: Final = 0.02


def _locust() -> Any:
    # It patches this very process.
    main = importlib.import_module("locust.main").main
    for name in ("firstbell.brokers.ephoenix.broker", "firstbell.sniper.conductor"):
        importlib.import_module(name)
    return main


def _firstbell() -> Any:
    for name in ("brokers.ephoenix.broker", "cli.orders", "cli.results", "cli.run"):
        importlib.import_module(f"firstbell.{name}")
    return importlib.import_module("firstbell.cli.main").main


class Nursery:
    """Forks children until standard input ends."""

    def __init__(self) -> None:
        self._said = b""
        self._children: set[int] = set()
        # Where Locust has been imported these are gevent's, which would begin to watch the children on their own.
        self._fork = monkey.get_original("os", "fork")
        self._waitpid = monkey.get_original("os", "waitpid")
        self._select = monkey.get_original("select", "select")

    def serve(self) -> dict[str, Any] | None:
        """In the nursery: returns None at the end. In a child: returns what it is to do."""
        while True:
            self._reap()
            if not self._select([0], [], [], _LOOK_S)[0]:
                continue
            part = os.read(0, 1 << 16)
            if not part:
                for pid in self._children:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                return None
            self._said += part
            while b"\n" in self._said:
                line, _, self._said = self._said.partition(b"\n")
                job = json.loads(line)
                pid = self._fork()
                if pid == 0:
                    return dict(job)
                self._children.add(pid)
                _say({"id": job["id"], "pid": pid})

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = self._waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._children.discard(pid)
                _say({"pid": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(words: dict[str, Any]) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def _become(job: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    for number, path in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
        handle = os.open(path, os.O_RDONLY if number == 0 else flags, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.argv = list(job["argv"])
    if job["stopped"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    gevent.reinit()
    # A run that hangs is asked where it is: by SIGABRT.
    faulthandler.enable()


def main() -> None:
    """Serve; in a child, run the command instead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = {"locust": _locust, "firstbell": _firstbell}[sys.argv[1]]()
    _say({"ready": True})
    job = Nursery().serve()
    if job is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _become(job)
        run()


if __name__ == "__main__":
    main()
