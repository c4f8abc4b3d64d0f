"""An order that is sent just before the end of a session, or of a day, and answered after it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.brokers.paper.market import PaperMarket
from firstbell.errors import NoAnswer
from firstbell.market import calendar
from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours
from firstbell.model.instant import TEHRAN
from firstbell.model.order_status import OrderStatus
from stepped_clock import SteppedClock

D = Decimal
S = OrderStatus


def moment(*at):
    return int(datetime(2026, 11, *at, tzinfo=TEHRAN).timestamp()) * 1_000_000_000


def go_to(clock, *at):
    clock.move_to(moment(*at) - clock.wall_ns() + clock.now_ns)


def test_what_an_ended_session_has_made_of_an_order_is_read_from_its_own_day(tmp_path):
    """Nobody has answered it, so it may have come after the session's end, and be for the next one."""
    clock, days = SteppedClock(moment(21, 11, 0, 0)), calendar("XTEH")
    market = PaperMarket(clock=clock, days=days, money=D(10) ** 10)
    desk = Desk(tmp_path, clock, market, hours=Hours(days))
    desk.quote(4860, 4870)
    desk.trade(4865, 1000)
    desk.manager.place(request(price=4870, quantity=100))
    for at in ((21, 12, 40, 0), (21, 12, 46, 0), (21, 12, 59, 59)):
        go_to(clock, *at)
        desk.manager.poll()
    market.quote(ISIN)

    def silent(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        market.trade(ISIN, D(4865), D(400))
        clock.sleep(1.5)
        raise NoAnswer("silence")

    desk.broker.lost = silent
    placed = desk.manager.place(request(price=4865, quantity=1000))
    assert placed.is_unresolved
    desk.broker.lost = None
    # Nobody looks any more on that day.
    go_to(clock, 22, 9, 30, 0)
    desk.open()
    desk.quote(4860, 4870)
    desk.rounds(60)
    state = desk.manager.entry(placed.order_id).state
    assert (state.status, state.unresolved, state.filled_qty) == (S.CANCELED, False, 400)
    assert desk.interventions == []
    desk.close()


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("time_in_force", ["day", "gtc"])
def test_an_order_that_midnight_has_overtaken_is_found_in_the_next_days_list(tmp_path, time_in_force, answered):
    clock = SteppedClock(moment(21, 23, 59, 59))
    desk = Desk(tmp_path, clock, hours=Hours(always_open(TEHRAN, market="XTEH")))
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    clock.sleep(0.9)

    def slow(send, prepared, *, timeout_s):
        clock.sleep(0.3)
        answer = send(prepared, timeout_s=timeout_s)
        if answered:
            return answer
        raise NoAnswer("silence")

    desk.broker.lost = slow
    placed = desk.manager.place(request(price=4850, quantity=1000, time_in_force=time_in_force))
    desk.broker.lost = None
    if time_in_force == "gtc":
        desk.rounds(3)
        go_to(clock, 23, 10, 0, 0)
    desk.quote(4850, 4860)
    desk.trade(4850, 12_000)
    if time_in_force == "day":
        go_to(clock, 23, 10, 0, 0)
    desk.open()
    desk.rounds(60)
    state = desk.manager.entry(placed.order_id).state
    assert (state.status, state.unresolved, state.filled_qty) == (S.FILLED, False, 1000)
    assert desk.interventions == []
    desk.close()
