"""Positions from trades: exact, by average cost, and the same however the trades come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.position import Position, Trade
from firstbell.model.terms import Side
from firstbell.model.trade_order import position_of

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
FOLD = "IRO1FOLD0001"


def trade(name, side, quantity, price, *, fee=0, minute=None, estimated=False, order=None):
    at = AT + timedelta(minutes=int(name) if minute is None else minute)
    return Trade(
        str(name), "A", FOLD, side, Decimal(quantity), Decimal(price), at, Decimal(fee), order, estimated=estimated
    )


def bought(name, quantity, price, **more):
    return trade(name, Side.BUY, quantity, price, **more)


def sold(name, quantity, price, **more):
    return trade(name, Side.SELL, quantity, price, **more)


def held(*trades):
    return position_of("A", FOLD, trades)


def test_purchases_join_at_one_average_price():
    position = held(bought(1, 100, 5860, fee=2176), bought(2, 50, 5900, fee=1096))
    assert (position.quantity, position.cost, position.fees) == (150, 881_000, 3272)
    assert position.average_price == Decimal(881_000) / 150
    assert (position.realized, position.cash) == (0, -881_000)
    assert (position.opened_at, position.last_trade_at) == (AT + timedelta(minutes=1), AT + timedelta(minutes=2))


def test_a_sale_takes_its_share_of_the_cost_and_leaves_the_average():
    before = held(bought(1, 3, 100), bought(2, 4, 101))
    position = before.after(sold(3, 2, 110))
    assert position.average_price == before.average_price
    assert position.basis == Fraction(704 * 5, 7)
    assert abs(Fraction(position.realized) - (220 - Fraction(704 * 2, 7))) < Fraction(1, 10**24)
    assert position.opened_at == before.opened_at


def test_what_is_bought_after_a_sale_joins_at_the_average_of_what_is_left():
    position = held(bought(1, 10, 100), sold(2, 5, 120), bought(3, 5, 200))
    assert (position.quantity, position.average_price, position.realized) == (10, 150, 100)


def test_closing_all_of_it_realizes_exactly_what_the_money_says():
    position = held(bought(1, 3, 100), bought(2, 4, 101), sold(3, 2, 110), sold(4, 5, 90))
    assert position.is_flat
    assert (position.average_price, position.opened_at, position.basis) == (None, None, 0)
    assert position.realized == position.cash == -704 + 220 + 450


def test_a_sale_of_more_than_is_held_turns_the_position_round():
    position = held(bought(1, 10, 100), sold(2, 25, 130))
    assert (position.quantity, position.average_price, position.realized) == (-15, 130, 300)
    assert position.opened_at == AT + timedelta(minutes=2)
    assert position.closing_side is Side.BUY
    back = position.after(bought(3, 20, 120))
    assert (back.quantity, back.average_price, back.realized) == (5, 120, 450)
    assert back.opened_at == AT + timedelta(minutes=3)
    assert back.closing_side is Side.SELL


def test_what_was_sold_short_earns_when_the_price_falls():
    position = held(sold(1, 10, 130), sold(2, 10, 110))
    assert (position.quantity, position.average_price, position.cost) == (-20, 120, -2400)
    assert position.unrealized(Decimal(100)) == 400
    assert position.unrealized(Decimal(100), closing_fee=Decimal(8)) == 392


def test_all_profit_is_told_with_every_fee_taken_off():
    position = held(bought(1, 100, 50, fee=19), sold(2, 40, 60, fee=22))
    assert (position.realized, position.unrealized(Decimal(55)), position.fees) == (400, 300, 41)
    assert position.total(Decimal(55)) == 400 + 300 - 41
    assert position.total(Decimal(55), closing_fee=Decimal(30)) == 400 + 300 - 41 - 30


def test_the_profit_since_it_was_opened_leaves_out_what_was_earned_before():
    flat = held(bought(1, 10, 100, fee=4), sold(2, 10, 120, fee=6))
    assert (flat.before, flat.total(Decimal(7)), flat.profit(Decimal(7))) == (190, 190, 0)
    again = flat.after(bought(3, 10, 100, fee=5)).after(sold(4, 4, 110, fee=3))
    assert again.profit(Decimal(90), closing_fee=Decimal(2)) == 40 - 60 - 5 - 3 - 2
    turned = again.after(sold(5, 16, 90, fee=7))
    assert (turned.quantity, turned.before) == (-10, 190 + 40 - 60 - 5 - 3 - 7)
    assert turned.profit(Decimal(85)) == 50


def test_a_trade_that_comes_twice_counts_once():
    once = held(bought(1, 100, 50, fee=19, order="a"))
    assert held(*(bought(1, 100, 50, fee=19, order="a"),) * 3) == once
    assert held(bought(1, 100, 50, order="a"), bought(1, 100, 50, order="b")).quantity == 200


def test_an_estimate_is_said_to_be_one():
    assert not held(bought(1, 1, 1)).estimated
    assert held(bought(1, 1, 1, estimated=True), bought(2, 1, 1)).estimated


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": Decimal(0)},
        {"quantity": Decimal(-1)},
        {"quantity": Decimal("NaN")},
        {"quantity": Decimal("Infinity")},
        {"price": Decimal("NaN")},
        {"fee": Decimal("Infinity")},
        {"price": Decimal("1E+99")},
        {"at": datetime(2026, 11, 21)},  # noqa: DTZ001 - a naive one is what is refused
    ],
)
def test_a_trade_is_made_of_numbers_that_make_sense(wrong):
    with pytest.raises(ValueError, match="a trade's|the number is"):
        replace(bought(1, 1, 1), **wrong)


@pytest.mark.parametrize("wrong", [{"account": "B"}, {"instrument": "OTHER"}])
def test_a_trade_of_another_account_or_instrument_is_refused(wrong):
    with pytest.raises(ValueError, match="came to A in IRO1FOLD0001"):
        Position("A", FOLD).after(replace(bought(1, 1, 1), **wrong))


def test_a_price_of_many_digits_is_kept_whole():
    many = Decimal(10**27)
    tiny = Decimal("0.000000000000000000000000001")
    position = held(bought(1, many, many), bought(2, tiny, tiny))
    assert Fraction(position.cash) == -(Fraction(many) ** 2 + Fraction(tiny) ** 2)


def test_a_cost_does_not_grow_without_bound():
    position = Position("A", FOLD)
    for number in range(3000):
        position = position.after(bought(number, 7 + number % 5, 100 + number % 11))
        position = position.after(sold(number, 3 + number % 3, 101))
    assert position.basis.denominator <= 10**61
    price = Decimal(103)
    assert abs(position.realized + position.unrealized(price) - position.total(price)) < Decimal("1e-15")
    assert position.total(price) == position.cash + position.quantity * price


@st.composite
def histories(draw, sides=(Side.BUY, Side.SELL)):
    numbers = st.decimals("0.001", 10_000, places=3)
    return [
        trade(
            number, draw(st.sampled_from(sides)), draw(numbers), draw(numbers), fee=draw(st.decimals(0, 99, places=2))
        )
        for number in range(draw(st.integers(1, 12)))
    ]


@given(histories(), st.decimals("0.001", 10_000, places=3))
def test_profit_is_the_money_that_came_in_and_what_is_left_is_worth(trades, price):
    position = held(*trades)
    money = sum((-Fraction(each.signed) * Fraction(each.price) - Fraction(each.fee) for each in trades), Fraction(0))
    shares = sum((each.signed for each in trades), Decimal(0))
    assert position.quantity == shares
    assert position.total(price) == money + Fraction(shares) * Fraction(price)
    assert Fraction(position.cash) + position.basis == money + Fraction(position.fees) + position.basis
    gap = Fraction(position.realized + position.unrealized(price) - position.fees) - Fraction(position.total(price))
    assert abs(gap) < Fraction(1, 10**15)


@given(st.data(), st.sampled_from(Side))
def test_trades_of_one_side_come_to_the_same_in_whatever_order(data, side):
    trades = data.draw(histories(sides=(side,)))
    shuffled = data.draw(st.permutations(trades))
    one, other = Position("A", FOLD), Position("A", FOLD)
    for first, second in zip(trades, shuffled, strict=True):
        one, other = one.after(first), other.after(second)
    assert replace(one, opened_at=None) == replace(other, opened_at=None)


@given(st.data())
def test_sales_out_of_one_holding_come_to_the_same_in_whatever_order(data):
    entry = bought(99, 1_000_000, "123.457")
    sales = data.draw(histories(sides=(Side.SELL,)))
    one = other = Position("A", FOLD).after(entry)
    for first, second in zip(sales, data.draw(st.permutations(sales)), strict=True):
        one, other = one.after(first), other.after(second)
    assert one == other


@given(st.data())
def test_a_replay_in_any_order_and_with_doubles_is_the_same(data):
    trades = data.draw(histories())
    again = data.draw(st.permutations(trades + data.draw(st.lists(st.sampled_from(trades), max_size=4))))
    assert held(*again) == held(*trades)


@given(histories())
def test_the_average_lies_between_the_prices_of_what_opened_it(trades):
    position = held(*trades)
    if not position.is_flat:
        opening = [each.price for each in trades if (each.side is Side.BUY) == (position.quantity > 0)]
        assert min(opening) - Decimal("1e-20") <= position.average_price <= max(opening) + Decimal("1e-20")


def test_where_nothing_is_sold_short_a_sale_beyond_what_was_bought_comes_out_of_holdings():
    trades = [bought(1, 100, 10, fee=1), sold(2, 250, 13, fee=5), sold(3, 50, 20, fee=2)]
    position = position_of("A", FOLD, trades, short=False)
    assert (position.quantity, position.basis, position.opened_at, position.from_holdings) == (0, 0, None, 200)
    # A hundred were closed with a profit of 3 each; of the others nobody knows what they had cost.
    assert (position.realized, position.fees, position.total(Decimal(99))) == (300, 8, 300 - 8)
    again = position.after(bought(4, 10, 20), short=False)
    assert (again.quantity, again.average_price, again.profit(Decimal(21))) == (10, 20, 10)


@given(histories())
def test_without_short_sales_nothing_is_ever_below_zero_and_shares_add_up(trades):
    position = position_of("A", FOLD, trades, short=False)
    purchased, gone = (sum((each.quantity for each in trades if each.side is side), Decimal(0)) for side in Side)
    assert position.quantity >= 0
    assert position.quantity - position.from_holdings == purchased - gone
    assert position.fees == sum(each.fee for each in trades)


def test_of_trades_heard_of_at_once_purchases_come_first():
    trades = [sold(1, 10, 12, minute=0), bought(2, 10, 10, minute=0)]
    closed = position_of("A", FOLD, trades, short=False)
    assert (closed.quantity, closed.realized, closed.from_holdings) == (0, 20, 0)
