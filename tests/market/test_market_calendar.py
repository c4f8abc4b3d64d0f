from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.market import MARKETS, Phase, calendar
from firstbell.market.calendar import read_calendar

TEHRAN = calendar("XTEH")

FILE = """
name = "A market"
utc_offset = "-04:00"
trading_weekdays = ["Monday", "Tuesday"]
holidays = "IR"
[[hours]]
since = 2025-01-01
phases = [{ at = 08:00:00, phase = "ORDER_ENTRY" }, { at = 12:00:00, phase = "CLOSED" }]
[[hours]]
since = 2026-01-01
phases = [{ at = 07:30:00, phase = "ORDER_ENTRY" }, { at = 11:00:00, phase = "CLOSED" }]
[[closed]]
day = 2026-11-23
note = "smog"
[[opened]]
day = 2026-11-20
note = "a Friday for a Monday"
"""


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2026, 11, 21), True),  # Saturday
        (date(2026, 11, 25), True),  # Wednesday
        (date(2026, 11, 26), False),  # Thursday
        (date(2026, 11, 27), False),  # Friday
        (date(2026, 3, 21), False),  # Nowruz, a Saturday
        (date(2026, 6, 24), False),  # Tasua, a Wednesday
    ],
)
def test_tehran_trades_saturday_to_wednesday_without_holidays(day: date, trades: bool) -> None:
    assert TEHRAN.is_trading_day(day) is trades
    assert (TEHRAN.why_closed(day) is None) is trades


def test_the_reason_names_the_holiday_or_the_weekday() -> None:
    assert TEHRAN.why_closed(date(2026, 6, 24)) == "Tasua"
    assert TEHRAN.why_closed(date(2026, 11, 27)) == "a Friday"


def test_the_bell_rings_at_a_quarter_to_nine_in_tehran() -> None:
    session = TEHRAN.session(date(2026, 11, 21))
    assert session.bell == datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
    assert session.bell.isoformat() == "2026-11-21T08:45:00+03:30"
    assert session.end == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    # In July an old machine's time zone tables would still have summer time.
    assert TEHRAN.session(date(2026, 7, 4)).bell.utcoffset() == timedelta(hours=3, minutes=30)


@pytest.mark.parametrize(
    ("clock_time", "phase"),
    [
        (time(0), Phase.CLOSED),
        (time(8, 44, 59, 999999), Phase.CLOSED),
        (time(8, 45), Phase.ORDER_ENTRY),
        (time(8, 54, 59, 999999), Phase.ORDER_ENTRY),
        (time(8, 55), Phase.NO_CANCEL),
        (time(9), Phase.CONTINUOUS),
        (time(12, 29, 59), Phase.CONTINUOUS),
        (time(12, 30), Phase.CLOSED),
        (time(12, 45), Phase.AT_CLOSE),
        (time(13), Phase.CLOSED),
    ],
)
def test_phase_at(clock_time: time, phase: Phase) -> None:
    day = date(2026, 11, 21)
    assert TEHRAN.session(day).phase_at(TEHRAN.at(day, clock_time)) is phase


def test_the_auction_is_an_instant() -> None:
    session = TEHRAN.session(date(2026, 11, 21))
    assert session.start_of(Phase.AUCTION) == session.start_of(Phase.CONTINUOUS)


def test_a_closed_day_has_no_session() -> None:
    with pytest.raises(ValueError, match=r"closed on 2026-11-27: a Friday"):
        TEHRAN.session(date(2026, 11, 27))


def test_a_day_before_the_known_hours_has_no_session() -> None:
    with pytest.raises(ValueError, match="not known"):
        TEHRAN.session(date(2019, 11, 23))


def test_next_trading_day_steps_over_weekend_and_holidays() -> None:
    assert TEHRAN.next_trading_day(date(2026, 11, 21)) == date(2026, 11, 22)
    assert TEHRAN.next_trading_day(date(2026, 11, 25)) == date(2026, 11, 28)
    assert TEHRAN.next_trading_day(date(2026, 3, 18)) == date(2026, 3, 25)  # over Nowruz


@given(st.dates(date(2023, 1, 1), date(2035, 12, 31)))
def test_next_trading_day_is_the_first_one(day: date) -> None:
    following = TEHRAN.next_trading_day(day)
    assert following > day
    assert TEHRAN.is_trading_day(following)
    between = (day + timedelta(days=n) for n in range(1, (following - day).days))
    assert not any(TEHRAN.is_trading_day(skipped) for skipped in between)


def test_a_known_day_has_no_warning() -> None:
    assert TEHRAN.warning(date(2026, 11, 21)) is None


def test_the_end_of_what_is_known_is_announced() -> None:
    assert "2026-12-31" in str(TEHRAN.warning(date(2026, 12, 20)))


def test_days_beyond_what_is_known_warn() -> None:
    assert "estimates" in str(TEHRAN.warning(date(2027, 9, 5)))


@pytest.mark.parametrize("day", [date(2027, 1, 5), date(2027, 1, 6), date(2027, 1, 7)])
def test_an_estimated_holiday_warns_for_its_neighbours_too(day: date) -> None:
    warning = str(TEHRAN.warning(day))
    assert "2027-01-06" in warning
    assert "Mi'raj" in warning


def test_overlay_and_dated_hours() -> None:
    market = read_calendar("TEST", FILE)
    assert market.why_closed(date(2026, 11, 23)) == "smog"
    assert market.is_trading_day(date(2026, 11, 20))
    assert market.session(date(2025, 11, 25)).bell.isoformat() == "2025-11-25T08:00:00-04:00"
    assert market.session(date(2026, 11, 24)).bell.isoformat() == "2026-11-24T07:30:00-04:00"


@pytest.mark.parametrize(
    "broken",
    [
        FILE.replace("07:30:00", "11:30:00"),
        FILE.replace("ORDER_ENTRY", "AUCTION"),
        FILE.replace('"CLOSED"', '"CONTINUOUS"'),
        FILE.replace('"Monday"', '"Moonday"'),
        FILE.replace("utc_offset", "offset"),
        FILE.replace("-04:00", "east"),
        FILE.replace("note", "because"),
        "name = ",
    ],
)
def test_broken_data_are_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_calendar("TEST", broken)


def test_every_market_opens_and_others_do_not() -> None:
    for market in MARKETS:
        assert calendar(market) is calendar(market)
    with pytest.raises(ValueError, match="known: XTEH"):
        calendar("XNYS")
