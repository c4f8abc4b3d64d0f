"""The volley: all lanes of this process, fired at their instants by one greenlet.

Greenlets that each sleep until the bell wake one after another, the last of five hundred some 8 ms late. Here one
greenlet sleeps until a few milliseconds before, then spins, and fires every lane in one loop. While it spins nobody
else runs: no lock, no log, no disk, no name is looked up, no event of Locust's is fired until the last lane has fired.
Garbage is collected once, well before the bell; what has survived is frozen, and the collector stays off meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import sys
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

import gevent
from gevent.event import Event

from firstbell.sniper.priority import first_in_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from firstbell.errors import NotSent
    from firstbell.sniper.lane import Lane

_NS: Final = 1_000_000_000
SPIN_NS: Final = 10_000_000
"""The last 10 ms before an instant are spent spinning: a sleeping greenlet wakes late."""
_ALERT_NS: Final = 30_000_000
"""From 30 ms before an instant we run before all other processes, where the system lets us."""
_NEAR_NS: Final = 20_000
"""Shots this close to each other are fired in one loop: it takes that long to begin another one."""
_WATCH_NS: Final = 50_000_000
"""Between two looks at the lanes that wait: a server that closes idle connections is noticed while there is time."""
_WATCH_FROM_NS: Final = 3 * _NS
_SETTLE_NS: Final = _NS // 2
"""Garbage is collected, some 30 ms, only where the next shot is at least this far away."""
_SWITCH_S: Final = 0.000_01
"""How long whoever has the interpreter may keep it from another thread during a burst, in seconds. Each `send` lets go
of it: another thread that computes would have it for that long before the next lane is fired."""


class Fate(Enum):
    """What became of a shot."""

    WAITING = auto()
    """None yet; where its burst is over, a fault of our own: it may have left."""
    FIRED = auto()
    """Bytes have left, or may have: `Shot.lane` has the answer."""
    LANE_DIED = auto()
    """The other side ended the connection before the instant: nothing left, a fresh lane may take its place."""
    NOT_SENT = auto()
    """The system refused the bytes: nothing left; `Shot.failure` says why."""
    STOPPED = auto()
    """The run was stopped before the instant: nothing left."""
    REDUCING = auto()
    """It would have bought, and trading only reduced right before the instant: nothing left."""
    TOO_LATE = auto()
    """The process was held up, or the machine asleep, until after the time to give up: nothing left."""


@dataclass(slots=True)
class Shot:
    """One lane, loaded, and its instant.

    Attributes:
        lane: The lane.
        at_ns: When it fires, on the monotonic clock.
        not_after_ns: After this nothing may leave any more, on the monotonic clock.
        not_after_wall_ns: The same in ns since the epoch: the monotonic clock stands still while a machine sleeps.
        buys: Whether it may not leave while trading only reduces.
        fate: What became of it.
        failure: Why nothing left, where the system said so.
    """

    lane: Lane
    at_ns: int
    not_after_ns: int
    not_after_wall_ns: int
    buys: bool = False
    fate: Fate = Fate.WAITING
    failure: NotSent | None = None
    done: Event = field(default_factory=Event)

    def end(self, fate: Fate) -> None:
        """It has come to something; whoever waits for it may go on."""
        self.fate = fate
        self.done.set()


class Stop(Protocol):
    """Tells whether nothing may leave any more."""

    def is_set(self) -> bool:
        """Whether nothing may leave any more."""
        ...

    def when_set(self, call: Callable[[], None]) -> None:
        """Have `call` called as soon as nothing may leave any more."""
        ...


class Volley:
    """Fires this process's lanes.

    Args:
        stop: Asked right before each burst.
        reduces: Whether trading only reduces: asked while something waits, the last time some milliseconds before each
            burst. It must take no more than some microseconds.
    """

    def __init__(self, stop: Stop, reduces: Callable[[], bool] = lambda: False) -> None:
        self._stop = stop
        self._reduces = reduces
        self._waiting: list[tuple[int, int, Shot]] = []
        self._numbers = count()
        self._news = Event()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._settled = False
        self._flying = 0
        stop.when_set(self._news.set)

    @property
    def stopped(self) -> bool:
        """Whether nothing may leave any more."""
        return self._stop.is_set()

    @property
    def flying(self) -> int:
        """How many shots are about to leave, or have left and their answers are awaited."""
        return self._flying

    @contextlib.contextmanager
    def in_flight(self) -> Iterator[None]:
        """For as long as a shot of ours is on its way there and its answer on its way back."""
        self._flying += 1
        try:
            yield
        finally:
            self._flying -= 1

    def next_ns(self) -> int | None:
        """The next instant at which something leaves, on the monotonic clock; None when nothing waits."""
        return self._waiting[0][0] if self._waiting else None

    def fire(self, shot: Shot) -> Shot:
        """Have a shot fired at its instant, or at once where that has passed; returns it when it has its fate.

        A greenlet that is killed while it waits takes its shot out.
        """
        heapq.heappush(self._waiting, (shot.at_ns, next(self._numbers), shot))
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._conduct)
        self._news.set()
        try:
            shot.done.wait()
        except BaseException:
            self._take_out(shot)
            raise
        return shot

    def _take_out(self, shot: Shot) -> None:
        self._waiting = [each for each in self._waiting if each[2] is not shot]
        heapq.heapify(self._waiting)

    def _conduct(self) -> None:
        try:
            self._conduct_all()
        except BaseException:
            # A fault of our own. Nothing of what still waits has left, and nobody would fire it.
            self._end_all(Fate.LANE_DIED)
            raise

    def _conduct_all(self) -> None:
        while self._waiting:
            if self._stop.is_set():
                self._end_all(Fate.STOPPED)
                return
            left_ns = self._waiting[0][0] - time.monotonic_ns()
            if left_ns <= _ALERT_NS:
                with first_in_line():
                    self._sleep((left_ns - SPIN_NS) / _NS)
                    self._burst()
                continue
            if left_ns <= _WATCH_FROM_NS:
                self._watch()
                self._settle(left_ns)
            self._sleep(min(left_ns - _ALERT_NS, _WATCH_NS if left_ns <= _WATCH_FROM_NS else _NS) / _NS)

    def _sleep(self, seconds: float) -> None:
        """Sleep, unless another shot comes or the run is stopped."""
        if seconds > 0:
            self._news.clear()
            self._news.wait(seconds)

    def _end_all(self, fate: Fate) -> None:
        waiting, self._waiting = self._waiting, []
        for _, _, shot in waiting:
            shot.end(fate)

    def _watch(self) -> None:
        """Give back the shots that may not leave any more, and those whose lanes have died while there is time."""
        if any(shot.buys for _, _, shot in self._waiting) and self._reduces():
            buys = [shot for _, _, shot in self._waiting if shot.buys]
            self._waiting = [each for each in self._waiting if not each[2].buys]
            heapq.heapify(self._waiting)
            for shot in buys:
                shot.end(Fate.REDUCING)
        dead = [shot for _, _, shot in self._waiting if not shot.lane.alive()]
        for shot in dead:
            self._take_out(shot)
            shot.end(Fate.LANE_DIED)

    def _settle(self, left_ns: int) -> None:
        """Collect garbage once, and exempt what has survived from every later collection."""
        if not self._settled and left_ns > _SETTLE_NS:
            gc.collect()
            gc.freeze()
            self._settled = True

    def _burst(self) -> None:
        """Fire everything that is due, and what becomes due while we are at it; nothing where nothing is due yet."""
        shots: list[Shot] = []
        try:
            with _calm():
                self._watch()
                while self._waiting and self._waiting[0][0] - time.monotonic_ns() <= SPIN_NS:
                    group = self._take_group()
                    shots += group
                    self._fire_together(group)
        finally:
            for shot in shots:
                shot.done.set()

    def _take_group(self) -> list[Shot]:
        """The next shot, and those that are due with it."""
        until_ns = max(self._waiting[0][0] + _NEAR_NS, time.monotonic_ns())
        group = []
        while self._waiting and self._waiting[0][0] <= until_ns:
            group.append(heapq.heappop(self._waiting)[2])
        return group

    def _fire_together(self, group: Sequence[Shot]) -> None:
        """Wait for the instant that these share, spinning, and fire them in one loop."""
        at_ns = group[0].at_ns
        not_after_ns, not_after_wall_ns = _first_end(group)
        loaded = [shot.lane.shot() for shot in group]
        stamps: list[int] = []
        results: list[int | OSError] = []
        stamp, note, now = stamps.append, results.append, time.monotonic_ns
        while (now_ns := now()) < at_ns:
            pass
        if self._stop.is_set():
            for shot in group:
                shot.fate = Fate.STOPPED
            return
        if now_ns > not_after_ns or time.time_ns() > not_after_wall_ns:
            group = _in_time(group)
            loaded = [shot.lane.shot() for shot in group]
        for send, sealed in loaded:
            stamp(now())
            try:
                note(send(sealed))
            except OSError as error:
                note(error)
        self._tell(group, stamps, results)

    def _tell(self, group: Sequence[Shot], stamps: Sequence[int], results: Sequence[int | OSError]) -> None:
        ahead_ns = time.time_ns() - time.monotonic_ns()
        for shot, sent_monotonic_ns, result in zip(group, stamps, results, strict=True):
            if isinstance(result, OSError) and not isinstance(result, BlockingIOError):
                shot.failure = shot.lane.refused(result)
                shot.fate = Fate.NOT_SENT
                continue
            # A full socket takes nothing now; what it has not taken is sent by whoever reads the answer.
            sent = 0 if isinstance(result, OSError) else result
            shot.lane.fired(sent, sent_monotonic_ns, sent_monotonic_ns + ahead_ns)
            shot.fate = Fate.FIRED


def _first_end(group: Sequence[Shot]) -> tuple[int, int]:
    """When the first of these may not leave any more, on the monotonic clock and on the wall's."""
    return min(shot.not_after_ns for shot in group), min(shot.not_after_wall_ns for shot in group)


def _in_time(group: Sequence[Shot]) -> list[Shot]:
    """Those that may still leave; the others are too late."""
    now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    left = []
    for shot in group:
        if now_ns > shot.not_after_ns or wall_ns > shot.not_after_wall_ns:
            shot.fate = Fate.TOO_LATE
        else:
            left.append(shot)
    return left


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """No garbage collection, and next to nothing for other threads, until the last lane has fired."""
    collecting, interval_s = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        if collecting:
            gc.enable()
