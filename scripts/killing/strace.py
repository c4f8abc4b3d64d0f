"""strace: what a process asks of the system, and its death at one of these calls.

A signal that strace injects comes at the call's entry: the call is not carried out. Whatever happens between two calls
happens in the process's own memory and dies with it, so a death at the entry of each call is a death at every instant
that anybody else can tell from another; the one at the call after a `sendto` is the death right after it.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from killing.words import Broken

if TYPE_CHECKING:
    from pathlib import Path

_CALL: Final = re.compile(r"^(?:(\d+) +)?(\d+\.\d+) (\w+)\((.*)")
_ATTACH_S: Final = 10
_END_S: Final = 10
_ENDS: Final = {"exit_group", "exit"}


@dataclass(frozen=True, slots=True)
class Point:
    """One system call: the so many-th of its name since strace was attached.

    Attributes:
        call: Its name.
        number: Which one, from 1.
        words: Its first arguments, as strace wrote them.
        at_s: When, in seconds since the epoch.
    """

    call: str
    number: int
    words: str = ""
    at_s: float = 0.0


class Strace:
    """strace on a process that runs already.

    Args:
        pid: The process.
        log: Where it writes what it sees.
        strike: Where to kill it; None only to watch.
        follow: Whether its further threads and children are followed as well.
    """

    def __init__(self, pid: int, log: Path, strike: Point | None = None, *, follow: bool = False) -> None:
        self._log = log
        command = ["strace", "-p", str(pid), "-o", str(log), "-ttt", "-s", "60", "-y"]
        if follow:
            command.append("-f")
        if strike is not None:
            command += ["-e", f"trace={strike.call}"]
            command += ["-e", f"inject={strike.call}:signal=KILL:when={strike.number}"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._attached()

    def _attached(self) -> None:
        said = self._process.stderr.readline() if self._process.stderr is not None else ""
        if "attached" not in said:
            self.end()
            raise Broken(f"strace did not attach: {said.strip()}")

    def end(self) -> None:
        """Let go; with a process that has ended it ends by itself."""
        try:
            self._process.wait(_END_S if self._process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
        finally:
            if self._process.stderr is not None:
                self._process.stderr.close()

    def points(self) -> list[Point]:
        """Every call it has seen, in their order."""
        counts: Counter[str] = Counter()
        points = []
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
            if (found := _CALL.match(line)) is None:
                continue
            _, at, call, words = found.groups()
            if call in _ENDS:
                continue
            counts[call] += 1
            points.append(Point(call, counts[call], words[:80], float(at)))
        return points

    def last(self) -> str:
        """The last call it saw."""
        lines = [line for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if "(" in line]
        return lines[-1].partition(" ")[2][:120] if lines else ""


def attach_in_time(pid: int, at_s: float, log: Path, strike: Point | None) -> Strace:
    """Wait until an instant, in seconds since the epoch, and attach."""
    time.sleep(max(0.0, at_s - time.time()))
    return Strace(pid, log, strike)
