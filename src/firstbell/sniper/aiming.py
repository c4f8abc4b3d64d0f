"""Aiming: when the orders of one host leave, so that they arrive just after the bell on that host's own clock.

The host's clock is read from a minute before the bell until a few seconds before it
(`firstbell.sniper.host_clock`); the lead is chosen from what was measured (`firstbell.clock.lead`). All logins of one
host aim together.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event

from firstbell.brokers.registry import order_url
from firstbell.clock.lead import aim
from firstbell.model.instant import instant
from firstbell.sniper.airspace import Airspace
from firstbell.sniper.host_clock import INCREDIBLE_NS, HostClock
from firstbell.sniper.lane_probe import LaneProbe

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from firstbell.brokers.base import HttpBroker
    from firstbell.clock import Clock
    from firstbell.clock.arrival import ArrivalModel
    from firstbell.model.identifiers import BrokerCode
    from firstbell.sniper.context import RunContext

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
_MS: Final = 1_000_000
DECIDE_S: Final = 3
"""The lead is decided so many seconds before the instant: lanes are loaded for it then."""
_READ_UNTIL_S: Final = 4
"""The host's clock is read until so many seconds before the instant …"""
_READ_AT_LEAST_S: Final = 3
"""… or, where that is nearer, for so many seconds, …"""
_NEVER_AFTER_S: Final = 1
"""… and never later than this."""
_ROUGHLY_WITHIN_S: Final = 5.0
"""How long arming waits for a first look at the host's clock, in seconds."""
_CAUTION_NS: Final = _NS
"""Nothing leaves earlier than aimed by more than this, whatever is learned after the claim."""
_UNKNOWN_NS: Final = 2 * _NS
"""The same on top, while the host's clock has not been seen."""


