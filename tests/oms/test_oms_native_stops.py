"""Stops that rest at a broker that knows them: they make room for the profit, and are not forgotten for that."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import request

from firstbell.errors import NoAnswer, NotSent, Refused
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderType
from firstbell.oms.lists import ASKED_AGAIN
from firstbell.oms.orders.holding import Holding
from firstbell.oms.orders.requests import BracketRequest, OcoRequest

D = Decimal
S = OrderStatus
STOP = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800, "role": "stop_loss"}


def bracket(desk, take_profit=4950):
    entry = request(quantity=3000, price=4865, key="b")
    return desk.manager.place_bracket(BracketRequest(entry=entry, take_profit=take_profit, stop_loss=4800))


def newest(desk, role):
    return [entry for entry in desk.journal.entries() if entry.intent.order.role.value == role][-1]


def fall(desk, price=4795):
    desk.quote(price, price + 4, bid_quantity=D(50_000))
    desk.trade(price + 2, 10)


@pytest.fixture
def knows_stops(desk, monkeypatch):
    """A broker that knows stops, and what types of orders it has been sent."""
    own = type(desk.broker).capabilities.fget
    knows = property(lambda broker: replace(own(broker), order_types=own(broker).order_types | {OrderType.STOP}))
    monkeypatch.setattr(type(desk.broker), "capabilities", knows)
    prepare, sent = desk.broker.prepare, []

    def resting(order):
        sent.append(order.order_type)
        # Paper knows no stops: something that rests stands for one.
        rests = replace(order, order_type=OrderType.LIMIT, price=D(5000)) if order.order_type.waits else order
        return replace(prepare(rests), order=order)

    desk.broker.prepare = resting
    return sent


def test_where_stops_rest_at_the_broker_the_profit_waits_here(desk, knows_stops):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds()
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP]
    profit = newest(desk, "take_profit")
    assert profit.is_held_back
    assert not profit.state.triggered
    # When its price has come, the stop makes room for it, and is held back until all of it has traded.
    desk.quote(4955, 4960, bid_quantity=D(50_000))
    desk.rounds(2)
    stops = [each.state.status for each in desk.journal.entries() if each.intent.order.role.value == "stop_loss"]
    assert stops == [S.CANCELED, S.DENIED]
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP, OrderType.LIMIT]
    assert newest(desk, "take_profit").state.status is S.FILLED
    assert desk.held() == 0


def profit_in_part(desk):
    """A bracket's profit leaves, which its stop at the broker had to make room for, and most of it does not trade."""
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds()
    desk.quote(4955, 4960, bid_quantity=D(1_000))
    desk.rounds(3)
    profit = newest(desk, "take_profit")
    assert (profit.state.status, profit.state.filled_qty) == (S.PARTIALLY_FILLED, 1_000)


def test_a_stop_that_made_room_is_held_back_for_what_the_profit_has_not_sold_yet(desk, knows_stops):
    profit_in_part(desk)
    stop = newest(desk, "stop_loss")
    assert (stop.is_held_back, stop.state.quantity) == (True, 2_000)
    # While its price has not come it stays here: the profit is at the broker.
    desk.rounds(2)
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP, OrderType.LIMIT]
    fall(desk)
    desk.rounds(3)
    assert newest(desk, "take_profit").state.status is S.CANCELED
    assert newest(desk, "stop_loss").state.status is S.FILLED
    assert desk.held() == 0
    assert desk.interventions == []


def test_a_stop_that_made_room_goes_back_to_its_broker_where_the_profit_is_taken_back(desk, knows_stops):
    profit_in_part(desk)
    desk.manager.cancel(newest(desk, "take_profit").intent.order.client_order_id)
    desk.rounds(2)
    stop = newest(desk, "stop_loss").state
    assert (stop.status, stop.quantity) == (S.ACCEPTED, 2_000)
    assert knows_stops[-1] is OrderType.STOP


