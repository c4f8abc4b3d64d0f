from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.model.terms import Side
from firstbell.oms.policies.pricing import Market, crosses, crossing_price, fitted, part_of_one, worst_price

D = Decimal
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
BUY, SELL = Side


def market(low=4600, high=5400, *, bid=None, ask=None, tick=None, code="XTEH"):
    instrument = Instrument("I", "", "", PriceBand(D(low), D(high)), D(1), D(1000), D(1), tick_size=tick)
    bids, asks = ((Level(D(price), D(1)),) if price else () for price in (bid, ask))
    return Market(code, instrument, Quote("I", AT, bids, asks))


@pytest.mark.parametrize(
    ("price", "taken"),
    [(4600, True), (4599, False), (4601, True), (5001, False), (5010, True), (5400, True), (5410, False)],
)
def test_a_price_is_taken_inside_the_band_and_on_the_tick_there(price, taken):
    assert market().takes(D(price)) is taken


def test_the_bands_ends_are_taken_as_they_are_and_so_is_the_brokers_own_tick():
    assert market(high=5403).takes(D(5403))
    assert not market().takes(D("4700.5"))
    assert market(tick=D("0.05")).takes(D("5001.05"))
    assert not market(tick=D("0.05")).takes(D("5001.06"))


def test_where_nobody_knows_the_tick_the_bands_ends_alone_are_taken():
    nowhere = market(code="NOWHERE")
    assert nowhere.tick_at(D(5000)) is None
    assert [nowhere.takes(D(price)) for price in (4600, 5000, 5400)] == [True, False, True]
    assert fitted(BUY, D(5000), D(6000), nowhere) is None
    assert fitted(BUY, D(5600), D(6000), nowhere) == 5400


@pytest.mark.parametrize(
    ("side", "wanted", "worst", "price"),
    [
        (BUY, "5003", "5300", "5000"),
        (SELL, "5003", "4700", "5010"),
        (SELL, "4999.5", "4700", "5000"),
        (BUY, "5600", "6000", "5400"),
        (BUY, "5600", "5293", "5290"),
        (BUY, "4000", "5000", "4600"),
        (BUY, "4000", "4599", None),
        (BUY, "4000", "4600", "4600"),
        (SELL, "6000", "5400", "5400"),
        (SELL, "4000", "4700", "4700"),
        (SELL, "4000", "4707.5", "4708"),
        (SELL, "6000", "5401", None),
        (SELL, "6000", "5000", "5400"),
    ],
)
def test_the_nearest_price_that_is_taken_and_allowed(side, wanted, worst, price):
    assert fitted(side, D(wanted), D(worst), market()) == (None if price is None else D(price))


def test_cut_to_the_tick_a_price_does_not_leave_a_band_whose_ends_are_off_it():
    assert fitted(BUY, D(5004), D(6000), market(low=5003, high=5403)) == 5003
    assert fitted(SELL, D(5402), D(5003), market(low=5003, high=5403)) == 5403


@pytest.mark.parametrize(
    ("side", "worst", "allowance", "price"),
    [
        (BUY, 5400, "0", 5020),
        (BUY, 5400, "0.01", 5070),
        (BUY, 5040, "0.01", 5040),
        (BUY, 5019, "0.01", None),
        (SELL, 4600, "0", 4980),
        (SELL, 4600, "0.01", 4931),
        (SELL, 4979, "0.01", 4979),
        (SELL, 4981, "0.01", None),
    ],
)
def test_a_crossing_price_reaches_the_other_side_and_a_little_beyond(side, worst, allowance, price):
    found = crossing_price(side, D(worst), D(allowance), market(bid=4980, ask=5020))
    assert found == price
    if found is not None:
        assert crosses(side, found, market(bid=4980, ask=5020))


@pytest.mark.parametrize("side", Side)
def test_where_the_other_side_is_empty_nothing_crosses(side):
    assert crossing_price(side, D(5000), D(0), market()) is None
    assert not crosses(side, D(5400), market())
    assert not crosses(side, D(5400), Market("XTEH", market().instrument))
    assert crossing_price(side, D(5000), D(0), Market("XTEH", market().instrument)) is None


@given(
    st.sampled_from(Side),
    st.integers(1, 10_000_00).map(lambda cents: D(cents) / 100),
    st.integers(1, 10_000),
    st.integers(4000, 5500),
    st.integers(0, 900),
    st.sampled_from([None, D("0.05"), D(3), D(7)]),
)
def test_a_fitted_price_is_always_taken_and_never_worse_than_allowed(side, wanted, worst, low, width, tick):
    around = market(low, low + width, tick=tick)
    price = fitted(side, wanted, D(worst), around)
    if price is not None:
        assert around.takes(price)
        assert price <= worst if side is BUY else price >= worst


def test_the_worst_price_is_up_for_a_buy_and_down_for_a_sell():
    assert (worst_price(BUY, D(100), D("0.05")), worst_price(SELL, D(100), D("0.05"))) == (105, 95)


def test_a_part_is_exact_however_it_is_written():
    assert [part_of_one("p", each) for each in (0.05, "0.05", D("0.05"), 0, 1)] == [D("0.05")] * 3 + [0, 1]


@pytest.mark.parametrize("bad", [-0.1, 1.1, "x", None, True, float("nan"), float("inf")])
def test_what_is_no_part_is_refused_by_name(bad):
    with pytest.raises(ValueError, match="max_price_adjustment"):
        part_of_one("max_price_adjustment", bad)


def test_prices_are_exact_however_many_digits_they_have():
    asked = D("123456789012345678901234567890.123456789")
    assert worst_price(BUY, asked, D("0.0001")) - asked == asked / 10_000
    long = "1" * 60
    assert str(worst_price(BUY, D(long), D(1))) == "2" * 60
    assert str(worst_price(SELL, D("3" * 60), D(1))) == "0"


@pytest.mark.parametrize(
    ("side", "wanted", "price"), [(BUY, "5009." + "9" * 40, 5000), (SELL, "5000." + "0" * 40 + "1", 5010)]
)
def test_a_price_is_cut_to_the_tick_however_near_it_is_to_the_next_one(side, wanted, price):
    assert fitted(side, D(wanted), D(5400) if side is BUY else D(4600), market()) == price


def test_what_is_no_number_and_what_is_no_part_are_told_apart():
    with pytest.raises(ValueError, match="^p is a part of one, from 0 to 1, not 1.1$"):
        part_of_one("p", 1.1)
    with pytest.raises(ValueError, match="^p: "):
        part_of_one("p", "x")
