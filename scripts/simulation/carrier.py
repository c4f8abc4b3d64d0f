"""How a login's orders get onto the simulated wire, and by what clock they are aimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from firstbell.brokers.http1 import order_bytes, request_bytes
from firstbell.brokers.registry import order_url
from firstbell.clock.arrival import ArrivalModel
from firstbell.errors import BrokerError, NotSent
from firstbell.oms.carrier import ANSWER_WITHIN_S, Unfired
from firstbell.sniper.aiming import HostAim
from firstbell.sniper.host_clock import HostClock, HostReading
from simulation.process import NS

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.brokers.base import Answer, HttpBroker, PreparedCall, PreparedOrder
    from firstbell.model.identifiers import BrokerCode
    from firstbell.oms.carrier import Interrupt
    from firstbell.oms.decision import Budget
    from firstbell.sniper.context import RunContext
    from simulation.process import Process
    from simulation.wire import Wire

_MOST_LANES: Final = 4


class SimulatedCarrier:
    """A `firstbell.sniper.firing.ProvenCarrier` on the simulated wire: one connection, loaded, fired, read.

    Args:
        process: Whose it is.
        wire: Its wire.
        interrupt: Stops new attempts.
        budget: When to give up.
    """

    lead_ns = NS

    def __init__(self, process: Process, wire: Wire, interrupt: Interrupt, budget: Budget) -> None:
        self._process = process
        self._wire = wire
        self._interrupt = interrupt
        self._budget = budget
        self._sent_ns = 0
        self._sent_monotonic_ns = 0

    @property
    def sent_ns(self) -> int:
        """When the last attempt that left did so: ns since the epoch, on our clock."""
        return self._sent_ns

    @property
    def sent_monotonic_ns(self) -> int:
        """The same on the monotonic clock."""
        return self._sent_monotonic_ns

    def prove(self, call: PreparedCall, at_ns: int) -> None:
        """Have one cheap call answered, in time for what leaves at `at_ns`."""
        raw = request_bytes(call.method, call.base_url, call.path, call.headers, call.body)
        try:
            self._wire.ask(call.base_url, raw, min(at_ns - NS // 3, self._process.clock.monotonic_ns() + 5 * NS))
        except BrokerError as error:
            self._process.world.say(self._process.name, f"no proof: {error}")

    def carry(self, prepared: PreparedOrder, at_ns: int) -> Answer | Unfired:
        """Send a prepared order once, at an instant, and wait for its answer; see the protocol."""
        raw = order_bytes(prepared)
        for lane in range(1, _MOST_LANES + 1):
            clock = self._process.clock
            if self._interrupt.wait_until(at_ns):
                return Unfired.STOPPED
            if self._budget.is_over(clock.monotonic_ns(), clock.wall_ns()):
                return Unfired.TOO_LATE
            began_ns, began_wall_ns = clock.monotonic_ns(), clock.wall_ns()
            try:
                answer = self._wire.ask(prepared.base_url, raw, began_ns + int(ANSWER_WITHIN_S * NS), prepared)
            except NotSent:
                if lane == _MOST_LANES:
                    raise
            except BrokerError:
                self._sent_ns, self._sent_monotonic_ns = began_wall_ns, began_ns
                raise
            else:
                self._sent_ns, self._sent_monotonic_ns = answer.sent_ns, answer.sent_monotonic_ns
                return answer
        return Unfired.STOPPED

    def close(self) -> None:
        """Give the connection up."""


class SimulatedHostClock:
    """A host's clock as a process has read it, with the error that its reading has.

    Attributes:
        url: The host's address.
        problem: Why it is not known.
        reading: What is known of it; None before it has been looked at.
        model: When what leaves arrives, on the host's clock.
    """

    def __init__(self, process: Process, url: str, error_ns: int | None) -> None:
        self._process = process
        self._error_ns = error_ns
        self.url = url
        self.problem: str | None = "not read"
        self.reading: HostReading | None = None
        self.model: ArrivalModel | None = None

    def look(self) -> None:
        """Read it."""
        world = self._process.world
        if self._error_ns is None:
            return
        path_ns = world.weather.path_ns
        offset_ns = world.exchange_ns() - world.wall_ns() + self._error_ns
        shift_ns = world.exchange_ns() - world.loop.now_ns + self._error_ns
        self.reading = HostReading(offset_ns, abs(self._error_ns) + path_ns, (path_ns, 2 * path_ns))
        shifts = tuple(shift_ns + path_ns // 2 + path_ns * step // 3 for step in range(4))
        self.model = ArrivalModel(shifts, (0.25,) * 4)

    def too_early(self, sent_ns: int, bell_ns: int) -> None:
        """Learn from a refusal: what left then arrived before the bell."""
        if self.model is not None and self.model.shifts_ns[0] + sent_ns >= bell_ns:
            by_ns = self.model.shifts_ns[0] + sent_ns - bell_ns + 1
            self.model = ArrivalModel(tuple(shift - by_ns for shift in self.model.shifts_ns), self.model.weights)


class SimulatedAims:
    """What `firstbell.sniper.aiming.Aims` is to logins: the product's own aims, at hosts' clocks that are simulated.

    Args:
        process: Whose they are.
        context: The run.
    """

    def __init__(self, process: Process, context: RunContext) -> None:
        self._process = process
        self._context = context
        self._clocks: dict[str, SimulatedHostClock] = {}
        self._aims: dict[tuple[str, int, Decimal | None], HostAim] = {}

    def of(self, code: BrokerCode, interval_ns: int) -> HostAim:
        """The aim at a broker's host; its interval in ns."""
        context, lead_ms = self._context, self._context.settings.broker(code).lead_ms
        url = order_url(code, context.settings)
        if url not in self._clocks:
            world = self._process.world
            self._clocks[url] = SimulatedHostClock(self._process, url, world.scenario.aim_error_ns)
        key = (url, interval_ns, lead_ms)
        if key not in self._aims:
            self._aims[key] = HostAim(
                context.bell_ns,
                cast("HostClock", self._clocks[url]),
                context.clock,
                interval_ns=interval_ns,
                lead_ms=lead_ms,
                at_once=context.at_once,
            )
        return self._aims[key]

    def begin(self, aimed: HostAim, broker: HttpBroker) -> None:
        """Have the host's clock read from now on."""
        del broker
        clock = self._clocks[aimed.url]
        if clock.reading is None and not aimed.at_once:
            self._process.world.loop.at(self._process.world.loop.now_ns + 2 * NS, clock.look)

    def look_roughly(self, aimed: HostAim) -> None:
        """Wait until the host's clock has been seen at all."""
        if not aimed.at_once:
            self._process.pause(NS // 2)

    def decide(self, aimed: HostAim) -> int:
        """When a host's first attempts leave, on the monotonic clock."""
        return aimed.first_ns()
