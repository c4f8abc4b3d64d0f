"""Simulated processes: their clocks, their waiting, and their death at any step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.journal.base import Owner
from firstbell.journal.owner import this_process
from simulation.loop import Parking

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.world import World

NS: Final = 1_000_000_000


class Killed(BaseException):
    """This process has been killed: nothing of it runs any more, and whatever port it calls says so again."""


class Process:
    """One process of the machine.

    Attributes:
        alive: Whether it runs.
        owner: What the journal calls it.
        failures: How often its journal has failed it.
        killed: Whether it was killed, rather than ended.
        exited_ns: When it ended, in ns since the history began; 0 while it lives.

    Args:
        world: The history's world.
        name: Its name, for the log.
        pid: Its number.
    """

    def __init__(self, world: World, name: str, pid: int) -> None:
        self.world = world
        self.name = name
        self.owner = Owner(this_process().host, pid, float(pid))
        self.alive = True
        self.killed = False
        self.failures = 0
        self.exited_ns = 0
        self.clock = ProcessClock(self)
        self._doom: tuple[str, int] | None = None
        self._parkings: dict[Parking, None] = {}
        self._frozen_until_ns = 0
        self._orphans: list[Callable[[], None]] = []

    def spawn(self, body: Callable[[], None]) -> None:
        """Begin a task of this process."""
        self.world.loop.spawn(lambda: self._contained(body))

    def _contained(self, body: Callable[[], None]) -> None:
        if not self.alive:
            return
        try:
            body()
        except Killed:
            return

    def when_dead(self, call: Callable[[], None]) -> None:
        """Have `call` called when the process has ended, however it did."""
        self._orphans.append(call)

    def doom(self, kind: str, count: int) -> None:
        """Have it killed at its `count`-th step of a kind from now on."""
        self._doom = (kind, count)

    def freeze(self, until_ns: int) -> None:
        """Let nothing of it run until an instant: it was stopped, or the machine was too busy."""
        self._frozen_until_ns = until_ns

    def kill(self, at: str) -> None:
        """Kill it. The calling task, if it is one of its own, must raise `Killed` by itself."""
        if self.alive:
            self.killed = True
            self.world.say(self.name, f"KILLED at {at}")
            self.world.count(f"kill at {at}")
            self.exit()

    def exit(self) -> None:
        """End it: what still runs in it runs no further."""
        if not self.alive:
            return
        self.alive = False
        self.exited_ns = self.world.loop.now_ns
        for parking in list(self._parkings):
            parking.throw(Killed())
        for call in self._orphans:
            call()

    def step(self, kind: str) -> None:
        """Pass one step at which the process may be killed.

        Raises:
            Killed: It has been.
        """
        if not self.alive:
            raise Killed
        if self._doom is not None and self._doom[0] == kind:
            self._doom = (kind, self._doom[1] - 1)
            if not self._doom[1]:
                self.kill(kind)
                raise Killed

    def wait(self, until_ns: int | None, register: Callable[[Parking], None] | None = None) -> object:
        """Wait until an instant, or until somebody wakes the parking that `register` is given; what he says, or None.

        Raises:
            Killed: The process has been killed meanwhile.
        """
        self.step("wait")
        loop = self.world.loop
        parking = Parking(loop)
        if register is not None:
            register(parking)
        if until_ns is not None:
            loop.at(until_ns, parking.wake)
        self._parkings[parking] = None
        try:
            said: object = loop.park()
            while loop.now_ns < self._frozen_until_ns:
                thawed = Parking(loop)
                self._parkings[thawed] = None
                loop.at(self._frozen_until_ns, thawed.wake)
                loop.park()
                self._parkings.pop(thawed, None)
        finally:
            self._parkings.pop(parking, None)
        if not self.alive:
            raise Killed
        return said

    def pause(self, ns: int) -> None:
        """Wait for so many ns."""
        self.wait(self.world.loop.now_ns + ns)


class ProcessClock:
    """A `firstbell.clock.Clock` on simulated time.

    Args:
        process: Whose it is.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, as the machine's clock is set."""
        self._process.step("clock")
        return self._process.world.wall_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the history began."""
        self._process.step("clock")
        return self._process.world.loop.now_ns

    def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds > 0:
            self._process.pause(int(seconds * NS))


class SimulatedInterrupt:
    """A `firstbell.oms.carrier.Interrupt` on simulated time.

    Attributes:
        stopped_ns: When it was stopped, in ns since the history began; None while it has not been.

    Args:
        process: Whose it is.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._stopped = False
        self._halted = False
        self._why = "stopped"
        self.stopped_ns: int | None = None
        self._waiting: list[Parking] = []

    def is_set(self) -> bool:
        """Whether no new attempt may leave."""
        self._process.step("clock")
        return self._stopped

    @property
    def is_halt(self) -> bool:
        """Whether that is because trading is halted."""
        self._process.step("clock")
        return self._halted

    @property
    def why(self) -> str:
        """Why, in words."""
        return self._why

    def halt(self, why: str) -> None:
        """Let no new attempt leave from now on, because trading is halted."""
        if not self._stopped or self._halted:
            self._why = why
        self._halted = True
        self.stop()

    def stop(self) -> None:
        """Let no new attempt leave from now on."""
        if not self._stopped:
            self.stopped_ns = self._process.world.loop.now_ns
        self._stopped = True
        waiting, self._waiting = self._waiting, []
        for parking in waiting:
            parking.wake(value=True)

    def wait_until(self, monotonic_ns: int) -> bool:
        """Wait until an instant; returns early, and True, when stopped."""
        self._process.step("clock")
        if not self._stopped and monotonic_ns > self._process.world.loop.now_ns:
            self._process.wait(monotonic_ns, self._waiting.append)
            self._waiting = [parking for parking in self._waiting if not parking.done]
        return self._stopped
