from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.market import Phase
from firstbell.market.always_open import always_open

PAPER = always_open()
TEHRAN_TIME = timezone(timedelta(hours=3, minutes=30))
DAYS = st.dates(date(2020, 1, 1), date(2090, 1, 1))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - it gets one
def test_every_instant_is_one_of_continuous_trading(now):
    for days in (PAPER, always_open(TEHRAN_TIME)):
        session = days.session(now.astimezone(days.tz).date())
        assert session.phase_at(now) is Phase.CONTINUOUS
        assert session.bell <= now < session.end


@given(DAYS)
def test_every_day_trades_and_the_next_begins_where_it_ends(day):
    assert PAPER.is_trading_day(day)
    assert PAPER.why_closed(day) is None
    assert PAPER.warning(day) is None
    following = PAPER.next_trading_day(day)
    assert following == day + timedelta(days=1)
    assert PAPER.session(day).end == PAPER.session(following).bell


def test_its_days_begin_at_midnight_of_its_zone():
    bell = always_open(TEHRAN_TIME).session(date(2026, 11, 21)).bell
    assert bell == datetime(2026, 11, 20, 20, 30, tzinfo=UTC)
    assert PAPER.session(date(2026, 11, 21)).bell == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(("given_name", "name"), [({}, "PAPER"), ({"market": "CRYPTO"}, "CRYPTO")])
def test_it_has_a_code_of_its_own(given_name, name):
    assert always_open(**given_name).market == name
