from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from firstbell.config import load
from firstbell.market import calendar
from firstbell.sniper.bell import choose_bell

XTEH = calendar("XTEH")
SATURDAY = datetime(2026, 11, 21, 8, 0, tzinfo=XTEH.tz)


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "config.ini"
    path.write_text("[Order_A]\nusername = u\npassword = p\nbroker_code = gs\nisin = IRO1MHRN0001\n")
    path.chmod(0o600)
    return load(path)


def test_the_next_order_time_of_a_trading_day(settings):
    bell = choose_bell(None, settings, XTEH, SATURDAY)
    assert (bell.at, bell.warnings) == (SATURDAY.replace(hour=8, minute=45), ())


def test_after_it_the_next_trading_day(settings):
    at = choose_bell(None, settings, XTEH, SATURDAY.replace(hour=9)).at
    assert at == SATURDAY.replace(hour=8, minute=45) + timedelta(days=1)


def test_over_the_weekend(settings):
    wednesday_noon = SATURDAY.replace(hour=12) + timedelta(days=4)
    assert wednesday_noon.weekday() == 2
    bell = choose_bell(None, settings, XTEH, wednesday_noon)
    assert bell.at.date() == (SATURDAY + timedelta(days=7)).date()


def test_a_time_asked_for_is_taken_on_a_closed_day_with_a_warning(settings):
    friday = SATURDAY + timedelta(days=6)
    bell = choose_bell("10:30:00.250", settings, XTEH, friday)
    assert bell.at == friday.replace(hour=10, minute=30, microsecond=250_000)
    assert "closed day" in bell.warnings[0]


def test_now_is_now(settings):
    assert choose_bell("now", settings, XTEH, SATURDAY).at == SATURDAY


def test_a_passed_time_is_tomorrows(settings):
    assert choose_bell("07:00", settings, XTEH, SATURDAY).at == SATURDAY.replace(hour=7) + timedelta(days=1)


def test_a_locust_run_that_reaches_the_order_time_waits_for_it(settings):
    before = SATURDAY.replace(minute=44, second=40)
    assert choose_bell(None, settings, XTEH, before, timedelta(seconds=40)).at == SATURDAY.replace(minute=45)


def test_a_locust_run_waits_for_todays_bell_however_short_its_run_time(settings):
    bell = choose_bell(None, settings, XTEH, SATURDAY, timedelta(seconds=40))
    assert bell.at == SATURDAY.replace(minute=45)


@pytest.mark.parametrize("now", [SATURDAY.replace(hour=10), SATURDAY + timedelta(days=6)])
def test_a_locust_run_after_todays_bell_or_on_a_closed_day_fires_at_once_and_says_so(settings, now):
    bell = choose_bell(None, settings, XTEH, now, timedelta(seconds=40))
    assert bell.at == now
    assert "firing at once" in bell.warnings[0]


def test_a_locust_run_on_a_closed_day_takes_the_order_time_it_reaches(settings):
    friday = SATURDAY.replace(minute=44, second=50) + timedelta(days=6)
    bell = choose_bell(None, settings, XTEH, friday, timedelta(seconds=40))
    assert bell.at == friday.replace(minute=45, second=0)
    assert "closed day" in bell.warnings[0]


def test_no_time_is_an_error(settings):
    with pytest.raises(ValueError, match="25:00"):
        choose_bell("25:00", settings, XTEH, SATURDAY)


def test_what_the_calendar_is_not_sure_of_is_told(settings, monkeypatch):
    monkeypatch.setattr(type(XTEH), "warning", lambda _self, day: f"{day} is not sure")
    assert choose_bell(None, settings, XTEH, SATURDAY).warnings == ("2026-11-21 is not sure",)
