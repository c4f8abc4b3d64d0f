"""When the market triggers what is held back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.instructions import Instructions
from firstbell.model.order import Changed, Order, OrderState
from firstbell.model.quote import Level, Quote
from firstbell.model.terms import OrderType, Side
from firstbell.oms.orders.triggers import followed, is_hit, is_stale, market_price

D = Decimal
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)


def held(side, kind, *, price=100, trigger=None, offset=None):
    terms = Instructions(trigger_price=trigger, trailing_offset=offset)
    order = Order(
        "n", "A", "paper", "X", side, D(price), D(10), date(2026, 11, 28), order_type=kind, instructions=terms
    )
    return OrderState(order)


def quote(last=None, *, bid=None, ask=None):
    def levels(price):
        return () if price is None else (Level(D(price), D(5)),)

    return Quote("X", AT, levels(bid), levels(ask), None if last is None else D(last))


@pytest.mark.parametrize(
    ("side", "last", "hit"),
    [
        ("sell", 91, False),
        ("sell", 90, True),
        ("sell", 89, True),
        ("buy", 89, False),
        ("buy", 90, True),
        ("buy", 91, True),
    ],
)
def test_a_stop_sells_when_the_market_has_fallen_and_buys_when_it_has_risen(side, last, hit):
    for kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        assert is_hit(held(Side(side), kind, trigger=D(90)), quote(last)) is hit


def test_where_nothing_has_traded_a_stop_goes_by_what_it_would_trade_at():
    stop = held(Side.SELL, OrderType.STOP, trigger=D(90))
    assert is_hit(stop, quote(bid=89, ask=95))
    assert not is_hit(stop, quote(bid=91, ask=95))
    assert not is_hit(stop, quote(ask=80))
    assert not is_hit(stop, quote())


def test_the_last_trade_goes_before_the_book():
    assert not is_hit(held(Side.SELL, OrderType.STOP, trigger=D(90)), quote(95, bid=80, ask=85))


@pytest.mark.parametrize(
    ("side", "bid", "ask", "hit"),
    [("sell", 100, 101, True), ("sell", 99, 120, False), ("buy", 1, 100, True), ("buy", 99, 101, False)],
)
def test_a_profit_that_waits_leaves_when_it_would_trade_at_once(side, bid, ask, hit):
    assert is_hit(held(Side(side), OrderType.LIMIT), quote(100, bid=bid, ask=ask)) is hit


def test_a_profit_without_anybody_to_trade_with_waits():
    assert not is_hit(held(Side.SELL, OrderType.LIMIT), quote(200))


def test_a_trailing_stop_follows_its_market_one_way_only():
    sell = held(Side.SELL, OrderType.TRAILING_STOP, trigger=D(90), offset=D(5))
    assert followed(sell, quote(96)) == 91
    assert followed(sell, quote(95)) is None
    assert followed(sell, quote(80)) is None
    buy = held(Side.BUY, OrderType.TRAILING_STOP, trigger=D(110), offset=D(5))
    assert followed(buy, quote(104)) == 109
    assert followed(buy, quote(105)) is None
    assert followed(buy, quote(120)) is None


def test_nothing_else_is_moved_by_the_market():
    assert followed(held(Side.SELL, OrderType.STOP, trigger=D(90)), quote(200)) is None
    assert followed(held(Side.SELL, OrderType.TRAILING_STOP, trigger=D(90), offset=D(5)), quote()) is None


@given(st.sampled_from(Side), st.lists(st.integers(50, 150), min_size=1, max_size=30))
def test_a_trailing_stop_is_hit_exactly_when_the_market_has_turned_by_its_offset(side, prices):
    state = held(side, OrderType.TRAILING_STOP, trigger=D(1) if side is Side.SELL else D(1000), offset=D(7))
    best = None
    for price in prices:
        moved = followed(state, quote(price))
        if moved is not None:
            state = replace(state, changed=Changed(trigger_price=moved))
        best = price if best is None else (max if side is Side.SELL else min)(best, price)
        turned = best - price if side is Side.SELL else price - best
        assert is_hit(state, quote(price)) is (turned >= 7)


def test_a_quote_that_is_too_old_is_stale():
    assert not is_stale(quote(1), AT + timedelta(seconds=15), timedelta(seconds=15))
    assert is_stale(quote(1), AT + timedelta(seconds=16), timedelta(seconds=15))


def test_a_trailing_stop_has_no_trigger_at_nothing_or_below():
    sell = held(Side.SELL, OrderType.TRAILING_STOP, offset=D(5))
    assert followed(sell, quote(5)) is None
    assert followed(sell, quote(4)) is None
    assert followed(sell, quote(6)) == 1


def test_a_trailing_stop_without_a_trigger_gets_one_from_the_market():
    assert followed(held(Side.SELL, OrderType.TRAILING_STOP, offset=D(5)), quote(96)) == 91
    assert followed(held(Side.BUY, OrderType.TRAILING_STOP, offset=D(5)), quote(96)) == 101


def test_without_an_offset_nothing_follows():
    assert followed(held(Side.SELL, OrderType.TRAILING_STOP, trigger=D(90)), quote(200)) is None


def test_a_trailing_stop_follows_what_it_would_trade_at_where_nothing_has_traded():
    assert followed(held(Side.SELL, OrderType.TRAILING_STOP, trigger=D(90), offset=D(5)), quote(bid=97, ask=120)) == 92
    assert followed(held(Side.BUY, OrderType.TRAILING_STOP, trigger=D(110), offset=D(5)), quote(bid=80, ask=100)) == 105


def test_a_stop_without_a_trigger_is_hit_by_nothing():
    for side in Side:
        assert not is_hit(held(side, OrderType.TRAILING_STOP, offset=D(5)), quote(100))


def test_a_price_of_nothing_is_a_last_trade_all_the_same():
    assert market_price(quote(0, bid=90, ask=95), Side.SELL) == 0
    assert market_price(quote(bid=90, ask=95), Side.SELL) == 90
    assert market_price(quote(bid=90, ask=95), Side.BUY) == 95
    assert market_price(quote(bid=90), Side.BUY) is None
