"""Orders beyond the bell: what the order engine takes of an order's time, of a round's, and of memory."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import Child, python
from benchmarks.volley import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.machine import Cores

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only a folder of our own in it  # nosec B108
_TIMEOUT_S: Final = 3600
WORKING: Final = 2_000
"""So many orders are looked after in a round."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Orders placed one after the other, with everything they leave behind in one place.

    Attributes:
        where: That place, in words.
        placing_us: What an order takes without the broker, in µs: ``p50`` and ``p99``.
        uncommitted_us: The same without the journal's commits, which the disk decides.
        canceling_us: Likewise a cancel, and the look at the list after it.
        validation_us: Likewise the checks of what is asked for, which are a part of the first.
        sync_us: Likewise one page written there and synchronized: each order needs two.
    """

    where: str
    placing_us: Mapping[str, float]
    uncommitted_us: Mapping[str, float]
    canceling_us: Mapping[str, float]
    validation_us: Mapping[str, float]
    sync_us: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Beyond:
    """What was found.

    Attributes:
        placing: Orders placed, by where the journal is.
        rounds: Rounds over many orders, see `benchmarks.engine.rounds`.
        memory: Many orders in one process, see `benchmarks.engine.memory`.
        alerts: Orders while a messenger hangs, see `benchmarks.engine.alerts`.
    """

    placing: Sequence[Placing]
    rounds: Mapping[str, Any]
    memory: Mapping[str, Any]
    alerts: Mapping[str, Any]


def measure(folder: Path, cores: Cores, *, quick: bool) -> Beyond:
    """Measure 5,000 orders, 50 rounds, 100,000 orders in one process; or a tenth of that where it is to be quick.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    part = 10 if quick else 1
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-", dir=_fast(folder)) as name:
        fast = Path(name)
        disk = folder / "disk"
        placing = [
            _placing("the journal on the disk", "placing", disk, cores, 5_000 // part),
            _placing("the journal in memory", "placing", fast / "logged", cores, 5_000 // part),
            _placing("… and no order log", "unlogged", fast / "unlogged", cores, 5_000 // part),
        ]
        rounds = _engine("rounds", fast / "rounds", cores, WORKING)
        alerts = _engine("alerts", fast / "alerts", cores, 2_000 // part)
        memory = _engine("memory", fast / "memory", cores, 100_000 // part)
    shutil.rmtree(disk)
    return Beyond(placing, rounds, memory, alerts)


def _fast(folder: Path) -> Path:
    """A folder that no disk is behind, where the system has one."""
    return _IN_MEMORY if _IN_MEMORY.is_dir() else folder.parent


def _placing(where: str, what: str, folder: Path, cores: Cores, count: int) -> Placing:
    return Placing(where, **_engine(what, folder, cores, count))


def _engine(what: str, folder: Path, cores: Cores, count: int) -> dict[str, Any]:
    say(f"orders: {what}, {count:,}")
    with Child(f"orders {what}", python("engine", what, str(folder), str(count)), cores.client) as child:
        said, status = child.rest(_TIMEOUT_S)
        try:
            return dict(json.loads(said))
        except ValueError:
            raise child.failed(f"printed no document (exit status {status})") from None
