"""For how long a key stands for its order: for the day, and for as long as something of it lasts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.brokers.paper.market import PaperMarket
from firstbell.market import calendar
from firstbell.model.instant import TEHRAN
from firstbell.oms.orders import blotter
from firstbell.oms.orders.requests import BracketRequest
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.simulator.rules import Reason
from stepped_clock import SteppedClock

STOP = {"key": "k", "side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800}


def moment(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=TEHRAN).timestamp()) * 1_000_000_000


@pytest.fixture
def begun(tmp_path):
    """A desk at some time of the exchange's."""
    made = []

    def begin(text, **options):
        clock = SteppedClock(moment(text))
        market = PaperMarket(clock=clock, holdings={ISIN: Decimal(5000)})
        desk = Desk(tmp_path, clock, market, calendar=calendar("XTEH"), **options)
        desk.quote(4860, 4870)
        made.append(desk)
        return desk

    yield begin
    for desk in made:
        desk.close()


def go_to(desk, text):
    desk.clock.suspend((moment(text) - desk.clock.wall_ns()) / 1e9)
    desk.quote(4860, 4870)
    desk.rounds(3)


@pytest.mark.parametrize("kind", ["stop", "gtc", "bracket"])
def test_what_came_to_nothing_in_the_evening_and_lasts_from_the_morning_on_is_one_order(begun, kind):
    desk = begun("2026-11-23 16:00")
    asked = {
        "stop": request(**STOP),
        "gtc": request(key="k", price=4840, time_in_force="gtc"),
        "bracket": BracketRequest(entry=request(key="k", price=4870), take_profit=4950, stop_loss=4800),
    }[kind]

    def place():
        return desk.manager.place_bracket(asked)[0] if kind == "bracket" else desk.manager.place(asked)

    if kind == "stop":
        desk.manager.cancel(place().order_id)
    else:
        desk.refuse(Reason.UNKNOWN_ORDER)
        assert not place().is_success
        desk.refuse()
    go_to(desk, "2026-11-24 08:46")
    first = place()
    assert first.is_success
    go_to(desk, "2026-11-25 10:00")
    again = place()
    assert (again.is_success, again.order_id) == (True, first.order_id)


def test_parts_that_work_for_days_keep_the_key(begun):
    desk = begun("2026-11-23 10:00", fallback=FallbackConfig(split_threshold=300))
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    asked = request(key="k", price=4840, quantity=500, time_in_force="gtc")
    first = desk.manager.place(asked)
    assert sorted(row.quantity for row in desk.broker.open_orders()) == [250, 250]
    go_to(desk, "2026-11-24 10:00")
    again = desk.manager.place(asked)
    assert (again.order_id, again.message) == (first.order_id, "it was asked for before; nothing was sent")
    assert sum(row.quantity for row in desk.broker.open_orders()) == 500


@pytest.mark.parametrize("made", ["2026-11-22 10:00", "2026-11-23 10:00", "2026-11-24 09:00"])
def test_a_stop_that_has_left_today_is_the_keys_order_today_whenever_it_was_made(begun, made):
    desk = begun(made)
    first = desk.manager.place(request(**STOP))
    go_to(desk, "2026-11-24 10:00")
    desk.quote(4790, 4795)
    desk.trade(4790, 10)
    desk.rounds(3)
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    desk.rounds(2)
    again = desk.manager.place(request(**STOP))
    assert again.order_id.startswith(first.order_id)
    assert len(desk.at_venue()) == 1
    go_to(desk, "2026-11-25 10:00")
    assert not desk.manager.place(request(**STOP)).order_id.startswith(first.order_id), "that day is over"


def test_what_was_to_last_until_an_instant_that_is_past_keeps_no_key(begun):
    desk = begun("2026-11-23 10:00")
    until = datetime(2026, 11, 24, 12, tzinfo=TEHRAN)
    asked = {"key": "k", "price": 4840, "time_in_force": "gtd"}
    first = desk.manager.place(request(**asked, expires_at=until))
    assert first.is_success
    desk.clock.suspend(2 * 24 * 3600)
    desk.quote(4860, 4870)
    again = desk.manager.place(request(**asked, expires_at=datetime(2026, 11, 25, 12, tzinfo=TEHRAN)))
    assert (again.is_success, again.order_id == first.order_id) == (True, False)


@pytest.mark.parametrize("made", ["2026-11-21 10:00", "2026-11-23 10:00"])
@pytest.mark.parametrize("filled", [0, 300, 1000])
def test_what_was_held_back_for_days_is_its_keys_order_while_it_works_too(begun, made, filled):
    desk = begun(made, lacks=["market"])
    first = desk.manager.place(request(**STOP))
    go_to(desk, "2026-11-24 10:00")
    desk.quote(4790, 4795, bid_quantity=Decimal(1) if not filled else Decimal(filled))
    desk.trade(4790, 1)
    desk.rounds(3)
    (before,) = desk.at_venue()
    again = desk.manager.place(request(**STOP))
    assert again.order_id.startswith(first.order_id)
    assert desk.at_venue() == (before,)


def test_a_brackets_key_is_its_own_also_while_its_stop_works_on_another_day(begun):
    desk = begun("2026-11-23 10:00", lacks=["market"])
    asked = BracketRequest(entry=request(key="k", price=4870, quantity=100), take_profit=4950, stop_loss=4800)
    first = desk.manager.place_bracket(asked)[0]
    desk.rounds(2)
    go_to(desk, "2026-11-24 10:00")
    desk.quote(4790, 4795, bid_quantity=Decimal(1))
    desk.trade(4790, 1)
    desk.rounds(4)
    (stop,) = [row for row in desk.at_venue() if row.working]
    again = desk.manager.place_bracket(asked)[0]
    assert again.order_id == first.order_id
    assert [row.venue_order_id for row in desk.at_venue() if row.working] == [stop.venue_order_id]


def test_what_worked_for_days_is_its_keys_order_on_the_day_of_its_end_too(begun):
    desk = begun("2026-11-22 10:00")
    asked = request(key="k", price=4840, quantity=100, time_in_force="gtc")
    first = desk.manager.place(asked)
    go_to(desk, "2026-11-24 10:00")
    desk.quote(4830, 4838, ask_quantity=Decimal(500))
    desk.rounds(2)
    again = desk.manager.place(asked)
    assert (again.order_id, again.filled_qty) == (first.order_id, 100)
    go_to(desk, "2026-11-25 10:00")
    assert desk.manager.place(asked).order_id != first.order_id


@pytest.mark.parametrize("restart", [False, True])
def test_a_key_is_found_however_many_orders_have_ended_since(begun, monkeypatch, restart):
    monkeypatch.setattr(blotter, "_REMEMBERED", 5)
    desk = begun("2026-11-22 10:00")
    first = desk.manager.place(request(**STOP))
    go_to(desk, "2026-11-24 10:00")
    desk.quote(4790, 4795)
    desk.trade(4790, 1)
    desk.rounds(3)
    desk.quote(4860, 4870)
    for _ in range(30):
        desk.manager.cancel(desk.manager.place(request(price=4800, quantity=1)).order_id)
    if restart:
        desk.open()
    assert desk.manager.place(request(**STOP)).order_id.startswith(first.order_id)
