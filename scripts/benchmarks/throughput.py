"""Orders per second: on each of 100 connections the next order leaves as soon as the one before is answered.

Besides what came through, the processor time that it took is told: orders per second of one core's time, which does not
depend on how fast the server answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import volley

if TYPE_CHECKING:
    from benchmarks.machine import Cores
    from benchmarks.recorder import Recorder

CONNECTIONS = 100
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """What one contender delivered.

    Attributes:
        tls: Whether it was over TLS.
        name: Who it was.
        per_second: Orders answered per second.
        per_core_second: Orders answered per second of its processor time.
    """

    tls: bool
    name: str
    per_second: float
    per_core_second: float


def measure(receiver: Recorder, cores: Cores, *, quick: bool) -> list[Pace]:
    """Measure everybody, over TCP and TLS, one after the other.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    ms = 1000 if quick else 4000
    paces = []
    for tls in (False, True):
        with volley.contenders(receiver, cores, CONNECTIONS, tls=tls, cold=False) as ready:
            for name, child in ready.items():
                volley.say(f"orders per second, {'TLS' if tls else 'TCP'}: {name}")
                child.ask("pump 200")
                answered, cpu_ns = (int(word) for word in child.ask(f"pump {ms}", timeout_s=120).split())
                paces.append(Pace(tls, name, answered * 1000 / ms, answered * _NS / cpu_ns))
    return paces
