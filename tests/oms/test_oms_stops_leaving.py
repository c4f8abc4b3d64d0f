"""At which price a stop leaves, from where a trailing one trails, and what becomes of one that never came."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.brokers.base import Outcome
from firstbell.errors import NoAnswer, NotSent, Refused
from firstbell.journal.owner import this_process
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.policies import CompletionStrategy
from firstbell.model.refusals import RefusalKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import AttemptOutcome, OrderType, Side
from firstbell.oms.orders.pauses import Pauses
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.oms.policies.partial_fills import PartialFillConfig
from firstbell.risk.trading_state import Halt, HaltFile, TradingState
from firstbell.risk.verdict import ErrorCode
from firstbell.simulator.rules import Reason

D = Decimal
S = OrderStatus
NEAR = FallbackConfig(max_price_adjustment=D("0.01"))
"""A stop leaves at most one per cent from its trigger."""


@pytest.fixture
def near(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock, fallback=NEAR)
    made.quote(4960, 4965)
    made.trade(4965, 10)
    yield made
    made.close()


def hold_stop(desk, trigger=4950, **terms):
    order = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": trigger, "quantity": 10, **terms}
    return desk.manager.place(request(**order)).order_id


def bracket(desk, **terms):
    """A bracket whose entry has bought a thousand at 4,965; its responses."""
    wanted = {"take_profit": 5000, "stop_loss": 4940, **terms}
    placed = desk.manager.place_bracket(BracketRequest(entry=request(price=4965, key="b"), **wanted))
    desk.quote(4960, 4965)
    desk.trade(4965, 1000)
    desk.rounds(2)
    return placed


def protect(desk, alone):
    """Something that was bought, and a stop at 4,940 for it: one by itself, or a bracket's."""
    if alone:
        desk.manager.place(request(price=4965, quantity=10))
        desk.rounds()
        hold_stop(desk, 4940, role="stop_loss")
    else:
        bracket(desk)


def fall(desk, price):
    desk.quote(price, price + 2, bid_quantity=D(100_000))
    desk.trade(price + 1, 10)


def nobody_bids(desk, price):
    """The market has fallen there, and nobody wants anything at any price."""
    desk.quote(price, price + 2, bid_quantity=D(0))
    desk.trade(price, 10)


def newest(desk, role):
    return [e for e in desk.journal.entries() if e.intent.order.role.value == role][-1]


def raising(error, until=None):
    """Something that fails with an error; `until` counts how often it has."""

    def fail(*args, **kwargs):
        del kwargs
        if until is not None:
            until.append(args)
        raise error

    return fail


# --- at which price


def test_a_stop_whose_trigger_was_moved_leaves_near_where_it_waits_now(near):
    near.manager.place(request(price=4965, quantity=10))
    near.rounds()
    name = hold_stop(near, 4950)
    assert near.manager.replace(name, trigger_price=D(4800)).is_success
    fall(near, 4795)
    near.rounds(2)
    assert near.manager.entry(name).state.status is S.FILLED
    assert near.manager.entry(name).state.avg_px == 4795
    assert near.manager.entry(name).state.price >= 4800 * D("0.99")


def test_a_brackets_stop_whose_trigger_was_moved_leaves_near_where_it_waits_now(near):
    bracket(near)
    assert near.manager.replace(
        newest(near, "stop_loss").intent.order.client_order_id, trigger_price=D(4780)
    ).is_success
    fall(near, 4775)
    near.rounds(3)
    assert newest(near, "stop_loss").state.status is S.FILLED
    assert near.held() == 0


def test_a_trailing_stop_leaves_near_where_it_has_come_to(near):
    near.manager.place(request(price=4965, quantity=10))
    near.rounds()
    terms = {"order_type": "trailing_stop", "trigger_price": None, "trailing_offset": 60}
    name = hold_stop(near, **terms)
    near.quote(4995, 5000)
    near.trade(5000, 10)
    near.rounds()
    state = near.manager.entry(name).state
    assert state.trigger_price == 4940
    near.quote(4935, 4937, bid_quantity=D(0))
    near.trade(4935, 10)
    near.rounds(2)
    # One per cent below the trigger that it has now: below the one that it had first it would be 4,855.95.
    assert near.manager.entry(name).state.price == 4891


