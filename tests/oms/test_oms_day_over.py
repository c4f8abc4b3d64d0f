"""Orders whose day is over: nobody works them, whatever lists go on saying, and what waited for them goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import NoAnswer, Refused
from firstbell.market import calendar
from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours, OrderDays
from firstbell.model.instant import TEHRAN, instant
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderOutcome, TimeInForce
from firstbell.oms.orders.day_over import DayOver
from firstbell.oms.orders.requests import BracketRequest
from firstbell.oms.reconcile import Reconciler
from stepped_clock import SteppedClock

D = Decimal
S = OrderStatus
_DAY_S = 24 * 3600
CALENDAR = always_open(market="XTEH")


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


def bracket(desk):
    """What it has bought is protected: its profit rests at the broker, and its stop is held back."""
    entry = request(quantity=100, price=4870)
    legs = desk.manager.place_bracket(BracketRequest(entry=entry, take_profit=4950, stop_loss=4800))
    desk.rounds(2)
    assert desk.held() == 100
    return [leg.order_id for leg in legs]


def status(desk, name):
    return desk.journal.entry(name).state.status


def night(desk, listed):
    """A night passes, in which the exchange ends all orders; from then on the list of the day before is as told."""
    rows, told = desk.at_venue(), desk.broker.orders
    desk.clock.suspend(_DAY_S)

    def orders(asked):
        return told(asked) if asked == instant(desk.clock.wall_ns()).date() else listed(rows)

    desk.broker.orders = orders
    desk.cancels = []

    def cancel(name):
        desk.cancels.append(name)
        raise Refused(f"{name} is gone")

    desk.broker.cancel = cancel
    desk.quote(4850, 4870)


def reconciler(desk, login):
    return Reconciler({login: desk.broker}, desk.journal, desk.clock, "me", calendar=CALENDAR)


def falls(desk):
    desk.quote(4795, 4799, bid_quantity=D(50_000))
    desk.trade(4797, 10)


def test_an_order_of_yesterday_that_its_list_still_calls_working_has_expired_and_the_stop_leaves(desk):
    _, profit, _ = bracket(desk)
    night(desk, lambda rows: rows)
    desk.rounds()
    assert status(desk, profit) is S.EXPIRED
    assert "is over" in desk.journal.entry(profit).state.reason
    assert desk.interventions == []
    falls(desk)
    desk.rounds(2)
    assert (desk.held(), desk.cancels) == (0, [])


def test_what_its_list_says_has_traded_by_then_is_counted_first(desk):
    _, profit, stop = bracket(desk)
    night(desk, lambda rows: [replace(row, filled_qty=D(30)) if row.price == 4950 else row for row in rows])
    desk.rounds()
    state = desk.journal.entry(profit).state
    assert (state.status, state.filled_qty) == (S.EXPIRED, 30)
    falls(desk)
    desk.rounds(2)
    newest = [each for each in desk.journal.entries() if each.intent.plan_id == stop][-1]
    assert (newest.state.quantity, desk.held()) == (70, 30)


def test_one_that_no_list_shows_any_more_has_expired_after_more_than_a_minute_and_a_person_is_told(desk):
    _, profit, _ = bracket(desk)
    night(desk, lambda _rows: [])
    desk.rounds(37)
    assert status(desk, profit) is S.ACCEPTED
    desk.rounds(2)
    assert status(desk, profit) is S.EXPIRED
    ((name, why),) = desk.interventions
    assert name == profit
    assert "look at the broker" in why
    falls(desk)
    desk.rounds(2)
    assert (desk.held(), desk.cancels) == (0, [])


def test_a_list_that_cannot_be_read_ends_nothing(desk):
    _, profit, _ = bracket(desk)

    def unread(_rows):
        raise NoAnswer("silence")

    night(desk, unread)
    desk.rounds(45)
    assert status(desk, profit) is S.ACCEPTED


def test_an_order_until_it_is_canceled_goes_on_and_one_until_a_day_that_the_broker_does_not_keep_has_expired(desk):
    desk.reopened(lacks=[TimeInForce.GTD])
    until = instant(desk.clock.wall_ns()) + timedelta(days=30)
    lasting = desk.manager.place(request(quantity=10, price=4850, time_in_force="gtc")).order_id
    kept_here = desk.manager.place(request(quantity=10, price=4851, time_in_force="gtd", expires_at=until)).order_id
    night(desk, lambda rows: rows)
    desk.rounds(2)
    assert (status(desk, lasting), status(desk, kept_here)) == (S.ACCEPTED, S.EXPIRED)


def test_reconciling_ends_them_as_well(desk):
    _, profit, _ = bracket(desk)
    night(desk, lambda rows: rows)
    login = desk.journal.entry(profit).intent.login
    outcome = reconciler(desk, login).look()
    assert (status(desk, profit), outcome.to_look_at) == (S.EXPIRED, {})


def test_reconciling_waits_until_it_is_known_that_no_list_shows_them(desk):
    _, profit, _ = bracket(desk)
    night(desk, lambda _rows: [])
    login = desk.journal.entry(profit).intent.login
    outcome = reconciler(desk, login).until_known(90, lambda _: None)
    assert status(desk, profit) is S.EXPIRED
    assert list(outcome.to_look_at) == [profit]


def test_another_process_that_was_quicker_is_believed(desk):
    _, profit, _ = bracket(desk)
    entry = desk.journal.entry(profit)
    night(desk, lambda rows: rows)
    desk.rounds()
    before, told = desk.journal.reports(profit), []
    late = DayOver(desk.journal, desk.clock, OrderDays(CALENDAR), "other", lambda *why: told.append(why))
    late.look([entry], desk.broker.orders(entry.intent.order.day), desk.broker.capabilities)
    assert (desk.journal.reports(profit), told) == (before, [])


@pytest.mark.parametrize(
    ("hours", "working"),
    [
        # Sent at 11:43 on a Saturday, looked at in the night; at 20:43 on that day, for the next one; the same for the
        # day after that; on a Wednesday evening, for the Saturday; looked at on that Saturday and after it.
        ((3, 14), False),
        ((12, 5), True),
        ((12, 24 + 5), False),
        ((4 * 24 + 12, 24), True),
        ((4 * 24 + 12, 2 * 24 + 12), True),
        ((4 * 24 + 12, 3 * 24 + 12), False),
    ],
)
def test_what_is_sent_after_the_session_is_for_the_next_one(desk, hours, working):
    desk.clock.suspend(hours[0] * 3600)
    rests = desk.manager.place(request(price=4850)).order_id
    desk.reopened(hours=Hours(calendar("XTEH")))
    rows, day = desk.at_venue(), desk.journal.entry(rests).intent.order.day
    told = desk.broker.orders
    desk.broker.orders = lambda asked: rows if asked == day else told(asked)
    desk.clock.suspend(hours[1] * 3600)
    desk.rounds(2)
    assert (status(desk, rests) is S.ACCEPTED) == working


def lose_the_answer(desk):
    def lost(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("the connection was cut")

    def unread(_day):
        raise NoAnswer("the list is down")

    desk.broker.lost, desk.broker.orders = lost, unread


@pytest.mark.parametrize("shown", [False, True], ids=["today alone", "every day"])
def test_a_stop_of_which_nothing_was_heard_is_not_sent_again_by_a_list_that_says_nothing_of_its_day(desk, shown):
    desk.reopened(lacks=["client_order_ids"])
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    terms = {"order_type": "stop", "side": "sell", "price": None, "trigger_price": 4800, "quantity": 10}
    stop = desk.manager.place(request(**terms)).order_id
    rows = desk.at_venue()
    lose_the_answer(desk)
    falls(desk)
    desk.rounds()
    assert desk.held() == 0
    assert desk.journal.entry(stop).state.unresolved
    desk.broker.orders = lambda _day: rows
    desk.open()
    desk.clock.suspend(_DAY_S)
    listed, day = [row for row in rows if shown], desk.journal.entry(stop).intent.order.day
    desk.broker.orders = lambda asked: listed if asked == day else []
    sent = len(desk.broker.left)
    desk.rounds(40)
    state = desk.journal.entry(stop).state
    if shown:
        # Its day's list shows another order of that day, and not this one.
        assert state.status is S.REJECTED
        return
    assert (state.status, state.outcome, state.unresolved) == (S.EXPIRED, OrderOutcome.UNRESOLVED, True)
    assert len(desk.broker.left) == sent
    (_, unknown), (name, why) = desk.interventions
    assert "nobody has known what became of it" in unknown
    assert name == stop
    assert "what it has traded, is not known" in why
    assert desk.manager.place(request(price=4850, quantity=1)).is_success


def test_an_order_that_was_sent_after_a_session_is_for_the_next_one(tmp_path):
    at = datetime(2026, 11, 23, 16, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4850, 4870)
    name = desk.manager.place(request(quantity=100, price=4860)).order_id
    desk.rounds()
    (row,), listed = desk.broker.orders(at.date()), desk.broker.orders
    # The morning after the broker lists it among the orders of that day.
    clock.suspend(17 * 3600)
    desk.broker.orders = lambda day: () if day == at.date() else (replace(row, filled_qty=D(30)), *listed(day))
    desk.rounds(2)
    state = desk.journal.entry(name).state
    assert (state.status, state.filled_qty) == (S.PARTIALLY_FILLED, 30)
    clock.suspend(24 * 3600)
    desk.rounds(45)
    assert status(desk, name) is S.EXPIRED
    desk.close()
