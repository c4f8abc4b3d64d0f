"""Trying every mutant: which tests it meets, in which order, on which server."""

from __future__ import annotations

import re
import selectors
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from mutation.coverage_map import CoverageMap, measure
from mutation.helper import Helper
from mutation.rooms import ROOMS, files_of, module_of, test_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mutation.mutants import Mutant

_MOST_TESTS: Final = 400
_REMEMBERED: Final = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        mutant: The mutant.
        outcome: ``killed``, ``timed out``, ``crashed`` (the process died of it), ``survived`` or ``not run`` (no test
            runs its line).
        killer: The test that noticed, or None.
        tests: How many tests it met at most.
        seconds: How long that took.
    """

    mutant: Mutant
    outcome: str
    killer: str | None
    tests: int
    seconds: float

    @property
    def noticed(self) -> bool:
        """Whether a test has noticed it: one that never ends or ends the process is noticed by anybody."""
        return self.outcome in {"killed", "timed out", "crashed"}


class Campaign:
    """Servers and what is known of the tests.

    Args:
        jobs: How many servers work at a time.
        budget_s: How many seconds of tests a mutant meets at most, the quickest first.
        progress: Told what is being done, how much of it is done, and how much there is.
    """

    def __init__(self, jobs: int, budget_s: float, progress: Callable[[str, int, int], None]) -> None:
        self._jobs = jobs
        self._budget_s = budget_s
        self._progress = progress
        self._map = CoverageMap()
        self._hot: list[Helper] = []
        self._cold: list[Helper] = []
        self._killers: dict[tuple[Path, str], deque[str]] = {}
        self._texts = {path: path.read_text(encoding="utf-8") for room in ROOMS for path in files_of(room)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for helper in (*self._hot, *self._cold):
            helper.close()

    @property
    def left_out(self) -> Sequence[str]:
        """Tests that take no part: they fail by themselves under a server, or take too long."""
        return self._map.left_out

    def prepare(self, rooms: Sequence[str]) -> None:
        """Start the servers that hold the tests of some rooms, and learn which test runs which line."""
        self._hot = [Helper(number, ["hot", *test_folders(rooms)]) for number in range(self._jobs)]
        tests = [helper.wait()["tests"] for helper in self._hot].pop()
        self._map = measure(tests, self._measured)

    def run(self, mutants: Sequence[Mutant]) -> Iterator[Verdict]:
        """Try them, in an order of our own; each verdict as soon as it is known."""
        done, imported = 0, []
        jobs: list[tuple[Mutant, list[str]]] = []
        for mutant in mutants:
            if not (tests := self._tests(mutant)):
                done += 1
                yield Verdict(mutant, "not run", None, 0, 0.0)
            elif mutant.place.function_line is None:
                imported.append(mutant)
            else:
                jobs.append((mutant, tests))
        for verdict in self._tried(self._hot, [mutant for mutant, _ in jobs]):
            if verdict.outcome == "cold":
                imported.append(verdict.mutant)
                continue
            done += 1
            self._progress("mutants", done, len(mutants))
            yield verdict
        if imported and not self._cold:
            self._cold = [Helper(number, ["cold"]) for number in range(self._jobs)]
        for verdict in self._tried(self._cold, imported):
            done += 1
            self._progress("mutants", done, len(mutants))
            yield verdict

    def _measured(self, jobs: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, (job, result) in enumerate(self._work(self._hot, iter(jobs))):
            self._progress("files of tests measured", number + 1, len(jobs))
            yield job["id"], result

    def _tried(self, helpers: Sequence[Helper], mutants: Sequence[Mutant]) -> Iterator[Verdict]:
        by_id = {str(number): mutant for number, mutant in enumerate(mutants)}
        cold = helpers is self._cold
        jobs = (self._job(name, mutant, cold=cold) for name, mutant in by_id.items())
        for job, result in self._work(helpers, jobs):
            mutant, killer = by_id[job["id"]], result["killer"] if result["outcome"] != "cold" else None
            if killer is not None:
                remembered = self._killers.setdefault((mutant.path, mutant.place.qualname), deque(maxlen=_REMEMBERED))
                if killer not in remembered:
                    remembered.appendleft(killer)
            yield Verdict(mutant, result["outcome"], killer, len(job["tests"]), result["seconds"])

    def _job(self, name: str, mutant: Mutant, *, cold: bool) -> dict[str, Any]:
        tests = self._tests(mutant)
        expected_s = sum(self._map.tests[test] for test in tests) + (5 if cold else 0)
        return {
            "id": name,
            "kind": "mutant",
            "path": str(mutant.path),
            "module": mutant.module,
            "source": mutant.mutated,
            "qualname": mutant.place.qualname,
            "line": mutant.place.function_line,
            "tests": tests,
            "cpu_s": int(6 + 4 * expected_s),
            "wall_s": 15 + 5 * expected_s,
        }

    @staticmethod
    def _work(
        helpers: Sequence[Helper], jobs: Iterator[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Have jobs done, one at a time by each helper."""
        with selectors.DefaultSelector() as selector:
            busy: dict[Helper, dict[str, Any]] = {}
            for helper in helpers:
                if (job := next(jobs, None)) is not None:
                    helper.give(job)
                    busy[helper] = job
                    selector.register(helper, selectors.EVENT_READ)
            while busy:
                for key, _ in selector.select():
                    ready = key.fileobj
                    if not isinstance(ready, Helper) or (result := ready.take()) is None:
                        continue
                    done = busy.pop(ready)
                    if (job := next(jobs, None)) is None:
                        selector.unregister(ready)
                    else:
                        ready.give(job)
                        busy[ready] = job
                    yield done, result

    def _tests(self, mutant: Mutant) -> list[str]:
        """The tests that a mutant meets, in order: its neighbors' killers, its file's, its room's, the quickest."""
        change = mutant.change
        if mutant.place.function_line is not None:
            first: set[str] = self._map.running(mutant.path, range(change.first_line, change.last_line + 1))
            rest: set[str] = set()
        else:
            first = self._users(mutant.place.qualname.rpartition(".")[2])
            rest = self._map.running_any(mutant.path) or self._importers(mutant.path)
            # Of a table of names no line runs in the test that looks at it.
            rest |= {test for test in self._map.tests if test.startswith(f"tests/{mutant.room}/")}
        killers = self._killers.get((mutant.path, mutant.place.qualname), ())
        before = [test for test in killers if test in first or test in rest]
        own = f"tests/{mutant.room}/"
        near = {test for test in first | rest if test.startswith(own)}
        named = f"_{mutant.path.stem.rstrip('s')}"
        nearest = {test for test in near if named in test.partition("::")[0]}
        chosen: list[str] = []
        seconds = 0.0
        for test in dict.fromkeys(
            (
                *before,
                *self._quickest(nearest & first),
                *self._quickest(nearest),
                *self._quickest(near & first),
                *self._quickest(near),
                *self._quickest(first - near),
                *self._quickest(rest - near),
            )
        ):
            seconds += self._map.tests[test]
            if chosen and (seconds > self._budget_s or len(chosen) >= _MOST_TESTS):
                break
            chosen.append(test)
        return chosen

    def _quickest(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self._map.tests[test], test))

    def _users(self, name: str) -> set[str]:
        """The tests that run a line on which a name stands."""
        word = re.compile(rf"\b{re.escape(name)}\b")
        found: set[str] = set()
        for path, text in self._texts.items():
            lines = [number for number, line in enumerate(text.splitlines(), 1) if word.search(line)]
            found |= self._map.running(path, lines)
        return found

    def _importers(self, path: Path) -> set[str]:
        """The tests that run anything of a file that imports this one."""
        name = module_of(path)
        return set().union(*(self._map.running_any(other) for other, text in self._texts.items() if name in text))
