"""Where whole commands are run against a real exchange while somebody spoils what they write to."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psutil

from killing import oracle
from killing.words import Broken, at_wall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from killing.children import Nursery, Running
    from killing.venue import Account, Venue

STATE: Final = ".firstbell-practice"
RESULTS: Final = "order_results"
LEAD_S: Final = 9.0
"""A whole command needs some seconds before its bell: it starts Locust as a process of its own …"""
_TRIES: Final = 3
"""… and where the machine is so busy that it has not claimed by then, it is given more of them, so often."""
_CLAIMED_S: Final = 0.7
ENDS_S: Final = 180.0
_SHOW_S: Final = 60.0
_RECONCILE_S: Final = 150.0
_KEEPS: Final = 4096


@dataclass
class Ground:
    """One case's folder, accounts and exchange.

    Attributes:
        folder: Its folder.
        accounts: Its accounts.
        venue: Their exchange.
        commands: Starts the commands.
        wrong: What was wrong so far.
    """

    folder: Path
    accounts: tuple[Account, ...]
    venue: Venue
    commands: Nursery
    wrong: list[str] = field(default_factory=list)
    _mounted: list[Path] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def begin(self, *, warm: bool = True) -> None:
        """Write the config, and log in beforehand."""
        self.folder.mkdir(parents=True)
        path = self.folder / "config.ini"
        path.touch(mode=0o600)
        path.write_text(self.venue.config(self.accounts, give_up_after="8s"), encoding="utf-8")
        if warm:
            self.warm()

    def warm(self) -> None:
        """Log in.

        Raises:
            Broken: It did not succeed.
        """
        warming = self._start("warm", "warmup")
        if warming.wait(_SHOW_S) != 0:
            raise Broken(f"the warm-up failed: {warming.said()[-400:]}")

    def run(self, name: str, bell_s: float | None, *more: str) -> Running:
        """Start a run; its bell in seconds since the epoch, None for now."""
        at = "now" if bell_s is None else at_wall(bell_s)
        return self._start(name, "--json", "run", "--at", at, *more)

    def run_and_claim(self) -> tuple[Running, float]:
        """Start a run and wait until its order is claimed; the run, and its bell, which has not rung yet.

        Raises:
            Broken: This machine is too busy.
        """
        for number in range(1, _TRIES + 1):
            bell_s = time.time() + LEAD_S * number
            run = self.run("run", bell_s)
            while time.time() < bell_s - _CLAIMED_S:
                if self._is_claimed():
                    return run, bell_s
                time.sleep(0.05)
            run.kill()
            self.end_all()
        raise Broken("this machine is too busy: nothing was claimed before the bell")

    def _is_claimed(self) -> bool:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self.journal)) as db:
            return bool(db.execute("SELECT count(*) FROM orders").fetchone()[0])
        return False

    def ended(self, run: Running, *expected: int) -> dict[str, Any] | None:
        """Wait for a run's end; its results, judged."""
        status = run.wait(ENDS_S)
        run.kill()
        if status is None or (expected and status not in expected):
            self.wrong.append(f"it ended with {status} instead of {expected}: {run.said()[-600:]}")
        text = run.out.read_text(encoding="utf-8")
        if not text:
            return None
        document: dict[str, Any] = json.loads(text)
        self.judge("run", document, known=False)
        return document

    def judge(self, name: str, document: dict[str, Any], *, known: bool) -> None:
        """Compare results with what the exchange saw."""
        there = self.venue.accepted(self.accounts)
        self.wrong += [f"{name}: {each}" for each in oracle.judge(document, self.accounts, there, known=known)]

    def says(self, run: Running, *words: str) -> None:
        """It has to say so, to people."""
        said = " ".join(run.said().split())
        self.wrong += [f"it does not say {word!r}: {said[-600:]}" for word in words if word not in said]
        if "Traceback" in said:
            self.wrong.append(f"it shows a traceback: {said[-600:]}")

    def count(self) -> int:
        """How many orders of these accounts the exchange has accepted."""
        return sum(map(len, self.venue.accepted(self.accounts).values()))

    def sent_nothing(self) -> None:
        """The exchange has to have accepted nothing."""
        if count := self.count():
            self.wrong.append(f"{count} orders are at the exchange")

    def reconciled(self) -> dict[str, Any]:
        """Ask until everything is known; the newest run's results.

        Raises:
            Broken: It said nothing.
        """
        asking = self._start("reconcile", "--json", "orders", "reconcile")
        status = asking.wait(_RECONCILE_S)
        asking.kill()
        text = asking.out.read_text(encoding="utf-8")
        if status is None or not text:
            raise Broken(f"reconcile ended with {status}: {asking.said()[-400:]}")
        document: dict[str, Any] = json.loads(text)
        self.judge("reconcile", document, known=True)
        self.wrong += oracle.files(self.folder, self.accounts)
        return document

    def outcomes(self, document: dict[str, Any] | None) -> list[str]:
        """The outcomes of a run."""
        return [] if document is None else [row["outcome"] for row in document["orders"]]

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.folder / STATE / "journal.db"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal as another process that writes."""
        with contextlib.closing(sqlite3.connect(self.journal, timeout=5, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")

    def on_small_disk(self, name: str, size: int) -> Path:
        """Put one of the case's folders onto a disk of its own of so many bytes."""
        place = self.folder / name
        keep = self.folder / f"{name}.kept"
        if place.exists():
            place.rename(keep)
        place.mkdir(mode=0o700)
        _mount("tmpfs", place, "tmpfs", 0, f"size={size},mode=0700")
        self._mounted.append(place)
        if keep.exists():
            shutil.copytree(keep, place, dirs_exist_ok=True)
        return place

    def fill(self, place: Path, room: int = 0) -> Path:
        """Leave so many bytes on a small disk; the file to be removed when there shall be room again."""
        ballast = place / "ballast"
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(_KEEPS))
        os.truncate(ballast, max(0, ballast.stat().st_size // _KEEPS * _KEEPS - room))
        return ballast

    def read_only(self, name: str) -> None:
        """Make one of the case's folders read-only, also for root."""
        place = self.folder / name
        place.mkdir(mode=0o700, exist_ok=True)
        _mount(str(place), place, None, _BIND)
        _mount(None, place, None, _BIND | _REMOUNT | _READ_ONLY)
        self._mounted.append(place)

    def close(self) -> None:
        """Take away what was mounted."""
        while self._mounted:
            place = self._mounted.pop()
            subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607 - as a person finds it  # nosec B607

    def wait_for_nobody(self) -> None:
        """Wait until no process of this case is left: one that was orphaned winds up by itself.

        Raises:
            Broken: One is.
        """
        until_s = time.monotonic() + ENDS_S
        while left := self._left():
            if time.monotonic() > until_s:
                raise Broken(f"processes {[process.pid for process in left]} have not ended")
            time.sleep(0.1)

    def end_all(self) -> None:
        """Kill whatever is left of this case."""
        for process in self._left():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def keep(self) -> None:
        """Keep a copy of what stands on disks that go away."""
        for place in self._mounted:
            shutil.copytree(place, place.with_name(f"{place.name}.found"), ignore=shutil.ignore_patterns("ballast"))

    def _left(self) -> list[psutil.Process]:
        """The processes of this case: those that run in its folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def _start(self, name: str, *arguments: str) -> Running:
        # Each has files of its own: a case may ask several times.
        name = f"{next(self._numbers):02}-{name}"
        return self.commands.start(name, ["-c", "config.ini", *arguments], self.folder)


_READ_ONLY: Final = 1
_REMOUNT: Final = 32
_BIND: Final = 4096
"""Flags of `mount(2)`."""


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    texts = [None if text is None else text.encode() for text in (source, str(target), kind, options)]
    if libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]) != 0:
        raise Broken(f"{target} could not be mounted: {os.strerror(ctypes.get_errno())}")


def until(instant_s: float) -> None:
    """Wait until an instant, in seconds since the epoch."""
    time.sleep(max(0.0, instant_s - time.time()))


def reasons(document: dict[str, Any] | None) -> Sequence[str]:
    """Why orders came to what they came to."""
    return [] if document is None else [row["reason"] or "" for row in document["orders"]]
