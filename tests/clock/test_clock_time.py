from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.clock import SystemClock, exchange_now, next_time, parse_at, rfc3339, wait_until, wait_until_instant

TEHRAN = timezone(timedelta(hours=3, minutes=30))
NOW = datetime(2026, 11, 21, 8, 44, 0, 500_000, tzinfo=TEHRAN)
S = 1_000_000_000


@dataclass
class Simulated:
    """Clocks that move only when somebody sleeps; the wall clock is set back or forward on the way."""

    wall: int = 0
    mono: int = 0
    jumps: list[int] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        passed = round(seconds * S) + 1
        self.mono += passed
        self.wall += passed + (self.jumps.pop(0) if self.jumps else 0)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("08:45:00", "2026-11-21T08:45:00+03:30"),
        ("08:45", "2026-11-21T08:45:00+03:30"),
        ("08:44:00.750", "2026-11-21T08:44:00.750000+03:30"),
        ("08:44:00", "2026-11-22T08:44:00+03:30"),
        ("08:44:00.5", "2026-11-22T08:44:00.500000+03:30"),
        ("00:00", "2026-11-22T00:00:00+03:30"),
        ("now", "2026-11-21T08:44:00.500000+03:30"),
        (" NOW ", "2026-11-21T08:44:00.500000+03:30"),
        ("2026-11-21T05:15:00Z", "2026-11-21T08:45:00+03:30"),
        ("2026-11-20T08:45:00.123456+03:30", "2026-11-20T08:45:00.123456+03:30"),
    ],
)
def test_at(text: str, instant: str) -> None:
    found = parse_at(text, NOW.astimezone(UTC), TEHRAN)
    assert found.isoformat() == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8:45",
        "08:60",
        "24:00",
        "tomorrow",
        "2026-11-21T08:45:00",
        "2026-13-21T08:45:00Z",
        "۰۸:۴۵",
        "0845",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-05:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        parse_at(text, NOW, TEHRAN)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1 < moment.year < 9999), st.times())
def test_the_next_time_is_within_a_day(now: datetime, at: time) -> None:
    found = next_time(now, at, TEHRAN)
    assert timedelta() < found - now <= timedelta(days=1)
    assert found.timetz() == at.replace(tzinfo=TEHRAN)


def test_naive_instants_are_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        next_time(naive, time(8, 45), TEHRAN)
    with pytest.raises(ValueError, match="time zone"):
        rfc3339(naive, TEHRAN)


def test_instants_are_written_with_microseconds() -> None:
    assert rfc3339(datetime(2026, 11, 21, 5, 15, tzinfo=UTC), TEHRAN) == "2026-11-21T08:45:00.000000+03:30"


def test_exchange_now_is_the_wall_clock() -> None:
    clock = Simulated(wall=1_795_238_100 * S + 123_456_789)
    assert exchange_now(clock, TEHRAN).isoformat() == "2026-11-21T08:45:00.123456+03:30"


@given(st.integers(0, 100 * S), st.lists(st.integers(-5 * S, 5 * S), max_size=20))
def test_waiting_for_a_moment_ignores_that_the_wall_clock_is_set(left_ns: int, jumps: list[int]) -> None:
    clock = Simulated(jumps=jumps)
    wait_until(clock, left_ns)
    assert left_ns <= clock.mono <= left_ns + S // 1000
    assert all(0 < pause <= 0.5 for pause in clock.pauses)


@given(st.integers(0, 100 * S), st.lists(st.integers(-5 * S, 5 * S), max_size=20))
def test_waiting_for_an_instant_follows_the_wall_clock(left_ns: int, jumps: list[int]) -> None:
    clock = Simulated(jumps=jumps)
    wait_until_instant(clock, left_ns)
    assert clock.wall >= left_ns
    assert all(0 < pause <= 0.5 for pause in clock.pauses)


def test_the_systems_clocks_go_forward() -> None:
    clock = SystemClock()
    before = clock.monotonic_ns()
    wait_until(clock, before + 2_000_000)
    assert clock.monotonic_ns() >= before + 2_000_000
    clock.sleep(-1)
    assert clock.wall_ns() > 1_700_000_000 * S