class HostAim:
    """A `firstbell.oms.aim.Aim` at one host's bell.

    Args:
        bell_ns: The bell, on the exchange's clock, in ns since the epoch.
        at_once: Whether it has rung already: then orders leave as soon as they are ready.
        host_clock: The host's clock.
        clock: Ours.
        interval_ns: What an early arrival costs: one interval of the broker's, in ns.
        lead_ms: The lead that the config asks for, or None.
    """

    def __init__(
        self,
        bell_ns: int,
        host_clock: HostClock,
        clock: Clock,
        *,
        interval_ns: int,
        lead_ms: Decimal | None,
        at_once: bool = False,
    ) -> None:
        self._bell_ns = bell_ns
        self._at_once = at_once
        self._host_clock = host_clock
        self._clock = clock
        self._interval_ns = interval_ns
        self._lead_ns = None if lead_ms is None else int(lead_ms * _MS)
        self._decided_ns: int | None = None
        self._earliest_ns: int | None = None
        self._aimed: tuple[ArrivalModel, int] | None = None

    @property
    def url(self) -> str:
        """The host's address."""
        return self._host_clock.url

    @property
    def bell_ns(self) -> int:
        """The bell, on the exchange's clock, in ns since the epoch."""
        return self._bell_ns

    @property
    def at_once(self) -> bool:
        """Whether the bell has rung already."""
        return self._at_once

    @property
    def offset_ns(self) -> int | None:
        """The host's clock minus our wall clock, in ns; None where it is not known or not to be believed."""
        reading = self._host_clock.reading
        return None if reading is None or abs(reading.offset_ns) > INCREDIBLE_NS else reading.offset_ns

    @property
    def problem(self) -> str | None:
        """Why the host's clock is not known, in words."""
        if self._at_once or self.offset_ns is not None:
            return None
        if (reading := self._host_clock.reading) is None:
            return self._host_clock.problem or "it has not been read"
        return f"it seems to be {reading.offset_ns / _NS:+.0f} s from ours"

    def expected_ns(self) -> int:
        """When the orders would leave by what is known now, on the monotonic clock."""
        if self._at_once:
            return self._clock.monotonic_ns()
        model = self._host_clock.model
        if self._lead_ns is not None or model is None or self.offset_ns is None:
            wall_ns = self._bell_ns - (self.offset_ns or 0) - (self._lead_ns or 0)
            return self._clock.monotonic_ns() + (wall_ns - self._clock.wall_ns())
        if self._aimed is None or self._aimed[0] is not model:
            # Some milliseconds of arithmetic, asked for by every login of the host.
            self._aimed = (model, aim(model, self._bell_ns, self._interval_ns).fire_ns)
        return self._aimed[1]

    def first_ns(self) -> int:
        """When the first attempts leave, on the monotonic clock. Decided when it is first asked for."""
        if self._decided_ns is None:
            expected_ns = self.expected_ns()
            self._decided_ns = expected_ns if self._earliest_ns is None else max(expected_ns, self._earliest_ns)
        return self._decided_ns

    def leaves_from_ns(self) -> int:
        """The instant before which nothing will leave, whatever is still learned: ns since the epoch, on our clock.

        It stands in the claim; from the first time that it is asked for, `first_ns` keeps to it.
        """
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        reading = self._host_clock.reading
        caution_ns = _CAUTION_NS + (_UNKNOWN_NS if reading is None else min(reading.uncertainty_ns, _NS))
        earliest_ns = self.expected_ns() - caution_ns
        if self._earliest_ns is None or earliest_ns < self._earliest_ns:
            self._earliest_ns = earliest_ns
        return wall_ns + (self._earliest_ns - now_ns)

    def arrival_ns(self, sent_ns: int, sent_monotonic_ns: int) -> int:
        """When what left then came to the host, on its own clock, as estimated; on ours where there is no other."""
        model = self._host_clock.model
        if model is not None and self.offset_ns is not None:
            return sent_monotonic_ns + model.median_ns
        return sent_ns

    def again_ns(self, not_before_ns: int) -> int:
        """When to send again what was refused or did not leave: at the earliest allowed instant, unless that is early.

        Never before the instant that was decided for the first attempt.
        """
        not_before_ns = not_before_ns if self._decided_ns is None else max(not_before_ns, self._decided_ns)
        model = self._host_clock.model
        if self._at_once or model is None or self.offset_ns is None:
            return not_before_ns
        fire_ns = aim(model, self._bell_ns, self._interval_ns, not_before_ns=not_before_ns).fire_ns
        # However wrong the estimate is, an interval is all that is waited for its sake.
        return min(max(fire_ns, not_before_ns), not_before_ns + self._interval_ns)

    def was_too_early(self, sent_monotonic_ns: int) -> None:
        """What left then arrived before the bell: the host has said so."""
        self._host_clock.too_early(sent_monotonic_ns, self._bell_ns)

    def facts(self) -> dict[str, Any]:
        """What the results say of it: offset, uncertainty and lead in ms, and what lateness was to be expected."""
        reading, offset_ns = self._host_clock.reading, self.offset_ns
        facts: dict[str, Any] = {"url": self._host_clock.url, "offset_ms": None, "uncertainty_ms": None}
        if reading is not None and offset_ns is not None:
            facts["offset_ms"] = _ms(offset_ns)
            facts["uncertainty_ms"] = _ms(reading.uncertainty_ns)
            facts["round_trip_ms"] = _ms(reading.round_trip_ns)
        if self._at_once or self._decided_ns is None:
            return {**facts, "lead_ms": None}
        leaves_ns = self._clock.wall_ns() + (self._decided_ns - self._clock.monotonic_ns())
        facts["lead_ms"] = _ms(self._bell_ns - (offset_ns or 0) - leaves_ns)
        model = self._host_clock.model
        if model is not None and offset_ns is not None:
            low, high = (self._decided_ns + model.quantile_ns(q) - self._bell_ns for q in (0.05, 0.95))
            facts["expected_lateness_ms"] = [_ms(low), _ms(high)]
        return facts


