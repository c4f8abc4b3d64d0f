"""An order as its broker takes it: held back, taken as it is, or said in the terms that the broker has."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from firstbell.brokers.base import Capabilities
from firstbell.model.instructions import Instructions
from firstbell.model.order import Changed, Order, OrderState
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.oms.orders.terms_at_broker import as_taken, has_limit_there, is_supplied, must_be_held, not_taken

D = Decimal
O = OrderType  # noqa: E741 - read beside T
T = TimeInForce
LIMITS = Capabilities(300, client_order_ids=False, replace=True)
BOTH = replace(LIMITS, order_types=frozenset({O.LIMIT, O.MARKET}), times_in_force=frozenset({T.DAY, T.IOC}))
ALL = replace(LIMITS, order_types=frozenset(OrderType), times_in_force=frozenset(TimeInForce))


def order(kind, lasts=T.DAY):
    trigger = D(90) if kind.waits else None
    terms = Instructions(trigger_price=trigger)
    day = date(2026, 11, 28)
    return Order(
        "n", "A", "x", "X", Side.SELL, D(100), D(10), day, order_type=kind, time_in_force=lasts, instructions=terms
    )


def taken(kind, capabilities, lasts=T.DAY, *, triggered=False):
    made = as_taken(OrderState(order(kind, lasts), triggered=triggered), capabilities)
    return made.order_type, made.time_in_force


@pytest.mark.parametrize("kind", OrderType)
def test_what_waits_is_held_back_where_its_broker_knows_no_triggers(kind):
    assert must_be_held(order(kind), LIMITS) is kind.waits
    assert not must_be_held(order(kind), ALL)


def test_a_market_order_at_a_broker_that_takes_none_is_not_held_back_but_a_limit():
    assert not must_be_held(order(O.MARKET), LIMITS)
    assert has_limit_there(order(O.MARKET), LIMITS)
    assert not has_limit_there(order(O.MARKET), BOTH)


@pytest.mark.parametrize("kind", OrderType)
def test_the_brokers_list_shows_the_price_of_what_is_a_limit_there(kind):
    assert has_limit_there(order(kind), LIMITS)
    assert has_limit_there(order(kind), BOTH) is (kind in {O.LIMIT, O.STOP_LIMIT})


@pytest.mark.parametrize(
    ("kind", "triggered", "limits", "both", "everything"),
    [
        (O.LIMIT, False, O.LIMIT, O.LIMIT, O.LIMIT),
        (O.MARKET, False, O.LIMIT, O.MARKET, O.MARKET),
        (O.STOP, True, O.LIMIT, O.MARKET, O.MARKET),
        (O.TRAILING_STOP, True, O.LIMIT, O.MARKET, O.MARKET),
        (O.STOP_LIMIT, True, O.LIMIT, O.LIMIT, O.LIMIT),
        (O.STOP, False, O.LIMIT, O.MARKET, O.STOP),
        (O.STOP_LIMIT, False, O.LIMIT, O.LIMIT, O.STOP_LIMIT),
        (O.LIMIT, True, O.LIMIT, O.LIMIT, O.LIMIT),
        (O.MARKET, True, O.LIMIT, O.MARKET, O.MARKET),
    ],
)
def test_an_order_is_of_a_type_that_its_broker_takes_and_once_triggered_no_stop(
    kind, triggered, limits, both, everything
):
    sent = [taken(kind, each, triggered=triggered)[0] for each in (LIMITS, BOTH, ALL)]
    assert sent == [limits, both, everything]


def test_an_order_leaves_with_the_terms_that_it_has_now():
    state = OrderState(order(O.LIMIT), changed=Changed(price=D(105), quantity=D(7)))
    sent = as_taken(state, BOTH)
    assert (sent.price, sent.quantity, sent.client_order_id, sent.instructions) == (
        105,
        7,
        "n",
        state.order.instructions,
    )


@pytest.mark.parametrize("lasts", TimeInForce)
def test_a_time_in_force_that_its_broker_has_not_is_kept_here_and_sent_as_a_day_order(lasts):
    assert is_supplied(order(O.LIMIT, lasts), BOTH) is (lasts not in {T.DAY, T.IOC})
    assert taken(O.LIMIT, BOTH, lasts)[1] is (lasts if lasts in {T.DAY, T.IOC} else T.DAY)
    assert taken(O.LIMIT, ALL, lasts)[1] is lasts


@pytest.mark.parametrize("lasts", TimeInForce)
def test_three_times_in_force_are_kept_here_where_there_are_day_orders(lasts):
    said = list(map(str, not_taken(O.LIMIT, lasts, LIMITS)))
    if lasts in {T.DAY, T.IOC, T.GTD, T.AT_THE_OPEN}:
        assert said == []
    else:
        assert said == [f"time in force at this broker: {lasts}, allowed at_the_open, day, gtd, ioc"]
    assert not_taken(O.LIMIT, lasts, ALL) == ()


def test_without_day_orders_nothing_is_kept_here():
    at_once = replace(LIMITS, times_in_force=frozenset({T.FOK}))
    assert not_taken(O.LIMIT, T.FOK, at_once) == ()
    assert not_taken(O.LIMIT, T.GTD, at_once)
    assert not_taken(O.LIMIT, T.DAY, at_once)


@pytest.mark.parametrize("kind", OrderType)
def test_any_order_can_be_said_as_a_limit_or_a_market_order_and_in_no_other_terms(kind):
    def only(*kinds):
        return list(map(str, not_taken(kind, T.DAY, replace(LIMITS, order_types=frozenset(kinds)))))

    assert only(O.LIMIT) == []
    assert only(O.MARKET) == []
    assert only(kind) == []
    other = O.STOP if kind is not O.STOP else O.STOP_LIMIT
    if kind not in {O.LIMIT, O.MARKET}:
        assert only(other) == [f"order type at this broker: {kind}, allowed {other}"]
