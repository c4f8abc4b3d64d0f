"""Which test runs which line, and how long it takes: measured once for each file of tests and kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mutation.rooms import ROOMS, ROOT, SOURCE, WORK, files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_LONGEST_S: Final = 10
"""A test that takes longer is left out."""
_MEASURE_WALL_S: Final = 300
_MEASURE_CPU_S: Final = 120


@dataclass
class CoverageMap:
    """What was measured.

    Attributes:
        tests: Each usable test and the seconds it takes by itself.
        lines: File → line → the tests that run it.
        left_out: Tests that fail by themselves, or take too long.
    """

    tests: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, test: str, measured: dict[str, Any]) -> None:
        """Take one test's measurement in."""
        if measured["outcome"] != "passed" or measured["seconds"] > _LONGEST_S:
            self.left_out.append(test)
            return
        self.tests[test] = measured["seconds"]
        for file, lines in measured["lines"].items():
            for line in lines:
                self.lines.setdefault(file, {}).setdefault(line, set()).add(test)

    def running(self, path: Path, lines: Iterable[int]) -> set[str]:
        """The tests that run one of these lines of a file."""
        known = self.lines.get(str(path), {})
        return set().union(*(known.get(line, ()) for line in lines))

    def running_any(self, path: Path) -> set[str]:
        """The tests that run anything of a file."""
        return set().union(*self.lines.get(str(path), {}).values())


def measure(
    tests: Sequence[str], ask: Callable[[list[dict[str, Any]]], Iterable[tuple[str, dict[str, Any]]]]
) -> CoverageMap:
    """Measure these tests, or take what is known of those whose file and product have not changed.

    Args:
        tests: All tests' names.
        ask: Has jobs done and gives back their ids and results.
    """
    by_file: dict[str, list[str]] = {}
    for test in tests:
        by_file.setdefault(test.partition("::")[0], []).append(test)
    product = _product()
    states = {file: _state(file, product) for file in by_file}
    known = _known(states)
    include = [str(path) for room in ROOMS for path in files_of(room)]
    jobs = [
        {
            "id": file,
            "kind": "measure",
            "tests": names,
            "include": include,
            "wall_s": _MEASURE_WALL_S,
            "cpu_s": _MEASURE_CPU_S,
        }
        for file, names in by_file.items()
        if file not in known
    ]
    for file, result in ask(jobs):
        known[file] = result.get("of", {})
        if known[file]:
            _keep(file, states[file], known[file])
    found = CoverageMap()
    nothing = {"outcome": "failed", "seconds": 0.0, "lines": {}}
    for file, names in by_file.items():
        for test in names:
            found.add(test, known[file].get(test, nothing))
    return found


def _known(states: dict[str, str]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for file, state in states.items():
        path = _store(file)
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["state"] == state:
                known[file] = stored["tests"]
    return known


def _keep(file: str, state: str, tests: dict[str, Any]) -> None:
    WORK.mkdir(exist_ok=True)
    _store(file).write_text(json.dumps({"state": state, "tests": tests}), encoding="utf-8")


def _store(file: str) -> Path:
    return WORK / f"{file.replace('/', '-')}.json"


def _product() -> str:
    """A fingerprint of all that is tested, and of what all tests share."""
    digest = hashlib.blake2b(digest_size=8)
    for path in (*sorted((SOURCE / "firstbell").rglob("*.py")), *sorted((ROOT / "tests").glob("*.py"))):
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def _state(file: str, product: str) -> str:
    """A fingerprint of a file of tests, of what stands beside it for several, and of the product."""
    digest = hashlib.blake2b(product.encode(), digest_size=8)
    digest.update((ROOT / file).read_bytes())
    for path in sorted((ROOT / file).parent.glob("*.py")):
        if not path.name.startswith("test_"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