def test_a_stop_that_made_room_and_cannot_be_held_back_is_told_of_once_and_tried_again(desk, knows_stops, monkeypatch):
    tries = []
    with monkeypatch.context() as patched:
        patched.setattr(Holding, "hold_further", lambda *given: tries.append(given[2]))
        profit_in_part(desk)
        desk.rounds(2)
    name = newest(desk, "stop_loss").intent.order.client_order_id
    alarms = [(name, "it has ended, and 3000 shares are held without a stop")]
    assert desk.interventions == alarms
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP, OrderType.LIMIT]
    assert (tries[0], tries[-1]) == (3_000, 2_000)
    # Whatever was in the way has passed.
    desk.rounds()
    stop = newest(desk, "stop_loss")
    assert (stop.is_held_back, stop.state.quantity) == (True, 2_000)
    assert desk.interventions == alarms


def test_a_stop_that_made_room_is_held_back_once_it_is_known_what_became_of_the_profit(desk, knows_stops):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds()
    desk.quote(4955, 4960, bid_quantity=D(1_000))
    stop, profit = (newest(desk, role).intent.order.client_order_id for role in ("stop_loss", "take_profit"))

    def say(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    desk.broker.lost = say
    desk.rounds(2)
    desk.broker.lost = None
    assert [name for name, _ in desk.interventions] == [stop]
    desk.rounds(3)
    assert newest(desk, "take_profit").state.filled_qty == 1_000
    assert newest(desk, "take_profit").intent.order.client_order_id == profit
    again = newest(desk, "stop_loss")
    assert (again.is_held_back, again.state.quantity) == (True, 2_000)
    assert [name for name, _ in desk.interventions] == [stop]
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP, OrderType.LIMIT]


def test_a_groups_stop_that_made_room_is_told_of_and_none_takes_its_place(desk, knows_stops):
    desk.manager.place(request(price=4870, quantity=3000))
    desk.quote(4864, 4870, ask_quantity=D(5_000))
    desk.rounds()
    profit = request(side="sell", quantity=1000, price=4950, role="take_profit", key="p")
    terms = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800, "role": "stop_loss"}
    _, stop = desk.manager.place_oco(OcoRequest(orders=(profit, request(quantity=1000, key="s", **terms))))
    assert knows_stops[-1] is OrderType.STOP
    desk.quote(4955, 4960, bid_quantity=D(400))
    desk.rounds(3)
    assert newest(desk, "take_profit").state.filled_qty == 400
    # Only once the list has shown what the profit has sold in its first moment.
    assert desk.interventions == [(stop.order_id, "it has ended, and 600 shares are held without a stop")]


def test_a_groups_profit_that_trades_in_full_at_once_leaves_nothing_to_tell(desk, knows_stops):
    desk.manager.place(request(price=4870, quantity=3000))
    desk.quote(4864, 4870, ask_quantity=D(5_000))
    desk.rounds()
    profit = request(side="sell", quantity=1000, price=4950, role="take_profit", key="p")
    desk.manager.place_oco(OcoRequest(orders=(profit, request(quantity=1000, key="s", **STOP))))
    desk.quote(4955, 4960, bid_quantity=D(5_000))
    desk.rounds()
    # Another group is placed before the list is read once more.
    more = request(side="sell", quantity=500, price=4990, role="take_profit", key="q")
    desk.manager.place_oco(OcoRequest(orders=(more, request(quantity=500, key="t", **STOP))))
    desk.rounds(2)
    first = desk.journal.entries()[1]
    assert (first.intent.order.role, first.state.status) == ("take_profit", S.FILLED)
    assert OrderType.LIMIT in knows_stops
    assert desk.interventions == []


def test_a_stop_that_made_room_is_held_back_also_where_its_cancel_had_to_be_asked_for_again(desk, knows_stops):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds()
    cancel, asked = desk.broker.cancel, []

    def lose_the_first(name):
        asked.append(name)
        if len(asked) == 1:
            raise NoAnswer("silence")
        return cancel(name)

    desk.broker.cancel = lose_the_first
    desk.quote(4955, 4960, bid_quantity=D(1_000))
    desk.rounds(8)
    stops = [each for each in desk.journal.entries() if each.intent.order.role.value == "stop_loss"]
    reasons = [each.reason for each in desk.journal.reports(stops[0].intent.order.client_order_id)]
    assert ASKED_AGAIN in reasons
    assert (stops[-1].is_held_back, stops[-1].state.quantity) == (True, 2_000)
    assert knows_stops[-1] is OrderType.LIMIT
    assert desk.interventions == []


