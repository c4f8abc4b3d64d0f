"""What each instrument of a section may spend: to the rial, in whatever order, and in a run that is started again."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pydantic import SecretStr

from firstbell.config import AccountSettings, OrdersMode
from firstbell.market import fee_rate
from firstbell.model.instrument import Instrument
from firstbell.model.money import divided
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.oms.plan import DayUsed, Facts, plan_login
from firstbell.oms.shares import Shares
from firstbell.oms.sizing import affordable, cost
from firstbell.risk.checks import Limits

D = Decimal
A, B, C = "IRO1MHRN0001", "IRO1BORS0001", "IRO1FOLD0001"
PRICES = {A: D(5860), B: D(3601), C: D(5010)}
RATE = fee_rate("XTEH", Side.BUY)
MONEY = D(1_000_003_827)


def section(*weights, name="Order_X", isins=(A, B, C), **changes):
    """A section's accounts, as a config makes them."""
    more = {"name": name, "username": "u", "password": SecretStr("p"), "broker_code": "gs", **changes}
    if weights:
        more["weights"] = tuple(map(D, weights))
    return [AccountSettings(**{**more, "name": f"{name}.{isin}", "isin": isin, "isins": isins}) for isin in isins]


def single(isin, name="Order_Y", **changes):
    return AccountSettings(name=name, username="u", password=SecretStr("p"), broker_code="gs", isin=isin, **changes)


def plan(accounts, money=MONEY, *, used=None, largest=10**9, smallest=1, asked=None, **facts):
    instruments = {
        isin: Instrument(isin, "", "", PriceBand(price - 100, price), D(smallest), D(largest), D(1))
        for isin, price in PRICES.items()
    }

    def calculator(isin, _side, budget, _price):
        if asked is not None:
            asked[isin] = budget

    return plan_login(
        accounts,
        Facts(None if money is None else D(money), instruments, **facts),
        calculator,
        day=date(2026, 11, 21),
        market="XTEH",
        limits=Limits(),
        used=used or DayUsed(),
    )


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (100, (60, 40), (60, 40)),
        (101, (60, 40), (60, 41)),
        (10, (1, 1, 1), (3, 3, 4)),
        (2, (1, 1, 1), (0, 0, 2)),
        (0, (1, 1), (0, 0)),
        (7, (1,), (7,)),
        (10**27, (1, 2), (333333333333333333333333333, 666666666666666666666666667)),
        (100, ("0.000001", "999999.999999"), (0, 100)),
    ],
)
def test_an_amount_is_divided_and_the_last_one_has_what_is_left(amount, weights, parts):
    assert divided(D(amount), [D(weight) for weight in weights]) == parts


def test_a_fraction_stays_with_the_last_one():
    assert divided(D("10.75"), [D(1), D(1)]) == (5, D("5.75"))


def test_each_instrument_is_bought_for_its_part_of_the_money():
    asked = {}
    lines = plan(section(60, 30, 10), asked=asked)
    assert asked == {A: 600_002_296, B: 300_001_148, C: 100_000_383}
    assert sum(asked.values()) == MONEY
    assert [line.account for line in lines] == [f"Order_X.{isin}" for isin in (A, B, C)]
    for line, isin in zip(lines, (A, B, C), strict=True):
        (order,) = line.orders
        assert (order.price, order.quantity) == (PRICES[isin], affordable(asked[isin], PRICES[isin], RATE))
        assert order.account == line.account


def test_without_weights_the_parts_are_equal():
    asked = {}
    plan(section(), asked=asked)
    assert asked == {A: 333_334_609, B: 333_334_609, C: 333_334_609}


@pytest.mark.parametrize("mode", OrdersMode)
def test_what_one_of_them_leaves_is_not_the_others(mode):
    asked = {}
    lines = plan(section(60, 30, 10, orders=mode), asked=asked, largest=500)
    assert asked == {A: 600_002_296, B: 300_001_148, C: 100_000_383}
    assert all(
        sum(cost(o.quantity, o.price, RATE) for o in line.orders) <= asked[line.orders[0].instrument] for line in lines
    )
    unreadable = {A: "the broker does not know it"}
    known = {B: Instrument(B, "", "", PriceBand(D(3500), D(3601)), D(1), D(10**9), D(1))}
    facts = Facts(MONEY, known, unreadable)
    first, second = plan_login(
        section(50, 50, isins=(A, B)),
        facts,
        lambda *_: None,
        day=date(2026, 11, 21),
        market="XTEH",
        limits=Limits(),
        used=DayUsed(),
    )
    assert first.denied == "the broker does not know it"
    assert second.orders[0].quantity == affordable((MONEY / 2).to_integral_value(), D(3601), RATE)


