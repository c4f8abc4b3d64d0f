from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.market import MARKETS, fee, fee_rate, on_tick, tick_size
from firstbell.model.terms import Side

WHOLE = st.integers(min_value=0, max_value=10**13).map(Decimal)


def test_rates() -> None:
    assert fee_rate("XTEH", Side.BUY) == Decimal("0.003712")
    assert fee_rate("XTEH", Side.SELL) == Decimal("0.0088")


def test_every_market_has_rules() -> None:
    for market in MARKETS:
        assert all(0 < fee_rate(market, side) < 1 for side in Side)
        assert tick_size(market, Decimal(1000)) > 0


@pytest.mark.parametrize(
    ("power", "price", "quantity"),
    [(1_000_003_827, 5860, 170_018), (1_000_014_598, 3601, 276_677)],
)
def test_published_samples(power: int, price: int, quantity: int) -> None:
    rate = fee_rate("XTEH", Side.BUY)
    value = Decimal(price * quantity)
    more = value + price
    assert value + fee(value, rate) <= power
    assert more + fee(more, rate) > power


@given(WHOLE, st.sampled_from(Side))
def test_a_fee_is_whole_and_never_understated(value: Decimal, side: Side) -> None:
    rate = fee_rate("XTEH", side)
    taken = fee(value, rate)
    assert taken == taken.to_integral_value()
    assert value * rate <= taken < value * rate + 1


def test_a_fee_of_a_negative_value_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        fee(Decimal(-1), Decimal("0.003712"))


@pytest.mark.parametrize(("price", "tick"), [(1, 1), (4999, 1), (5000, 10), (5860, 10)])
def test_ticks(price: int, tick: int) -> None:
    assert tick_size("XTEH", Decimal(price)) == tick


@pytest.mark.parametrize(("price", "fits"), [(3601, True), (5860, True), (5861, False), (5005, False)])
def test_on_tick(price: int, fits: bool) -> None:
    assert on_tick("XTEH", Decimal(price)) is fits


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="XNYS"):
        fee_rate("XNYS", Side.BUY)
    with pytest.raises(ValueError, match="XNYS"):
        tick_size("XNYS", Decimal(1))
    with pytest.raises(ValueError, match="positive"):
        tick_size("XTEH", Decimal(0))