def test_a_stop_that_made_room_is_followed_while_its_profit_cannot_be_sent(desk, knows_stops):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds()
    send = desk.broker.send

    def refuse(_prepared, **_how):
        raise NotSent("no route")

    desk.broker.send = refuse
    desk.quote(4955, 4960, bid_quantity=D(1_000))
    desk.rounds(4)
    assert newest(desk, "take_profit").is_held_back
    fall(desk)
    desk.rounds(4)
    assert newest(desk, "stop_loss").state.triggered
    # The market comes back, and so does the broker: its price had come.
    desk.broker.send = send
    desk.quote(4835, 4840, bid_quantity=D(50_000))
    desk.rounds(20)
    assert newest(desk, "stop_loss").state.status is S.FILLED
    assert desk.held() == 0
    assert knows_stops[:2] == [OrderType.LIMIT, OrderType.STOP]


def test_the_user_who_takes_back_the_stop_that_goes_on_is_told_nothing_by_whoever_comes_later(desk, knows_stops):
    profit_in_part(desk)
    desk.manager.cancel(newest(desk, "stop_loss").intent.order.client_order_id)
    desk.rounds(2)
    for _ in range(2):
        desk.open()
        desk.rounds(2)
    assert newest(desk, "stop_loss").state.status is S.DENIED
    assert knows_stops[-1] is OrderType.LIMIT
    assert desk.interventions == []


@pytest.mark.parametrize("asked", [False, True], ids=["by its broker", "by the user"])
def test_a_lone_stop_that_is_ended_at_its_broker_is_told_of_unless_that_was_asked_for(desk, knows_stops, asked):
    desk.manager.place(request(price=4870, quantity=100))
    desk.quote(4864, 4870, ask_quantity=D(5_000))
    desk.rounds()
    name = desk.manager.place(request(quantity=100, **STOP)).order_id
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP]
    desk.rounds()
    if asked:
        desk.manager.cancel(name)
    else:
        desk.broker.cancel(desk.manager.entry(name).state.venue_order_id)
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.CANCELED
    why = "it was at its broker, and it is CANCELED with 100 that have not traded: nothing goes on for them"
    assert desk.interventions == ([] if asked else [(name, why)])


def test_a_stop_that_its_broker_does_not_change_is_told_of_once_it_has_been_too_small_for_a_while(desk, knows_stops):
    bracket(desk)
    desk.trade(4865, 1000)
    desk.rounds()

    def refuse(*_):
        raise Refused("not now")

    desk.broker.replace = refuse
    desk.trade(4865, 2000)
    desk.rounds(36)
    assert desk.interventions == []
    desk.rounds(20)
    stop = newest(desk, "stop_loss")
    assert (stop.state.status, stop.state.quantity, knows_stops[-1]) == (S.ACCEPTED, 1_000, OrderType.STOP)
    why = "it is for 2,000 shares too few, and for 75 s it could not be changed: the run log says why"
    assert desk.interventions == [(stop.intent.order.client_order_id, why)]
    desk.rounds(60)
    assert len(desk.interventions) == 1


def test_a_stop_that_is_changed_at_its_broker_stays_a_stop(desk, knows_stops):
    bracket(desk)
    desk.trade(4865, 1000)
    desk.rounds()
    replace_, changed = desk.broker.replace, []
    desk.broker.replace = lambda name, order: (
        changed.append((order.order_type, order.quantity)) or replace_(name, order)
    )
    desk.trade(4865, 2000)
    desk.rounds(2)
    assert changed == [(OrderType.STOP, 3_000)]
    assert knows_stops == [OrderType.LIMIT, OrderType.STOP]


def test_a_stop_that_has_begun_to_trade_at_its_broker_and_is_not_out_is_late(desk, knows_stops):
    bracket(desk, take_profit=None)
    desk.trade(4865, 3000)
    desk.rounds()
    # What stands for the stop there rests at this price.
    desk.quote(5000, 5010, bid_quantity=D(10))
    desk.rounds(12)
    stop = newest(desk, "stop_loss")
    assert (stop.state.status, stop.state.filled_qty, knows_stops[-1]) == (S.PARTIALLY_FILLED, 10, OrderType.STOP)
    assert [name for name, _ in desk.interventions] == [stop.intent.order.client_order_id]
    assert "its price came 10 s ago, and 2,990 of it have not traded" in desk.interventions[0][1]
