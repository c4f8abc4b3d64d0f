"""Phases on the exchange's clock: at real times, moved and compressed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

import pytest

from firstbell.errors import SimulatorError
from firstbell.market import Phase, calendar
from firstbell.simulator.exchange_clock import NS, ExchangeClock, instant
from firstbell.simulator.schedule import Schedule, next_session, next_time, schedule_of, to_ns

TEHRAN = calendar("XTEH")
SATURDAY = date(2026, 11, 21)
FRIDAY = date(2026, 11, 20)


def ns(day: date, clock_time: time) -> int:
    return to_ns(TEHRAN.at(day, clock_time))


def test_a_real_day_has_its_phases_at_their_times() -> None:
    day = schedule_of(TEHRAN.session(SATURDAY))
    expected = {
        time(8, 44, 59): Phase.CLOSED,
        time(8, 45): Phase.ORDER_ENTRY,
        time(8, 54, 59): Phase.ORDER_ENTRY,
        time(8, 55): Phase.NO_CANCEL,
        time(9, 0): Phase.CONTINUOUS,
        time(12, 30): Phase.CLOSED,
        time(12, 45): Phase.AT_CLOSE,
        time(13, 0): Phase.CLOSED,
    }
    assert {at: day.phase_at(ns(SATURDAY, at)) for at in expected} == expected
    assert day.bell == ns(SATURDAY, time(8, 45))
    assert day.end == ns(SATURDAY, time(13, 0))


def test_a_moved_and_compressed_day_keeps_the_distances() -> None:
    bell = 1_000 * NS
    day = schedule_of(TEHRAN.session(SATURDAY), bell=bell, speed=60)
    assert day.bell == bell
    assert day.phase_at(bell + 10 * NS - 1) is Phase.ORDER_ENTRY
    assert day.phase_at(bell + 10 * NS) is Phase.NO_CANCEL
    assert day.phase_at(bell + 15 * NS) is Phase.CONTINUOUS
    assert day.end == bell + 255 * NS


def test_the_next_start_is_found() -> None:
    day = schedule_of(TEHRAN.session(SATURDAY), bell=1_000 * NS, speed=Fraction(1, 2))
    assert day.next_start(0) == 1_000 * NS
    assert day.next_start(1_000 * NS) == 2_200 * NS
    assert day.next_start(day.end) is None


def test_a_day_in_disorder_is_refused() -> None:
    with pytest.raises(SimulatorError, match="follow one another"):
        Schedule(((10, Phase.ORDER_ENTRY), (5, Phase.CLOSED)))
    with pytest.raises(SimulatorError, match="bell"):
        Schedule(((10, Phase.CONTINUOUS), (20, Phase.CLOSED)))
    with pytest.raises(SimulatorError, match="positive"):
        schedule_of(TEHRAN.session(SATURDAY), speed=0)


def test_the_session_that_is_on_or_comes_next() -> None:
    assert next_session(TEHRAN, ns(FRIDAY, time(10))).day == SATURDAY
    assert next_session(TEHRAN, ns(SATURDAY, time(0, 1))).day == SATURDAY
    assert next_session(TEHRAN, ns(SATURDAY, time(12, 59, 59))).day == SATURDAY
    assert next_session(TEHRAN, ns(SATURDAY, time(13))).day == SATURDAY + timedelta(days=1)


def test_the_next_time_of_day_is_today_or_tomorrow_on_any_day() -> None:
    assert next_time(TEHRAN, time(8, 45), ns(FRIDAY, time(8, 44))) == ns(FRIDAY, time(8, 45))
    assert next_time(TEHRAN, time(8, 45), ns(FRIDAY, time(8, 45))) == ns(SATURDAY, time(8, 45))


def test_instants_are_exact_both_ways() -> None:
    moment = datetime(2026, 11, 21, 5, 15, 0, 123_456, tzinfo=UTC)
    assert instant(to_ns(moment)) == moment
    assert instant(to_ns(moment) + 999, TEHRAN.tz) == moment
    assert to_ns(moment) % NS == 123_456_000


def test_the_clock_is_offset_and_its_dates_are_cut_to_seconds() -> None:
    class Held(ExchangeClock):
        at = 1_763_700_299_999_999_999

        def now_ns(self) -> int:
            return self.at + self.offset_ns

    assert Held().http_date() == "Fri, 21 Nov 2025 04:44:59 GMT"
    assert Held(1).http_date() == "Fri, 21 Nov 2025 04:45:00 GMT"
    going = Held()
    assert going.http_date() == "Fri, 21 Nov 2025 04:44:59 GMT"
    going.at += 1
    assert going.http_date() == "Fri, 21 Nov 2025 04:45:00 GMT"
    assert Held(5).machine_ns(105) == 100
    ahead, level = ExchangeClock(3_600 * NS), ExchangeClock()
    assert ahead.now_ns() - level.now_ns() > 3_000 * NS
