"""What a plan says: every remark and every denial with its numbers, and what each order is judged against."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pydantic import SecretStr

from firstbell.brokers.base import Estimate
from firstbell.config import AccountSettings, OrdersMode
from firstbell.market import fee_rate
from firstbell.model.identifiers import client_order_id
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.oms.plan import MOST_SLICES, DayUsed, Facts, plan_login
from firstbell.oms.sizing import affordable, cost, cut_to_lot, limit_price, size_buy
from firstbell.risk.checks import Limits

D = Decimal
DAY = date(2026, 11, 21)
ISIN = "IRO1MHRN0001"
RATE = fee_rate("XTEH", Side.BUY)


def instrument(*, low=5520, high=5860, largest=200_000, lot=1, smallest=1):
    return Instrument(ISIN, "", "", PriceBand(D(low), D(high)), D(smallest), D(largest), D(lot))


def account(name="Order_A", **changes):
    facts = {"name": name, "username": "u", "password": SecretStr("p"), "broker_code": "gs", "isin": ISIN}
    return AccountSettings(**{**facts, **changes})


def plan(*accounts, money=None, held=None, what=None, calculator=lambda *_: None, **more):
    facts = Facts(None if money is None else D(money), {ISIN: what or instrument()}, holdings=held or {})
    given = {"limits": Limits(), "used": DayUsed(), **more}
    return plan_login(accounts, facts, calculator, day=DAY, market="XTEH", **given)


def test_an_order_says_all_that_the_config_and_the_broker_do():
    (line,) = plan(account(), money=1_000_003_827)
    (order,) = line.orders
    assert order.client_order_id == client_order_id(DAY, "gs", "u", ISIN, Side.BUY, 0)
    assert (order.account, order.broker_code, order.instrument, order.day) == ("Order_A", "gs", ISIN, DAY)
    assert (order.order_type, order.time_in_force) == (OrderType.LIMIT, TimeInForce.DAY)
    assert (line.instrument, line.remarks, line.denied) == (instrument(), (), None)
    assert (line.sizing.money, line.sizing.fee_rate, line.sizing.quantity) == (1_000_003_827, RATE, 170_018)


def test_the_calculator_is_asked_what_the_money_buys_at_that_price():
    asked = []

    def calculator(*question):
        asked.append(question)
        return Estimate(D(1000), D(5_866_000), D(6_000))

    (line,) = plan(account(max_value=D(5_866_000)), money=10**9, calculator=calculator)
    assert asked == [(ISIN, Side.BUY, D(5_866_000), D(5860))]
    assert [order.quantity for order in line.orders] == [1000]
    assert line.sizing.by_calculator


def test_a_limit_above_the_money_gives_no_more_money():
    (line,) = plan(account(max_value=D(10**12)), money=5_882_000)
    assert sum(cost(order.quantity, D(5860), RATE) for order in line.orders) <= 5_882_000


@pytest.mark.parametrize(
    ("accounts", "facts", "words"),
    [
        ([account()], {}, "the buying power could not be read"),
        ([account()], {"money": 0}, "buying power is 0 rials: nothing to spend"),
        ([account()], {"money": -1234}, "buying power is -1,234 rials: nothing to spend"),
        (
            [account()],
            {"money": 5860},
            "buying power too low: 5,860 rials available, 5,882 needed for the smallest order of 1",
        ),
        (
            [account(max_value=D(100))],
            {"money": 10**9},
            "buying power too low: 100 rials available, 5,882 needed for the smallest order of 1",
        ),
        (
            [account(side=Side.SELL)],
            {"held": {ISIN: D(9)}, "what": instrument(lot=10, smallest=10)},
            "nothing to sell: 9",
        ),
        ([account()], {"money": 10**9, "what": instrument(largest=5, lot=10)}, f"the largest order of {ISIN} is 5"),
    ],
)
def test_denials_say_why_with_the_numbers(accounts, facts, words):
    (line,) = plan(*accounts, **facts)
    assert line.denied.startswith(words)
    assert (line.orders, line.around) == ((), ())
    assert line.instrument is not None


def test_an_instrument_of_which_nothing_is_known_is_denied():
    facts = Facts(D(10**9), {})
    (line,) = plan_login([account()], facts, lambda *_: None, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    assert line.denied == "the instrument could not be read"


def test_several_broken_rules_are_all_named():
    limits = Limits(max_order_value=D(1), max_order_quantity=D(1))
    (line,) = plan(account(quantity=D(10)), money=10**9, limits=limits)
    assert line.denied == "max_order_value: 58,600, allowed at most 1; max_order_quantity: 10, allowed at most 1"


@pytest.mark.parametrize(
    ("quantity", "ordered", "remarks"),
    [
        (1, 1, ()),
        (100, 100, ()),
        (101, 100, ("quantity 101 is more than 588,176 rials pay for: 100 ordered",)),
    ],
)
def test_a_configured_quantity_beyond_the_money_is_cut_and_said(quantity, ordered, remarks):
    (line,) = plan(account(quantity=D(quantity)), money=588_176)
    assert [order.quantity for order in line.orders] == [ordered]
    assert line.remarks == remarks


@pytest.mark.parametrize(
    ("quantity", "ordered", "remarks"),
    [
        (1500, 1500, ()),
        (1501, 1500, ("quantity 1,501 is more than is held: 1,500 ordered",)),
        (70, 70, ()),
    ],
)
def test_a_configured_quantity_beyond_what_is_held_is_cut_and_said(quantity, ordered, remarks):
    (line,) = plan(account(side=Side.SELL, quantity=D(quantity)), held={ISIN: D(1500)})
    assert [order.quantity for order in line.orders] == [ordered]
    assert line.remarks == remarks


def test_a_sell_is_worth_at_most_what_is_allowed():
    (line,) = plan(account(side=Side.SELL, max_value=D(5520 * 10 + 5519)), held={ISIN: D(1500)})
    assert [(order.quantity, order.price) for order in line.orders] == [(10, 5520)]
    (lots,) = plan(account(side=Side.SELL, max_value=D(5520 * 25)), held={ISIN: D(1500)}, what=instrument(lot=10))
    assert [order.quantity for order in lots.orders] == [20]
    (fixed,) = plan(account(side=Side.SELL, price=D(5600), max_value=D(5600 * 3)), held={ISIN: D(1500)})
    assert [(order.quantity, order.price) for order in fixed.orders] == [(3, 5600)]


def test_two_sections_never_sell_the_same_shares():
    other = account("Order_B", username="u", side=Side.SELL)
    first, second = plan(account(side=Side.SELL, quantity=D(1000)), other, held={ISIN: D(1500)})
    assert (first.orders[0].quantity, second.orders[0].quantity) == (1000, 500)


def test_sells_count_as_orders_and_spend_nothing():
    limits = Limits(max_total_value=D(58_600), max_orders_per_account=2)
    sell, buy = account("Order_S", side=Side.SELL), account("Order_B", quantity=D(10))
    first, second = plan(sell, buy, money=10**9, held={ISIN: D(1500)}, limits=limits)
    assert first.denied is None
    assert second.denied is None
    assert [around.orders_so_far for line in (first, second) for around in line.around] == [0, 1]
    assert [around.value_so_far for line in (first, second) for around in line.around] == [0, 0]


def test_each_order_is_judged_with_those_before_it():
    limits = Limits(max_total_value=D(10**12), max_orders_per_account=10)
    used = DayUsed(D(7), 2)
    first, second = plan(
        account(orders=OrdersMode.ALL, max_value=D(15_000)),
        account("Order_B", quantity=D(1)),
        money=10**9,
        what=instrument(largest=1),
        limits=limits,
        used=used,
    )
    judged = [(around.orders_so_far, around.value_so_far) for line in (first, second) for around in line.around]
    assert judged == [(2, 7), (3, 5_867), (4, 11_727)]
    assert {around.tick_size for around in first.around} == {D(10)}
    assert {around.limits for around in first.around} == {limits}
    assert all(around.sending is None for around in first.around)


def test_one_order_is_capped_and_the_way_to_the_rest_is_told():
    (line,) = plan(account(quantity=D(300_000)), money=10**12)
    assert [order.quantity for order in line.orders] == [200_000]
    assert line.remarks == ("300,000 wanted, the largest order is 200,000: `orders = all` sends the rest too",)


def test_all_orders_stop_at_a_hundred_and_say_so():
    (line,) = plan(account(orders=OrdersMode.ALL, quantity=D(101)), money=10**12, what=instrument(largest=1))
    assert len(line.orders) == MOST_SLICES == 100
    assert line.remarks == ("101 wanted; what is left is below the smallest order, or beyond 100 orders",)
    (exactly,) = plan(account(orders=OrdersMode.ALL, quantity=D(100)), money=10**12, what=instrument(largest=1))
    assert len(exactly.orders) == 100
    assert exactly.remarks == ()


def test_a_rest_below_the_smallest_order_is_left_and_said():
    what = instrument(largest=100, smallest=10)
    (line,) = plan(account(orders=OrdersMode.ALL, quantity=D(209)), money=10**12, what=what)
    assert [order.quantity for order in line.orders] == [100, 100]
    assert line.remarks == ("209 wanted; what is left is below the smallest order, or beyond 100 orders",)
    (fits,) = plan(account(orders=OrdersMode.ALL, quantity=D(210)), money=10**12, what=what)
    assert [order.quantity for order in fits.orders] == [100, 100, 10]


def test_the_largest_order_is_cut_to_lots():
    (line,) = plan(account(quantity=D(1000)), money=10**12, what=instrument(largest=105, lot=10, smallest=10))
    assert [order.quantity for order in line.orders] == [100]


@pytest.mark.parametrize(("money", "shares"), [(5_881, 0), (5_882, 1), (11_763, 1), (11_764, 2)])
def test_the_fee_is_paid_to_the_last_rial(money, shares):
    assert cost(D(1), D(5860), RATE) == 5_882
    assert affordable(D(money), D(5860), RATE) == shares


def test_a_rial_buys_what_costs_less_than_one():
    assert affordable(D(1), D("0.5"), D(0)) == 2
    assert affordable(D("0.5"), D("0.25"), D(0)) == 2


@pytest.mark.parametrize(
    ("quantity", "lot", "cut"),
    [("10", "3", "9"), ("3", "3", "3"), ("2", "3", "0"), ("1.5", "0.25", "1.5"), ("0", "1", "0")],
)
def test_lots(quantity, lot, cut):
    assert cut_to_lot(D(quantity), D(lot)) == D(cut)


def test_a_price_that_the_user_fixed_holds_on_both_sides():
    band = PriceBand(D(5520), D(5860))
    assert limit_price(Side.SELL, band, D(5700)) == 5700


@pytest.mark.parametrize(
    ("said", "quantity", "by_calculator"),
    [
        # Without a fee of its own it is believed as far as the formula goes, and no share further.
        (Estimate(D(170_018), None, None), 170_018, True),
        (Estimate(D(170_019), None, None), 170_018, False),
        (Estimate(D(5), None, None), 5, True),
        # Its net amount has the fee in it; one that is less than the value has not.
        (Estimate(D(5), D(5 * 5860), None), 5, True),
        (Estimate(D(170_019), D(170_019 * 5860 - 1), None), 170_018, False),
        (Estimate(D(170_500), D(170_500 * 5860), None), 170_500, True),
        # A fee below nothing is none; one of nothing is one.
        (Estimate(D(170_500), None, D(-1)), 170_018, False),
        (Estimate(D(170_500), None, D(0)), 170_500, True),
        # To the rial: what costs exactly the money, and one rial more.
        (Estimate(D(170_000), None, D(1_000_003_827 - 170_000 * 5860)), 170_000, True),
        (Estimate(D(170_000), None, D(1_000_003_828 - 170_000 * 5860)), 170_018, False),
    ],
)
def test_how_far_a_calculator_is_believed(said, quantity, by_calculator):
    sizing = size_buy(D(1_000_003_827), D(5860), instrument(), RATE, said)
    assert (sizing.quantity, sizing.by_calculator, sizing.money) == (quantity, by_calculator, 1_000_003_827)
    if said.fee is None and said.net_amount is None:
        assert sizing.fee_rate == RATE


def test_a_calculators_quantity_is_cut_to_lots_too():
    sizing = size_buy(D(1_000_003_827), D(5860), instrument(lot=100), RATE, Estimate(D(199), None, None))
    assert (sizing.quantity, sizing.by_calculator) == (100, True)
    none = size_buy(D(1_000_003_827), D(5860), instrument(lot=100), RATE, Estimate(D(99), None, None))
    assert (none.quantity, none.by_calculator) == (170_000, False)


@pytest.mark.parametrize("money", [0, -5])
def test_without_money_no_calculator_is_believed(money):
    sizing = size_buy(D(money), D(5860), instrument(), RATE, Estimate(D(1), None, D(0)))
    assert (sizing.quantity, sizing.by_calculator) == (0, False)
