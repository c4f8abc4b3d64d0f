"""The nurseries as seen from the one who has cases to run: a command is started, waited for and killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from killing.words import Broken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_READY_S: Final = 120
_FORK_S: Final = 30
_STRANGE: Final = ("FIRSTBELL_", "LOCUST_", "COLUMNS")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would change a run, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_STRANGE)}
    return {**kept, **more}


@dataclass
class Running:
    """A command that was started.

    Attributes:
        pid: Its process, which leads a session of its own.
        out: Where its standard output goes.
        err: Where its error stream goes.
        status: Its exit status once it has ended; negative: the signal that killed it.
    """

    pid: int
    out: Path
    err: Path
    status: int | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def end(self, status: int) -> None:
        """It has ended."""
        self.status = status
        self._ended.set()

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status; None where it has not ended within so many seconds."""
        self._ended.wait(timeout_s)
        return self.status

    def kill(self) -> None:
        """Kill it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def said(self) -> str:
        """Its error stream's last words."""
        return self.err.read_text(encoding="utf-8", errors="replace")[-2000:]


class Nursery:
    """One nursery.

    Args:
        kind: ``locust`` or ``firstbell``: what its children run.
        folder: Where it leaves its error stream.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[threading.Event, list[int], Path, Path]] = {}
        self._running: dict[int, Running] = {}
        self._lock = threading.Lock()
        self._stderr = (folder / f"nursery-{kind}.err").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()

    def start(self, name: str, arguments: Sequence[str], folder: Path, *, stopped: bool = False, **env: str) -> Running:
        """Start a command.

        Args:
            name: Names the files of its output in `folder`.
            arguments: What follows the command's own name.
            folder: Where it runs.
            stopped: Whether it waits for a SIGCONT before it does anything.
            env: What its environment has besides ours.

        Raises:
            Broken: The nursery is gone.
        """
        process = self._begun()
        if not self._ready.wait(_READY_S) or process.stdin is None:
            raise Broken(f"the nursery of {self._kind} did not come up")
        number = next(self._numbers)
        out, err = folder / f"{name}.out", folder / f"{name}.err"
        started: tuple[threading.Event, list[int], Path, Path] = (threading.Event(), [], out, err)
        job = {
            "id": number,
            "argv": [self._kind, *arguments],
            "env": environment(**env),
            "cwd": str(folder),
            "out": str(out),
            "err": str(err),
            "stopped": stopped,
        }
        with self._lock:
            self._waiting[number] = started
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        if not started[0].wait(_FORK_S):
            raise Broken(f"the nursery of {self._kind} does not answer")
        return self._running[started[1][0]]

    def _begun(self) -> subprocess.Popen[bytes]:
        """The process itself; it is begun when it is first needed."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "killing.nursery", self._kind],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    env=environment(),
                    start_new_session=True,
                )
                threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
            return self._process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            self._take(json.loads(line))

    def _take(self, words: dict[str, Any]) -> None:
        if "ready" in words:
            self._ready.set()
        elif "id" in words:
            event, pids, out, err = self._waiting.pop(words["id"])
            self._running[words["pid"]] = Running(words["pid"], out, err)
            pids.append(words["pid"])
            event.set()
        else:
            self._running[words["pid"]].end(words["status"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(_FORK_S)
        self._stderr.close()
