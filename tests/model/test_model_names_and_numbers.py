from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.identifiers import client_order_id, same_login
from firstbell.model.instant import epoch_ns, instant
from firstbell.model.money import exact, grouped, plain
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side

DAY = date(2026, 11, 21)


def name(**changes):
    facts = {"day": DAY, "broker_code": "gs", "username": "u1", "instrument": "IRO1MHRN0001", "side": Side.BUY}
    return client_order_id(**{**facts, "slice_": 0, **changes})


def test_the_same_plan_gets_the_same_name():
    assert name() == name()


@pytest.mark.parametrize(
    "changes",
    [
        {"day": DAY + timedelta(days=1)},
        {"broker_code": "bbi"},
        {"username": "u2"},
        {"instrument": "IRO1BORS0001"},
        {"side": Side.SELL},
        {"slice_": 1},
        {"round_": 2},
    ],
)
def test_another_plan_gets_another_name(changes):
    assert name(**changes) != name()


def test_names_fit_every_broker_and_tell_no_user_name():
    longest = name(slice_=99, round_=99, username="someone-secret")
    assert re.fullmatch(r"[0-9a-z-]{1,36}", longest)
    assert "secret" not in longest


def test_names_do_not_run_into_each_other():
    assert name(broker_code="a", username="bc") != name(broker_code="ab", username="c")


@pytest.mark.parametrize(
    "bad",
    [
        1.5,
        True,
        None,
        "NaN",
        "inf",
        "",
        "1e",
        "9" * 41,
        "1_000",
        "1E+9999999",
        "1E-99",
        "9" * 29,
        "1E28",
        "0." + "1" * 29,
        "१२",
        "٫5",
        "1e99999999999999999999",
    ],
)
def test_inexact_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="."):
        exact(bad)


@pytest.mark.parametrize(
    ("given_", "number"), [(5, 5), ("5.50", Decimal("5.5")), (Decimal(7), 7), (" 8 ", 8), ("۵۸۶۰", 5860)]
)
def test_exact_numbers_are_read(given_, number):
    assert exact(given_) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15))
def test_plain_loses_nothing(number):
    assert Decimal(plain(number)) == number


def test_plain_and_grouped():
    assert plain(Decimal("1E+3")) == 1000
    assert grouped(Decimal(1_000_003_827)) == "1,000,003,827"
    assert grouped(Decimal("1E+6")) == "1,000,000"
    assert grouped(Decimal("1234.50")) == "1,234.5"


def test_numbers_longer_than_arithmetic_carries_are_written_whole_too():
    long = "1" * 30 + "." + "2" * 30
    assert plain(Decimal(long + "00")) == long
    assert grouped(Decimal(long)).replace(",", "") == long


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_instants_are_exact_to_the_microsecond(ns):
    assert epoch_ns(instant(ns)) == ns // 1000 * 1000


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        epoch_ns(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_instants_are_utc():
    assert instant(0) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("low", "high"), [(0, 5), (6, 5), (-1, 5)])
def test_an_empty_band_is_none(low, high):
    with pytest.raises(ValueError, match="is none"):
        PriceBand(Decimal(low), Decimal(high))


def test_a_band_holds_its_ends():
    band = PriceBand(Decimal(5520), Decimal(5860))
    assert band.holds(Decimal(5520))
    assert band.holds(Decimal(5860))
    assert not band.holds(Decimal(5861))
    assert not band.holds(Decimal(5519))


def test_a_name_is_made_the_same_way_for_ever():
    # Journals hold it: another way of making it would claim a plan a second time.
    assert name() == "fb-20261121-e5c7f114a4c1-0"
    assert name(slice_=3, round_=2) == "fb-20261121-e5c7f114a4c1-3-r2"


@pytest.mark.parametrize("same", ["User1", "USER1", "user۱", "user١", "ｕser1"])
def test_letter_case_and_script_of_digits_make_no_second_login(same):
    assert same_login(same) == "user1"


@pytest.mark.parametrize(("text", "fits"), [("1" * 28, True), ("1" * 29, False), ("0." + "0" * 26 + "1", True)])
def test_numbers_have_the_digits_that_arithmetic_carries(text, fits):
    if fits:
        assert str(exact(text) + 0) == str(exact(text))
    else:
        with pytest.raises(ValueError, match="out of all proportion"):
            exact(text)


@pytest.mark.parametrize("long", [10**28, -(10**28), 10**5000], ids=["a digit more", "below", "thousands"])
def test_of_a_number_too_long_to_be_written_the_same_is_said(long):
    assert exact(10**28 - 1) == 10**28 - 1
    with pytest.raises(ValueError, match="out of all proportion"):
        exact(long)


@pytest.mark.parametrize(
    ("text", "number"), [("0" * 39 + "7", 7), ("1e27", Decimal("1e27")), ("1e-27", Decimal("1e-27"))]
)
def test_the_longest_numbers_are_read(text, number):
    assert exact(text) == number


@pytest.mark.parametrize("bad", ["0" * 40 + "7", "1e28", "1e-28"])
def test_what_is_a_little_longer_is_refused(bad):
    with pytest.raises(ValueError, match="."):
        exact(bad)
