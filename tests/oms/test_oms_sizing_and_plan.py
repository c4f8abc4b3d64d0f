from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from firstbell.brokers.base import Estimate
from firstbell.config import AccountSettings, OrdersMode
from firstbell.market import fee, fee_rate
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.oms.plan import DayUsed, Facts, plan_login
from firstbell.oms.sizing import affordable, cost, cut_to_lot, limit_price, size_buy
from firstbell.risk.checks import Limits

RATE = fee_rate("XTEH", Side.BUY)
DAY = date(2026, 11, 21)
D = Decimal


def instrument(low=5520, high=5860, largest=200_000, lot=1, smallest=1, isin="IRO1MHRN0001"):
    return Instrument(isin, "مهرگان", "گروه مالی مهرگان", PriceBand(D(low), D(high)), D(smallest), D(largest), D(lot))


def account(**changes):
    facts = {
        "name": "Order_A",
        "username": "u",
        "password": SecretStr("p"),
        "broker_code": "gs",
        "isin": "IRO1MHRN0001",
    }
    return AccountSettings(**{**facts, **changes})


def plan(accounts, money, *, calculator=lambda *_: None, instruments=None, holdings=None, limits=None, used=None):
    facts = Facts(
        None if money is None else D(money),
        {i.id: i for i in instruments or [instrument()]},
        holdings=holdings or {},
    )
    return plan_login(
        accounts, facts, calculator, day=DAY, market="XTEH", limits=limits or Limits(), used=used or DayUsed()
    )


@pytest.mark.parametrize(("money", "price", "shares"), [(1_000_003_827, 5860, 170_018), (1_000_014_598, 3601, 276_677)])
def test_the_golden_samples(money, price, shares):
    assert affordable(D(money), D(price), RATE) == shares


@given(
    st.integers(-(10**6), 10**15),
    st.integers(1, 10**7),
    st.sampled_from([RATE, D(0), D("0.0145"), D("0.00116")]),
    st.integers(1, 1000),
)
def test_value_and_fee_never_exceed_the_money(money, price, rate, lot):
    quantity = affordable(D(money), D(price), rate, D(lot))
    assert quantity >= 0
    assert quantity % lot == 0
    if quantity:
        assert quantity * price + fee(quantity * price, rate) <= money
    # And not a lot less than would have fitted.
    more = quantity + lot
    assert more * price * (1 + rate) > money


@given(
    st.integers(1, 10**13),
    st.integers(1, 10**6),
    st.integers(-10, 10**10),
    st.one_of(st.none(), st.integers(0, 10**13)),
    st.one_of(st.none(), st.integers(0, 10**10)),
)
def test_whatever_a_calculator_says_nothing_is_overspent(money, price, said, net, fees):
    estimate = Estimate(D(said), None if net is None else D(net), None if fees is None else D(fees))
    sizing = size_buy(D(money), D(price), instrument(low=price, high=price), RATE, estimate)
    assert sizing.quantity >= 0
    assert cost(sizing.quantity, D(price), sizing.fee_rate) <= money or sizing.quantity == 0


def test_the_calculator_is_believed_when_its_figures_hold():
    cheaper = Estimate(D(1000), D(5_860_000 + 6_000), D(6_000))
    sizing = size_buy(D(5_866_000), D(5860), instrument(), RATE, cheaper)
    assert (sizing.quantity, sizing.by_calculator) == (1000, True)
    assert affordable(D(5_866_000), D(5860), RATE) < 1000


@pytest.mark.parametrize(
    "said",
    [
        Estimate(D(-5), None, None),
        Estimate(D(0), None, None),
        Estimate(D(10**9), None, None),
        Estimate(D(171_000), None, D(1)),
    ],
)
def test_a_calculator_that_cannot_be_right_gives_way_to_the_formula(said):
    sizing = size_buy(D(1_000_003_827), D(5860), instrument(), RATE, said)
    assert (sizing.quantity, sizing.by_calculator) == (170_018, False)


def test_prices():
    band = PriceBand(D(5520), D(5860))
    assert limit_price(Side.BUY, band, None) == 5860
    assert limit_price(Side.SELL, band, None) == 5520
    assert limit_price(Side.BUY, band, D(5700)) == 5700


def test_cut_to_lot():
    assert cut_to_lot(D(1099), D(100)) == 1000
    assert cut_to_lot(D(-1), D(100)) == 0


def test_four_fields_make_one_order_at_the_top_of_the_band():
    (line,) = plan([account()], 1_000_003_827)
    (order,) = line.orders
    assert (order.price, order.quantity, order.side, order.account) == (5860, 170_018, Side.BUY, "Order_A")
    assert line.denied is None


def test_the_largest_order_caps_and_says_so():
    (line,) = plan([account()], 10**12)
    assert [order.quantity for order in line.orders] == [200_000]
    assert "largest order is 200,000" in line.remarks[0]


def test_orders_all_cuts_into_full_size_slices_with_names_of_their_own():
    (line,) = plan([account(orders=OrdersMode.ALL)], 2_941_000_000)
    quantities = [order.quantity for order in line.orders]
    assert quantities[:2] == [200_000, 200_000]
    assert len({order.client_order_id for order in line.orders}) == len(quantities) == 3
    assert sum(cost(q, D(5860), RATE) for q in quantities) <= 2_941_000_000


@given(st.integers(1, 10**13), st.integers(1, 400_000), st.integers(1, 100))
def test_slices_together_never_overspend(money, largest, lot):
    (line,) = plan(
        [account(orders=OrdersMode.ALL)], money, instruments=[instrument(largest=max(largest, lot), lot=lot)]
    )
    assert sum(cost(order.quantity, order.price, RATE) for order in line.orders) <= money