@pytest.mark.parametrize("alone", [True, False])
def test_a_stop_that_was_lost_on_its_way_goes_again_at_the_same_price_and_no_further(near, alone):
    protect(near, alone)
    sent, send = [], near.broker.send

    def lose(prepared, *, timeout_s):
        del timeout_s
        sent.append(prepared.order.price)
        raise NoAnswer("silence")

    near.broker.send = lose
    nobody_bids(near, 4930)
    near.rounds(130)
    assert len(sent) >= 3
    assert {*sent} == {sent[0]}
    assert sent[0] >= 4940 * D("0.99")
    # Nor is it valued anew, by what it left at, where the limits count it.
    stops = [each.intent.order for each in near.journal.entries() if each.intent.order.order_type is OrderType.STOP]
    assert len({order.price for order in stops}) == 1 < len(stops)
    near.broker.send = send
    near.quote(4925, 4930, bid_quantity=D(100_000))
    near.rounds(60)
    assert near.held() == 0
    assert len([row for row in near.at_venue() if row.side is Side.SELL and row.filled_qty]) == 1


# --- where a bracket's trailing stop begins


def test_a_brackets_trailing_stop_trails_from_where_the_market_is_when_its_entry_trades(near):
    asked = BracketRequest(entry=request(price=4850, key="b"), take_profit=5000, trailing_offset=30)
    near.manager.place_bracket(asked)
    near.rounds(2)
    assert newest(near, "stop_loss").state.trigger_price is None
    fall(near, 4848)
    near.trade(4849, 1000)
    near.rounds(2)
    assert near.held() == 1000
    assert newest(near, "stop_loss").state.trigger_price == 4819
    assert newest(near, "stop_loss").is_held_back
    fall(near, 4815)
    near.rounds(3)
    assert (newest(near, "stop_loss").state.status, near.held()) == (S.FILLED, 0)


def test_a_trailing_stop_that_begins_at_a_stop_loss_waits_there(near):
    bracket(near, stop_loss=4900, trailing_offset=100)
    assert newest(near, "stop_loss").state.trigger_price == 4900


# --- one that never came


@pytest.mark.parametrize("alone", [True, False])
def test_a_stop_whose_host_cannot_be_reached_is_tried_until_it_can_be(near, alone):
    protect(near, alone)
    tried, send = [], near.broker.send
    near.broker.send = raising(NotSent("connection refused"), tried)
    fall(near, 4930)
    began_ns = near.clock.monotonic_ns()
    while near.clock.monotonic_ns() - began_ns < 9_000_000_000:
        near.rounds(pause_s=0.3)
    assert len(near.interventions) == 1
    assert near.interventions[0][1].endswith("it is tried again")
    in_a_burst = len({entry.intent.order.client_order_id for entry in near.journal.entries()})
    # Nine seconds: at once, and again after one, two and four.
    assert in_a_burst <= (2 if alone else 3) + 4
    near.broker.send = send
    near.rounds(20)
    assert near.held() == 0
    assert len([row for row in near.at_venue() if row.side is Side.SELL and row.filled_qty]) == 1
    count = len(tried)
    near.rounds(20)
    assert len(tried) == count


def test_a_stop_that_may_not_leave_is_told_of_and_not_tried_again(near):
    near.manager.place(request(price=4965, quantity=10))
    near.rounds()
    name = hold_stop(near, 4940)
    near.refuse(Reason.NOT_ENOUGH_SHARES)
    fall(near, 4930)
    near.rounds(20)
    assert near.manager.entry(name).state.status is S.REJECTED
    assert len(near.interventions) == 1
    assert "tried again" not in near.interventions[0][1]
    assert len([e for e in near.journal.entries() if e.intent.order.side is Side.SELL]) == 1


