"""Stops whose price has come and that are not out of their position: who is told, when, and of what."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import Refused
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderType
from firstbell.oms.orders.requests import BracketRequest
from firstbell.risk.trading_state import Halt, HaltFile

D = Decimal
S = OrderStatus


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


def bracket(desk):
    legs = desk.manager.place_bracket(
        BracketRequest(entry=request(quantity=100, price=4870), take_profit=4950, stop_loss=4800)
    )
    desk.rounds(2)
    assert desk.held() == 100
    return [leg.order_id for leg in legs]


def falls(desk, bid=4795, shares=50_000):
    desk.quote(bid, bid + 4, bid_quantity=D(shares))
    desk.trade(bid + 2, 10)


def refuse_cancels(desk):
    def refused(_name):
        raise Refused("1099 not now")

    desk.broker.cancel = refused


def test_of_one_that_a_profit_keeps_from_leaving_a_person_is_told_once_and_why(desk):
    _, profit, stop = bracket(desk)
    cancel = desk.broker.cancel
    refuse_cancels(desk)
    falls(desk)
    desk.rounds(5)
    assert desk.interventions == []
    desk.rounds(30)
    ((name, why),) = desk.interventions
    assert name == stop
    assert f"its price came 10 s ago, and it cannot leave: {profit} cannot be taken off the book: " in why
    assert "1099 not now" in why
    desk.broker.cancel = cancel
    desk.rounds(10)
    assert desk.held() == 0
    assert len(desk.interventions) == 1


def test_while_trading_is_halted_a_person_is_told_of_what_stays_and_the_time_begins_anew_with_its_end(desk):
    _, _, stop = bracket(desk)
    refuse_cancels(desk)
    halt = HaltFile.of(desk.folder)
    halt.write(Halt(instant(desk.clock.wall_ns()), "me", "wait"))
    desk.interrupt._look()
    falls(desk)
    desk.rounds(20)
    ((name, why),) = desk.interventions
    assert name == stop
    assert why.startswith("its price came 10 s ago, and it cannot leave: trading is halted since ")
    assert why.endswith(" by me (wait); it stays here until `firstbell resume`")
    halt.remove()
    desk.interrupt.resume()
    desk.rounds(5)
    assert len(desk.interventions) == 1
    desk.rounds(3)
    assert "cannot be taken off the book" in desk.interventions[1][1]
    desk.rounds(20)
    assert len(desk.interventions) == 2


def test_while_trading_is_halted_neither_what_waits_to_buy_nor_what_works_is_late(desk):
    bracket(desk)
    terms = {"order_type": "stop", "price": None, "trigger_price": 4900, "quantity": 10}
    desk.manager.place(request(**terms))
    HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "me", "wait"))
    desk.interrupt._look()
    desk.quote(4901, 4905)
    desk.trade(4903, 10)
    desk.rounds(20)
    assert desk.interventions == []


def test_when_this_process_is_ending_nothing_is_late(desk):
    bracket(desk)
    refuse_cancels(desk)
    falls(desk)
    desk.interrupt.stop()
    desk.rounds(20)
    assert desk.interventions == []


def test_of_an_order_that_closes_a_position_and_was_passed_by_the_market_a_person_is_told_too(desk):
    desk.reopened(lacks={OrderType.MARKET})
    desk.manager.place(request(quantity=100, price=4870))
    desk.rounds(2)
    desk.quote(4795, 4799, bid_quantity=D(30))
    closing = request(side="sell", quantity=100, order_type="market", price=None, role="stop_loss", key="c")
    name = desk.manager.close_position("Order_A", closing).order_id
    desk.quote(4730, 4734)
    desk.rounds(3)
    assert desk.interventions == []
    desk.rounds(8)
    ((told, why),) = desk.interventions
    assert told == name
    assert why.startswith("it was to close a position 10 s ago, and 70 of it have not traded at ")


def test_of_one_that_has_left_and_was_passed_by_the_market_a_person_is_told_what_is_left(desk):
    desk.reopened(lacks={OrderType.MARKET})
    _, _, stop = bracket(desk)
    falls(desk, shares=30)
    desk.rounds(2)
    state = desk.manager.entry(stop).state
    assert (state.status, state.filled_qty) == (S.PARTIALLY_FILLED, 30)
    desk.quote(4730, 4734)
    desk.rounds(3)
    assert desk.interventions == []
    desk.rounds(5)
    ((name, why),) = desk.interventions
    assert name == stop
    assert "70 of it have not traded at " in why
    desk.manager.replace(stop, price=D(4730))
    desk.rounds(2)
    assert desk.held() == 0


def test_a_stop_with_a_limit_may_rest_at_it(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    terms = {"order_type": "stop_limit", "side": "sell", "trigger_price": 4800, "price": 4799, "quantity": 10}
    desk.manager.place(request(**terms))
    falls(desk, 4780)
    desk.rounds(20)
    assert desk.held() == 10
    assert desk.interventions == []