def test_accounts_of_one_login_share_its_money_in_order():
    other = instrument(low=3393, high=3601, largest=400_000, isin="IRO1BORS0001")
    first, second = plan(
        [account(max_value=D(600_000_000)), account(name="Order_B", isin="IRO1BORS0001")],
        1_000_000_000,
        instruments=[instrument(), other],
    )
    spent = cost(first.orders[0].quantity, D(5860), RATE)
    assert spent <= 600_000_000
    assert second.orders[0].quantity == affordable(1_000_000_000 - spent, D(3601), RATE)


def test_what_is_left_for_the_second_account_may_be_nothing():
    other = instrument(low=3393, high=3601, isin="IRO1BORS0001")
    first, second = plan(
        [account(), account(name="Order_B", isin="IRO1BORS0001")], 1_000_003_827, instruments=[instrument(), other]
    )
    assert first.orders
    assert not second.orders
    assert "too low" in second.denied


@pytest.mark.parametrize("money", [0, -5_000])
def test_no_money_no_order(money):
    (line,) = plan([account()], money)
    assert not line.orders
    assert "nothing to spend" in line.denied


def test_a_configured_quantity_is_at_most_that():
    (line,) = plan([account(quantity=D(1000))], 1_000_003_827)
    assert line.orders[0].quantity == 1000
    (poor,) = plan([account(quantity=D(1000))], 3_000_000)
    assert poor.orders[0].quantity < 1000
    assert "more than" in poor.remarks[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price": D(5870)}, "price band: 5,870, allowed 5,520 to 5,860"),
        ({"price": D(5855)}, "tick size: 5,855, allowed multiples of 10"),
    ],
)
def test_a_fixed_price_that_the_exchange_would_refuse_is_denied(changes, said):
    (line,) = plan([account(**changes)], 1_000_003_827)
    assert line.denied == said
    assert not line.orders


def test_the_ends_of_the_band_are_taken_as_they_are():
    (line,) = plan([account()], 1_000_003_827, instruments=[instrument(low=5523, high=5863)])
    assert line.orders[0].price == 5863


def test_a_smallest_order_above_the_money_is_denied_with_both_numbers():
    (line,) = plan([account()], 1_000_000, instruments=[instrument(smallest=500)])
    assert "1,000,000 rials available" in line.denied
    assert "2,940,877" in line.denied or "2,940,8" in line.denied


def test_an_instrument_that_could_not_be_read_is_denied():
    facts = Facts(D(10**9), {}, {"IRO1MHRN0001": "the broker does not know it"})
    (line,) = plan_login([account()], facts, lambda *_: None, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    assert line.denied == "the broker does not know it"


def test_a_sell_takes_the_bottom_and_what_is_held():
    (line,) = plan([account(side=Side.SELL)], None, holdings={"IRO1MHRN0001": D(1500)})
    assert [(order.price, order.quantity) for order in line.orders] == [(5520, 1500)]
    (none,) = plan([account(side=Side.SELL)], None)
    assert "nothing to sell" in none.denied


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        (Limits(max_order_value=D(1000)), "max_order_value"),
        (Limits(max_order_quantity=D(5)), "max_order_quantity"),
        (Limits(max_total_value=D(1000)), "max_total_value"),
        (Limits(max_orders_per_account=0), "max_orders_per_account"),
    ],
)
def test_the_users_limits_deny_and_name_the_rule(limits, rule):
    (line,) = plan([account()], 1_000_003_827, limits=limits)
    assert rule in line.denied
    assert not line.orders


def test_limits_count_what_the_day_has_used():
    used = DayUsed(value=D(10**9), orders=1)
    (line,) = plan([account(quantity=D(10))], 10**9, limits=Limits(max_total_value=D(10**9 + 1)), used=used)
    assert "max_total_value" in line.denied
    (line,) = plan([account(quantity=D(10))], 10**9, limits=Limits(max_orders_per_account=1), used=used)
    assert "max_orders_per_account: 2, allowed at most 1" in line.denied


def test_a_last_slice_is_left_out_rather_than_cut_below_the_smallest_order():
    """A denial of that one would take the others with it."""
    ten_slices_and_one = 10 * cost(D(200_000), D(1), RATE) + cost(D(100), D(1), RATE)
    assert affordable(ten_slices_and_one, D(1), RATE) >= 2_000_100
    (line,) = plan(
        [account(orders=OrdersMode.ALL)],
        ten_slices_and_one - 1,
        instruments=[instrument(low=1, high=1, smallest=100)],
    )
    assert [order.quantity for order in line.orders] == [200_000] * 10


def test_the_fees_of_a_hundred_slices_are_rounded_up_a_hundred_times():
    (line,) = plan([account(orders=OrdersMode.ALL)], 101, instruments=[instrument(low=1, high=1, largest=1)])
    assert len(line.orders) == 50
    assert sum(cost(order.quantity, order.price, RATE) for order in line.orders) == 100


@pytest.mark.parametrize("price", ["0.0000001", "1E-27", "9" * 27, "0.5"])
def test_prices_out_of_all_proportion_end_in_a_moment_and_overspend_nothing(price):
    quantity = affordable(D(10**27), D(price), RATE)
    assert cost(quantity, D(price), RATE) <= 10**27


def test_a_fee_that_the_calculator_names_is_not_rounded_into_another_one():
    """The rate that it comes to has no end; so it must be cut, or the money would seem a rial short."""
    said = Estimate(D(7), D(7 * 3001 + 63), D(63))
    sizing = size_buy(D(7 * 3001 + 63), D(3001), instrument(low=3001, high=3001), RATE, said)
    assert (sizing.quantity, sizing.by_calculator) == (7, True)
    assert cost(D(7), D(3001), sizing.fee_rate) == 7 * 3001 + 63
