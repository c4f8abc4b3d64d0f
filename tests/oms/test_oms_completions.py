"""What becomes of the rest of an order that has traded in part, through the order manager and on paper."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.model.order_status import OrderStatus
from firstbell.model.policies import CompletionStrategy
from firstbell.oms.policies.partial_fills import PartialFillConfig

D = Decimal
S = OrderStatus


@pytest.fixture
def desk_with(tmp_path, stepped_clock):
    made = []

    def make(strategy, **terms):
        desk = Desk(tmp_path, stepped_clock, partial_fills=PartialFillConfig(strategy=strategy, **terms))
        desk.quote(4850, 4870)
        made.append(desk)
        name = desk.manager.place(request(price=4860, quantity=1000)).order_id
        desk.trade(4860, 300)
        return desk, name

    yield make
    for desk in made:
        desk.close()


def test_by_itself_the_rest_goes_on_working(desk_with):
    desk, name = desk_with(None)
    desk.rounds(30)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty, state.price) == (S.PARTIALLY_FILLED, 300, 4860)


def test_the_rest_is_canceled(desk_with):
    desk, name = desk_with(CompletionStrategy.CANCEL_REMAINING)
    desk.rounds()
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty) == (S.CANCELED, 300)
    assert desk.held() == 300


@pytest.mark.parametrize(
    "terms",
    [
        {"order_type": "stop_limit", "trigger_price": 4856, "price": 4855},
        {"price": 4855, "role": "stop_loss"},
        {"price": 4855, "role": "exit"},
        {"price": 4855},
    ],
    ids=["a stop", "a stop loss", "an exit", "a plain sale"],
)
def test_whoever_wants_no_rests_of_his_orders_does_not_get_half_a_stop(desk_with, terms):
    desk, _ = desk_with(CompletionStrategy.CANCEL_REMAINING)
    desk.rounds()
    assert desk.held() == 300
    desk.quote(4850, 4856)
    name = desk.manager.place(request(**{"side": "sell", "order_type": "limit", "quantity": 300, **terms})).order_id
    desk.trade(4854, 10)
    desk.rounds(2)
    desk.trade(4855, 100)
    desk.rounds(3)
    newest = [each for each in desk.journal.entries() if each.intent.plan_id == name][-1].state
    assert 0 < newest.filled_qty < 300
    assert newest.status is (S.CANCELED if set(terms) == {"price"} else S.PARTIALLY_FILLED)


def test_the_rest_trades_at_once(desk_with):
    desk, name = desk_with(CompletionStrategy.IMMEDIATE)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty) == (S.FILLED, 1000)
    assert state.avg_px == (300 * D(4860) + 700 * D(4870)) / 1000
    assert len(desk.at_venue()) == 1


def test_the_rest_trades_when_nothing_has_for_a_while(desk_with):
    desk, name = desk_with(CompletionStrategy.TIME_BASED, after=20.0)
    desk.rounds(8)
    assert desk.manager.entry(name).state.filled_qty == 300
    desk.rounds(5)
    assert desk.manager.entry(name).state.status is S.FILLED


def test_the_rest_follows_a_market_that_goes_away_and_no_further_than_allowed(desk_with):
    desk, name = desk_with(CompletionStrategy.PRICE_BASED, price_move=D("0.005"), max_price_adjustment=D("0.02"))
    desk.rounds(3)
    assert desk.manager.entry(name).state.filled_qty == 300
    desk.quote(4890, 4900, ask_quantity=D(200))
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.price) == (500, 4900)
    desk.quote(4980, 5000)
    desk.rounds(3)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty) == (S.PARTIALLY_FILLED, 500)
    assert state.price <= 4860 * D("1.02")
