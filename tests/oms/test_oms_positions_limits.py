"""The limits on losses in odd circumstances: blind, halted besides, unwritable, resumed; and what people are told."""

from __future__ import annotations

import logging
import signal
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from position_desk import DAY, FOLD, MHRN, Desk

from firstbell.model.order_status import ReportKind
from firstbell.model.price_band import PriceBand
from firstbell.model.report import Fill
from firstbell.model.terms import Side
from firstbell.oms.engines import HALT_SIGNAL, Engines
from firstbell.oms.positions.day_marks import FILE, DayMarks
from firstbell.risk.trading_state import Halt, HaltFile, TradingState, in_force
from firstbell.risk.verdict import ErrorCode


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    yield made
    made.journal.close()


@pytest.fixture
def told_to_halt(desk):
    """This process as an engine of the desk's state folder: what it has been told."""
    told = []
    before = signal.signal(HALT_SIGNAL, lambda number, _frame: told.append(number))
    engines = Engines.of(desk.folder / "state")
    engines.enlist()
    yield told
    engines.resign()
    signal.signal(HALT_SIGNAL, before)


@pytest.fixture
def watch(desk):
    """Looks at one position of a hundred shares, bought at 1,000, ten seconds later and at another price."""

    def watch(monitor, price):
        desk.clock.sleep(10)
        desk.feed.now[FOLD] = price
        monitor.poll()
        return monitor.trading_state()

    return watch


def bought(desk, **settings):
    monitor = desk.open(**settings)
    desk.trade("a", Side.BUY, 100, 1000)
    return monitor


@pytest.mark.parametrize(("on_daily_loss", "told"), [("halted", [HALT_SIGNAL]), ("reducing", [])])
def test_a_halt_for_a_loss_is_told_to_the_processes_that_send_orders(desk, watch, told_to_halt, on_daily_loss, told):
    monitor = bought(desk, max_daily_loss=5000, on_daily_loss=on_daily_loss)
    watch(monitor, 951)
    assert told_to_halt == []
    watch(monitor, 950)
    assert told_to_halt == told


def test_before_the_first_round_nothing_is_lost_and_no_limit_reached(desk):
    found = bought(desk, max_daily_loss=5000).get_position_summary()
    assert (found["limit_reached"], found["daily_loss"], found["drawdown"], found["positions"]) == (None, 0, 0, [])


def test_which_limit_was_reached_is_told_until_a_person_resumes(desk, watch):
    monitor = bought(desk, max_drawdown=3000)
    watch(monitor, 1010)
    assert watch(monitor, 980) is TradingState.REDUCING
    for price in (980, 900, 1100):
        watch(monitor, price)
        found = monitor.get_position_summary()
        assert (found["limit_reached"], found["state"]) == ("max_drawdown", "REDUCING")
    assert found["drawdown"] == 0
    assert in_force(desk.folder / "state").why == "max_drawdown: 3,000, allowed less than 3,000"
    assert len(desk.told) == 1
    HaltFile.of(desk.folder / "state", TradingState.REDUCING).remove()
    assert monitor.trading_state() is TradingState.ACTIVE
    watch(monitor, 1100)
    assert monitor.get_position_summary()["limit_reached"] is None


@pytest.mark.parametrize(("pause_s", "times"), [(208, 1), (209, 2)])
def test_that_limits_cannot_be_judged_is_told_once_while_it_comes_and_goes(desk, watch, caplog, pause_s, times):
    monitor = bought(desk, max_daily_loss=5000)
    watch(monitor, 1000)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            desk.feed.stopped = True
            desk.clock.sleep(61)
            for _ in range(3):
                assert watch(monitor, 1000) is TradingState.REDUCING
            desk.feed.stopped = False
            assert watch(monitor, 1000) is TradingState.ACTIVE
            desk.clock.sleep(pause_s)
            assert watch(monitor, 1000) is TradingState.ACTIVE
    assert {each.code for each in desk.told} == {ErrorCode.PRICE_UPDATE_ERROR}
    stale = "prices are not up to date, so nothing is closed by them: A IRO1FOLD0001"
    blind = "the limits on losses cannot be judged, for prices are stale: trading only reduces meanwhile"
    assert [each.text for each in desk.told] == [stale, blind] * times
    assert caplog.text.count("can be judged again") == 2


