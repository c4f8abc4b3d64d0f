"""Trades that a broker names anew, corrects or takes back: never more of an order is counted than has traded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.model.order import LISTS_LAG
from firstbell.model.order_status import OrderStatus
from firstbell.oms.orders.requests import BracketRequest

D = Decimal
S = OrderStatus
NAMED = [("T1", 400, 4850), ("T2", 600, 4840)]


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


class Broker:
    """What a broker's two lists say of the one order of 1,000, whatever it has traded at the exchange."""

    def __init__(self, desk):
        self.filled, self.trades = 0, []
        self._orders, self._fills, self._like = desk.broker.orders, desk.broker.fills, None
        desk.broker.orders = self.orders
        desk.broker.fills = self.fills

    def orders(self, day):
        return tuple(self._told(row) if row.quantity == 1000 else row for row in self._orders(day))

    def _told(self, row):
        return replace(row, filled_qty=D(self.filled), working=self.filled < row.quantity, status="whatever")

    def fills(self, day):
        like, row = self._fills(day)[0], next(row for row in self._orders(day) if row.quantity == 1000)
        return tuple(
            replace(
                like,
                venue_order_id=row.venue_order_id,
                named=trade_id is not None,
                fill=replace(like.fill, trade_id=trade_id or f"row {qty}", last_qty=D(qty), last_px=D(px)),
            )
            for trade_id, qty, px in self.trades
        )


def says(broker, desk, filled, *trades):
    broker.filled, broker.trades = filled, list(trades)
    desk.rounds(3)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ((None, 400, 4850), NAMED),
        (("TMP", 400, 4850), NAMED),
        (("T1", 400, 4850), [("T1", 300, 4850), ("T2", 700, 4840)]),
        (("77", 400, 4850), [("۷۷", 400, 4850), ("۷۸", 600, 4840)]),
        (("T1", 400, 4850), [("T9", 1000, 4844)]),
    ],
)
def test_what_has_another_name_now_is_not_counted_twice(desk, first, then):
    broker = Broker(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 400)
    says(broker, desk, 400, first)
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.priced_qty, state.avg_px) == (400, 400, 4850)
    says(broker, desk, 1000, *then)
    state = desk.manager.entry(name).state
    value = sum(D(qty) * px for _, qty, px in then)
    assert (state.status, state.filled_qty, state.priced_qty, state.filled_value) == (S.FILLED, 1000, 1000, value)


def test_a_bracket_sells_no_more_than_was_bought_though_a_trade_was_taken_back(desk):
    broker = Broker(desk)
    asked = BracketRequest(entry=request(price=4862), take_profit=D(4950), stop_loss=D(4800))
    entry, *exits = (response.order_id for response in desk.manager.place_bracket(asked))
    desk.trade(4862, 400)
    says(broker, desk, 400, ("T1", 400, 4850))
    says(broker, desk, 0)
    desk.trade(4862, 600)
    says(broker, desk, 1000, ("T5", 1000, 4850))
    assert desk.manager.entry(entry).state.filled_qty == 1000
    assert [desk.manager.entry(each).state.quantity for each in exits] == [1000, 1000]


def test_new_trades_of_an_order_that_lasts_are_counted_though_yesterdays_are_in_no_list(desk):
    broker = Broker(desk)
    name = desk.manager.place(request(price=4862, time_in_force="gtc")).order_id
    desk.trade(4862, 400)
    says(broker, desk, 400, ("T1", 400, 4850))
    desk.clock.sleep(86_400)
    desk.trade(4862, 300)
    says(broker, desk, 700, ("T2", 300, 4840))
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.priced_qty, state.filled_value) == (700, 700, 400 * 4850 + 300 * 4840)


def test_trades_of_before_a_change_for_which_the_broker_named_the_order_anew_are_counted_on_top(desk):
    broker = Broker(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 400)
    says(broker, desk, 400, ("T1", 400, 4850))
    assert desk.manager.replace(name, price=4863).is_success
    # Under its new name the list of trades shows the new ones alone.
    says(broker, desk, 1000, ("T2", 600, 4840))
    state = desk.manager.entry(name).state
    assert (state.status, state.priced_qty, state.filled_value) == (S.FILLED, 1000, 400 * 4850 + 600 * 4840)


def test_what_is_shown_in_part_under_new_names_comes_to_the_right_sum_in_the_end(desk):
    broker = Broker(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 400)
    says(broker, desk, 400, ("TMP", 400, 4850))
    # The list of trades is a look behind that of orders.
    says(broker, desk, 1000, ("A", 400, 4850))
    assert desk.manager.entry(name).state.priced_qty == 400
    says(broker, desk, 1000, ("A", 400, 4850), ("B", 600, 4840))
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.priced_qty, state.filled_value) == (1000, 1000, 400 * 4850 + 600 * 4840)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("status", [S.PARTIALLY_FILLED, S.CANCELED])
def test_a_person_is_told_once_where_the_list_shows_less_than_was_counted(desk, status, beside):
    if beside:
        # Another day's list is read as well.
        desk.manager.place(request(price=4740, quantity=5, time_in_force="gtc"))
        desk.clock.sleep(86_400)
    broker = Broker(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.manager.place(request(price=4720, quantity=1))
    desk.trade(4862, 400)
    says(broker, desk, 400, ("T1", 400, 4850))
    if status is S.CANCELED:
        desk.manager.cancel(name)
        desk.rounds(3)
    broker.filled, broker.trades = 100, [("T1", 100, 4850)]
    lags = LISTS_LAG // timedelta(seconds=1)
    desk.rounds(lags, 1)
    assert desk.interventions == []
    desk.rounds(lags, 1)
    ((told, why),) = desk.interventions
    assert told == name
    assert "400 of it were counted, and the broker's list shows that 100 traded" in why
    broker.filled, broker.trades = 50, [("T1", 50, 4850)]
    desk.rounds(2 * lags, 1)
    assert len(desk.interventions) == 2
    assert desk.manager.entry(name).state.filled_qty == 400


def test_an_old_list_takes_nothing_back(desk):
    broker = Broker(desk)
    desk.manager.place(request(price=4862))
    desk.trade(4862, 400)
    says(broker, desk, 400, ("T1", 400, 4850))
    for _ in range(5):
        broker.filled = 0
        desk.rounds(30, 1)
        broker.filled = 400
        desk.rounds(1)
    assert desk.interventions == []
    assert desk.at_venue()[0].instrument == ISIN
