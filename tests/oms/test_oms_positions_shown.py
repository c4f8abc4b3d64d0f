"""Positions as programs read them: one by one, and all together."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from position_desk import DAY, FOLD, MHRN, Desk

from firstbell.model.instant import instant
from firstbell.model.order_status import ReportKind
from firstbell.model.terms import Side
from firstbell.oms.positions.book import fees_of
from firstbell.oms.positions.day_marks import DayMarks
from firstbell.oms.positions.monitor import PositionNotFound

DAY_AFTER = DAY + timedelta(days=1)


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    yield made
    made.journal.close()


def test_a_position_is_told_whole(desk):
    monitor = desk.open(fee_of=fees_of("XTEH"))
    desk.trade("a", Side.BUY, 100, 1000)
    opened_at = instant(desk.clock.wall_ns())
    desk.clock.sleep(1)
    desk.trade("b", Side.SELL, 40, 1200)
    desk.feed.now[FOLD] = 1100
    monitor.poll()
    read_at = instant(desk.clock.wall_ns())
    desk.clock.sleep(2.123456)
    monitor.poll()
    (found,) = monitor.get_position_summary()["positions"]
    assert found == {
        "account": "A",
        "broker_code": "gs",
        "instrument": FOLD,
        "quantity": 60,
        "average_price": 1000,
        "last_price": 1100,
        "price_at": read_at,
        "age_s": Decimal("2.123"),
        "stale": False,
        "realized_pnl": 8000,
        "unrealized_pnl": 6000 - 581,
        "fees": 372 + 423,
        "total_pnl": 8000 + 6000 - 581 - 372 - 423,
        "day_pnl": 8000 + 6000 - 581 - 372 - 423,
        "opened_at": opened_at,
        "estimated": False,
        "from_holdings": 0,
    }


def test_what_is_not_known_of_a_position_is_told_as_nothing(desk):
    monitor = desk.open()
    desk.claim("a", Side.BUY, 100, 1000, FOLD)
    desk.report("a", ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(30))
    monitor.poll()
    (found,) = monitor.get_position_summary()["positions"]
    assert (found["estimated"], found["stale"], found["quantity"]) == (True, True, 30)
    unknown = ("last_price", "price_at", "age_s", "unrealized_pnl", "total_pnl", "day_pnl")
    assert [found[name] for name in unknown] == [None] * 6
    assert monitor.get_position_summary()["estimated"] is True


def test_a_summary_leaves_out_what_has_no_price_and_says_of_how_many(desk):
    monitor = desk.open(fee_of=fees_of("XTEH"))
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    desk.trade("c", Side.BUY, 10, 1000, account="B")
    desk.trade("d", Side.SELL, 10, 1100, account="B")
    desk.feed.now[FOLD] = 1010
    monitor.poll()
    found = monitor.get_position_summary()
    fees = 372 + 372 + 38 + 97
    assert (found["total_realized_pnl"], found["total_unrealized_pnl"]) == (1000, 1000 - 889)
    assert (found["total_fees"], found["total_pnl"]) == (fees, 1000 + 1000 - 889 - fees)
    assert (found["open_positions"], found["unpriced"], found["stale"], found["day_pnl"]) == (2, 1, True, None)
    assert (found["daily_loss"], found["drawdown"]) == (None, None)


def test_a_summary_is_stale_when_the_price_of_one_open_position_is(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    desk.feed.now[FOLD] = 1000
    desk.feed.now[MHRN] = 1000
    monitor.poll()
    assert monitor.get_position_summary()["stale"] is False
    assert monitor.get_position_summary()["estimated"] is False
    del desk.feed.now[MHRN]
    desk.clock.sleep(61)
    monitor.poll()
    found = monitor.get_position_summary()
    assert (found["stale"], found["unpriced"], found["open_positions"]) == (True, 0, 2)
    # Of what is not held any more no price is needed.
    desk.trade("c", Side.SELL, 100, 1000, instrument=MHRN)
    monitor.poll()
    found = monitor.get_position_summary()
    assert (found["stale"], found["unpriced"], found["open_positions"]) == (False, 0, 1)


def test_the_day_counts_fees_and_profits_from_where_it_began(desk):
    monitor = desk.open(fee_of=fees_of("XTEH"))
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.SELL, 50, 1100)
    desk.trade("short", Side.SELL, 10, 1000, instrument=MHRN)
    desk.feed.now = {FOLD: 1000, MHRN: 1000}
    assert [each.realized for each in monitor.poll()] == [5000, 0]
    desk.clock.sleep(24 * 3600)
    desk.feed.now = {FOLD: 1030, MHRN: 1020}
    desk.feed.references = {FOLD: 1010, MHRN: 1050}
    held, short = monitor.poll()
    assert (held.realized, held.fees, short.fees) == (0, 0, 0)
    # Closing it would take fees now, as it would have at yesterday's price.
    assert held.day_profit == 50 * (1030 - 1010) - (454 - 445)
    assert short.day_profit == 10 * (1050 - 1020) - (38 - 39)
    assert held.profit == 50 * 1100 + 50 * 1030 - 100_000 - 372 - 484 - 454
    assert DayMarks.load(desk.folder / "state", DAY_AFTER).openings == {("A", FOLD): 1010, ("A", MHRN): 1050}


def test_over_night_the_close_before_last_and_on_a_closed_day_any_close_says_nothing(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 4900)
    desk.feed.now, desk.feed.references = {FOLD: 5000}, {FOLD: 4800}
    assert [each.day_profit for each in monitor.poll()] == [10_000]
    desk.clock.sleep(14.5 * 3600)
    # Past midnight the broker still tells the close of the day before.
    assert [each.day_profit for each in monitor.poll()] == [0]
    desk.clock.sleep(9 * 3600)
    desk.feed.now, desk.feed.references = {FOLD: 4990}, {FOLD: 5001}
    again = desk.open()
    assert [each.day_profit for each in monitor.poll()] == [-1100]
    assert [each.day_profit for each in again.poll()] == [-1100]
    # From Sunday to Thursday, on which there is no trading, and the close of Tuesday still stands.
    desk.clock.sleep(4 * 24 * 3600)
    desk.feed.now, desk.feed.references = {FOLD: 4700}, {FOLD: 4900}
    assert [each.day_profit for each in monitor.poll()] == [0]
    # Should there be any, it counts.
    desk.feed.now = {FOLD: 4690}
    desk.clock.sleep(10)
    assert [each.day_profit for each in monitor.poll()] == [-1000]
    assert [each.day_profit for each in desk.open().poll()] == [-1000]


def test_what_was_bought_today_or_has_a_stale_price_marks_no_opening(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    desk.feed.now = {FOLD: 1000, MHRN: 1000}
    monitor.poll()
    assert DayMarks.load(desk.folder / "state", DAY_AFTER - timedelta(days=1)).openings == {}
    desk.feed.stopped = True
    desk.clock.sleep(24 * 3600)
    assert [each.day_profit for each in monitor.poll()] == [None, None]
    desk.feed.stopped = False
    desk.feed.now = {FOLD: 900, MHRN: 950}
    desk.clock.sleep(10)
    assert [each.day_profit for each in monitor.poll()] == [0, 0]
    desk.feed.now = {FOLD: 910, MHRN: 940}
    desk.clock.sleep(10)
    assert [each.day_profit for each in monitor.poll()] == [1000, -1000]


def test_a_position_is_found_by_the_name_of_whichever_section_of_its_login_has_traded(desk):
    monitor = desk.open(holder_of=lambda account: "A" if account == "A.2" else account)
    desk.trade("a", Side.BUY, 100, 1000, account="A.2")
    desk.feed.now[FOLD] = 1000
    monitor.poll()
    assert monitor.position("A.2", FOLD) == monitor.position("A", FOLD)
    with pytest.raises(PositionNotFound):
        monitor.position("B", FOLD)