def test_one_stale_price_of_several_keeps_the_limits_from_being_judged(desk, watch):
    monitor = bought(desk, max_daily_loss=5000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    desk.feed.now[MHRN] = 1000
    assert watch(monitor, 1000) is TradingState.ACTIVE
    del desk.feed.now[MHRN]
    desk.clock.sleep(60)
    assert watch(monitor, 1000) is TradingState.REDUCING


def test_what_is_not_held_any_more_needs_no_price_to_be_judged(desk):
    monitor = bought(desk, max_daily_loss=5000)
    desk.trade("b", Side.SELL, 100, 951)
    monitor.poll()
    assert (monitor.trading_state(), desk.told) == (TradingState.ACTIVE, [])
    desk.trade("c", Side.BUY, 10, 1000)
    desk.trade("d", Side.SELL, 10, 990)
    monitor.poll()
    assert monitor.trading_state() is TradingState.REDUCING
    assert in_force(desk.folder / "state").why == "max_daily_loss: 5,000, allowed less than 5,000"


def test_without_a_limit_a_stale_price_takes_nothing_away(desk):
    monitor = bought(desk)
    monitor.poll()
    assert monitor.trading_state() is TradingState.ACTIVE
    assert len(desk.told) == 1


def test_a_halt_is_a_halt_also_where_limits_cannot_be_judged(desk):
    monitor = bought(desk, max_daily_loss=5000)
    monitor.poll()
    assert monitor.trading_state() is TradingState.REDUCING
    HaltFile.of(desk.folder / "state").write(Halt(datetime.now(UTC), "reza", "lunch"))
    assert monitor.trading_state() is TradingState.HALTED


def test_a_halt_that_cannot_be_written_down_is_a_halt_in_this_process(desk, watch):
    state = desk.folder / "state"
    state.write_text("a file where the folder should be")
    monitor = bought(desk, max_daily_loss=5000, on_daily_loss="halted")
    assert watch(monitor, 900) is TradingState.HALTED
    (told,) = desk.told
    assert told.text.startswith("trading is halted until `firstbell resume`: max_daily_loss: 10,000, allowed less than")
    assert told.text.endswith("/halted.json: File exists: it does not survive a restart")
    assert watch(monitor, 1000) is TradingState.HALTED


def test_a_limit_that_could_not_be_written_down_is_as_soon_as_it_can_be_and_a_person_can_resume(desk, watch):
    state = desk.folder / "state"
    state.write_text("a file where the folder should be")
    monitor = bought(desk, max_daily_loss=5000)
    assert watch(monitor, 900) is TradingState.REDUCING
    # It was reached, whatever the price is by now.
    assert watch(monitor, 1000) is TradingState.REDUCING
    state.unlink()
    assert watch(monitor, 1000) is TradingState.REDUCING
    assert in_force(state).why == "max_daily_loss: 10,000, allowed less than 5,000"
    assert monitor.get_position_summary()["limit_reached"] == "max_daily_loss"
    HaltFile.of(state, TradingState.REDUCING).remove()
    assert monitor.trading_state() is TradingState.ACTIVE
    assert watch(monitor, 1000) is TradingState.ACTIVE
    assert len(desk.told) == 1


def test_marks_that_cannot_be_written_down_hold_in_this_process(desk, watch, caplog):
    (desk.folder / "state").write_text("a file where the folder should be")
    monitor = bought(desk, max_drawdown=3000)
    watch(monitor, 1060)
    assert watch(monitor, 1031) is TradingState.ACTIVE
    assert monitor.get_position_summary()["drawdown"] == 2900
    assert watch(monitor, 1030) is TradingState.REDUCING
    assert "after a restart the day is measured anew" in caplog.text


def test_marks_are_written_when_they_change_and_not_with_every_look(desk, watch):
    monitor = bought(desk, max_drawdown=3000)
    marks = desk.folder / "state" / FILE
    watch(monitor, 1010)
    kept = marks.stat()
    assert DayMarks.load(desk.folder / "state", DAY).peak == 1000
    for price in (1010, 1009, 1010):
        watch(monitor, price)
    assert (marks.stat().st_ino, marks.stat().st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    watch(monitor, 1011)
    assert DayMarks.load(desk.folder / "state", DAY).peak == 1100


def test_marks_of_no_day_yet_are_no_damage(desk, caplog):
    with caplog.at_level(logging.WARNING):
        assert DayMarks.load(desk.folder / "state", DAY) == DayMarks(DAY)
    assert caplog.records == []


def test_a_position_whose_opening_price_is_not_known_keeps_the_limits_from_being_judged(desk, watch):
    desk.trade("old", Side.BUY, 100, 1000, instrument=MHRN)
    desk.clock.sleep(24 * 3600)
    monitor = bought(desk, max_daily_loss=5000)
    desk.trade("sold", Side.SELL, 100, 900, instrument=MHRN)
    # What was held overnight is gone, but what it was worth this morning is not known.
    assert watch(monitor, 1000) is TradingState.REDUCING
    assert monitor.get_position_summary()["day_pnl"] is None
    desk.feed.now[MHRN] = 900
    desk.feed.references[MHRN] = 950
    assert watch(monitor, 1000) is TradingState.REDUCING
    assert in_force(desk.folder / "state").why == "max_daily_loss: 5,000, allowed less than 5,000"


def test_what_a_resume_leaves_lost_is_not_counted_again_and_a_new_best_is(desk, watch):
    monitor = bought(desk, max_daily_loss=5000, max_drawdown=6000)
    assert watch(monitor, 950) is TradingState.REDUCING
    HaltFile.of(desk.folder / "state", TradingState.REDUCING).remove()
    assert watch(monitor, 960) is TradingState.ACTIVE
    marks = DayMarks.load(desk.folder / "state", DAY)
    assert (marks.counted_from, marks.peak, marks.called) == (-4000, -4000, None)
    watch(monitor, 980)
    found = monitor.get_position_summary()
    assert (found["daily_loss"], found["drawdown"], monitor.limits.loss(Decimal(-4001))) == (0, 0, 1)
    assert watch(monitor, 920) is TradingState.REDUCING
    assert in_force(desk.folder / "state").why.startswith("max_drawdown: 6,000")


def resumed_by_guess(desk, watch, band=None):
    """A limit was reached and a person has resumed, just as a purchase was heard of whose price nobody tells."""
    desk.feed.bands[FOLD] = band
    monitor = bought(desk, max_daily_loss=5000)
    assert watch(monitor, 950) is TradingState.REDUCING
    HaltFile.of(desk.folder / "state", TradingState.REDUCING).remove()
    desk.claim("g", Side.BUY, 100, 950, FOLD)
    desk.report("g", ReportKind.FILLED, cum_qty=Decimal(100))
    assert watch(monitor, 950) is TradingState.ACTIVE
    return monitor


def test_what_is_lost_after_a_resume_counts_though_a_guess_was_fresh_by_then(desk, watch):
    monitor = resumed_by_guess(desk, watch)
    states = [watch(monitor, 920) for _ in range(9)]
    assert states[-1] is TradingState.REDUCING
    assert monitor.limits.marks.counted_from == -5000


@pytest.mark.parametrize(("price", "state"), [(921, TradingState.ACTIVE), (920, TradingState.REDUCING)])
def test_it_counts_at_once_where_the_guess_cannot_change_it(desk, watch, price, state):
    # Two hundred shares have lost 6,000, of which 1,000 may not be.
    monitor = resumed_by_guess(desk, watch, PriceBand(Decimal(940), Decimal(1060)))
    assert watch(monitor, price) is state


@pytest.mark.parametrize(("told", "counted_from"), [(940, -4000), (950, -5000)])
def test_nothing_is_let_off_for_what_turns_out_to_have_been_less_of_a_loss(desk, watch, told, counted_from):
    monitor = resumed_by_guess(desk, watch)
    desk.report("g", ReportKind.PARTIALLY_FILLED, fill=Fill("1", Decimal(100), Decimal(told)))
    assert watch(monitor, 950) is TradingState.ACTIVE
    assert monitor.limits.marks.counted_from == counted_from
    # From then on a better day makes no less of what it may lose.
    watch(monitor, 980)
    assert monitor.limits.marks.counted_from == counted_from


def test_what_a_person_resumed_is_resumed_in_a_process_that_had_not_looked_between(desk, watch):
    first = bought(desk, max_daily_loss=5000)
    second = desk.open(max_daily_loss=5000)
    watch(second, 1000)
    assert watch(first, 940) is TradingState.REDUCING
    HaltFile.of(desk.folder / "state", TradingState.REDUCING).remove()
    # It counts anew, from where the day stands, whichever of them looks first.
    assert watch(second, 930) is TradingState.ACTIVE
    assert watch(first, 930) is TradingState.ACTIVE
    assert watch(second, 881) is TradingState.ACTIVE
    assert watch(first, 880) is TradingState.REDUCING
