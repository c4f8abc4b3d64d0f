"""When the orders of one host leave, on a clock that only moves when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from firstbell.clock.arrival import ArrivalModel
from firstbell.sniper.aiming import HostAim
from firstbell.sniper.host_clock import INCREDIBLE_NS, HostReading

MS = 1_000_000
S = 1000 * MS
INTERVAL = 350 * MS


@dataclass
class KnownClock:
    """A host's clock of which everything is known that is set here."""

    clock: object
    offset_ns: int | None = None
    way_ns: int = 0
    spread_ns: int = 0
    uncertainty_ns: int = MS
    refusals: list = field(default_factory=list)
    url: str = "http://127.0.0.1:1"
    problem: str | None = "connection refused"

    @property
    def reading(self):
        if self.offset_ns is None:
            return None
        return HostReading(self.offset_ns, self.uncertainty_ns, (2 * self.way_ns,))

    @property
    def model(self):
        if self.offset_ns is None:
            return None
        ahead_ns = self.clock.wall_ns() - self.clock.monotonic_ns()
        shift_ns = ahead_ns + self.offset_ns + self.way_ns
        return ArrivalModel((shift_ns - self.spread_ns, shift_ns, shift_ns + self.spread_ns), (0.25, 0.5, 0.25))

    def too_early(self, sent_ns, bell_ns):
        self.refusals.append((sent_ns, bell_ns))


@pytest.fixture
def aim_at(stepped_clock):
    def aim_at_(host=None, *, lead_ms=None, at_once=False, in_s=60):
        bell_ns = stepped_clock.wall_ns() + in_s * S
        host = host or KnownClock(stepped_clock)
        aim = HostAim(bell_ns, host, stepped_clock, interval_ns=INTERVAL, lead_ms=lead_ms, at_once=at_once)
        return aim, stepped_clock.monotonic_ns() + in_s * S

    return aim_at_


@pytest.mark.parametrize("offset_ns", [1700 * MS, -800 * MS, 0])
def test_orders_leave_so_that_they_arrive_with_the_hosts_bell(aim_at, stepped_clock, offset_ns):
    host = KnownClock(stepped_clock, offset_ns, way_ns=10 * MS)
    aim, bell = aim_at(host)
    assert aim.first_ns() == bell - offset_ns - 10 * MS
    sent = aim.first_ns()
    assert aim.arrival_ns(0, sent) == aim.bell_ns
    assert aim.facts()["lead_ms"] == 10.0
    assert aim.facts()["offset_ms"] == offset_ns / MS


def test_early_is_dear_so_the_slow_side_is_taken(aim_at, stepped_clock):
    aim, bell = aim_at(KnownClock(stepped_clock, 0, way_ns=10 * MS, spread_ns=3 * MS))
    assert aim.first_ns() == bell - 7 * MS


def test_what_is_decided_stays_decided(aim_at, stepped_clock):
    host = KnownClock(stepped_clock, 0)
    aim, bell = aim_at(host)
    assert aim.first_ns() == bell
    host.offset_ns = S
    assert aim.first_ns() == bell


def test_a_configured_lead_is_counted_on_the_hosts_clock(aim_at, stepped_clock):
    aim, bell = aim_at(KnownClock(stepped_clock, 500 * MS, way_ns=10 * MS), lead_ms=Decimal("4.5"))
    assert aim.first_ns() == bell - 500 * MS - int(4.5 * MS)
    assert aim.facts()["lead_ms"] == 4.5


def test_without_the_hosts_clock_ours_is_taken_and_that_is_said(aim_at):
    aim, bell = aim_at()
    assert aim.first_ns() == bell
    assert aim.problem == "connection refused"
    assert aim.arrival_ns(77, 88) == 77
    assert aim.again_ns(bell + 5) == bell + 5
    assert aim.facts()["offset_ms"] is None
    lead, bell = aim_at(lead_ms=Decimal(3))
    assert lead.first_ns() == bell - 3 * MS


def test_a_clock_that_cannot_be_is_not_believed(aim_at, stepped_clock):
    aim, bell = aim_at(KnownClock(stepped_clock, INCREDIBLE_NS + 1))
    assert aim.first_ns() == bell
    assert "+60 s" in aim.problem


def test_after_the_bell_everything_leaves_at_once(aim_at, stepped_clock):
    aim, _ = aim_at(at_once=True, in_s=-5)
    assert aim.first_ns() == stepped_clock.monotonic_ns()
    assert aim.problem is None
    assert aim.facts()["lead_ms"] is None


def test_nothing_leaves_before_what_the_claim_says_whatever_is_learned_later(aim_at, stepped_clock):
    host = KnownClock(stepped_clock)
    aim, bell = aim_at(host)
    from_wall_ns = aim.leaves_from_ns()
    assert from_wall_ns == aim.bell_ns - 3 * S
    host.offset_ns = 10 * S
    assert aim.first_ns() == bell - 3 * S


def test_the_claim_allows_for_what_is_not_known_of_the_clock(aim_at, stepped_clock):
    host = KnownClock(stepped_clock, 200 * MS, uncertainty_ns=400 * MS)
    aim, bell = aim_at(host)
    assert aim.leaves_from_ns() == aim.bell_ns - 200 * MS - 400 * MS - S
    # A host that turns out to be behind is aimed at later, and an earlier claim is never narrowed.
    host.offset_ns = -800 * MS
    assert aim.leaves_from_ns() == aim.bell_ns - 200 * MS - 400 * MS - S
    assert aim.first_ns() == bell + 800 * MS


def test_a_refused_attempt_goes_again_at_the_earliest_allowed_instant(aim_at, stepped_clock):
    host = KnownClock(stepped_clock, 0, way_ns=10 * MS)
    aim, bell = aim_at(host)
    assert aim.again_ns(bell + 340 * MS) == bell + 340 * MS
    # Where that would be early as well, it waits for the bell ...
    assert aim.again_ns(bell - 100 * MS) == bell - 10 * MS
    # ... but never longer than an interval: an estimate may be wrong.
    assert aim.again_ns(bell - 10 * S) == bell - 10 * S + INTERVAL


def test_what_the_host_says_of_early_orders_is_handed_on(aim_at, stepped_clock):
    host = KnownClock(stepped_clock, 0)
    aim, _ = aim_at(host)
    aim.was_too_early(123)
    assert host.refusals == [(123, aim.bell_ns)]


def test_what_did_not_leave_is_not_sent_again_before_the_instant_that_was_decided(aim_at, stepped_clock):
    aim, bell = aim_at(KnownClock(stepped_clock, 0, way_ns=10 * MS))
    assert aim.again_ns(bell - 5 * S) < bell - 4 * S
    aim.first_ns()
    assert aim.again_ns(bell - 5 * S) == bell - 10 * MS
