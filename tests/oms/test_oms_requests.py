"""Brackets and groups as they are asked for: what their orders are, and what cannot be one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from oms_desk import ISIN, request

from firstbell.model.order_request import OrderRequest
from firstbell.model.terms import OrderRole, OrderType, Side, TimeInForce
from firstbell.oms.orders.requests import BracketRequest, OcoRequest

D = Decimal
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)
STOP = {"order_type": "stop", "price": None, "trigger_price": 4860}
TRAILING = {"order_type": "trailing_stop", "price": None, "trailing_offset": 30}
BOTH = {"take_profit": 4950, "stop_loss": 4800}
AT_BROKER = {"account": "Order_A", "exchange": "NFO", "token": "738561", "product": "MIS"}


def bracket(entry=None, **terms):
    return BracketRequest(entry=request(**(entry or {})), **terms)


def problems(entry=None, **terms):
    with pytest.raises(ValueError, match=".") as caught:
        bracket(entry, **terms)
    return str(caught.value).split("; ")


def test_the_exits_are_of_the_other_side_and_for_all_of_the_entry():
    profit, stop = bracket(AT_BROKER, **BOTH).legs
    common = {"instrument": ISIN, "side": "sell", "quantity": 1000, **AT_BROKER}
    assert profit == OrderRequest(**common, order_type="limit", price=4950, role="take_profit")
    assert stop == OrderRequest(**common, order_type="stop", trigger_price=4800, role="stop_loss")


@pytest.mark.parametrize(
    "entry", [STOP, TRAILING, {**TRAILING, "trigger_price": 4860}], ids=["stop", "trailing", "both"]
)
def test_a_profit_is_a_plain_limit_of_the_day_whatever_the_entry_is(entry):
    until = {"time_in_force": "gtd", "expires_at": AT}
    (profit,) = bracket({**entry, **until}, take_profit=4950).legs
    assert (profit.order_type, profit.price, profit.role) == (OrderType.LIMIT, 4950, OrderRole.TAKE_PROFIT)
    assert (profit.trigger_price, profit.trailing_offset) == (None, None)
    assert (profit.time_in_force, profit.expires_at) == (TimeInForce.DAY, None)


@pytest.mark.parametrize(
    ("terms", "leg"),
    [
        ({"stop_loss": 4800}, (OrderType.STOP, None, 4800, None)),
        ({"stop_loss": 4800, "stop_limit": 4790}, (OrderType.STOP_LIMIT, 4790, 4800, None)),
        ({"trailing_offset": 50}, (OrderType.TRAILING_STOP, None, None, 50)),
        ({"stop_loss": 4800, "trailing_offset": 50}, (OrderType.TRAILING_STOP, None, 4800, 50)),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, dict) else "",
)
def test_a_stop_is_what_was_said_of_it(terms, leg):
    (stop,) = bracket(**terms).legs
    assert (stop.order_type, stop.price, stop.trigger_price, stop.trailing_offset) == leg
    assert (stop.role, stop.side, stop.time_in_force) == (OrderRole.STOP_LOSS, Side.SELL, TimeInForce.DAY)


def test_a_sale_is_protected_by_purchases_the_other_way_round():
    profit, stop = bracket({"side": "sell"}, take_profit=4800, stop_loss=4950).legs
    assert (profit.side, profit.price) == (Side.BUY, 4800)
    assert (stop.side, stop.trigger_price) == (Side.BUY, 4950)


@pytest.mark.parametrize("instrument", [None, "", " ", 7, "x" * 65, "a\nb"])
def test_an_order_is_for_an_instrument(instrument):
    with pytest.raises(ValueError, match="instrument: .* is no name of 1 to 64 characters"):
        request(instrument=instrument)


def test_numbers_are_read_exactly_however_they_are_written():
    made = bracket(take_profit="4950", stop_loss=4800, stop_limit=D("4790.5"))
    numbers = (made.take_profit, made.stop_loss, made.stop_limit)
    assert numbers == (D(4950), D(4800), D("4790.5"))
    assert all(isinstance(number, D) for number in numbers)
    assert isinstance(bracket(stop_loss="4800").stop_loss, D)
    assert bracket(trailing_offset="50").legs[0].trailing_offset == 50


def test_all_that_is_no_number_is_named_at_once():
    told = problems(take_profit=0, stop_loss=4800.0, stop_limit="much", trailing_offset=-5)
    assert [each.partition(":")[0] for each in told] == ["take_profit", "stop_loss", "stop_limit", "trailing_offset"]
    assert told[0] == "take_profit: 0 is not more than zero"
    assert told[3] == "trailing_offset: -5 is not more than zero"


def test_what_was_left_out_hides_nothing_that_is_wrong():
    assert problems(trailing_offset=0) == ["trailing_offset: 0 is not more than zero"]
    assert problems(stop_loss=1.5, stop_limit=-1)[1:] == ["stop_limit: -1 is not more than zero"]


def test_a_bracket_protects_by_something():
    assert problems() == ["take_profit, stop_loss: a bracket has at least one of them"]
    # A limit alone is none of a stop's.
    assert problems(stop_limit=4790) == [
        "take_profit, stop_loss: a bracket has at least one of them",
        "stop_limit: it goes with a stop_loss that does not trail",
    ]


def test_a_limit_goes_with_a_stop_that_stays():
    told = ["stop_limit: it goes with a stop_loss that does not trail"]
    assert problems(take_profit=4950, stop_limit=4790) == told
    assert problems(stop_loss=4800, stop_limit=4790, trailing_offset=50) == told


@pytest.mark.parametrize(
    ("entry", "terms", "told"),
    [
        ({}, {"take_profit": 4860}, "take_profit: 4860 is not above the entry's 4860"),
        ({}, {"stop_loss": 4860}, "stop_loss: 4860 is not below the entry's 4860"),
        ({"side": "sell"}, {"take_profit": 4860}, "take_profit: 4860 is not below the entry's 4860"),
        ({"side": "sell"}, {"stop_loss": 4860}, "stop_loss: 4860 is not above the entry's 4860"),
        (STOP, {"take_profit": 4850}, "take_profit: 4850 is not above the entry's 4860"),
    ],
)
def test_exits_are_on_their_sides_of_the_entry(entry, terms, told):
    assert problems(entry, **terms) == [told]


@pytest.mark.parametrize(
    ("entry", "terms"),
    [
        ({}, {"take_profit": 4861, "stop_loss": 4859}),
        ({"side": "sell"}, {"take_profit": 4859, "stop_loss": 4861}),
    ],
)
def test_exits_may_be_as_near_as_can_be(entry, terms):
    assert len(bracket(entry, **terms).legs) == 2


def test_where_the_entry_has_no_price_its_exits_are_held_against_each_other():
    market = {"order_type": "market", "price": None}
    assert len(bracket(market, take_profit=4950, stop_loss=4949).legs) == 2
    for stop in (4950, 4960):
        assert problems(market, take_profit=4950, stop_loss=stop) == [
            f"stop_loss: {stop} is on the wrong side of take_profit 4950"
        ]
    short = {**market, "side": "sell"}
    assert len(bracket(short, take_profit=4950, stop_loss=4951).legs) == 2
    for stop in (4950, 4940):
        assert problems(short, take_profit=4950, stop_loss=stop) == [
            f"stop_loss: {stop} is on the wrong side of take_profit 4950"
        ]


def test_one_cancels_another_so_there_are_two():
    for orders in ((), (request(),)):
        with pytest.raises(ValueError, match="orders: one cancels the other, so there are at least two"):
            OcoRequest(orders=orders)
    assert len(OcoRequest(orders=(request(), request())).orders) == 2
    assert len(OcoRequest(orders=(request(),) * 3).orders) == 3


def test_exits_of_one_position_are_each_for_all_of_it():
    def sell(quantity, **terms):
        return request(side="sell", quantity=quantity, **terms)

    with pytest.raises(ValueError, match="orders: exits of one position are each for all of it; these are for 400, 10"):
        OcoRequest(orders=(sell(1000), sell(400)))
    with pytest.raises(ValueError, match="exits of one position"):
        OcoRequest(orders=(sell(1000, role="take_profit"), sell(400, role="stop_loss"), sell(1000)))
    for others in ((sell(1000), sell(1000)), (sell(1000), request(quantity=400)), (sell(9, role="entry"), sell(8))):
        assert OcoRequest(orders=others).orders == others
    # Entries are each for their own.
    assert len(OcoRequest(orders=(request(quantity=5), request(quantity=6))).orders) == 2


def test_orders_of_which_one_cancels_the_others_are_of_one_account():
    with pytest.raises(ValueError, match="orders: they are of one account"):
        OcoRequest(orders=(request(account="A"), request(account="B")))
    with pytest.raises(ValueError, match="orders: they are of one account"):
        OcoRequest(orders=(request(account="A"), request()))


def test_a_request_names_everything_that_is_wrong_with_it_at_once():
    with pytest.raises(ValueError, match=".") as caught:
        OrderRequest(
            instrument=ISIN,
            side="buy",
            order_type="limit",
            quantity=1.5,
            trigger_price=4800,
            time_in_force="gtd",
            expires_at="tomorrow",
        )
    assert [each.partition(":")[0] for each in str(caught.value).split("; ")] == [
        "quantity",
        "price",
        "trigger_price",
        "expires_at",
    ]
    assert "'tomorrow' is no point in time" in str(caught.value)


@pytest.mark.parametrize(
    ("orders", "told"),
    [
        (None, "orders: NoneType is not several order requests"),
        ("ab", "orders: str is not several order requests"),
        ([1, None], "orders: int is no OrderRequest; NoneType is no OrderRequest"),
    ],
)
def test_what_is_no_order_is_named_where_one_cancels_the_others(orders, told):
    with pytest.raises(ValueError, match=f"^{told}$"):
        OcoRequest(orders=orders)


def test_orders_of_which_one_cancels_the_others_have_keys_of_their_own():
    with pytest.raises(ValueError, match="^orders: the key k stands for one order, and two have it$"):
        OcoRequest(orders=(request(key="k"), request(key="l"), request(key="k")))
    assert len(OcoRequest(orders=(request(key="k"), request(key="l"), request())).orders) == 3


def test_a_bracket_without_an_entry_is_told_all_that_is_wrong():
    with pytest.raises(ValueError, match=r"^entry: NoneType is no OrderRequest; take_profit: "):
        BracketRequest(entry=None, take_profit="x")
