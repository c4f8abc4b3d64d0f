"""What is watched for can be set for each position, and the thread that watches goes at its own two paces."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from position_desk import FOLD, MHRN, Desk

from firstbell.model.instant import instant
from firstbell.model.order_status import ReportKind
from firstbell.model.position import Trade
from firstbell.model.terms import OrderRole, Side
from firstbell.oms.positions.monitor import PositionNotFound

NAME = "firstbell-positions"


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    yield made
    made.journal.close()


def by_hand(desk, quantity=100, name="t"):
    side = Side.BUY if quantity > 0 else Side.SELL
    at = instant(desk.clock.wall_ns())
    return Trade(name, "A", FOLD, side, Decimal(abs(quantity)), Decimal(1000), at)


def test_a_trade_by_hand_is_seen_at_once_at_a_price_that_is_asked_for_once(desk):
    monitor = desk.open(auto_close_on_stop=True, default_stop_loss=Decimal(100))
    desk.feed.now[FOLD] = 900
    monitor.add_trade(by_hand(desk))
    assert monitor.get_position_summary()["total_unrealized_pnl"] == -10_000
    assert monitor.position("A", FOLD).quantity == 100
    # Whether that reaches anything is looked at in the next round.
    assert desk.asked == []
    monitor.add_trade(by_hand(desk, 50, name="t2"))
    assert (monitor.position("A", FOLD).quantity, desk.feed.reads) == (150, 1)
    monitor.poll()
    assert [each.role for each in desk.asked] == [OrderRole.STOP_LOSS]


def test_a_trade_by_hand_on_a_new_day_begins_that_day_for_the_book_as_well(desk):
    monitor = desk.open()
    desk.feed.now[FOLD] = 1000
    desk.trade("a", Side.BUY, 100, 900)
    monitor.poll()
    desk.clock.sleep(86_400)
    desk.feed.now[FOLD] = 1010
    monitor.add_trade(by_hand(desk, 50))
    (view,) = monitor.poll()
    # What was held overnight counts from the day's first price on, not from the one that was paid.
    assert view.day_profit == 50 * 10


# --- levels of one position


def test_what_is_set_for_a_position_stands_until_it_is_set_anew(desk):
    monitor = desk.open(auto_close_on_stop=True, auto_close_on_target=True)
    desk.trade("a", Side.BUY, 100, 1000)
    monitor.set_levels("A", FOLD, target=Decimal(2000))
    monitor.set_levels("A", FOLD, stop=Decimal(1000))
    monitor.set_levels("A", FOLD, timeout=timedelta(hours=1))
    monitor.set_levels("A", FOLD)
    for price, role in ((1020, OrderRole.TAKE_PROFIT), (990, OrderRole.STOP_LOSS)):
        desk.feed.now[FOLD] = price
        desk.clock.sleep(10)
        monitor.poll()
        assert desk.asked[-1].role is role
        desk.report(desk.closings()[-1].intent.order.client_order_id, ReportKind.CANCELED)
    desk.feed.now[FOLD] = 1000
    desk.clock.sleep(3600)
    monitor.poll()
    assert [each.role for each in desk.asked] == [OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS, OrderRole.EXIT]


def test_what_is_not_set_for_a_position_is_as_in_the_config(desk):
    monitor = desk.open(
        default_target_pnl=2000, default_stop_loss=1000, auto_close_on_stop=True, auto_close_on_target=True,
        position_timeout_hours="0.5",
    )  # fmt: skip
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    monitor.set_levels("A", FOLD, timeout=timedelta(hours=2))
    monitor.set_levels("A", MHRN, target=Decimal(9000), stop=Decimal(9000))
    desk.feed.now = {FOLD: 1019, MHRN: 990}
    desk.clock.sleep(1799)
    monitor.poll()
    assert desk.asked == []
    desk.clock.sleep(1)
    monitor.poll()
    assert [(each.instrument, each.role) for each in desk.asked] == [(MHRN, OrderRole.EXIT)]
    desk.clock.sleep(10)
    desk.feed.now[FOLD] = 1020
    monitor.poll()
    assert (desk.asked[-1].instrument, desk.asked[-1].role) == (FOLD, OrderRole.TAKE_PROFIT)


@pytest.mark.parametrize(
    ("level", "price", "role"),
    [
        ({"target": Decimal(500)}, 1005, OrderRole.TAKE_PROFIT),
        ({"stop": Decimal(500)}, 995, OrderRole.STOP_LOSS),
        ({"timeout": timedelta(0)}, 1000, OrderRole.EXIT),
    ],
)
def test_a_trade_by_hand_comes_with_levels_of_its_own(desk, level, price, role):
    monitor = desk.open(auto_close_on_stop=True, auto_close_on_target=True)
    monitor.add_trade(by_hand(desk), **level)
    desk.feed.now[FOLD] = price
    monitor.poll()
    assert [each.role for each in desk.asked] == [role]


def test_a_trade_by_hand_that_closes_its_position_leaves_nothing_to_watch(desk):
    monitor = desk.open()
    monitor.add_trade(by_hand(desk))
    monitor.add_trade(by_hand(desk, -100, "u"))
    with pytest.raises(PositionNotFound, match="A has no position in IRO1FOLD0001"):
        monitor.add_trade(by_hand(desk, -100, "u"), target=Decimal(1))


def test_each_position_is_looked_up_by_its_account_and_its_instrument(desk):
    monitor = desk.open()
    for name, account, instrument in (("a", "A", FOLD), ("b", "A", MHRN), ("c", "B", MHRN)):
        desk.trade(name, Side.BUY, 100, 1000, account=account, instrument=instrument)
    assert monitor.views() == ()
    assert monitor.poll() == monitor.views()
    assert [each.key for each in monitor.views()] == [("A", FOLD), ("A", MHRN), ("B", MHRN)]
    for view in monitor.views():
        assert monitor.position(*view.key) is view
    with pytest.raises(PositionNotFound, match="B has no position in IRO1FOLD0001"):
        monitor.position("B", FOLD)


def test_three_stale_prices_are_all_named_and_each_is_told_when_it_becomes_stale(desk):
    monitor = desk.open()
    for account in ("A", "B", "C"):
        desk.trade(f"o{account}", Side.BUY, 1, 1000, account=account)
    monitor.poll()
    desk.trade("d", Side.BUY, 1, 1000, account="D")
    monitor.poll()
    desk.trade("e", Side.BUY, 1, 1000, account="A", instrument=MHRN)
    for account in ("B", "C", "D"):
        desk.trade(f"p{account}", Side.BUY, 1, 1000, account=account, instrument=MHRN)
    monitor.poll()
    words = [each.text.partition(": ")[2] for each in desk.told]
    assert words == [
        f"A {FOLD}, B {FOLD}, C {FOLD}",
        f"D {FOLD}",
        f"A {MHRN}, B {MHRN}, C {MHRN} and 1 more",
    ]


def test_a_price_that_is_not_told_stands_as_it_was_known_last(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1000
    monitor.poll()
    desk.feed.read = lambda _wanted: {}
    desk.clock.sleep(30)
    (view,) = monitor.poll()
    assert (view.last_price, view.age, view.stale) == (1000, timedelta(seconds=30), False)


def test_what_was_sold_is_not_asked_for_any_more(desk):
    monitor = desk.open()
    desk.trade("a", Side.BUY, 100, 1000)
    desk.trade("b", Side.BUY, 100, 1000, instrument=MHRN)
    asked, read = [], desk.feed.read
    desk.feed.read = lambda wanted: asked.append(list(wanted)) or read(wanted)
    desk.feed.now = {FOLD: 1000, MHRN: 1000}
    monitor.poll()
    desk.trade("c", Side.SELL, 100, 1000)
    desk.clock.sleep(10)
    monitor.poll()
    assert asked == [[("A", FOLD), ("A", MHRN)], [("A", MHRN)]]
    # The old price is forgotten: bought anew, one is asked for at once, and then when prices are due.
    desk.trade("d", Side.BUY, 100, 1000)
    desk.feed.now[FOLD] = 1001
    assert [monitor.poll()[0].last_price for _ in range(3)] == [1001] * 3
    assert asked[2:] == [[("A", FOLD)]]


# --- the thread


class Watched:
    """A monitor's thread, and what is done on it after each of its rounds, one by one."""

    def __init__(self, monitor, *deeds):
        self._deeds = iter(deeds)
        self.done = threading.Event()
        monitor.after_round(self._round)

    def _round(self, _views):
        deed = next(self._deeds, None)
        if deed is None:
            self.done.set()
        else:
            deed()


