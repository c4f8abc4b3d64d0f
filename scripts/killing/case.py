"""One case: a run is killed at one system call, started again, asked, and judged by what the exchange saw."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import firstbell.sniper
from killing import oracle
from killing.strace import Point, Strace, attach_in_time
from killing.words import Broken, at_wall

if TYPE_CHECKING:
    import threading

    from killing.children import Nursery, Running
    from killing.scenario import Scenario
    from killing.venue import Account, Venue

LOCUSTFILE: Final = Path(firstbell.sniper.__file__).with_name("locustfile.py")
_LIVE_S: Final = 60.0
_RECONCILE_S: Final = 150.0
_SHOW_S: Final = 60.0
_STOP_S: Final = 10.0
_GIVE_UP: Final = "8s"
_GIVE_UP_SOON: Final = "3s"


@dataclass(frozen=True, slots=True)
class Case:
    """One death.

    Attributes:
        scenario: What is played.
        point: Where the run dies; None: it does not.
    """

    scenario: Scenario
    point: Point

    @property
    def name(self) -> str:
        """By which it is called again."""
        return f"{self.scenario.name}/{self.point.call}/{self.point.number}"


@dataclass
class Verdict:
    """What a case came to.

    Attributes:
        name: The case.
        killed: Whether the run died; a call may come less often than when it was recorded.
        last: The call it died at.
        told: The outcomes that were told right after the death, before anybody was asked.
        final: The outcomes at the very end.
        wrong: What was wrong.
        seconds: How long it took.
        folder: Its files, where something was wrong.
    """

    name: str
    killed: bool = False
    last: str = ""
    told: Counter[str] = field(default_factory=Counter)
    final: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    folder: str = ""


@dataclass
class Stage:
    """Where the cases of one scenario are played.

    Attributes:
        folder: For their files.
        venue: Their exchange.
        locust: Starts the runs.
        commands: Starts the commands.
        live: Held while a run is under way: so many at once.
        hurry: Whether to ask once instead of until everything is known: what is at the exchange has to be known then.
    """

    folder: Path
    venue: Venue
    locust: Nursery
    commands: Nursery
    live: threading.Semaphore
    hurry: bool = False

    def record(self, scenario: Scenario) -> tuple[list[Point], float]:
        """The system calls of a run that nobody kills, and its bell, in seconds since the epoch.

        Raises:
            Broken: The run did not do what it was to do.
        """
        folder, accounts = self._case_folder(f"{scenario.name}-recorded"), self.venue.take(scenario.accounts)
        self._write_config(folder, accounts)
        self._warm(scenario, folder)
        bell_s = time.time() + scenario.lead_s
        run, strace = self._start(scenario, folder, bell_s, None)
        status = run.wait(_LIVE_S)
        strace.end()
        if status is None or status < 0:
            run.kill()
            raise Broken(f"the recorded run did not end: {run.said()}")
        return strace.points(), bell_s

    def play(self, case: Case) -> Verdict:
        """Play one case, and judge it."""
        began_s = time.monotonic()
        verdict = Verdict(case.name)
        folder, accounts = self._case_folder(case.name.replace("/", "-")), self.venue.take(case.scenario.accounts)
        verdict.folder = str(folder)
        self._write_config(folder, accounts)
        try:
            self._warm(case.scenario, folder)
            with self.live:
                self._kill(case, folder, verdict)
            self._judge(case, folder, accounts, verdict)
        except (Broken, OSError, ValueError, KeyError) as error:
            verdict.wrong.append(f"it could not be judged: {type(error).__name__}: {error}")
        verdict.seconds = time.monotonic() - began_s
        if not verdict.wrong:
            shutil.rmtree(folder)
        return verdict

    def _kill(self, case: Case, folder: Path, verdict: Verdict) -> None:
        run, strace = self._start(case.scenario, folder, time.time() + case.scenario.lead_s, case.point)
        try:
            status = run.wait(_LIVE_S)
            if status is None:
                verdict.wrong.append(f"it neither died nor ended within {_LIVE_S:.0f} s; its state: {_state(run.pid)}")
                os.kill(run.pid, signal.SIGABRT)
                run.wait(_STOP_S)
        finally:
            run.kill()
            strace.end()
        run.wait(_SHOW_S)
        verdict.killed = run.status == -signal.SIGKILL
        verdict.last = strace.last()

    def _judge(self, case: Case, folder: Path, accounts: tuple[Account, ...], verdict: Verdict) -> None:
        """See what is told, start again, ask until everything is known; half of the cases ask first."""
        verdict.wrong += oracle.files(folder, accounts)
        if (told := self._show(folder, "told", "results")) is not None:
            self._compare(told, accounts, verdict, "told", known=False)
            verdict.told.update(row["outcome"] for row in told["orders"])
        elif any(self.venue.accepted(accounts).values()):
            verdict.wrong.append("told: there is no run in the journal, and its order is at the exchange")
        if case.point.number % 2 and told is not None:
            self._reconcile(folder, "asked", accounts, verdict)
        self._again(folder, accounts, verdict)
        final = self._reconcile(folder, "final", accounts, verdict)
        verdict.final.update(row["outcome"] for row in final["orders"])
        verdict.wrong += oracle.files(folder, accounts)

    def _again(self, folder: Path, accounts: tuple[Account, ...], verdict: Verdict) -> None:
        with self.live:
            again = self._run("again", folder, at="now")
            status = again.wait(_LIVE_S)
            again.kill()
        if status not in {0, 1, 3}:
            verdict.wrong.append(f"again: ended with {status}: {again.said()[-400:]}")
        newest = max(folder.glob("order_results/*/orders.json"), key=lambda path: path.stat().st_mtime_ns)
        self._compare(json.loads(newest.read_text(encoding="utf-8")), accounts, verdict, "again", known=False)

    def _reconcile(self, folder: Path, name: str, accounts: tuple[Account, ...], verdict: Verdict) -> dict[str, Any]:
        once = ["--once"] if self.hurry else []
        document = self._show(folder, name, "orders", "reconcile", *once, timeout_s=_RECONCILE_S)
        if document is None:
            raise Broken(f"{name}: reconcile said nothing: {(folder / f'{name}.err').read_text()[-400:]}")
        self._compare(document, accounts, verdict, name, known=not self.hurry)
        if self.hurry:
            there = self.venue.accepted(accounts)
            unknown = [row["account"] for row in document["orders"] if there[row["account"]]]
            verdict.wrong += [
                f"{name}: {row['account']} is there, and {row['outcome']}"
                for row in document["orders"]
                if row["account"] in unknown and row["outcome"] != "accepted"
            ]
        return document

    def _compare(
        self, document: dict[str, Any], accounts: tuple[Account, ...], verdict: Verdict, name: str, *, known: bool
    ) -> None:
        there = self.venue.accepted(accounts)
        verdict.wrong += [f"{name}: {each}" for each in oracle.judge(document, accounts, there, known=known)]

    def _warm(self, scenario: Scenario, folder: Path) -> None:
        """Log in beforehand, as one does: it is waiting for the most part."""
        if scenario.warm:
            warming = self.commands.start("warm", ["-c", "config.ini", "warmup"], folder)
            if warming.wait(_SHOW_S) != 0:
                warming.kill()
                raise Broken(f"the warm-up failed: {warming.said()[-400:]}")

    def _show(self, folder: Path, name: str, *command: str, timeout_s: float = _SHOW_S) -> dict[str, Any] | None:
        shown = self.commands.start(name, ["-c", "config.ini", "--json", *command], folder)
        status = shown.wait(timeout_s)
        shown.kill()
        if status is None:
            raise Broken(f"{name}: no answer within {timeout_s:.0f} s")
        text = shown.out.read_text(encoding="utf-8")
        return dict(json.loads(text)) if text else None

    def _start(self, scenario: Scenario, folder: Path, bell_s: float, strike: Point | None) -> tuple[Running, Strace]:
        log = folder / "strace.log"
        if scenario.from_s is None:
            run = self._run("run", folder, at=at_wall(bell_s), stopped=True)
            _await_stop(run.pid)
            strace = Strace(run.pid, log, strike)
            os.kill(run.pid, signal.SIGCONT)
            return run, strace
        run = self._run("run", folder, at=at_wall(bell_s))
        return run, attach_in_time(run.pid, bell_s - scenario.from_s, log, strike)

    def _run(self, name: str, folder: Path, *, at: str, stopped: bool = False) -> Running:
        arguments = ["-f", str(LOCUSTFILE), "--headless", "--only-summary"]
        return self.locust.start(
            name, arguments, folder, stopped=stopped, FIRSTBELL_CONFIG=str(folder / "config.ini"), FIRSTBELL_AT=at
        )

    def _case_folder(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _write_config(self, folder: Path, accounts: tuple[Account, ...]) -> None:
        path = folder / "config.ini"
        path.touch(mode=0o600)
        give_up = _GIVE_UP_SOON if self.hurry else _GIVE_UP
        path.write_text(self.venue.config(accounts, give_up_after=give_up), encoding="utf-8")


def _await_stop(pid: int) -> None:
    until_s = time.monotonic() + _STOP_S
    while _state(pid) not in "Tt":
        if time.monotonic() > until_s:
            raise Broken(f"process {pid} did not stop before it began")
        time.sleep(0.01)


def _state(pid: int) -> str:
    """One letter, as `proc(5)` has it."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
