"""One host's clock as it is seen from here: probed, estimated, and mended by what the run learns.

Instants are kept on our monotonic clock, so that setting the wall clock while we wait changes nothing about the aim;
only what is shown to people is put in terms of the wall clock, when it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firstbell.brokers.transport import shared_transport
from firstbell.clock.arrival import DRIFT, arrivals
from firstbell.clock.offset import Probe, date_header_s, estimate
from firstbell.clock.probing import MOST, next_probe_ns
from firstbell.errors import BrokerError
from firstbell.sniper.airspace import Airspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firstbell.brokers.base import Answer
    from firstbell.clock import Clock
    from firstbell.clock.arrival import ArrivalModel

    Pause = Callable[[int], bool]
    """Waits until an instant of the monotonic clock; whether the measuring is to stop."""

_NS: Final = 1_000_000_000
INCREDIBLE_NS: Final = 60 * _NS
"""A host whose clock seems to be further than this from ours is not believed: its dates mean something else."""
_LOOSE_NS: Final = 100_000
"""What the instants of a probe may be wrong by, for a contradiction that is worth telling: 0.1 ms."""
_AGAIN_NS: Final = 2 * _NS
"""How long what is good enough is left alone, and what fails is left in peace."""
_LATE_NS: Final = 15 * _NS
"""The last so many seconds …"""
_KEPT: Final = 8
"""… are kept so many probes for, so that what is known is fresh at the end."""
_AS_OF_NOW_NS: Final = _NS
"""What was worked out so lately says the same now: clocks part by 20 µs in that time."""
_CHOOSING_NS: Final = 10_000_000
_FAILURES: Final = 5
"""A host that fails so many times in a row is not asked any more."""
_PROBE_S: Final = 3.0
"""Seconds for a probe: what takes longer says nothing."""
_SAME_VOLLEY_NS: Final = 1_000_000
"""Refusals that say the same to within a millisecond are one sighting: they flew together."""
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class HostReading:
    """What is known of a host's clock and of the path to it, for people and files.

    Attributes:
        offset_ns: The host's clock minus our wall clock, in ns.
        uncertainty_ns: The truth lies within this of `offset_ns`, in ns: about half a round trip at best.
        round_trips_ns: Every round trip, as measured one after the other, in ns.
        contradiction_ns: 0, or by how much its answers contradict each other.
    """

    offset_ns: int
    uncertainty_ns: int
    round_trips_ns: tuple[int, ...]
    contradiction_ns: int = 0

    @property
    def samples(self) -> int:
        """How many probes it rests on."""
        return len(self.round_trips_ns)

    @property
    def round_trip_ns(self) -> int:
        """The shortest round trip."""
        return min(self.round_trips_ns)

    @property
    def round_trip_median_ns(self) -> int:
        """The middle one."""
        return self._quantile(0.5)

    @property
    def round_trip_p95_ns(self) -> int:
        """The one that 19 of 20 do not exceed."""
        return self._quantile(0.95)

    def _quantile(self, q: float) -> int:
        ordered = sorted(self.round_trips_ns)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


class HostClock:
    """One host's clock. For threads as well as for greenlets; measured by one of them at a time.

    Args:
        url: The host's address, as orders go to it.
        ca_file: A private certificate authority, or None for the public ones.
        clock: Ours.
        ask: Makes one cheap call and returns its answer, or raises a `BrokerError`: best a call that goes the way that
            orders go, for what stands in front of a host may answer the rest by itself, sooner and by a clock of its
            own. Without it, the host's root is asked for over the shared transport.
        airspace: Shared by all hosts that are measured in this process at the same time.
    """

    def __init__(
        self,
        url: str,
        ca_file: Path | None,
        clock: Clock,
        ask: Callable[[], Answer] | None = None,
        airspace: Airspace | None = None,
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._clock = clock
        self._asks = ask or self._ask_root
        self._airspace = airspace or Airspace()
        self._probes: list[Probe] = []
        self._refusals: list[tuple[int, int]] = []
        self._problem: str | None = None
        self._measuring = False
        self._modelled: tuple[tuple[int, int | None], ArrivalModel | None] = ((0, None), None)

    @property
    def url(self) -> str:
        """The host's address."""
        return self._url

    @property
    def problem(self) -> str | None:
        """Why the last probe failed, in words; None when it did not."""
        return self._problem

    @property
    def model(self) -> ArrivalModel | None:
        """How much later, on the host's clock, something arrives than it leaves, on our monotonic clock.

        While it is being measured this is what was worked out last; see `firstbell.sniper.airspace`.
        """
        return self._modelled[1] if self._measuring else self._worked_out()

    def _worked_out(self) -> ArrivalModel | None:
        refusals = list(self._refusals)
        key = (len(self._probes), refusals[-1][0] if refusals else None)
        if self._modelled[0] != key:
            self._modelled = (key, arrivals(self._probes[: key[0]], refusals))
        return self._modelled[1]

    @property
    def reading(self) -> HostReading | None:
        """What is known, put in terms of our wall clock as it is set now; None before the first answer."""
        probes = list(self._probes)
        if not probes:
            return None
        newest_ns = probes[-1].sent_ns
        loose = [_loosened(probe, newest_ns) for probe in probes]
        found = estimate(loose)
        model = self.model
        if found is None or model is None:
            return None
        trips = tuple(probe.answered_ns - probe.sent_ns for probe in probes)
        offset_ns, uncertainty_ns = found.offset_ns, found.uncertainty_ns
        if found.contradiction_ns:
            # Several clocks behind one address: as wide as they lie apart, not as a single probe is.
            low_ns, high_ns = model.quantile_ns(0.01) - min(trips), model.quantile_ns(0.99)
            offset_ns = (low_ns + high_ns) // 2
            uncertainty_ns = max((high_ns - low_ns + 1) // 2, found.contradiction_ns)
        ahead_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        return HostReading(offset_ns - ahead_ns, uncertainty_ns, trips, found.contradiction_ns)

    def too_early(self, sent_ns: int, bell_ns: int) -> None:
        """Learn from a refusal: what left then, on our monotonic clock, arrived before the bell on the host's."""
        if not self._refusals or self._bound(sent_ns, bell_ns) < self._bound(*self._refusals[-1]) - _SAME_VOLLEY_NS:
            self._refusals = [(sent_ns, bell_ns)]

    @staticmethod
    def _bound(sent_ns: int, bell_ns: int) -> int:
        return bell_ns - sent_ns

    def measure(self, until_ns: int, pause: Pause, *, once: bool = False) -> None:
        """Ask the host for its date, again and again, until the time is up. Never raises for a host that fails.

        Args:
            until_ns: When to be done, on the monotonic clock.
            pause: Waits until an instant of the monotonic clock, and says whether to stop.
            once: Return as soon as nothing more is gained for now; otherwise what ages is refreshed.
        """
        self._measuring = True
        try:
            self._measure(until_ns, pause, once=once)
        finally:
            self._measuring = False

    def _measure(self, until_ns: int, pause: Pause, *, once: bool) -> None:
        # What choosing an instant takes, and opening a connection, where each probe needs a new one.
        choosing_ns, late_ns, failures = _CHOOSING_NS, 0, 0
        while failures < _FAILURES and len(self._probes) < MOST:
            if self._airspace.await_clear(self._clock, pause):
                return
            model, now_ns = self._worked_out(), self._clock.monotonic_ns()
            most = MOST if once or until_ns - now_ns < _LATE_NS else MOST - _KEPT
            at_ns: int | None = now_ns + _AGAIN_NS
            if not failures:
                soonest_ns = now_ns + choosing_ns + late_ns
                if self._probes and now_ns - self._probes[-1].sent_ns > _AS_OF_NOW_NS:
                    model = None
                at_ns = next_probe_ns(self._probes, soonest_ns, most=most, fine=not once, model=model)
                choosing_ns = min(2 * (self._clock.monotonic_ns() - now_ns), _NS // 10)
            if at_ns is None and once:
                return
            wakes_ns = now_ns + _AGAIN_NS if at_ns is None else at_ns - late_ns
            if wakes_ns >= until_ns or pause(wakes_ns):
                return
            if at_ns is None:
                continue
            woken_ns = self._clock.monotonic_ns()
            with self._airspace.flight():
                answer = self._ask()
            failures = 0 if answer is not None else failures + 1
            if answer is None:
                continue
            late_ns = min(max(0, answer.sent_monotonic_ns - woken_ns), _NS // 2)
            if answer.status == _TOO_MANY:
                self._problem = "it asks for a pause"
                return

    def _ask_root(self) -> Answer:
        return shared_transport(self._ca_file).send("GET", self._url, "/", {}, None, timeout=_PROBE_S)

    def _ask(self) -> Answer | None:
        try:
            answer = self._asks()
        except BrokerError as error:
            self._problem = str(error)
            return None
        date_s = date_header_s(answer.headers.get("date", ""))
        if date_s is None:
            self._problem = "its answers bear no date"
            return None
        if answer.headers.get("age", "0").strip() != "0":
            self._problem = "its answers come from a cache, and so do their dates"
            return None
        sent_ns = answer.sent_monotonic_ns
        self._probes.append(Probe(sent_ns, sent_ns + max(0, answer.round_trip_ns), date_s))
        self._problem = None
        return answer


def _loosened(probe: Probe, newest_ns: int) -> Probe:
    by_ns = _LOOSE_NS + round(DRIFT * abs(newest_ns - probe.sent_ns))
    return Probe(probe.sent_ns - by_ns, probe.answered_ns + by_ns, probe.date_s)