def test_the_section_behind_gets_what_all_of_them_leave():
    asked = {}
    lines = plan([*section(1, 1, isins=(A, B), quantity=D(10)), single(C)], asked=asked)
    spent = sum(cost(order.quantity, order.price, RATE) for line in lines[:2] for order in line.orders)
    assert spent == cost(D(10), D(5860), RATE) + cost(D(10), D(3601), RATE)
    assert asked[C] == MONEY - spent


def test_the_section_before_takes_its_part_first():
    asked = {}
    lines = plan([single(C, max_value=D(400_000_000)), *section(1, 1, isins=(A, B))], asked=asked)
    left = MONEY - cost(lines[0].orders[0].quantity, D(5010), RATE)
    assert asked[A] + asked[B] == left
    assert asked[B] - asked[A] in {0, 1}


def test_two_sections_that_divide_do_so_one_after_the_other():
    asked = {}
    first = section(1, 1, isins=(A, B), max_value=D(100_000_000))
    lines = plan([*first, *section(1, 3, name="Order_Y", isins=(C, "IRO1NONE0001"))], asked=asked)
    assert asked[A] == asked[B] == 100_000_000
    left = MONEY - sum(cost(line.orders[0].quantity, line.orders[0].price, RATE) for line in lines[:2])
    assert asked[C] == left // 4


def test_the_most_to_spend_caps_a_share():
    asked = {}
    plan(section(60, 30, 10, max_value=D(200_000_000)), asked=asked)
    assert asked == {A: 200_000_000, B: 200_000_000, C: 100_000_383}


@pytest.mark.parametrize(
    ("weights", "money", "said"),
    [
        ((1, 1), 0, "its share of the buying power is 0 rials: nothing to spend"),
        ((1, 1), -500, "its share of the buying power is -500 rials: nothing to spend"),
        ((1, 99), 50, "its share of the buying power is 0 rials: nothing to spend"),
        (
            (1, 99),
            100_000,
            "its share of the buying power too low: 1,000 rials available, 5,882 needed for the smallest order of 1",
        ),
    ],
)
def test_a_share_that_pays_for_nothing_is_said_to_be_one(weights, money, said):
    assert plan(section(*weights, isins=(A, B)), money)[0].denied == said
    assert plan([single(A)], 0)[0].denied == "buying power is 0 rials: nothing to spend"


def test_what_is_bought_already_has_left_the_basket_as_its_money_has():
    """Started again after A was accepted: what is there now is divided among the others, not by all three weights."""
    first = plan(section(60, 30, 10))
    left = MONEY - cost(first[0].orders[0].quantity, D(5860), RATE)
    asked = {}
    again = plan(section(60, 30, 10)[1:], left, used=DayUsed(bought=frozenset({A})), asked=asked)
    assert asked[B] + asked[C] == left
    assert asked[B] == left * 30 // 40
    # To within what A left of its share, each gets what it would have got.
    for before, after in zip(first[1:], again, strict=True):
        assert 0 <= after.orders[0].quantity - before.orders[0].quantity <= 2


def test_what_is_not_chosen_keeps_its_share():
    asked = {}
    plan(section(60, 30, 10)[1:2], asked=asked)
    assert asked == {B: 300_001_148}
    assert Shares(frozenset()).of(section(60, 30, 10)[2], MONEY) == 100_000_383


def test_an_account_that_is_planned_though_it_has_been_bought_keeps_its_own_weight():
    assert Shares(frozenset({A, B})).of(section(60, 30, 10)[0], D(700)) == 600


def test_no_share_is_more_than_what_is_there():
    shares = Shares(frozenset())
    first, second, _ = section(1, 1, 1)
    assert shares.of(first, D(900)) == 300
    assert shares.of(second, D(100)) == 100


def test_sells_of_several_sell_what_is_held_of_each():
    lines = plan(section(side=Side.SELL), None, holdings={A: D(1500), B: D(7)})
    assert [[order.quantity for order in line.orders] for line in lines] == [[1500], [7], []]
    assert [order.price for line in lines for order in line.orders] == [5760, 3501]
    assert lines[2].denied == f"nothing to sell: 0 shares of {C} held"


def test_sells_come_in_slices_too():
    lines = plan(section(side=Side.SELL, orders="all"), None, holdings={A: D(1200), B: D(500)}, largest=500)
    assert [[order.quantity for order in line.orders] for line in lines] == [[500, 500, 200], [500], []]


def test_holdings_that_cannot_be_read_stop_sells_alone_and_money_buys_alone():
    both = [single(A), single(B, "Order_S", side=Side.SELL)]
    buy, sell = plan(both, no_holdings="the back office is down")
    assert (len(buy.orders), sell.denied) == (1, "what is held could not be read: the back office is down")
    buy, sell = plan(both, None, no_money="api is down", holdings={B: D(5)})
    assert (buy.denied, [order.quantity for order in sell.orders]) == ("api is down", [5])