def test_a_cancel_that_is_refused_is_asked_for_less_and_less_often(near):
    bracket(near)
    asked, cancel = [], near.broker.cancel
    near.broker.cancel = raising(Refused("not now", host="paper", code=1), asked)
    fall(near, 4930)
    near.rounds(30, pause_s=1)
    # After one second, two, four, eight and sixteen.
    assert 4 <= len(asked) <= 6
    near.broker.cancel = cancel
    near.rounds(20)
    assert near.held() == 0


def test_pauses_grow_to_a_most_and_begin_anew():
    pauses, second = Pauses(), 1_000_000_000
    assert pauses.may("x", 0)
    now, waited = 0, []
    for _ in range(7):
        pauses.failed("x", now)
        assert not pauses.may("x", now)
        before = now
        while not pauses.may("x", now):
            now += second
        waited.append((now - before) // second)
    assert waited == [1, 2, 4, 8, 16, 16, 16]
    assert pauses.may("y", 0)
    pauses.failed("x", now)
    pauses.done("x")
    assert pauses.may("x", now)


def test_what_is_asked_for_is_paused_after_a_failure_and_not_after_a_success():
    pauses, second, asked = Pauses(), 1_000_000_000, []

    def answer(done):
        asked.append(done)
        return done

    assert not pauses.ask("x", 0, lambda: answer(False))
    assert not pauses.ask("x", second - 1, lambda: answer(True))
    assert asked == [False]
    assert pauses.ask("x", second, lambda: answer(True))
    # It begins anew: the next pause is a second again.
    assert not pauses.ask("x", second, lambda: answer(False))
    assert pauses.ask("x", 2 * second, lambda: answer(True))
    with pytest.raises(NotSent):
        pauses.ask("y", 0, raising(NotSent("no")))
    assert not pauses.may("y", second - 1)


# --- while trading only reduces


@pytest.mark.parametrize("terms", [{"quantity": D(1200)}, {"price": D(4930)}, {"price": D(4930), "quantity": D(900)}])
def test_while_trading_only_reduces_a_buy_becomes_no_larger_and_no_dearer(near, terms):
    name = near.manager.place(request(price=4900)).order_id
    HaltFile.of(near.folder, TradingState.REDUCING).write(Halt(None, "me", "enough lost"))
    asked = []
    near.broker.replace = raising(NotSent("no"), asked)
    response = near.manager.replace(name, **terms)
    assert (response.is_success, response.status, asked) == (False, S.ACCEPTED, [])
    assert "trading state: REDUCING, allowed smaller or cheaper buys only" in response.message


@pytest.mark.parametrize("terms", [{"quantity": D(800)}, {"price": D(4890)}, {"price": D(4890), "quantity": D(800)}])
def test_while_trading_only_reduces_a_buy_may_become_smaller_and_cheaper(near, terms):
    name = near.manager.place(request(price=4900)).order_id
    HaltFile.of(near.folder, TradingState.REDUCING).write(Halt(None, "me", "enough lost"))
    assert near.manager.replace(name, **terms).is_success
    state = near.manager.entry(name).state
    assert all(getattr(state, each) == value for each, value in terms.items())


def test_while_trading_only_reduces_a_sell_may_be_changed_as_ever(near):
    near.manager.place(request(price=4965, quantity=100))
    near.rounds()
    name = near.manager.place(request(side="sell", price=4990, quantity=10)).order_id
    HaltFile.of(near.folder, TradingState.REDUCING).write(Halt(None, "me", "enough lost"))
    assert near.manager.replace(name, price=D(4980), quantity=D(20)).is_success


@pytest.mark.parametrize("reducing", [True, False])
def test_the_rest_of_a_buy_is_not_pursued_while_trading_only_reduces(tmp_path, stepped_clock, reducing):
    desk = Desk(tmp_path, stepped_clock, partial_fills=PartialFillConfig(strategy=CompletionStrategy.IMMEDIATE))
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 100)
    if reducing:
        HaltFile.of(desk.folder, TradingState.REDUCING).write(Halt(None, "me", "enough lost"))
    desk.quote(4880, 4890)
    desk.rounds(3)
    assert (desk.manager.entry(name).state.price == 4862) is reducing
    told = [report.kind for report in desk.journal.reports(name)]
    assert told.count(ReportKind.PENDING_REPLACE) == (0 if reducing else 1)
    desk.close()


