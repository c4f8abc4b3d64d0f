"""One history: drawn from its seed, played to its end, judged."""

from __future__ import annotations

import contextlib
import functools
import logging
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from unittest import mock

from firstbell.journal import rows, sql_journal
from firstbell.journal.codec import read_report
from firstbell.journal.digest import check
from firstbell.journal.rows import read_entry
from firstbell.log import secrets as log_secrets
from simulation.jobs import Reconcile, Run
from simulation.oracle import Oracle
from simulation.process import NS
from simulation.scenario import Start, draw
from simulation.world import BELL_NS, World

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from firstbell.journal.base import Entry
    from firstbell.journal.store import Row
    from firstbell.model.report import ExecutionReport
    from simulation.scenario import Scenario

_NO_MORE_STARTS_NS: Final = 150 * NS
"""Nobody starts anything later than this after the bell …"""
_CALM_NS: Final = 700 * NS
"""… and by then whatever was started has ended, everything works, and the longest pause of a log-in is over."""
_ROUNDS: Final = 4
_ROUND_NS: Final = 150 * NS


@dataclass(frozen=True, slots=True)
class Played:
    """A history that has been played.

    Attributes:
        seed: Its seed.
        violations: What the oracle says; empty where every promise was kept.
        lines: Its log, where one was kept.
        counted: What happened in it, and how often.
    """

    seed: int
    violations: tuple[str, ...]
    lines: tuple[str, ...]
    counted: Counter[str]


def play(seed: int, folder: Path, *, recording: bool = False) -> Played:
    """Play a history and judge it.

    Args:
        seed: Everything in it is drawn from this.
        folder: A folder of this process's own, for the locks of log-ins.
        recording: Whether its log is kept.
    """
    chance = random.Random(seed)  # noqa: S311 - histories are to be repeatable, not unguessable  # nosec B311
    scenario = draw(chance, folder)
    with _own_secrets(), _rows_read_once():
        world = World(scenario, chance, recording=recording)
        oracle = world.oracle = Oracle(world)
        with _heard(world) if recording else contextlib.nullcontext():
            try:
                _Play(world, scenario).play()
                oracle.conclude()
            finally:
                world.loop.end()
                world.database.close()
    return Played(seed, tuple(oracle.violations), tuple(world.lines), world.counted)


class _Play:
    """The people of a history: who starts what, and starts it again when it has died."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world = world
        self._scenario = scenario
        self._commands = 0
        self._unresolved = 0

    def play(self) -> None:
        world = self._world
        if world.recording:
            self._introduce()
        for start in self._scenario.starts:
            world.loop.at(BELL_NS + start.at_ns, lambda start=start: self._start(start))  # type: ignore[misc]
        world.loop.run(BELL_NS + _CALM_NS)
        for process in list(world.processes.values()):
            if process.alive:
                world.count("still running at the end")
                process.exit()
        for _ in range(_ROUNDS):
            self._unresolved = -1
            self._reconcile()
            world.loop.run(world.loop.now_ns + _ROUND_NS)
            if self._unresolved == 0:
                break

    def _introduce(self) -> None:
        scenario, say = self._scenario, self._world.say
        for account in scenario.settings.enabled:
            how = f"{account.side} {account.isin}, price {account.price}, quantity {account.quantity}"
            say("config", f"{account.name} at {account.broker_code}: {how}, orders {account.orders}")
        for investor in scenario.investors:
            say("broker", f"{investor.account} has {investor.money} rials")
        say("weather", str(scenario.weather))
        say("clock", f"the machine is {scenario.ahead_ns / NS:+.6f} s ahead; aim error {scenario.aim_error_ns}")

    def _start(self, start: Start) -> None:
        world = self._world
        world.count(f"start: {start.command}")
        if start.command == "reconcile":
            self._reconcile()
            return
        self._commands += 1
        name = f"run{self._commands}"
        world.say("person", f"firstbell run{' --at now' if start.now else ''} ({name})")
        run = Run(world, start, name, self._ended)
        world.runs.append(run.run_id)

    def _reconcile(self) -> None:
        self._commands += 1
        self._world.say("person", "firstbell orders reconcile")
        Reconcile(self._world, f"ask{self._commands}", self._reconciled)

    def _reconciled(self, unresolved: int) -> None:
        self._unresolved = unresolved

    def _ended(self, run: Run) -> None:
        """A run is over; one that was killed is followed by what its death says."""
        world, deaths = self._world, run.start.deaths
        killed = run.parent.killed or (run.child is not None and run.child.killed)
        if not killed or not deaths or world.since_bell_ns() > _NO_MORE_STARTS_NS:
            return
        at_ns = world.loop.now_ns + deaths[0].pause_ns
        late = at_ns >= BELL_NS
        again = replace(run.start, now=run.start.now or late, deaths=deaths[1:], stop_ns=None, freeze=None)
        if deaths[0].then in {"reconcile", "both"}:
            world.loop.at(at_ns, self._reconcile)
        if deaths[0].then in {"run", "both"}:
            world.loop.at(at_ns + NS // 10, lambda: self._start(again))


@contextlib.contextmanager
def _own_secrets() -> Iterator[None]:
    """Let the process forget each history's secrets: thousands of them would make redaction slow."""
    before = log_secrets._memory  # noqa: SLF001 - nothing else may make a process forget a secret
    log_secrets._memory = log_secrets.Memory()  # noqa: SLF001 - likewise
    try:
        yield
    finally:
        log_secrets._memory = before  # noqa: SLF001 - likewise


@contextlib.contextmanager
def _rows_read_once() -> Iterator[None]:
    """Let each row be checked and read once a history: nothing changes it, and it is most of the work."""
    checked: set[tuple[str, str]] = set()

    def check_once(table: str, row: Row) -> None:
        key = table, row["digest"]
        if key not in checked:
            check(table, row)
            checked.add(key)

    entries: dict[tuple[str, tuple[int, ...]], Entry] = {}

    def read_once(row: Row, reports: Iterable[ExecutionReport]) -> Entry:
        # The reports are kept by the cache of `read_report`: their places in memory are names for them.
        key = row["digest"], tuple(map(id, reports := tuple(reports)))
        if key not in entries:
            entries[key] = read_entry(row, reports)
        return entries[key]

    with (
        mock.patch.object(rows, "check", check_once),
        mock.patch.object(sql_journal, "read_entry", read_once),
        mock.patch.object(rows, "read_report", functools.lru_cache(maxsize=None)(read_report)),
    ):
        yield


class _Ear(logging.Handler):
    """Writes what the product logs into a history's log."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.say("log", f"{record.levelname}: {record.getMessage()}")


@contextlib.contextmanager
def _heard(world: World) -> Iterator[None]:
    logger, ear = logging.getLogger("firstbell"), _Ear(world)
    before = logger.level, logger.propagate
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(before[0])
        logger.propagate = before[1]
