"""All the cases: what is recorded once is struck call by call, some at once, with what came of it counted."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from killing.case import Case, Stage, Verdict
from killing.children import Nursery
from killing.scenario import CHANGES, DURABLE, SCENARIOS
from killing.venue import Venue
from killing.words import Broken, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from killing.scenario import Scenario
    from killing.strace import Point

_MOST_ALIKE: Final = 40
"""Of calls that change nothing, this many of a name are struck, evenly: the state of files is asked 10,000 times."""
_WAITING_EACH: Final = 10
"""For each run that is under way, so many cases may wait for a list to be sure of."""


@dataclass
class Wanted:
    """Which cases are played.

    Attributes:
        scenarios: Of these scenarios.
        only: Of calls of these names; empty for all.
        every: Every so many-th of them.
        begin: From the case of this name on.
        jobs: So many runs at once.
    """

    scenarios: Sequence[Scenario] = tuple(SCENARIOS.values())
    only: frozenset[str] = frozenset()
    every: int = 1
    begin: str | None = None
    jobs: int = 2


@dataclass
class Tally:
    """What the cases of one scenario came to.

    Attributes:
        cases: How many.
        killed: In how many the run died; in the others the call did not come again.
        told: The outcomes told right after the death.
        final: Those at the end.
        calls: Cases by the name of the call.
        wrong: The verdicts in which something was wrong.
    """

    cases: int = 0
    killed: int = 0
    told: Counter[str] = field(default_factory=Counter)
    final: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    wrong: list[Verdict] = field(default_factory=list)

    def take(self, verdict: Verdict) -> None:
        """Count one in."""
        self.cases += 1
        self.killed += verdict.killed
        self.told += verdict.told
        self.final += verdict.final
        self.calls[verdict.name.split("/")[1]] += 1
        if verdict.wrong:
            self.wrong.append(verdict)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "told": dict(self.told), "final": dict(self.final), "calls": dict(self.calls)}


def of_recorded(scenario: Scenario, points: Sequence[Point], bell_s: float) -> list[Point]:
    """The calls of a recorded run that are struck, in their order."""
    wanted = [
        point
        for point in points
        if (scenario.calls is None or point.call in scenario.calls) and point.at_s - bell_s <= scenario.until_s
    ]
    totals = Counter(point.call for point in wanted)
    return [point for point in wanted if _is_struck(scenario, point, totals[point.call])]


def _is_struck(scenario: Scenario, point: Point, total: int) -> bool:
    every = 1 if point.call in DURABLE else scenario.every
    if point.call not in CHANGES:
        every = max(every, -(-total // _MOST_ALIKE))
    return (point.number - 1) % every == 0


@contextlib.contextmanager
def nurseries(folder: Path) -> Iterator[tuple[Nursery, Nursery]]:
    """Those that start the runs and the commands."""
    with Nursery("locust", folder) as locust, Nursery("firstbell", folder) as commands:
        yield locust, commands


@contextlib.contextmanager
def stage(
    folder: Path,
    scenario: Scenario,
    most: int,
    homes: tuple[Nursery, Nursery],
    live: threading.Semaphore,
    *,
    hurry: bool = False,
) -> Iterator[Stage]:
    """Have an exchange for so many cases of a scenario at the most."""
    options = ["--port-per-broker"] if scenario.accounts > 1 else []
    if scenario.tls:
        options += ["--tls", str(folder / f"{scenario.name}-tls")]
    count = scenario.accounts * (most + 1)
    for fault in scenario.faults:
        joined = "," if ":" in fault else ":"
        for number in range(0, count, scenario.accounts):
            options += ["--fault", f"{fault}{joined}account=practice{number + 1:02}"]
    with Venue(Path(tempfile.mkdtemp(prefix=f"exchange-{scenario.name}-", dir=folder)), count, options) as venue:
        yield Stage(folder, venue, *homes, live, hurry)


def play(folder: Path, wanted: Wanted, told: Callable[[int, int, Verdict], None]) -> dict[str, Tally]:
    """Record each scenario once, and strike it call by call.

    Args:
        folder: For all files.
        wanted: Which cases.
        told: Called after each case with how many are done, how many there are, and its verdict.

    Raises:
        Broken: A recorded run did not end, or there is no such case to begin with.
    """
    tallies: dict[str, Tally] = {}
    with nurseries(folder) as homes:
        cases: list[Case] = []
        for scenario in wanted.scenarios:
            with stage(folder, scenario, 0, homes, threading.Semaphore()) as recording:
                points, bell_s = recording.record(scenario)
            struck = of_recorded(scenario, points, bell_s)
            cases += [Case(scenario, point) for point in struck]
            say(f"{scenario.name}: {len(points)} calls recorded, {len(struck)} are struck")
        cases = _chosen(cases, wanted)
        for done, verdict in enumerate(play_all(folder, cases, homes, wanted.jobs), 1):
            tallies.setdefault(verdict.name.partition("/")[0], Tally()).take(verdict)
            told(done, len(cases), verdict)
    return tallies


def play_all(
    folder: Path, cases: Sequence[Case], homes: tuple[Nursery, Nursery], jobs: int, *, hurry: bool = False
) -> Iterator[Verdict]:
    """Play cases, several at once; the verdicts as they come."""
    live = threading.Semaphore(jobs)
    counts = Counter(case.scenario.name for case in cases)
    with contextlib.ExitStack() as stack:
        stages = {
            name: stack.enter_context(stage(folder, SCENARIOS[name], count, homes, live, hurry=hurry))
            for name, count in counts.items()
        }
        pool = ThreadPoolExecutor(jobs * _WAITING_EACH)
        try:
            for future in as_completed([pool.submit(stages[case.scenario.name].play, case) for case in cases]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _chosen(cases: Sequence[Case], wanted: Wanted) -> list[Case]:
    chosen = [case for case in cases if not wanted.only or case.point.call in wanted.only]
    if wanted.begin is not None:
        names = [case.name for case in chosen]
        if wanted.begin not in names:
            raise Broken(f"there is no case {wanted.begin}; the first is {names[0] if names else 'none'}")
        chosen = chosen[names.index(wanted.begin) :]
    return chosen[:: wanted.every]