def test_the_rest_of_an_order_that_went_on_at_another_price_keeps_to_what_was_asked_for_first(tmp_path, stepped_clock):
    fallback = FallbackConfig(max_price_adjustment=D("0.01"))
    completion = PartialFillConfig(strategy=CompletionStrategy.IMMEDIATE, max_price_adjustment=D("0.01"))
    desk = Desk(tmp_path, stepped_clock, fallback=fallback, partial_fills=completion)
    desk.quote(4860, 4870, ask_quantity=D(50))
    desk.trade(4865, 10)
    desk.refuse(Reason.OUTSIDE_BAND, only=1)
    asked = desk.manager.place(request(price=4850))
    (other,) = asked.children
    state = desk.manager.entry(other.order_id).state
    # A hundredth above 4,850 is 4,898.5.
    assert (state.order.price, state.order.instructions.asked_price) == (4898, 4850)
    desk.rounds()
    assert desk.manager.entry(other.order_id).state.filled_qty == 50
    desk.quote(4900, 4910)
    desk.rounds(3)
    assert desk.manager.entry(other.order_id).state.price == 4898
    desk.close()


# --- while it waits to be tried again


def unreachable(desk, alone):
    """A stop whose host cannot be reached: it has been let go in vain and is to be tried again; its plan's role."""
    protect(desk, alone)
    send, desk.broker.send = desk.broker.send, raising(NotSent("connection refused"))
    fall(desk, 4930)
    desk.rounds(12, pause_s=0.3)
    return send


@pytest.mark.parametrize("alone", [True, False])
def test_while_it_waits_to_be_tried_again_a_stop_can_be_canceled(near, alone):
    send = unreachable(near, alone)
    waiting = newest(near, "stop_loss")
    assert waiting.is_held_back
    assert near.manager.cancel(waiting.intent.order.client_order_id).is_success
    near.broker.send = send
    near.rounds(30)
    assert near.held() == (10 if alone else 1000)


@pytest.mark.parametrize("alone", [True, False])
def test_a_stop_that_waits_to_be_tried_again_is_taken_over_when_its_process_ends(near, alone):
    unreachable(near, alone)
    near.open()
    near.rounds(10)
    assert near.held() == 0
    assert newest(near, "stop_loss").state.status is S.FILLED


@pytest.mark.parametrize("alone", [True, False])
def test_a_halt_at_the_last_moment_holds_a_stop_back(near, alone):
    protect(near, alone)
    halt, release = HaltFile.of(near.folder), near.broker.prepare

    def late(order):
        halt.write(Halt(None, "me", "wait"))
        return release(order)

    near.broker.prepare = late
    fall(near, 4930)
    near.rounds(3)
    near.broker.prepare = release
    assert newest(near, "stop_loss").is_held_back
    assert newest(near, "stop_loss").state.triggered
    near.rounds(10)
    assert near.held() == (10 if alone else 1000)
    halt.remove()
    near.rounds(20)
    assert near.held() == 0


def test_a_stop_that_is_refused_for_its_pace_alone_is_tried_again(near):
    bracket(near)
    near.refuse(Reason.TOO_SOON, only=4)
    fall(near, 4930)
    near.rounds(20)
    assert near.held() == 0
    assert "it is tried again" in near.interventions[-1][1]


def test_a_buy_that_waits_stays_held_back_while_trading_only_reduces(near):
    name = near.manager.place(request(order_type="stop", price=None, trigger_price=4980, quantity=10)).order_id
    reducing = HaltFile.of(near.folder, TradingState.REDUCING)
    reducing.write(Halt(None, "me", "enough lost"))
    near.quote(4985, 4990)
    near.trade(4988, 10)
    near.rounds(10)
    assert near.manager.entry(name).is_held_back
    assert near.interventions == []
    reducing.remove()
    near.rounds(3)
    assert near.manager.entry(name).state.status is S.FILLED


