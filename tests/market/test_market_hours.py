from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.market import MarketCalendar, Phase, always_open, calendar
from firstbell.market.hours import Hours, market_day
from firstbell.market.states import is_tradable

TEHRAN = calendar("XTEH")
SATURDAY = date(2026, 11, 21)


def at(hour: int, minute: int = 0, day: date = SATURDAY) -> datetime:
    return TEHRAN.at(day, time(hour, minute))


class Counted:
    """A calendar that counts how often it is asked."""

    def __init__(self, days: MarketCalendar) -> None:
        self.days, self.asked = days, 0

    def __getattr__(self, name):
        self.asked += name == "why_closed"
        return getattr(self.days, name)


@given(st.datetimes(datetime(2023, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - it gets one
def test_a_day_holds_its_instants(now):
    for days in (TEHRAN, always_open()):
        day = market_day(days, now)
        assert day.begin <= now < day.end
        assert day.end - day.begin == timedelta(days=1)
        assert (day.session is None) is (day.why_closed is not None)
        assert day.day == now.astimezone(days.tz).date()


def test_the_calendar_is_asked_once_a_day():
    counted = Counted(TEHRAN)
    hours = Hours(counted)  # type: ignore[arg-type]
    first = hours.on(at(0))
    before = counted.asked
    assert all(hours.on(at(0) + timedelta(seconds=each)) is first for each in range(0, 86_400, 7))
    assert counted.asked == before
    assert hours.on(at(0) + timedelta(days=1)).day == SATURDAY + timedelta(days=1)
    assert hours.on(at(0) - timedelta(microseconds=1)).day == SATURDAY - timedelta(days=1)
    assert hours.market == "XTEH"


def test_a_closed_day_knows_why_and_when_the_next_bell_is():
    thursday = market_day(TEHRAN, at(10, day=date(2026, 11, 26)))
    assert thursday.why_closed == "a Thursday"
    assert thursday.phase_at(at(10)) is Phase.CLOSED
    assert thursday.opens_after(at(10, day=date(2026, 11, 26))) == at(8, 45, day=date(2026, 11, 28))


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (at(0), at(8, 45)),
        (at(8, 44), at(8, 45)),
        (at(12, 30), at(12, 45)),
        (at(12, 45), at(8, 45, day=date(2026, 11, 22))),
        (at(13), at(8, 45, day=date(2026, 11, 22))),
    ],
)
def test_it_says_when_orders_are_next_taken(now, opens):
    assert market_day(TEHRAN, now).opens_after(now) == opens


@pytest.mark.parametrize(
    ("phase", "last"),
    [(Phase.AUCTION, at(9)), (Phase.AT_CLOSE, at(13)), (Phase.CONTINUOUS, at(12, 30))],
)
def test_a_phase_is_to_come_until_it_has_ended(phase, last):
    day = market_day(TEHRAN, at(0))
    assert day.is_to_come(phase, at(0))
    assert day.is_to_come(phase, last - timedelta(microseconds=1))
    assert not day.is_to_come(phase, last)


def test_nothing_is_to_come_on_a_closed_day():
    now = at(7, day=date(2026, 11, 26))
    assert not market_day(TEHRAN, now).is_to_come(Phase.AUCTION, now)


def test_around_the_clock_there_is_no_auction():
    now = datetime(2026, 11, 26, 7, tzinfo=UTC)
    day = market_day(always_open(), now)
    assert day.phase_at(now) is Phase.CONTINUOUS
    assert not day.is_to_come(Phase.AUCTION, now)
    assert not day.is_to_come(Phase.AT_CLOSE, now)


def test_hours_that_are_not_known_are_no_session():
    day = market_day(TEHRAN, at(10, day=date(2019, 11, 23)))
    assert day.session is None
    assert "not known" in str(day.why_closed)


def test_a_market_without_another_day_has_no_next_bell():
    never = MarketCalendar("X", "", UTC, frozenset(), "IR", (), MappingProxyType({}), MappingProxyType({}))
    day = market_day(never, datetime(2026, 11, 21, tzinfo=UTC))
    assert day.next_bell is None
    assert day.opens_after(day.begin) is None


@pytest.mark.parametrize("now", [datetime.max.replace(tzinfo=UTC), datetime(2026, 11, 21)])  # noqa: DTZ001 - on purpose
def test_an_instant_without_a_day_is_refused(now):
    for days in (TEHRAN, always_open()):
        with pytest.raises(ValueError, match="no day after it|no time zone"):
            Hours(days).on(now)


@pytest.mark.parametrize("state", ["A", "ar", "مجاز", "مجاز - محفوظ", " A ", "online", "TRADING"])
def test_these_words_let_orders_in(state):
    assert is_tradable(state)


@pytest.mark.parametrize("state", ["AS", "AG", "I", "IS", "ممنوع", "ممنوع-متوقف", "halted", "", "A-S"])
def test_these_words_do_not(state):
    assert not is_tradable(state)
    assert is_tradable(state, more={state.casefold()})
