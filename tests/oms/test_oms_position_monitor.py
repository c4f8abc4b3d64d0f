"""Watching positions: their profit, targets, stops and times, and the limits on what a day may lose."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from position_desk import DAY, FOLD, MHRN, NO_FEES, STOP, TARGET, Desk

from firstbell.errors import JournalError, RunError
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.position import Position, Trade
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import OrderOutcome, OrderRole, OrderType, Side
from firstbell.oms.orders.response import OrderResponse
from firstbell.oms.positions.book import Standing, fees_of
from firstbell.oms.positions.day_marks import FILE, DayMarks
from firstbell.oms.positions.monitor import PositionNotFound
from firstbell.oms.positions.view import Viewer
from firstbell.risk.trading_state import Halt, HaltFile, TradingState, in_force, trading_state
from firstbell.risk.verdict import ErrorCode


@pytest.fixture
def clock(stepped_clock):
    stepped_clock.now_ns = 0
    return stepped_clock


@pytest.fixture
def desk(tmp_path, clock):
    made = Desk(tmp_path, clock)
    yield made
    made.journal.close()


# --- what is shown


def test_profit_is_told_live_with_all_fees(desk):
    monitor = desk.open(fee_of=fees_of("XTEH"))
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1100
    (view,) = monitor.poll()
    assert (view.quantity, view.average_price, view.last_price, view.stale) == (100, 1000, 1100, False)
    assert view.fees == 372
    assert view.unrealized == 10_000 - 968
    assert view.profit == view.day_profit == view.total == 10_000 - 968 - 372
    desk.trade("b", Side.SELL, 40, 1200)
    (view,) = monitor.poll()
    assert (view.realized, view.fees, view.quantity) == (8000, 372 + 423, 60)
    assert view.profit == 40 * 1200 + 60 * 1100 - 100_000 - 372 - 423 - 581


def test_the_summary_has_the_requirements_names(desk):
    monitor = desk.open(max_daily_loss=5000)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.SELL, 10, 900, instrument=MHRN, account="B")
    desk.feed.now = {FOLD: 990, MHRN: 900}
    monitor.poll()
    found = monitor.get_position_summary()
    assert (found["total_unrealized_pnl"], found["total_realized_pnl"], found["total_pnl"]) == (-1000, 0, -1000)
    assert (found["day_pnl"], found["daily_loss"], found["drawdown"]) == (-1000, 1000, 1000)
    assert (found["open_positions"], found["unpriced"], found["stale"]) == (2, 0, False)
    assert (found["limit_reached"], found["state"]) == (None, "ACTIVE")
    assert [each["instrument"] for each in found["positions"]] == [FOLD, MHRN]
    assert found["positions"][1]["quantity"] == -10
    assert f"{found['total_unrealized_pnl']:.2f}" == "-1000.00"


def test_without_trades_there_is_nothing_and_nobody_is_asked_for_long(desk):
    monitor = desk.open()
    assert monitor.poll() == ()
    assert monitor.get_position_summary()["day_pnl"] == 0
    with pytest.raises(PositionNotFound, match="A has no position in IRO1FOLD0001") as caught:
        monitor.position("A", FOLD)
    assert caught.value.code is ErrorCode.POSITION_NOT_FOUND
    with pytest.raises(PositionNotFound):
        monitor.set_levels("A", FOLD, target=Decimal(1))


def test_a_position_can_be_looked_up(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 1000)
    monitor.poll()
    view = monitor.position("A", FOLD)
    assert (view.last_price, view.unrealized, view.total, view.stale) == (None, None, None, True)
    found = monitor.get_position_summary()
    assert (found["unpriced"], found["stale"], found["day_pnl"], found["daily_loss"]) == (1, True, None, None)


def test_prices_are_asked_for_as_often_as_configured(desk, clock):
    monitor = desk.open(price_update_interval="10s")
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1000
    monitor.poll()
    clock.sleep(9.999999)
    desk.feed.now[FOLD] = 1001
    assert monitor.poll()[0].last_price == 1000
    assert monitor.poll()[0].age == timedelta(seconds=9.999999)
    clock.sleep(0.000001)
    assert monitor.poll()[0].last_price == 1001
    assert desk.feed.reads == 2


# --- targets, stops, time-outs


@pytest.mark.parametrize(("price", "closed"), [(990, 0), (991, 0), (989, 1)])
def test_a_stop_closes_at_its_loss_and_not_before(desk, price, closed):
    monitor = desk.open(default_stop_loss=1001, auto_close_on_stop=True)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = price
    monitor.poll()
    assert len(desk.asked) == closed


def test_a_closing_order_ends_the_position_and_says_what_it_is_for(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 990
    monitor.poll()
    (request,) = desk.asked
    assert (request.account, request.instrument, request.side, request.quantity) == ("A", FOLD, Side.SELL, 100)
    assert (request.order_type, request.role) == (OrderType.MARKET, OrderRole.STOP_LOSS)
    assert "A IRO1FOLD0001: stop reached with a loss of 1,000; closing: sell 100" in desk.told[0].text
    assert (desk.told[0].account, desk.told[0].instrument) == ("A", FOLD)


def test_what_was_sold_short_is_bought_back_at_its_target(desk):
    monitor = desk.open(**TARGET)
    desk.trade("a", Side.SELL, 100, 1000)
    desk.feed.now[FOLD] = 980
    monitor.poll()
    (request,) = desk.asked
    assert (request.side, request.quantity, request.role) == (Side.BUY, 100, OrderRole.TAKE_PROFIT)


def test_fees_count_towards_a_stop(desk):
    monitor = desk.open(fee_of=fees_of("XTEH"), **STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1004
    monitor.poll()
    assert desk.asked == []
    desk.feed.now[FOLD] = 1000
    desk.clock.sleep(10)
    monitor.poll()
    assert len(desk.asked) == 1


def test_a_position_is_closed_once_however_often_it_is_looked_at_and_started_anew(desk, clock):
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    monitor = desk.open(**STOP)
    for _ in range(5):
        monitor.poll()
        clock.sleep(10)
    for _ in range(3):
        desk.open(**STOP).poll()
        clock.sleep(10)
    assert [each.intent.order.quantity for each in desk.closings()] == [100]
    assert len({each.key for each in desk.asked}) == 1


def test_a_closing_that_was_asked_for_and_ended_is_not_asked_for_anew_after_a_restart(desk, clock):
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    desk.open(**STOP).poll()
    (closing,) = desk.closings()
    desk.report(closing.intent.order.client_order_id, ReportKind.CANCELED)
    clock.sleep(10)
    desk.open(**STOP).poll()
    assert len(desk.closings()) == 1
    assert desk.told[-1].text.endswith(" is CANCELED; a person has to close it")


def test_of_a_closing_order_that_ended_with_something_left_a_person_is_told_once(desk, clock):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 1000, 1000)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    name = desk.closings()[0].intent.order.client_order_id
    desk.report(name, ReportKind.PARTIALLY_FILLED, fill=Fill("9", Decimal(400), Decimal(900)))
    clock.sleep(10)
    monitor.poll()
    assert len(desk.told) == 1
    desk.report(name, ReportKind.CANCELED)
    for _ in range(3):
        clock.sleep(10)
        monitor.poll()
    assert [each.text.partition("; ")[2] for each in desk.told[1:]] == [
        f"not closed, sell 600: its closing order {name} is CANCELED, 400 of it traded; a person has to close it"
    ]
    assert len(desk.closings()) == 1


def test_the_next_day_it_is_closed_after_all(desk, clock):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    desk.report(desk.closings()[0].intent.order.client_order_id, ReportKind.EXPIRED)
    clock.sleep(10)
    monitor.poll()
    assert desk.told[-1].text.endswith("a person has to close it")
    clock.sleep(24 * 3600)
    desk.day += timedelta(days=1)
    monitor.poll()
    assert [each.intent.order.quantity for each in desk.closings()] == [100, 100]


def test_a_position_opened_anew_is_another(desk, clock):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    name = desk.closings()[0].intent.order.client_order_id
    desk.report(name, ReportKind.FILLED, fill=Fill("9", Decimal(100), Decimal(900)))
    clock.sleep(10)
    monitor.poll()
    desk.trade("b", Side.BUY, 50, 1000)
    clock.sleep(10)
    monitor.poll()
    assert [each.intent.order.quantity for each in desk.closings()] == [100, 50]
    assert len(monitor._closing._tries) == 1


def test_what_open_orders_sell_already_is_not_sold_twice(desk, clock):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.claim("profit", Side.SELL, 70, 1200, FOLD)
    desk.feed.now[FOLD] = 900
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [30]
    desk.trade("b", Side.BUY, 10, 1000, instrument=MHRN)
    desk.claim("whole", Side.SELL, 10, 1200, MHRN)
    desk.feed.now[MHRN] = 1
    clock.sleep(10)
    for _ in range(3):
        monitor.poll()
    assert len(desk.asked) == 1
    assert [each.text.partition("; ")[2] for each in desk.told[1:]] == ["open orders close it already"]
    desk.report("whole", ReportKind.CANCELED)
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [30, 10]


def test_a_time_out_closes_whatever_the_price(desk, clock):
    monitor = desk.open(position_timeout_hours=6)
    desk.trade("a", Side.BUY, 100, 1000)
    clock.sleep(6 * 3600 - 1)
    monitor.poll()
    assert desk.asked == []
    clock.sleep(1)
    monitor.poll()
    assert [each.role for each in desk.asked] == [OrderRole.EXIT]
    assert ": timeout reached with an unknown profit" in desk.told[-1].text


def test_where_nothing_is_to_be_closed_it_is_told_once(desk, clock):
    monitor = desk.open(default_stop_loss=1000, default_target_pnl=500)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    desk.feed.now = {FOLD: 900, MHRN: 1005}
    for _ in range(3):
        monitor.poll()
        clock.sleep(10)
        desk.feed.now[FOLD] -= 1
    assert desk.asked == []
    assert [each.text for each in desk.told] == [
        "A IRO1FOLD0001: stop reached with a loss of 10,000",
        "A IRO1MHRN0001: target reached with a profit of 500",
    ]


def test_nothing_configured_closes_nothing(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1
    monitor.poll()
    assert (desk.asked, desk.told, trading_state(desk.folder / "state")) == ([], [], TradingState.ACTIVE)


def test_a_refused_closing_is_tried_three_times_and_then_a_person_is_told(desk, clock):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    desk.answer = OrderResponse("x", OrderStatus.REJECTED, OrderOutcome.REJECTED, "no such shares")
    for _ in range(6):
        monitor.poll()
        clock.sleep(10)
    assert len(desk.asked) == 3
    assert [each.text.partition("; ")[2] for each in desk.told] == [
        "not closed, sell 100: no such shares",
        "not closed, sell 100: no such shares; a person has to close it",
    ]


def test_closing_orders_that_are_taken_and_come_to_nothing_are_not_sent_for_ever(desk, clock):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    for number in range(6):
        desk.answer = OrderResponse(f"x{number}", OrderStatus.ACCEPTED, OrderOutcome.ACCEPTED, "accepted")
        monitor.poll()
        clock.sleep(10)
    assert len(desk.asked) == 3
    why = "closing orders were taken 3 times and came to nothing, the last of them x2"
    assert desk.told[-1].text.endswith(f"; not closed: {why}; a person has to close it")


def passing():
    refused = OrderResponse("x", OrderStatus.REJECTED, OrderOutcome.REJECTED, "closed")
    yield replace(refused, error=ErrorCode.MARKET_HOURS_ERROR)
    yield replace(refused, error=ErrorCode.RATE_LIMIT_ERROR)
    yield OrderResponse("x", OrderStatus.DENIED, OrderOutcome.NOT_SENT, "nothing left")
    yield OrderResponse(None, OrderStatus.DENIED, OrderOutcome.NOT_SENT, "closed", error=ErrorCode.PRICE_ERROR)
    yield RunError("the broker is away")


@pytest.mark.parametrize("why", [*passing()])
def test_what_may_pass_by_itself_is_tried_until_it_has_passed_ever_more_seldom_and_told_once(desk, clock, why):
    monitor = desk.open(**STOP, monitoring_interval="1s", price_update_interval="1s")
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    if isinstance(why, RunError):
        desk.refusal = why
    else:
        desk.answer = why
    at, asked = [], 0
    for _ in range(400):
        monitor.poll()
        if len(desk.asked) > asked:
            asked = len(desk.asked)
            at.append(clock.now_ns // 10**9)
        clock.sleep(1)
    assert [after - before for before, after in pairwise(at)] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert len(desk.told) == 1
    desk.refusal = desk.answer = None
    clock.sleep(60)
    monitor.poll()
    assert [each.intent.order.quantity for each in desk.closings()] == [100]


def test_while_trading_is_halted_nothing_is_closed_and_afterwards_it_is(desk):
    monitor = desk.open(**STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    halts = HaltFile.of(desk.folder / "state")
    halts.write(Halt(datetime.now(UTC), "reza", "lunch"))
    monitor.poll()
    monitor.poll()
    assert desk.asked == []
    assert [each.text.partition("; ")[2] for each in desk.told] == ["not closed, for trading is halted"]
    halts.remove()
    monitor.poll()
    assert len(desk.asked) == 1


def test_a_position_can_have_levels_of_its_own(desk):
    monitor = desk.open(default_stop_loss=1000, auto_close_on_stop=True, auto_close_on_target=True)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    monitor.set_levels("A", FOLD, stop=Decimal(-5000), target=Decimal(7000))
    desk.feed.now = {FOLD: 960, MHRN: 960}
    monitor.poll()
    assert [each.instrument for each in desk.asked] == [MHRN]
    desk.clock.sleep(10)
    desk.feed.now[FOLD] = 1070
    monitor.poll()
    assert desk.asked[-1].role is OrderRole.TAKE_PROFIT


def test_a_trade_by_hand_can_be_watched(desk):
    monitor = desk.open()
    at = instant(desk.clock.wall_ns())
    trade = Trade("t1", "A", FOLD, Side.BUY, Decimal(25), Decimal(100), at, Decimal(3))
    monitor.add_trade(trade, timeout=timedelta(hours=1))
    monitor.add_trade(trade)
    desk.feed.now[FOLD] = 110
    monitor.poll()
    assert monitor.get_position_summary()["total_pnl"] == 250 - 3
    desk.clock.sleep(3600)
    monitor.poll()
    assert [each.quantity for each in desk.asked] == [25]


# --- stale prices


def test_a_stale_price_is_said_to_be_stale_and_closes_nothing(desk, clock):
    monitor = desk.open(**STOP, stale_after="60s")
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1000
    monitor.poll()
    desk.feed.stopped = True
    desk.feed.now[FOLD] = 1
    clock.sleep(60)
    assert monitor.poll()[0].stale is False
    clock.sleep(1)
    (view,) = monitor.poll()
    assert (view.stale, view.age, view.last_price) == (True, timedelta(seconds=61), 1000)
    assert [(each.code, each.text) for each in desk.told] == [
        (
            ErrorCode.PRICE_UPDATE_ERROR,
            "prices are not up to date, so nothing is closed by them: A IRO1FOLD0001",
        )
    ]
    monitor.poll()
    assert len(desk.told) == 1
    monitor.set_levels("A", FOLD, stop=Decimal(0))
    monitor.poll()
    assert desk.asked == []
    desk.feed.stopped = False
    clock.sleep(10)
    monitor.poll()
    assert len(desk.asked) == 1


def test_many_stale_prices_are_one_alert(desk):
    monitor = desk.open()
    for number in range(7):
        desk.trade(f"o{number}", Side.BUY, 1, 1000, account=f"A{number}")
    monitor.poll()
    (told,) = desk.told
    assert told.text.endswith("by them: A0 IRO1FOLD0001, A1 IRO1FOLD0001, A2 IRO1FOLD0001 and 4 more")


def test_a_limit_that_cannot_be_judged_lets_trading_only_reduce_until_it_can(desk, clock):
    monitor = desk.open(max_daily_loss=5000)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1000
    desk.feed.stopped = True
    monitor.poll()
    assert monitor.trading_state() is TradingState.REDUCING
    assert in_force(desk.folder / "state") is None
    assert desk.told[-1].code is ErrorCode.PRICE_UPDATE_ERROR
    desk.feed.stopped = False
    clock.sleep(10)
    monitor.poll()
    assert monitor.trading_state() is TradingState.ACTIVE


def test_a_loss_at_a_stale_price_calls_nothing(desk, clock):
    monitor = desk.open(max_daily_loss=5000)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 951
    monitor.poll()
    desk.trade("b", Side.SELL, 50, 800)
    desk.feed.stopped = True
    clock.sleep(61)
    monitor.poll()
    assert monitor.limits.called is None
    assert in_force(desk.folder / "state") is None


# --- limits on losses


@pytest.mark.parametrize(
    ("on_daily_loss", "state"), [("reducing", TradingState.REDUCING), ("halted", TradingState.HALTED)]
)
def test_a_daily_loss_takes_trading_down_durably(desk, on_daily_loss, state):
    monitor = desk.open(max_daily_loss=5000, on_daily_loss=on_daily_loss)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 951
    monitor.poll()
    assert monitor.trading_state() is TradingState.ACTIVE
    desk.clock.sleep(10)
    desk.feed.now[FOLD] = 950
    monitor.poll()
    assert monitor.trading_state() is trading_state(desk.folder / "state") is state
    halt = in_force(desk.folder / "state")
    assert (halt.by, halt.why) == (
        "the limit on losses",
        "max_daily_loss: 5,000, allowed less than 5,000",
    )
    assert [each.code for each in desk.told] == [ErrorCode.RISK_LIMIT_BREACH]
    assert monitor.get_position_summary()["limit_reached"] == "max_daily_loss"
    monitor.poll()
    desk.open(max_daily_loss=5000).poll()
    assert desk.told == []


def test_it_counts_over_all_accounts_what_is_realized_and_what_is_not(desk):
    monitor = desk.open(max_daily_loss=5000)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.SELL, 100, 970)
    desk.trade("c", Side.BUY, 100, 1000, instrument=MHRN, account="B")
    desk.feed.now = {FOLD: 1, MHRN: 980}
    monitor.poll()
    assert monitor.trading_state() is TradingState.REDUCING


def test_a_drawdown_counts_from_the_days_best(desk, clock):
    monitor = desk.open(max_drawdown=3000)
    desk.trade("a", Side.BUY, 100, 1000)
    for price, state in [
        (1050, TradingState.ACTIVE), (1021, TradingState.ACTIVE), (1060, TradingState.ACTIVE),
        (1031, TradingState.ACTIVE), (1030, TradingState.REDUCING),
    ]:  # fmt: skip
        desk.feed.now[FOLD] = price
        monitor.poll()
        clock.sleep(10)
        assert monitor.trading_state() is state, price
    assert "max_drawdown: 3,000, allowed less than 3,000" in desk.told[-1].text


def test_the_days_best_survives_a_restart(desk, clock):
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1060
    desk.open(max_drawdown=3000).poll()
    desk.feed.now[FOLD] = 1030
    clock.sleep(10)
    again = desk.open(max_drawdown=3000)
    again.poll()
    assert again.trading_state() is TradingState.REDUCING


def test_after_a_resume_it_counts_anew_from_where_the_day_stands(desk, clock):
    monitor = desk.open(max_daily_loss=5000, max_drawdown=5000)
    desk.trade("a", Side.BUY, 100, 1000)

    def at(price):
        desk.feed.now[FOLD] = price
        clock.sleep(10)
        monitor.poll()
        return monitor.trading_state()

    assert at(940) is TradingState.REDUCING
    assert at(900) is TradingState.REDUCING
    HaltFile.of(desk.folder / "state", TradingState.REDUCING).remove()
    assert at(900) is TradingState.ACTIVE
    assert monitor.get_position_summary()["daily_loss"] == 0
    assert at(851) is TradingState.ACTIVE
    monitor = desk.open(max_daily_loss=5000)
    assert at(851) is TradingState.ACTIVE
    assert at(850) is TradingState.REDUCING


def test_another_day_begins_with_nothing_lost(desk, clock):
    monitor = desk.open(max_daily_loss=5000)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 951
    monitor.poll()
    clock.sleep(24 * 3600)
    desk.feed.references[FOLD] = 955
    monitor.poll()
    found = monitor.get_position_summary()
    assert (found["day_pnl"], found["total_unrealized_pnl"], found["total_realized_pnl"]) == (-400, -4900, 0)
    desk.feed.now[FOLD] = 906
    clock.sleep(10)
    monitor.poll()
    assert monitor.trading_state() is TradingState.ACTIVE
    desk.feed.now[FOLD] = 905
    clock.sleep(10)
    monitor.poll()
    assert monitor.trading_state() is TradingState.REDUCING


def test_what_was_earned_on_another_day_is_not_todays(desk, clock):
    monitor = desk.open(fee_of=fees_of("XTEH"))
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.SELL, 50, 1100)
    desk.feed.now[FOLD] = 1000
    assert monitor.poll()[0].realized == 5000
    clock.sleep(24 * 3600)
    monitor.poll()
    desk.trade("c", Side.SELL, 10, 1200)
    (view,) = monitor.poll()
    assert (view.realized, view.fees, view.quantity) == (2000, 106, 40)


def test_without_a_closing_price_the_day_counts_from_the_first_price_seen(desk, clock):
    desk.trade("a", Side.BUY, 100, 1000)
    clock.sleep(24 * 3600)
    desk.feed.now[FOLD] = 800
    monitor = desk.open(max_daily_loss=5000)
    monitor.poll()
    assert monitor.get_position_summary()["day_pnl"] == 0
    desk.feed.now[FOLD] = 790
    clock.sleep(10)
    monitor = desk.open(max_daily_loss=5000)
    monitor.poll()
    assert monitor.get_position_summary()["day_pnl"] == -1000


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"day": 5}', '{"day": "2026-11-21", "openings": [[1]], "counted_from": "0", "peak": "0"}'],
)
def test_damaged_marks_are_measured_anew_and_said(desk, text, caplog):
    state = desk.folder / "state"
    state.mkdir()
    (state / FILE).write_text(text)
    with caplog.at_level(logging.WARNING):
        marks = DayMarks.load(state, DAY)
    assert marks == DayMarks(DAY)
    assert "the day's profit is measured anew" in caplog.text


def test_marks_are_read_as_they_were_written(tmp_path):
    marks = DayMarks(DAY, {("A", FOLD): Decimal("5860.25")}, Decimal(-7), Decimal(12), "max_drawdown")
    marks.save(tmp_path)
    assert DayMarks.load(tmp_path, DAY) == marks
    assert DayMarks.load(tmp_path, DAY + timedelta(days=1)) == DayMarks(DAY + timedelta(days=1))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / FILE).read_text())["called"] == "max_drawdown"


def test_a_limit_that_cannot_be_written_down_holds_in_this_process(desk, clock):
    (desk.folder / "state").write_text("a file where the folder should be")
    monitor = desk.open(max_daily_loss=5000)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 900
    for _ in range(2):
        monitor.poll()
        clock.sleep(10)
    assert monitor.trading_state() is TradingState.REDUCING
    assert len(desk.told) == 1
    assert "it does not survive a restart" in desk.told[0].text
    (desk.folder / "state").unlink()
    monitor.poll()
    assert trading_state(desk.folder / "state") is TradingState.REDUCING


# --- the thread


def test_it_watches_in_a_thread_until_it_is_stopped(desk):
    monitor = desk.open(monitoring_interval="10ms", price_update_interval="10ms", **STOP)
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1000
    seen = threading.Event()
    monitor.after_round(lambda views: seen.set() if views else None)
    monitor.start_monitoring()
    with pytest.raises(RunError, match="already"):
        monitor.start_monitoring()
    assert seen.wait(10)
    monitor.stop()
    reads = desk.feed.reads
    assert not any(thread.name == "firstbell-positions" for thread in threading.enumerate())
    monitor.stop()
    monitor.start_monitoring()
    monitor.stop()
    assert desk.feed.reads <= reads + 1


def test_a_journal_that_cannot_be_read_does_not_end_the_watch(desk, monkeypatch, caplog):
    monitor = desk.open(monitoring_interval="10ms", price_update_interval="10ms")
    desk.trade("a", Side.BUY, 100, 1000)
    standings, failed, seen = monitor._book.standings, threading.Event(), threading.Event()

    def broken():
        if failed.is_set():
            return standings()
        failed.set()
        raise JournalError("the disk is gone")

    monkeypatch.setattr(monitor._book, "standings", broken)
    monitor.after_round(lambda _views: seen.set())
    monitor.start_monitoring()
    assert seen.wait(10)
    monitor.stop()
    assert "positions cannot be watched: the disk is gone" in caplog.text


def test_it_sees_what_another_process_has_traded(desk, clock):
    monitor = desk.open(monitoring_interval="10ms", price_update_interval="10ms")
    monitor.poll()
    elsewhere = Desk(desk.folder, clock)
    elsewhere.trade("a", Side.BUY, 100, 1000)
    elsewhere.journal.close()
    seen = threading.Event()
    monitor.after_round(lambda views: seen.set() if views else clock.sleep(0.01))
    monitor.start_monitoring()
    assert seen.wait(10)
    monitor.stop()
    assert monitor.position("A", FOLD).quantity == 100


# --- its pace


def test_two_thousand_positions_are_watched_in_every_round(desk):
    monitor = desk.open(max_daily_loss=10**14, fee_of=fees_of("XTEH"), **STOP, **TARGET)
    monitor._book.rebuild()
    at = instant(desk.clock.wall_ns())
    for number in range(2000):
        name = f"IRO1{number:07}1"
        order = Order(f"o{number}", f"A{number % 30}", "gs", name, Side.BUY, Decimal(1000), Decimal(7), DAY)
        monitor._book(ExecutionReport(f"o{number}", "run", ReportKind.INITIALIZED, at), order)
        fill = Fill("1", Decimal(7), Decimal(1000))
        monitor._book(ExecutionReport(f"o{number}", "run", ReportKind.FILLED, at, fill=fill), order)
        desk.feed.now[name] = 1001
    for price in (1001, 1002):
        desk.feed.now = dict.fromkeys(desk.feed.now, price)
        desk.clock.sleep(10)
        views = monitor.poll()
        assert len(views) == 2000
        assert {view.last_price for view in views} == {price}


def test_what_is_flat_needs_no_price():
    flat = Position("A", FOLD).after(Trade("1", "A", FOLD, Side.BUY, Decimal(1), Decimal(5), datetime.now(UTC)))
    flat = flat.after(Trade("2", "A", FOLD, Side.SELL, Decimal(1), Decimal(9), datetime.now(UTC)))
    viewer = Viewer(NO_FEES, timedelta(seconds=1))
    view = viewer.view(Standing(flat, Position("A", FOLD), "gs"), None, None, datetime.now(UTC))
    assert (view.day_profit, view.total, view.unrealized, view.is_open) == (4, 4, 0, False)
