"""How well a run aims: when does the first accepted order come to a host whose clock is not ours?

Whole runs of ``firstbell run`` against simulated exchanges whose clocks are ahead or behind, on a path of 20 ms ± 3 ms;
the only clock that a host shows is the ``Date`` header of its answers. What counts is what the exchange itself saw.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.practice import document, firstbell, practice
from benchmarks.volley import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.child import Child
    from benchmarks.machine import Cores
    from benchmarks.practice import Practice

OFFSETS_MS = (1700, -800)
_PATH = "slow_path:ms=20,spread=3"
_ACCOUNTS = 3
_BELL_IN_S = 45
_AT_ONCE = 4
"""Runs under way at the same time: they wait for their bells nearly all of it."""
_APART_S = 3.3
_TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class Aimed:
    """What runs against hosts with one offset came to.

    Attributes:
        offset_ms: How far the host's clock was ahead of ours.
        first_ms: For each run, when the first accepted order came, in ms after the host's bell.
        most_attempts: The most attempts that an account needed.
        accounts: How many accounts there were in all.
        accepted: How many of them had their order accepted.
    """

    offset_ms: int
    first_ms: tuple[float, ...]
    most_attempts: int
    accounts: int
    accepted: int

    @property
    def median_ms(self) -> float:
        """The median over the runs."""
        return statistics.median(self.first_ms)

    @property
    def p95_ms(self) -> float:
        """The smallest that at least 95 % of the runs do not exceed."""
        ordered = sorted(self.first_ms)
        return ordered[-(-len(ordered) * 95 // 100) - 1]


def measure(folder: Path, cores: Cores, *, quick: bool) -> list[Aimed]:
    """Aim 20 times at each offset, or 3 times where it is to be quick.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    return [_aim(folder / f"{offset_ms}", cores, offset_ms, 3 if quick else 20) for offset_ms in OFFSETS_MS]


def _aim(folder: Path, cores: Cores, offset_ms: int, runs: int) -> Aimed:
    first_ms: list[float] = []
    attempts: list[int] = []
    accepted = 0
    with contextlib.ExitStack() as left_over:
        under_way: list[tuple[Practice, Child, contextlib.ExitStack]] = []
        for number in range(runs + _AT_ONCE):
            if len(under_way) == _AT_ONCE or number >= runs:
                if not under_way:
                    break
                exchange, child, stack = under_way.pop(0)
                with stack:
                    document(child, _TIMEOUT_S)
                    first, tried, count = _judged(exchange)
                first_ms += first
                attempts += tried
                accepted += count
            if number < runs:
                say(f"clock, host {offset_ms:+d} ms: run {number + 1} of {runs}")
                stack = left_over.enter_context(contextlib.ExitStack())
                exchange, child = stack.enter_context(_run(folder / f"{number}", cores, offset_ms))
                under_way.append((exchange, child, stack))
                time.sleep(_APART_S)
    return Aimed(offset_ms, tuple(first_ms), max(attempts, default=0), runs * _ACCOUNTS, accepted)


@contextlib.contextmanager
def _run(folder: Path, cores: Cores, offset_ms: int) -> Iterator[tuple[Practice, Child]]:
    options = ["--accounts", str(_ACCOUNTS), "--bell-in", f"{_BELL_IN_S}s"]
    options += ["--offset-ms", str(offset_ms), "--fault", _PATH]
    with practice(folder, cores.server, *options) as exchange:
        at = f"{exchange.bell:%H:%M:%S.%f}"
        with firstbell(exchange.config, cores.client, "run", "--at", at) as child:
            yield exchange, child


def _judged(exchange: Practice) -> tuple[list[float], list[int], int]:
    """The first accepted arrival in ms after the bell, how often each account tried, and how many were accepted."""
    calls = [call for call in exchange.seen()["submissions"] if call["kind"] == "order"]
    accepted = [call["lateness_us"] for call in calls if call["decision"] == "accepted"]
    tried = Counter((call["broker_code"], call["account"]) for call in calls)
    return [min(accepted) / 1000] if accepted else [], list(tried.values()), len(accepted)
