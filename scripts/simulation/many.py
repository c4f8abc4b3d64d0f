"""Many histories, in several processes, and what they came to together."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import tempfile
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simulation.history import play
from simulation.mutants import named, planted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

_CHUNK: Final = 20
_CALLS: Final = ("order: ", "day_orders: ", "open_orders: ")
"""Calls whose faults are shown by their kinds; those of the others are shown together."""


@dataclass(slots=True)
class Tally:
    """What histories came to.

    Attributes:
        histories: How many were played.
        seconds: How long it took.
        broken: The seeds of those that broke a promise, and what the oracle said, by seed.
        counted: What happened in all of them, and how often.
    """

    histories: int = 0
    seconds: float = 0.0
    broken: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count what another one has counted."""
        self.histories += other.histories
        self.broken = sorted([*self.broken, *other.broken])
        self.counted.update(other.counted)

    @property
    def met(self) -> Counter[str]:
        """The figures in short: ``sendings``, ``kills``, ``runs``, ``faults``, and ``kinds`` of these."""
        faults = {name: number for name, number in self.counted.items() if _is_fault(name)}
        return Counter(
            {
                "sendings": self.counted["sendings"],
                "exchange: accepted": self.counted["exchange: accepted"],
                "kills": sum(number for name, number in self.counted.items() if name.startswith("kill at ")),
                "runs": self.counted["start: run"],
                "faults": sum(faults.values()),
                "kinds": len(faults),
            }
        )

    def groups(self) -> Counter[str]:
        """What happened, and how often; faults of the less important calls under one name each."""
        groups: Counter[str] = Counter()
        for name, number in self.counted.items():
            call, _, kind = name.partition(": ")
            if not _is_fault(name):
                groups[name] += number
            elif name.startswith(_CALLS):
                groups[f"{call}: {'late' if kind.startswith('there') else kind.partition(' ')[0]}"] += number
            else:
                groups[f"{call}: any"] += number
        return groups

    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "histories": self.histories,
            "seconds": round(self.seconds, 1),
            "broken": [{"seed": seed, "violations": list(violations)} for seed, violations in self.broken],
            **self.met,
            "counted": dict(sorted(self.counted.items())),
        }


def _is_fault(name: str) -> bool:
    return ": " in name and not name.startswith(("exchange:", "start:", "move:"))


def play_many(
    seeds: Sequence[int],
    jobs: int,
    *,
    mutant: str | None = None,
    until_broken: bool = False,
    told: Callable[[Tally], None] | None = None,
) -> Tally:
    """Play histories.

    Args:
        seeds: Theirs.
        jobs: In how many processes.
        mutant: A planted bug's name, or None.
        until_broken: Whether to stop at the first that breaks a promise.
        told: Told how it stands, now and then.
    """
    began, tally = time.monotonic(), Tally()
    chunks = [seeds[place : place + _CHUNK] for place in range(0, len(seeds), _CHUNK)]
    for part in _parts(chunks, jobs, mutant, until_broken=until_broken):
        tally.add(part)
        tally.seconds = time.monotonic() - began
        if told is not None:
            told(tally)
        if until_broken and tally.broken:
            break
    return tally


def _parts(chunks: Sequence[Sequence[int]], jobs: int, mutant: str | None, *, until_broken: bool) -> Iterable[Tally]:
    """The chunks' tallies, in their order: which one is the first to break must not depend on who is quicker."""
    if jobs <= 1:
        yield from (play_some(chunk, mutant, until_broken=until_broken) for chunk in chunks)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting: dict[int, Future[Tally]] = {}
        upcoming = 0
        for number in range(len(chunks)):
            while upcoming < len(chunks) and len(waiting) < 2 * jobs:
                waiting[upcoming] = pool.submit(play_some, chunks[upcoming], mutant, until_broken=until_broken)
                upcoming += 1
            wait([waiting[number]], return_when=FIRST_COMPLETED)
            part = waiting.pop(number).result()
            if until_broken and part.broken:
                pool.shutdown(wait=False, cancel_futures=True)
            yield part


def play_some(seeds: Sequence[int], mutant: str | None = None, *, until_broken: bool = False) -> Tally:
    """Play histories in this process; the arguments are those of `play_many`."""
    tally = Tally()
    before = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.CRITICAL)
    # What a history leaves behind hangs together in circles; collected once each, it costs a third less.
    gc.disable()
    try:
        with tempfile.TemporaryDirectory(prefix="histories-") as folder, planted(named(mutant) if mutant else None):
            for seed in seeds:
                played = play(seed, Path(folder))
                tally.histories += 1
                tally.counted.update(played.counted)
                if played.violations:
                    tally.broken.append((seed, played.violations))
                    if until_broken:
                        break
                gc.collect(1)
    finally:
        logging.disable(before[0])
        if before[1]:
            gc.enable()
    return tally