class Aims:
    """The aims of one process, one per host and interval, with the reading of the hosts' clocks.

    Args:
        context: The run.
        note: Called with a host's facts as soon as its lead is decided.
    """

    def __init__(self, context: RunContext, note: Callable[[str], None]) -> None:
        self._context = context
        self._note = note
        self._aims: dict[tuple[str, int, Decimal | None], HostAim] = {}
        self._clocks: dict[str, HostClock] = {}
        self._probes: dict[str, LaneProbe] = {}
        self._airspace = Airspace()
        self._seen: dict[str, Event] = {}
        self._told: set[HostAim] = set()
        self._here: set[str] = set()

    def of(self, code: BrokerCode, interval_ns: int) -> HostAim:
        """The aim at a broker's host; its interval in ns."""
        settings = self._context.settings.broker(code)
        url = order_url(code, self._context.settings)
        key = (url, interval_ns, settings.lead_ms)
        if key not in self._aims:
            if url not in self._clocks:
                probe = self._probes[url] = LaneProbe(settings.ca_file)
                self._clocks[url] = HostClock(url, settings.ca_file, self._context.clock, probe, self._airspace)
            aimed = HostAim(
                self._context.bell_ns,
                self._clocks[url],
                self._context.clock,
                interval_ns=interval_ns,
                lead_ms=settings.lead_ms,
                at_once=self._context.at_once,
            )
            self._aims[key] = aimed
        return self._aims[key]

    def begin(self, aimed: HostAim, broker: HttpBroker) -> None:
        """Have the host's clock read from now on, unless it is being read already or the bell has rung.

        Args:
            aimed: The aim.
            broker: A login that has a token: the clock is read by its cheap calls, and by those of the others.
        """
        if broker.capabilities.in_process:
            self._here.add(aimed.url)
            self._seen.setdefault(aimed.url, Event()).set()
        self._probes[aimed.url].add(broker.prepare_proof)
        if aimed.url not in self._seen:
            self._seen[aimed.url] = Event()
            if aimed.at_once:
                self._seen[aimed.url].set()
            else:
                gevent.spawn(self._read, aimed)

    def look_roughly(self, aimed: HostAim) -> None:
        """Wait, a few seconds at most, until the host's clock has been seen at all."""
        self._seen[aimed.url].wait(_ROUGHLY_WITHIN_S)

    def decide(self, aimed: HostAim) -> int:
        """When a host's first attempts leave, on the monotonic clock; said in the results the first time."""
        first_ns = aimed.first_ns()
        if aimed not in self._told:
            self._told.add(aimed)
            # A broker of this process goes by this machine's clock.
            if (problem := aimed.problem) is not None and aimed.url not in self._here:
                _log.warning("%s: aimed by this machine's clock, for the host's is not known: %s", aimed.url, problem)
            facts = aimed.facts()
            said = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "url")
            _log.info("%s: fires at %s (%s)", aimed.url, self._our_time(first_ns), said)
            self._note(json.dumps(facts))
        return first_ns

    def _our_time(self, monotonic_ns: int) -> str:
        clock = self._context.clock
        return instant(clock.wall_ns() + (monotonic_ns - clock.monotonic_ns())).isoformat()

    def _read(self, aimed: HostAim) -> None:
        clock, host_clock, seen = self._context.clock, self._clocks[aimed.url], self._seen[aimed.url]
        began_ns = clock.monotonic_ns()

        def until_ns() -> int:
            fire_ns = aimed.expected_ns()
            at_least_ns = min(began_ns + _READ_AT_LEAST_S * _NS, fire_ns - _NEVER_AFTER_S * _NS)
            return max(fire_ns - _READ_UNTIL_S * _NS, at_least_ns)

        def pause(monotonic_ns: int) -> bool:
            if host_clock.reading is not None:
                seen.set()
            stopped = self._context.interrupt.wait_until(min(monotonic_ns, until_ns()))
            return stopped or clock.monotonic_ns() >= until_ns()

        try:
            host_clock.measure(until_ns(), pause)
        finally:
            seen.set()
            self._probes[aimed.url].close()


def _ms(ns: int) -> float:
    return round(ns / _MS, 3)
