"""A host at the end of a path, in simulated time: probed, aimed at, and fired at, all from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from firstbell.clock import Probe
from firstbell.clock.arrival import arrivals
from firstbell.clock.lead import aim
from firstbell.clock.probing import MOST, next_probe_ns

MS = 1_000_000
S = 1_000_000_000
EPOCH = 1_795_000_000 * S
INTERVAL = 350 * MS

PATHS = {
    # One way and the other, in ms.
    "20 ± 3 each way": lambda r: (r.uniform(17, 23), r.uniform(17, 23)),
    "20 ± 3 there and back": lambda r: (r.uniform(8.5, 11.5), r.uniform(8.5, 11.5)),
    "20 ± 3, normal": lambda r: (abs(r.gauss(20, 3)), abs(r.gauss(20, 3))),
    "loopback": lambda r: (0.05 + r.expovariate(30), 0.05 + r.expovariate(30)),
    "heavy tails": lambda r: (19 + r.paretovariate(1.5), 19 + r.paretovariate(1.5)),
    "slow there, fast back": lambda r: (r.uniform(30, 36), r.uniform(4, 6)),
}


@dataclass(frozen=True)
class Shot:
    """What a run at the bell came to."""

    late_ms: float
    attempts: int
    expected_ms: float
    probes: int
    contradicted: bool


@dataclass
class DistantHost:
    """A host whose clock is off by so many ns, or several machines with clocks of their own behind one address."""

    path: str
    offset_ns: int
    seed: int
    machines: tuple[int, ...] = (0,)
    probes: list[Probe] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - a simulation's chance
        self.now_ns = self.began_ns = self.chance.randrange(10**6 * S)
        self.ahead_ns = EPOCH - self.began_ns + self.offset_ns

    def ways_ns(self) -> tuple[int, int]:
        there, back = PATHS[self.path](self.chance)
        return round(there * MS), round(back * MS)

    def shows(self, at_ns: int) -> int:
        return at_ns + self.ahead_ns + self.chance.choice(self.machines)

    def probe(self, at_ns: int) -> None:
        there, back = self.ways_ns()
        self.probes.append(Probe(at_ns, at_ns + there + back, self.shows(at_ns + there) // S))
        self.now_ns = at_ns + there + back

    def measure(self, seconds: float, *, most: int = MOST, fine: bool = True) -> None:
        until_ns = self.began_ns + int(seconds * S)
        while (at_ns := next_probe_ns(self.probes, self.now_ns, most=most, fine=fine)) is not None:
            # Nobody wakes in time exactly.
            at_ns = max(at_ns, self.now_ns) + self.chance.randrange(MS // 5)
            if at_ns > until_ns:
                return
            self.probe(at_ns)

    def fire(self) -> Shot:
        """Fire at the host's next bell but three, and again while it is too early."""
        bell_ns = (self.now_ns + self.ahead_ns) // S * S + 4 * S
        model = arrivals(self.probes)
        assert model is not None
        first = aim(model, bell_ns, INTERVAL)
        fire_ns, attempts = first.fire_ns, 1
        while (late_ns := self.shows(fire_ns + self.ways_ns()[0]) - bell_ns) < 0:
            learned = arrivals(self.probes, [(fire_ns, bell_ns)])
            assert learned is not None
            fire_ns = aim(learned, bell_ns, INTERVAL, not_before_ns=fire_ns + INTERVAL).fire_ns
            attempts += 1
        return Shot(late_ns / MS, attempts, first.expected_delay_ns / MS, len(self.probes), model.contradiction_ns > 0)


def shots(count: int, path: str, offset_ms: float, seconds: float, **options) -> list[Shot]:
    """Runs with different seeds, the promptest first."""
    found = []
    machines = tuple(ms * MS for ms in options.pop("machines", (0,)))
    for seed in range(count):
        host = DistantHost(path, round(offset_ms * MS), seed, machines)
        host.measure(seconds, **options)
        found.append(host.fire())
    return sorted(found, key=lambda shot: shot.late_ms)