def test_of_two_entries_the_one_that_was_lost_on_its_way_goes_again(near):
    low = request(price=4900, quantity=10)
    high = request(order_type="stop", price=None, trigger_price=4980, quantity=10)
    near.manager.place_oco(OcoRequest(orders=(low, high)))
    near.rounds()
    send, near.broker.send = near.broker.send, raising(NoAnswer("silence"))
    near.quote(4985, 4990)
    near.trade(4988, 10)
    near.rounds(3)
    near.broker.send = send
    near.rounds(60)
    assert near.held() == 10


def test_what_was_given_up_as_absent_and_is_there_after_all_is_told_once(near):
    # Also where nothing else is open.
    orders = near.broker.orders
    send = near.broker.send

    def cut(prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    near.broker.send = cut
    name = near.manager.place(request(price=4740, quantity=10)).order_id
    near.broker.send = send
    near.broker.orders = lambda day: tuple(row for row in orders(day) if row.price != 4740)
    near.broker.open_orders = lambda: ()
    near.rounds(60)
    assert near.manager.entry(name).state.status is S.REJECTED
    assert near.interventions == []
    near.broker.orders = orders
    near.rounds(5)
    ((told, why),) = near.interventions
    assert told == name
    assert "it was given up as absent" in why
    assert "of which 0 has traded, is it after all" in why


# --- others


def end(other, quantity):
    """The other process hears that its order of so many shares did not leave."""
    (entry,) = [each for each in other.journal.entries() if each.intent.order.quantity == quantity]
    at = instant(other.clock.wall_ns())
    report = ExecutionReport(entry.intent.order.client_order_id, "other", ReportKind.DENIED, at, reason="no")
    other.journal.append([report])


def with_one_in_hand(near):
    """Hold back a stop for what was bought; another process, which lives, has an order in hand besides: its desk."""
    near.manager.place(request(price=4965, quantity=10))
    near.rounds()
    # It begins before there is anything to take over.
    other = Desk(near.folder, near.clock, near.market, owner=this_process())
    hold_stop(near, 4940, role="stop_loss")
    other.broker.lost = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        other.manager.place(request(price=4800, quantity=7))
    return other


def test_a_stop_does_not_leave_while_another_process_has_an_order_in_hand(near):
    other = with_one_in_hand(near)
    fall(near, 4930)
    near.rounds(2, pause_s=1)
    assert near.held() == 10
    assert newest(near, "stop_loss").is_held_back
    end(other, 7)
    near.rounds(2)
    assert near.held() == 0
    other.close()


def test_what_a_dead_process_had_in_hand_is_asked_for_by_a_living_one(near):
    near.manager.place(request(price=4965, quantity=10))
    near.rounds()
    other = Desk(near.folder, near.clock, near.market)
    send = other.broker.send

    def die(prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise KeyboardInterrupt

    other.broker.send = die
    with pytest.raises(KeyboardInterrupt):
        other.manager.place(request(price=4800, quantity=7, key="in hand"))
    other.close()
    near.rounds(6)
    (found,) = [each for each in near.journal.entries() if each.intent.order.quantity == 7]
    assert found.state.status is S.ACCEPTED


def test_what_is_held_back_is_not_lost_where_its_taking_over_is_kept_from_being_claimed(near):
    other = with_one_in_hand(near)
    near.open()
    near.rounds(2, pause_s=1)
    (stop,) = [each for each in near.journal.entries() if each.intent.order.role.value == "stop_loss"]
    assert stop.is_held_back
    end(other, 7)
    near.rounds(2)
    fall(near, 4930)
    near.rounds(3)
    assert near.held() == 0
    other.close()


def asks_for_a_pause(desk, seconds):
    """Have the broker answer everything with 429, and how long it wants to be left alone."""
    read = desk.broker.read_answer
    limited = Outcome(AttemptOutcome.REJECTED, None, "429", again=True, retry_after=seconds, kind=RefusalKind.RATE)
    desk.refuse(Reason.TOO_SOON)
    desk.broker.read_answer = lambda *_answer: limited

    def ends():
        desk.refuse(None)
        desk.broker.read_answer = read

    return ends


def test_a_broker_that_asks_for_a_pause_is_left_alone_by_every_order_of_the_login_until_it_is_over(near):
    protect(near, alone=True)
    ends = asks_for_a_pause(near, 120.0)
    sent = len(near.broker.left)
    near.quote(4930, 4940)
    near.trade(4930, 10)
    near.rounds(5)
    assert len(near.broker.left) == sent + 1
    ends()
    other = near.manager.place(request(price=4900, quantity=10))
    assert (other.status, other.error, len(near.broker.left)) == (S.DENIED, ErrorCode.RATE_LIMIT_ERROR, sent + 1)
    assert "has asked for a pause" in other.message
    near.rounds(54)
    assert len(near.broker.left) == sent + 1
    near.rounds(2)
    assert len(near.broker.left) == sent + 2
    assert near.held() == 0
    assert near.manager.place(request(price=4900, quantity=10)).is_success


def test_a_stop_that_is_to_wait_for_longer_than_seconds_is_held_back_meanwhile_and_can_be_canceled(near):
    protect(near, alone=True)
    ends = asks_for_a_pause(near, 50.0)
    near.quote(4930, 4940)
    near.trade(4930, 10)
    began_ns = near.clock.monotonic_ns()
    near.rounds(1)
    assert near.clock.monotonic_ns() - began_ns < 3_000_000_000
    (stop,) = near.manager.orders()
    assert (stop.is_held_back, stop.intent.order.order_type) == (True, OrderType.STOP)
    ends()
    assert near.manager.cancel(stop.intent.order.client_order_id).is_success
    near.rounds(30)
    assert near.held() == 10


def test_a_change_is_not_sent_during_a_pause_either(near):
    name = near.manager.place(request(price=4900, quantity=10)).order_id
    ends = asks_for_a_pause(near, 120.0)
    near.manager.place(request(price=4901, quantity=10))
    ends()
    sent = len(near.broker.left)
    response = near.manager.replace(name, price=D(4902))
    assert not response.is_success
    assert "has asked for a pause" in response.message
    assert (len(near.broker.left), near.manager.entry(name).state.price) == (sent, 4900)


# --- a thin book, where the broker takes market orders


def is_thin(desk, price, shares):
    """The market has fallen there, and so many shares are wanted, and no more."""
    desk.quote(price, price + 2, bid_quantity=D(max(shares, 1)))
    desk.trade(price + 1, 10)
    if not shares:
        nobody_is_there(desk, price)


def nobody_is_there(desk, price):
    """Nobody wants any, at whatever price."""
    desk.market.set_quote(ISIN, ask=D(price + 2))


@pytest.mark.parametrize("shares", [0, 4])
@pytest.mark.parametrize("alone", [True, False])
def test_what_a_thin_book_does_not_take_of_a_stop_waits_there_until_somebody_comes(near, alone, shares):
    protect(near, alone)
    held = near.held()
    is_thin(near, 4930, shares)
    near.rounds(3)
    stop = newest(near, "stop_loss").state
    assert near.held() == held - shares == stop.leaves_qty
    assert stop.status in {S.ACCEPTED, S.PARTIALLY_FILLED}
    near.quote(4925, 4930, bid_quantity=D(100_000))
    near.rounds(2)
    assert near.held() == 0


def test_where_the_book_takes_it_a_stop_is_a_market_order_where_there_are_such(near):
    protect(near, alone=True)
    sent, send = [], near.broker.send
    near.broker.send = lambda prepared, **options: (sent.append(prepared.order.order_type), send(prepared, **options))[
        1
    ]
    fall(near, 4930)
    near.rounds(2)
    assert (sent, near.held()) == ([OrderType.MARKET], 0)


@pytest.mark.parametrize("alone", [True, False])
def test_a_stop_whose_book_was_emptied_as_it_left_is_let_go_again(near, alone):
    protect(near, alone)
    prepare = near.broker.prepare

    def emptied(order):
        nobody_is_there(near, 4930)
        near.broker.prepare = prepare
        return prepare(order)

    near.broker.prepare = emptied
    fall(near, 4930)
    near.rounds(5)
    stop = newest(near, "stop_loss").state
    assert (stop.status, near.held()) == (S.ACCEPTED, stop.leaves_qty)
    near.quote(4925, 4930, bid_quantity=D(100_000))
    near.rounds(2)
    assert near.held() == 0


def test_of_a_stop_that_ended_at_its_broker_with_a_rest_a_person_is_told_once(near):
    protect(near, alone=True)
    prepare = near.broker.prepare

    def thinned(order):
        near.quote(4930, 4932, bid_quantity=D(4))
        near.broker.prepare = prepare
        return prepare(order)

    near.broker.prepare = thinned
    fall(near, 4930)
    near.rounds(5)
    assert near.held() == 6
    ((name, why),) = near.interventions
    assert name == newest(near, "stop_loss").intent.order.client_order_id
    assert why == ("its price had come, and it is CANCELED with 6 that have not traded: nothing goes on for them")


def entries_of(desk, trigger=4940):
    """A sale by stop and a purchase far below, of which one cancels the other; ten shares are held."""
    desk.manager.place(request(price=4965, quantity=10))
    desk.rounds()
    stop = request(side="sell", order_type="stop", price=None, trigger_price=trigger, quantity=10, role="entry")
    return desk.manager.place_oco(OcoRequest(orders=(stop, request(price=4800, quantity=10))))


def test_of_one_of_two_entries_that_ended_at_its_broker_with_a_rest_a_person_is_told(near):
    stop, other = entries_of(near)
    is_thin(near, 4930, 4)
    near.rounds(3)
    assert near.held() == 6
    assert near.manager.track(other.order_id).status is S.CANCELED
    assert near.interventions == []
    state = near.manager.entry(stop.order_id).state
    near.broker.cancel(state.venue_order_id)
    near.rounds(3)
    ((name, why),) = near.interventions
    assert name == state.order.client_order_id
    assert "it is CANCELED with 6 that have not traded" in why


def test_of_one_of_two_entries_that_gave_way_to_the_other_nobody_is_told(near):
    stop, other = entries_of(near)
    near.quote(4795, 4800, bid_quantity=D(4))
    near.broker.send = raising(NotSent("connection refused"), [])
    near.trade(4800, 100)
    near.rounds(6)
    assert near.manager.track(other.order_id).status is S.FILLED
    assert [why for _, why in near.interventions if "nothing goes on" in why] == []
    assert near.manager.track(stop.order_id).status in {S.DENIED, S.REJECTED}


def test_of_a_stop_that_was_canceled_as_asked_nobody_is_told(near):
    protect(near, alone=True)
    is_thin(near, 4930, 4)
    near.rounds(2)
    near.manager.cancel(newest(near, "stop_loss").intent.order.client_order_id)
    near.rounds(3)
    assert (near.held(), near.interventions) == (6, [])


def ends_at_its_broker(desk):
    """The broker takes the stop off its book, unasked."""
    state = newest(desk, "stop_loss").state
    desk.broker.cancel(state.venue_order_id)
    desk.rounds(2)


@pytest.mark.parametrize("before", ["nothing", "restart", "change", "refused cancel"])
def test_of_a_stop_that_rested_and_ended_with_a_rest_a_person_is_told_whatever_was_before(near, before):
    protect(near, alone=True)
    is_thin(near, 4930, 4)
    near.rounds(2)
    name = newest(near, "stop_loss").intent.order.client_order_id
    assert near.held() == 6
    if before == "restart":
        near.open()
        near.rounds()
    elif before == "change":
        assert near.manager.replace(name, price=D(4960)).is_success
    elif before == "refused cancel":
        cancel, near.broker.cancel = near.broker.cancel, raising(Refused("1099 not now"))
        assert not near.manager.cancel(name).is_success
        near.broker.cancel = cancel
    near.interventions.clear()
    ends_at_its_broker(near)
    ((told, why),) = near.interventions
    assert told == name
    assert "it is CANCELED with 6 that have not traded" in why