def test_what_others_have_written_is_looked_for_at_the_longer_pace(desk):
    monitor = desk.open(monitoring_interval="30s", price_update_interval="10ms")
    looked, refresh = [], monitor._book.refresh

    def noted():
        looked.append(desk.clock.now_ns)
        refresh()

    monitor._book.refresh = noted

    def passes(nanoseconds):
        return lambda: desk.clock.move_to(desk.clock.now_ns + nanoseconds)

    began_ns = desk.clock.now_ns
    desk.clock.move_to(began_ns + 7_000_000_000)
    half_a_minute, a_day = 30_000_000_000, 86_400_000_000_000
    watched = Watched(
        monitor, passes(half_a_minute - 1), passes(1), passes(half_a_minute - 1), passes(1), passes(a_day)
    )
    monitor.start_monitoring()
    assert watched.done.wait(20)
    monitor.stop()
    assert looked[:3] == [
        began_ns + 37_000_000_000,
        began_ns + 67_000_000_000,
        began_ns + 67_000_000_000 + a_day,
    ]


def test_its_thread_has_a_name_keeps_no_process_alive_and_can_be_started_anew(desk):
    monitor = desk.open(monitoring_interval="30s", price_update_interval="10ms")
    for _ in range(2):
        watched = Watched(monitor, *[lambda: None] * 3)
        monitor.start_monitoring()
        (thread,) = [each for each in threading.enumerate() if each.name == NAME]
        assert thread.daemon
        assert watched.done.wait(20)
        monitor.stop()
        assert not thread.is_alive()
