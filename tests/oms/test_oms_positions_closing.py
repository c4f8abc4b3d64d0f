"""Closing positions by themselves: for what reason, how much, how often, and what people are told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from position_desk import DAY, FOLD, MHRN, STOP, TARGET, Desk

from firstbell.errors import RunError
from firstbell.journal.base import HELD_NS, Intent
from firstbell.journal.owner import this_process
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.price_band import PriceBand
from firstbell.model.report import Fill
from firstbell.model.terms import OrderOutcome, OrderRole, OrderType, Side
from firstbell.oms.orders.response import OrderResponse, response_of
from firstbell.oms.positions.closing import Levels, Reason
from firstbell.risk.trading_state import TradingState


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    yield made
    made.journal.close()


def test_a_loss_comes_before_a_profit_and_a_profit_before_time(desk):
    monitor = desk.open(auto_close_on_stop=True, auto_close_on_target=True)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    monitor.set_levels("A", FOLD, stop=Decimal(0), target=Decimal(0), timeout=timedelta(0))
    monitor.set_levels("A", MHRN, target=Decimal(0), timeout=timedelta(0))
    desk.feed.now = {FOLD: 1000, MHRN: 1000}
    monitor.poll()
    assert {each.instrument: each.role for each in desk.asked} == {
        FOLD: OrderRole.STOP_LOSS,
        MHRN: OrderRole.TAKE_PROFIT,
    }


@pytest.mark.parametrize(("price", "closed"), [(1019, 0), (1020, 1)])
def test_a_target_closes_at_its_profit_and_not_before(desk, price, closed):
    monitor = desk.open(**TARGET)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = price
    monitor.poll()
    assert len(desk.asked) == closed


def test_each_position_and_each_reason_has_an_order_of_its_own(desk, stepped_clock):
    monitor = desk.open(**STOP, **TARGET)
    for name, account, instrument in (("a", "A", FOLD), ("b", "A", MHRN), ("c", "B", FOLD)):
        desk.trade(name, Side.BUY, 100, 1000, account=account, instrument=instrument)
    desk.refusal = RunError("the broker is away")
    desk.feed.now = {FOLD: 900, MHRN: 900}
    monitor.poll()
    desk.feed.now = {FOLD: 1100, MHRN: 1100}
    stepped_clock.sleep(10)
    monitor.poll()
    assert [each.account for each in desk.asked] == ["A", "A", "B"] * 2
    assert len({each.key for each in desk.asked}) == 6


def test_a_single_share_that_no_open_order_sells_is_sold(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.claim("profit", Side.SELL, 99, 1200, FOLD)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [1]


def test_only_orders_of_that_account_instrument_and_side_close_a_position(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.claim("more", Side.BUY, 100, 500, FOLD)
    desk.claim("another", Side.SELL, 100, 1200, MHRN)
    desk.claim("another's", Side.SELL, 100, 1200, FOLD, account="B")
    desk.feed.now[FOLD] = 900
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [100]


def test_a_stop_that_was_held_back_and_taken_back_leaves_its_position_to_be_closed(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    held = Order("stop", "A", "gs", FOLD, Side.SELL, Decimal(900), Decimal(100), DAY)
    desk.journal.claim(Intent(held, "login", "stop", HELD_NS, frozenset()), "run", this_process())
    desk.feed.now[FOLD] = 900
    monitor.poll()
    assert desk.asked == []
    desk.report("stop", ReportKind.WITHDRAWN)
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [100]


def test_a_denied_closing_is_tried_again_and_one_that_nobody_knows_of_is_not(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    desk.answer = OrderResponse(None, OrderStatus.DENIED, OrderOutcome.NOT_SENT, "the market is closed")
    monitor.poll()
    assert desk.told[-1].text.endswith("; not closed, sell 100: the market is closed")
    desk.answer = OrderResponse("x", OrderStatus.SUBMITTED, OrderOutcome.UNRESOLVED, "no answer")
    desk.clock.sleep(1)
    desk.claim("x", Side.SELL, 100, 900, FOLD)
    desk.report("x", ReportKind.CANCELED)
    monitor.poll()
    assert len(desk.asked) == 2
    assert desk.told[-1].text == (
        "A IRO1FOLD0001: stop reached with a loss of 10,000; closing: sell 100 (x, no answer)"
    )


def test_what_is_only_told_of_is_not_closed_but_a_time_that_is_up_is(desk):
    assert [Levels().closes(reason) for reason in Reason] == [False, False, True]
    monitor = desk.open(position_timeout_hours=1)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.clock.sleep(3600)
    monitor.poll()
    assert desk.told[-1].text.startswith("A IRO1FOLD0001: timeout reached with an unknown profit; closing: sell 100 (")


def test_profits_are_told_to_a_hundredth_of_a_rial(desk):
    monitor = desk.open(default_target_pnl=10)
    desk.trade("a", Side.BUY, 3, "1000")
    desk.feed.now[FOLD] = "1004.1234"
    monitor.poll()
    assert [each.text for each in desk.told] == ["A IRO1FOLD0001: target reached with a profit of 12.37"]
    assert desk.told[0].code is None


def test_without_anybody_who_places_orders_it_is_told_and_nothing_else(desk):
    monitor = desk.open(**STOP, without_closer=True)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    for _ in range(3):
        monitor.poll()
    assert [each.text for each in desk.told] == ["A IRO1FOLD0001: stop reached with a loss of 10,000"]
    assert len(desk.journal.entries()) == 1


@pytest.mark.parametrize("levels", [STOP, TARGET, {"position_timeout_hours": 1}])
def test_what_was_sold_out_of_holdings_is_never_bought_back(desk, levels):
    monitor = desk.open(short=False, max_daily_loss=1000, **levels)
    desk.trade("sold", Side.SELL, 1000, 4880)
    desk.feed.now[FOLD] = 4000
    monitor.poll()
    desk.feed.now[FOLD] = 4999
    desk.clock.sleep(2 * 3600)
    (view,) = monitor.poll()
    assert desk.asked == []
    assert (view.quantity, view.from_holdings, view.realized, view.profit, view.day_profit) == (0, 1000, 0, 0, 0)
    assert monitor.trading_state() is TradingState.ACTIVE


def test_what_is_bought_after_a_sale_out_of_holdings_is_watched_and_no_more_of_it_is_sold(desk):
    monitor = desk.open(short=False, **STOP)
    desk.trade("sold", Side.SELL, 1000, 4880)
    desk.clock.sleep(1)
    desk.trade("bought", Side.BUY, 300, 4800)
    desk.feed.now[FOLD] = 4700
    (view,) = monitor.poll()
    assert [(each.side, each.quantity) for each in desk.asked] == [(Side.SELL, 300)]
    assert (view.from_holdings, view.profit) == (1000, -30_000)


def stop(desk, bought=100, price=900):
    """Hold shares, and let their stop be reached."""
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, bought, 1000)
    desk.feed.now[FOLD] = price
    monitor.poll()
    return monitor


def again(desk, monitor, times=1):
    for _ in range(times):
        desk.clock.sleep(61)
        monitor.poll()


def filled(desk, name, quantity, kind=ReportKind.PARTIALLY_FILLED):
    desk.report(name, kind, fill=Fill(f"{kind}", Decimal(quantity), Decimal(900)))


def test_what_is_bought_while_a_closing_order_works_is_closed_once_that_has_traded(desk):
    monitor = stop(desk)
    (first,) = desk.closings()
    name = first.intent.order.client_order_id
    filled(desk, name, 30)
    desk.trade("more", Side.BUY, 40, 950)
    again(desk, monitor, 3)
    assert [each.quantity for each in desk.asked] == [100, 40, 40, 40]
    assert [each.text.partition("; ")[2] for each in desk.told] == [
        f"closing: sell 100 ({name}, accepted)",
        f"sell 40 more once {name} has ended",
    ]
    assert len(desk.closings()) == 1
    filled(desk, name, 70, ReportKind.FILLED)
    again(desk, monitor, 2)
    assert [each.state.quantity for each in desk.closings()] == [100, 40]
    assert desk.asked[-1].key == f"{desk.asked[0].key}-2"
    assert desk.told[-1].text.endswith(
        f"; closing: sell 40 ({desk.closings()[1].intent.order.client_order_id}, accepted)"
    )


def test_a_process_that_comes_later_closes_what_is_left_once_the_closing_order_has_traded(desk):
    stop(desk)
    filled(desk, desk.closings()[0].intent.order.client_order_id, 100, ReportKind.FILLED)
    desk.trade("more", Side.BUY, 40, 950)
    monitor = desk.open(**STOP)
    again(desk, monitor, 3)
    assert sum(each.state.quantity for each in desk.closings()) == 140


def test_what_a_closing_order_leaves_when_it_is_taken_off_is_told_with_what_was_bought_meanwhile(desk):
    monitor = stop(desk)
    name = desk.closings()[0].intent.order.client_order_id
    filled(desk, name, 30)
    desk.trade("more", Side.BUY, 40, 950)
    again(desk, monitor)
    desk.report(name, ReportKind.CANCELED)
    again(desk, monitor, 2)
    assert desk.told[-1].text.endswith(
        f"; not closed, sell 110: its closing order {name} is CANCELED, 30 of it traded; a person has to close it"
    )
    asked = len(desk.asked)
    again(desk, monitor, 3)
    assert len(desk.asked) == asked


def test_what_a_fallback_sold_is_told_by_its_own_name_and_quantity(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900

    def close(_account, request):
        desk.asked.append(request)
        response = OrderResponse("big-q", OrderStatus.REJECTED, OrderOutcome.REJECTED, "1011 not so many shares")
        child = response_of(desk.claim("small", Side.SELL, 60, 900, FOLD))
        return replace(response, children=(child,))

    desk.close_position = close
    monitor.poll()
    assert desk.told[-1].text.endswith("; closing: sell 60 of 100 (small, accepted)")


def test_a_price_that_nobody_has_told_yet_reaches_nothing(desk):
    monitor = desk.open(**STOP, max_daily_loss=5_000)
    desk.claim("a", Side.BUY, 100, 1000, FOLD)
    desk.report("a", ReportKind.FILLED, cum_qty=Decimal(100))
    desk.feed.now[FOLD] = 900
    (view,) = monitor.poll()
    assert (view.estimated, view.upside, view.downside, desk.asked, desk.told) == (True, 100_000, 0, [], [])
    desk.clock.sleep(4)
    desk.report("a", ReportKind.PARTIALLY_FILLED, fill=Fill("1", Decimal(100), Decimal(905)))
    (view,) = monitor.poll()
    assert (view.estimated, view.is_guessed, desk.asked, desk.told) == (False, False, [], [])
    assert monitor.trading_state() is TradingState.ACTIVE


def test_a_price_that_is_never_told_is_acted_by_in_the_end(desk):
    monitor = desk.open(**STOP, max_daily_loss=5_000)
    desk.claim("a", Side.BUY, 100, 1000, FOLD)
    desk.report("a", ReportKind.FILLED, cum_qty=Decimal(100))
    desk.feed.now[FOLD] = 900
    for _ in range(8):
        desk.clock.sleep(10)
        monitor.poll()
    assert [each.quantity for each in desk.asked] == [100]
    assert desk.told[0].text.startswith("A IRO1FOLD0001: stop reached with an estimated loss of 10,000; closing: ")
    assert "max_daily_loss: ~10,000, allowed" in desk.told[1].text


def guessed(desk, name, quantity, price=950, account="A", **terms):
    """So many shares have traded of an order, and nobody tells at what price."""
    desk.claim(name, Side.BUY, quantity, price, FOLD, account=account, **terms)
    desk.report(name, ReportKind.FILLED, cum_qty=Decimal(quantity))


@pytest.mark.parametrize("account", ["A", "B"])
def test_a_guess_that_cannot_change_what_is_reached_keeps_nothing_waiting(desk, account):
    monitor = desk.open(**STOP, max_daily_loss=5_000)
    desk.trade("a", Side.BUY, 100, 1000)
    guessed(desk, "small", 1, account=account)
    # Even a share that was had for nothing would leave a loss of more than this.
    desk.feed.now[FOLD] = 930
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [101 if account == "A" else 100]
    assert monitor.trading_state() is TradingState.REDUCING


@pytest.mark.parametrize("account", ["A", "B"])
def test_one_that_could_change_it_keeps_it_waiting(desk, account):
    monitor = desk.open(**STOP, max_daily_loss=6_500)
    desk.trade("a", Side.BUY, 100, 1000)
    guessed(desk, "small", 1, account=account)
    desk.feed.now[FOLD] = 930
    monitor.poll()
    assert monitor.limits.called is None
    assert monitor.limits.drawdown(Decimal(0)) == 0


@pytest.mark.parametrize("reached", ["all the time", "with a break"])
def test_guesses_that_follow_each_other_keep_nothing_waiting_for_longer_than_lists_lag(desk, reached):
    monitor = desk.open(**STOP, max_daily_loss=5_000)
    desk.feed.now[FOLD] = 900
    for number in range(5):
        desk.feed.now[FOLD] = 951 if reached == "with a break" and number == 2 else 900
        guessed(desk, f"g{number}", 100)
        for _ in range(2):
            monitor.poll()
            desk.clock.sleep(11)
        if number:
            # What the one before cost is told after some 40 s, so that no guess ever gets old.
            before = f"g{number - 1}"
            desk.report(before, ReportKind.PARTIALLY_FILLED, fill=Fill("1", Decimal(100), Decimal(950)))
    acted = reached == "all the time"
    assert bool(desk.asked) is acted
    assert (monitor.limits.called is not None) is acted


def test_a_target_is_reached_for_certain_only_where_the_guess_cannot_have_cost_more(desk):
    monitor = desk.open(**TARGET)
    desk.trade("a", Side.BUY, 100, 1000)
    guessed(desk, "small", 1, price=1000, order_type=OrderType.MARKET)
    desk.feed.now[FOLD] = 1025
    monitor.poll()
    assert desk.asked == []
    desk.feed.now[FOLD] = 1030
    desk.clock.sleep(11)
    monitor.poll()
    assert len(desk.asked) == 1


def test_nothing_costs_more_than_its_limit_so_a_target_does_not_wait_for_its_price(desk):
    monitor = desk.open(**TARGET)
    guessed(desk, "a", 100, price=1000)
    desk.feed.now[FOLD] = 1020
    monitor.poll()
    assert len(desk.asked) == 1


def test_nothing_trades_outside_the_days_band_so_a_stop_does_not_wait_for_a_price_that_cannot_be(desk):
    desk.feed.bands[FOLD] = PriceBand(Decimal(970), Decimal(1030))
    desk.feed.now[FOLD] = 961
    monitor = desk.open(**STOP, max_daily_loss=1_000)
    guessed(desk, "a", 100, price=1000)
    (view,) = monitor.poll()
    assert (view.upside, view.downside, desk.asked, monitor.limits.called) == (3_000, 0, [], None)
    desk.feed.now[FOLD] = 960
    desk.clock.sleep(11)
    monitor.poll()
    assert len(desk.asked) == 1
    assert monitor.limits.called == "max_daily_loss"


@pytest.mark.parametrize("close_on_stop", [True, False])
def test_what_a_position_is_only_told_of_keeps_no_time_out_from_closing_it(desk, close_on_stop):
    monitor = desk.open(**STOP | {"auto_close_on_stop": close_on_stop}, position_timeout_hours=1)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    assert len(desk.asked) == close_on_stop
    desk.clock.sleep(3700)
    again(desk, monitor, 3)
    told = [each.text.partition(";")[0] for each in desk.told]
    stop, timeout = (f"A IRO1FOLD0001: {reason} reached with a loss of 10,000" for reason in ("stop", "timeout"))
    # Once the one closes it the other has nothing to do.
    assert list(dict.fromkeys(told)) == ([stop] if close_on_stop else [stop, timeout])
    assert {each.role for each in desk.asked} == {OrderRole.STOP_LOSS if close_on_stop else OrderRole.EXIT}


def test_of_a_position_that_open_orders_cover_in_part_both_parts_are_told(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 1000, 1000)
    desk.claim("profit", Side.SELL, 400, 1500, FOLD)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [600]
    assert "; closing: sell 600 (" in desk.told[-1].text
    assert desk.told[-1].text.endswith("; the other 400 are left to open orders")


def test_what_is_bought_piece_by_piece_while_a_closing_order_rests_is_told_of_once(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    desk.claim("more", Side.BUY, 100, 900, FOLD)
    for number in range(20):
        desk.report("more", ReportKind.PARTIALLY_FILLED, fill=Fill(str(number), Decimal(1), Decimal(900)))
        again(desk, monitor)
    assert len(desk.told) == 2
    assert "; sell 1 more once " in desk.told[-1].text
