"""Rounds: when something held back may leave, and who looks after it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal

import pytest
from oms_desk import ISIN, Deeds, Desk, Killed, request

from firstbell.errors import CaptchaError, JournalError, NoAnswer, NotSent, Refused
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market import calendar
from firstbell.market.hours import Hours
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.policies import CompletionStrategy
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import TimeInForce
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.orders.response import response_of
from firstbell.oms.orders.trader import Trader
from firstbell.oms.policies.partial_fills import PartialFillConfig
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile
from firstbell.simulator.rules import Reason

D = Decimal
S = OrderStatus


def bracket(desk, **terms):
    entry = request(quantity=3000, price=4865, key="b")
    return desk.manager.place_bracket(BracketRequest(entry=entry, **{"take_profit": 4950, "stop_loss": 4800, **terms}))


def hold_stop(desk, **terms):
    stop = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4850, "quantity": 10, **terms}
    return desk.manager.place(request(**stop)).order_id


def now(desk, response):
    return desk.manager.entry(response.order_id).state


def newest(desk, role):
    return [entry for entry in desk.journal.entries() if entry.intent.order.role.value == role][-1]


def kinds(desk, name):
    return [report.kind for report in desk.journal.reports(name)]


def fall(desk, price=4795):
    desk.quote(price, price + 4, bid_quantity=D(50_000))
    desk.trade(price + 2, 10)


def halt(desk):
    HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "me", "by hand"))


def test_an_exit_is_not_triggered_before_its_entry_has_traded(desk):
    *_, stop = bracket(desk, take_profit=None)
    # Somebody sees a price below the stop while the entry rests.
    quote = desk.broker.quote
    desk.broker.quote = lambda isin: replace(quote(isin), last_price=D(4790))
    desk.rounds(2)
    assert not now(desk, stop).triggered
    desk.broker.quote = quote
    desk.trade(4865, 1000)
    desk.rounds(2)
    assert now(desk, stop).status is S.INITIALIZED
    assert not now(desk, stop).triggered


def test_a_triggered_stop_waits_for_a_cancel_that_nobody_has_answered(desk):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds(2)
    cancel = desk.broker.cancel

    def silent(_name):
        raise NoAnswer("silence")

    desk.broker.cancel = silent
    fall(desk)
    desk.rounds(3)
    assert newest(desk, "take_profit").state.status is S.PENDING_CANCEL
    assert newest(desk, "stop_loss").state.triggered
    assert newest(desk, "stop_loss").is_held_back
    desk.broker.cancel = cancel
    desk.rounds(10)
    assert desk.held() == 0


def test_halted_a_triggered_stop_stays_held_back_and_nothing_is_changed(desk):
    bracket(desk)
    desk.trade(4865, 1000)
    desk.rounds()
    halt(desk)
    desk.trade(4865, 500)
    desk.rounds(5)
    profit = newest(desk, "take_profit")
    assert profit.state.quantity == 1000
    assert ReportKind.PENDING_REPLACE not in kinds(desk, profit.intent.order.client_order_id)
    alone = hold_stop(desk)
    fall(desk)
    desk.rounds(3)
    assert desk.manager.entry(alone).state.triggered
    assert desk.manager.entry(alone).is_held_back
    assert newest(desk, "stop_loss").is_held_back


def test_a_change_that_is_refused_is_not_asked_for_in_every_round(desk):
    bracket(desk)
    desk.trade(4865, 1000)
    desk.rounds()
    asked = []

    def refuse(*args):
        asked.append(args)
        raise NotSent("no")

    desk.broker.replace, change = refuse, desk.broker.replace
    desk.trade(4865, 500)
    desk.rounds(5)
    # The first pauses are shorter than a round.
    assert len(asked) == 4
    desk.rounds(5)
    assert len(asked) == 5
    desk.broker.replace = change
    desk.rounds(10)
    assert newest(desk, "take_profit").state.quantity == 1500


def test_nothing_leaves_while_an_order_of_the_login_is_unresolved(desk):
    name = hold_stop(desk)
    other = desk.manager.place(request(price=4730, quantity=10)).order_id
    del other

    def lost(*_args, **_kwargs):
        raise NoAnswer("silence")

    desk.broker.send, send = lost, desk.broker.send
    with suppress(NoAnswer):
        desk.manager.place(request(price=4731, quantity=10))
    desk.broker.send = send
    fall(desk, 4790)
    desk.rounds(3)
    assert desk.manager.entry(name).state.triggered
    assert desk.manager.entry(name).is_held_back
    desk.rounds(45)
    assert not desk.manager.entry(name).is_held_back


def test_a_family_that_another_living_process_holds_back_is_left_to_it(desk, monkeypatch):
    bracket(desk)
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    desk.open()
    desk.trade(4865, 3000)
    desk.rounds(3)
    assert [row.side for row in desk.at_venue()] == ["buy"]
    assert newest(desk, "take_profit").state.status is S.INITIALIZED
    monkeypatch.undo()
    desk.rounds(3)
    assert [row.side for row in desk.at_venue()] == ["buy", "sell"]


def test_a_stop_that_was_triggered_when_its_process_died_is_so_for_the_next_one(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    hold_stop(desk)
    halt(desk)
    fall(desk)
    desk.rounds()
    # The market comes back before anybody looks again.
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    HaltFile.of(desk.folder).remove()
    desk.open()
    desk.rounds(2)
    assert desk.held() == 0


def test_what_a_dead_process_held_back_is_told_of_while_it_cannot_be_taken_over(desk):
    stop, more = hold_stop(desk, quantity=30), hold_stop(desk, quantity=20)
    desk.broker.lost = failing(NoAnswer("silence"))
    lost = desk.manager.place(request()).order_id
    desk.broker.lost = None
    desk.open()
    orders = desk.broker.orders
    desk.broker.orders = failing(NoAnswer("silence"))
    desk.rounds(4)
    assert desk.interventions == []
    desk.rounds(30)
    (told,) = [each for each in desk.interventions if "held back" in each[1]]
    assert told[0] in {stop, more}
    why = f"it is held back, as 1 more, and protects nothing before it is known what became of {lost}"
    assert told[1].startswith(why)
    desk.broker.orders = orders
    desk.rounds(50)
    assert len(desk.manager.traders) == 1
    assert [len(each.holding.ours) for each in desk.manager.traders] == [2]
    assert [each for each in desk.interventions if "held back" in each[1]] == [told]


def test_terms_that_were_changed_while_held_back_are_those_that_the_next_process_holds(desk):
    name = hold_stop(desk, quantity=30)
    desk.manager.replace(name, quantity=D(20), trigger_price=D(4840))
    desk.open()
    (entry,) = desk.manager.orders()
    assert (entry.state.quantity, entry.state.trigger_price) == (20, 4840)


def test_what_is_held_back_until_an_instant_is_taken_back_then(desk):
    until = instant(desk.clock.wall_ns()) + timedelta(seconds=60)
    name = hold_stop(desk, time_in_force="gtd", expires_at=until)
    desk.rounds(29)
    assert desk.manager.entry(name).is_held_back
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert state.status is S.DENIED
    assert "time in force" in state.reason


def test_the_rest_of_an_exit_is_never_given_up(tmp_path, stepped_clock):
    cancel = PartialFillConfig(strategy=CompletionStrategy.CANCEL_REMAINING)
    desk = Desk(tmp_path, stepped_clock, partial_fills=cancel)
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds(2)
    desk.trade(4950, 10_000 + 500)
    desk.rounds(3)
    profit = newest(desk, "take_profit").state
    assert (profit.status, profit.filled_qty) == (S.PARTIALLY_FILLED, 500)
    desk.close()


def test_the_rest_of_what_went_on_for_an_entry_is_given_up_like_an_entrys(tmp_path, stepped_clock):
    cancel = PartialFillConfig(strategy=CompletionStrategy.CANCEL_REMAINING)
    desk = Desk(tmp_path, stepped_clock, partial_fills=cancel)
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    desk.refuse(Reason.NOT_ENOUGH_MONEY, only=1)
    entry, *_ = bracket(desk)
    desk.refuse(None)
    desk.trade(4865, 500)
    desk.rounds(2)
    child = now(desk, entry.children[0])
    assert (child.status, child.filled_qty) == (S.CANCELED, 500)
    assert newest(desk, "take_profit").state.quantity == 500
    desk.close()


def test_of_two_entries_the_triggered_one_leaves_when_the_other_is_off_the_book(desk):
    low, high = request(price=4850, quantity=500), request(order_type="stop_limit", price=4900, trigger_price=4890)
    first, second = desk.manager.place_oco(OcoRequest(orders=(low, high)))
    cancel = desk.broker.cancel

    def refuse(_name):
        raise Refused("not now", host="paper", code=1)

    desk.broker.cancel = refuse
    desk.quote(4895, 4899)
    desk.trade(4895, 10)
    desk.rounds(2)
    assert now(desk, first).status is S.ACCEPTED
    assert now(desk, second).triggered
    assert now(desk, second).status is S.INITIALIZED
    desk.broker.cancel = cancel
    desk.rounds(2)
    assert now(desk, first).status is S.CANCELED
    assert now(desk, second).status is S.FILLED


def test_what_another_process_has_written_meanwhile_is_read_again(desk):
    name = desk.manager.place(request(quantity=1000)).order_id
    other = SqliteJournal(desk.folder / "journal.db", desk.clock)
    at = instant(desk.clock.wall_ns())
    other.append([ExecutionReport(name, "other", ReportKind.CANCELED, at, cum_qty=D(400))])
    other.close()
    desk.trade(4860, 400)
    desk.rounds()
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty) == (S.CANCELED, 400)


# --- a round


def reasons(desk, name):
    return {report.kind: report.reason for report in desk.journal.reports(name)}


def counted(desk, call):
    """What a call of the broker's is asked from now on."""
    asked, does = [], getattr(desk.broker, call)
    setattr(desk.broker, call, lambda *args: asked.append(args) or does(*args))
    return asked


def failing(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


def test_a_new_days_limits_count_anew(desk):
    desk.reopened(limits=Limits(max_orders_per_account=1))
    desk.interrupt.wait_until = desk.clock.move_to
    assert desk.manager.place(request()).is_success
    assert desk.manager.place(request()).status is S.DENIED
    desk.clock.sleep(24 * 3600)
    desk.rounds()
    assert desk.manager.place(request()).is_success
    assert desk.manager.place(request()).status is S.DENIED


def test_an_instrument_is_quoted_once_a_round_however_many_wait_for_it(desk):
    for trigger in (4830, 4840):
        hold_stop(desk, trigger_price=trigger)
    asked = counted(desk, "quote")
    desk.rounds(3, pause_s=0.1)
    assert len(asked) == 3


def test_a_broker_that_does_not_answer_is_left_alone_for_longer_and_longer(desk):
    desk.manager.place(request())
    asked = []
    desk.broker.orders = lambda day: asked.append(day) or failing(NoAnswer("silence"))()
    desk.rounds(20, pause_s=0.25)
    assert 1 < len(asked) < 8


def test_an_unresolved_order_is_asked_for_all_the_same(desk):
    desk.broker.lost = failing(NoAnswer("silence"))
    desk.manager.place(request())
    asked = []
    desk.broker.orders = lambda day: asked.append(day) or failing(NoAnswer("silence"))()
    desk.rounds(20, pause_s=0.25)
    assert len(asked) == 20


def test_by_default_nobody_is_asked_about_an_order_that_has_traded_in_part(desk):
    desk.manager.place(request(price=4861))
    desk.trade(4861, 300)
    desk.rounds()
    asked = counted(desk, "quote")
    desk.rounds(3)
    assert asked == []


# --- the market


def test_what_has_triggered_says_where_the_market_was(desk):
    name = hold_stop(desk)
    fall(desk, 4790)
    desk.rounds()
    assert reasons(desk, name)[ReportKind.TRIGGERED] == "the market is at 4792"


def test_where_nothing_has_traded_it_says_at_what_it_would_trade(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock)
    desk.quote(4860, 4870)
    name = hold_stop(desk)
    desk.quote(4840, 4870)
    desk.rounds()
    assert reasons(desk, name)[ReportKind.TRIGGERED] == "the market is at 4840"
    desk.close()


def test_each_of_several_that_wait_is_looked_at(desk):
    halt(desk)
    first, second, third = (hold_stop(desk, trigger_price=each) for each in (4850, 4730, 4845))
    fall(desk)
    desk.rounds()
    triggered = [desk.manager.entry(name).state.triggered for name in (first, second, third)]
    assert triggered == [True, False, True]
    lower = hold_stop(desk, trigger_price=4780)
    fall(desk, 4770)
    desk.rounds()
    # Those before it have triggered already, and are told of once.
    assert desk.manager.entry(lower).state.triggered
    assert kinds(desk, first).count(ReportKind.TRIGGERED) == 1


def test_one_whose_market_is_not_known_hides_no_other(desk):
    halt(desk)
    other = "IRO1BMLT0001"
    desk.market.set_quote(other, bid=D(2330), ask=D(2340))
    desk.market.trade(other, D(2335), D(10))
    unseen = hold_stop(desk, instrument=other, trigger_price=2320)
    seen = hold_stop(desk)
    quote = desk.broker.quote
    desk.broker.quote = lambda isin: failing(NoAnswer("silence"))() if isin == other else quote(isin)
    desk.clock.sleep(60)
    fall(desk)
    desk.rounds()
    assert not desk.manager.entry(unseen).state.triggered
    assert desk.manager.entry(seen).state.triggered


def test_of_two_entries_held_back_while_halted_the_one_whose_price_comes_stays(desk):
    halt(desk)
    low, high = request(price=4850, quantity=500), request(order_type="stop_limit", price=4900, trigger_price=4890)
    first, second = desk.manager.place_oco(OcoRequest(orders=(low, high)))
    assert (first.status, second.status) == (S.INITIALIZED, S.INITIALIZED)
    desk.quote(4840, 4845)
    desk.rounds()
    assert now(desk, first).triggered
    assert now(desk, second).status is S.DENIED
    assert now(desk, second).reason == f"{first.order_id} was first, before it had left"
    assert desk.at_venue() == ()


# --- orders that belong together


def test_exits_whose_entry_was_never_claimed_are_taken_back(desk):
    desk.open(Deeds(kill_at=3))
    with pytest.raises(Killed):
        bracket(desk)
    desk.open()
    assert len(desk.manager.orders()) == 2
    desk.rounds()
    assert desk.manager.orders() == ()
    exits = [entry.state for entry in desk.journal.entries() if entry.state.status is S.DENIED]
    assert "its entry never came, before it had left" in {state.reason for state in exits}
    assert desk.at_venue() == ()


def test_an_only_exit_whose_entry_was_never_claimed_is_taken_back_too(desk):
    desk.open(Deeds(kill_at=2))
    with pytest.raises(Killed):
        bracket(desk, take_profit=None)
    desk.open()
    desk.rounds()
    assert desk.manager.orders() == ()
    assert desk.at_venue() == ()


def test_a_step_that_cannot_be_written_down_ends_the_round(desk):
    bracket(desk)
    desk.trade(4865, 1000)
    desk.rounds()
    desk.trade(4950, 10_000 + 500)
    append = desk.journal.append

    def full(reports, **_where):
        if any(report.kind is ReportKind.REPLACED for report in reports):
            raise JournalError("the disk is full")
        append(reports)

    desk.journal.append = full
    with pytest.raises(JournalError, match="the disk is full"):
        desk.rounds()
    desk.journal.append = append
    desk.rounds()
    assert newest(desk, "stop_loss").state.quantity == 500


def test_a_cancel_that_its_broker_refuses_is_asked_for_once_a_round(desk):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds(2)
    asked = []
    desk.broker.cancel = lambda name: asked.append(name) or failing(Refused("not now", host="paper", code=1))()
    fall(desk)
    desk.rounds()
    assert len(asked) == 1
    desk.rounds(2)
    assert len(asked) == 3
    assert newest(desk, "stop_loss").is_held_back


def test_a_family_in_trouble_keeps_no_other_waiting(desk):
    bracket(desk)
    other = BracketRequest(entry=request(quantity=500, price=4866, key="c"), take_profit=4960, stop_loss=4700 + 30)
    desk.manager.place_bracket(other)
    desk.trade(4865, 3500)
    desk.rounds(2)
    desk.broker.cancel = failing(Refused("not now", host="paper", code=1))
    fall(desk)
    desk.trade(4960, 10_000 + 100)
    fall(desk)
    desk.rounds(2)
    profits = [entry.state for entry in desk.journal.entries() if entry.intent.order.role.value == "take_profit"]
    assert [(each.quantity, each.status) for each in profits][1][0] == 500
    stops = [entry.state for entry in desk.journal.entries() if entry.intent.order.role.value == "stop_loss"]
    assert [each.quantity for each in stops] == [3000, 500]


def test_what_was_let_go_and_does_not_stay_is_told_to_a_person(desk):
    name = hold_stop(desk)
    fall(desk)
    desk.rounds()
    state = desk.manager.entry(name).state
    # Nothing was held that it could sell.
    assert state.status is S.REJECTED
    assert desk.interventions == [(name, f"it was let go and did not stay: {state.reason}")]


def test_what_was_let_go_and_stays_is_nothing_that_a_person_has_to_look_at(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    hold_stop(desk)
    fall(desk)
    desk.rounds(2)
    assert desk.held() == 0
    assert desk.interventions == []


@pytest.mark.parametrize("error", [NoAnswer("silence"), CaptchaError("no captcha")])
def test_what_has_triggered_waits_until_its_instrument_can_be_read(desk, error):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = hold_stop(desk)
    desk.clock.sleep(120)
    read, asked = desk.broker.instrument, []

    def fail(*args, **_kwargs):
        asked.append(args)
        raise error

    desk.broker.instrument = fail
    fall(desk)
    desk.rounds()
    assert desk.manager.entry(name).state.triggered
    assert desk.manager.entry(name).is_held_back
    desk.broker.instrument = read
    desk.clock.sleep(30)
    fall(desk)
    desk.rounds()
    assert desk.held() == 0


def test_an_exit_whose_instrument_cannot_be_read_is_tried_once_a_round(desk):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.clock.sleep(120)
    asked = []
    desk.broker.instrument = lambda *args, **_kwargs: asked.append(args) or failing(NoAnswer("silence"))()
    desk.rounds()
    assert len(asked) == 1
    assert newest(desk, "take_profit").is_held_back


def test_a_stop_with_a_limit_leaves_at_its_limit_and_one_without_at_what_there_is(desk):
    desk.manager.place(request(price=4870, quantity=20))
    desk.rounds()
    limit = hold_stop(desk, order_type="stop_limit", price=4845, trigger_price=4850)
    fall(desk, 4840)
    desk.rounds()
    assert desk.manager.entry(limit).state.status is S.ACCEPTED
    row = next(each for each in desk.at_venue() if each.side == "sell")
    assert (row.price, row.filled_qty) == (4845, 0)


def test_one_share_of_an_entry_is_enough_for_its_stop_to_be_looked_at(desk):
    *_, stop = bracket(desk, take_profit=None)
    desk.trade(4865, 1)
    desk.rounds()
    quote = desk.broker.quote
    desk.broker.quote = lambda isin: replace(quote(isin), last_price=D(4790))
    desk.rounds()
    assert now(desk, stop).triggered
    assert [row.quantity for row in desk.at_venue() if row.side == "sell"] == [1]


def test_an_exit_follows_each_trade_of_its_entry_at_once(desk):
    bracket(desk)
    for bought in (500, 1000, 1500, 2000):
        desk.trade(4865, 500)
        desk.rounds()
        assert newest(desk, "take_profit").state.quantity == bought


@pytest.mark.parametrize("raises", [True, False])
def test_a_change_of_an_exits_quantity_that_is_refused_is_asked_for_again_after_a_pause(desk, monkeypatch, raises):
    bracket(desk)
    desk.trade(4865, 500)
    desk.rounds()
    asked = []

    def refuse(_trader, entry, **terms):
        asked.append(terms)
        if raises:
            raise NotSent("not now")
        return response_of(entry)

    monkeypatch.setattr(Trader, "replace", refuse)
    desk.trade(4865, 500)
    desk.rounds(7)
    assert len(asked) == 4
    desk.rounds(2)
    assert len(asked) == 5
    monkeypatch.undo()
    desk.rounds(8)
    assert newest(desk, "take_profit").state.quantity == 1000


@pytest.mark.parametrize("refused_first", [False, True])
def test_a_triggered_exit_that_never_came_leaves_in_the_round_in_which_it_is_held_anew(desk, refused_first):
    bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds(2)
    send = desk.broker.send
    if refused_first:
        desk.refuse(Reason.TOO_SOON, only=1)
        soon = desk.broker.lost

        def say(_send, prepared, *, timeout_s):
            return soon(failing(NoAnswer("silence")), prepared, timeout_s=timeout_s)

        desk.broker.lost = say
    else:
        desk.broker.send = failing(NoAnswer("silence"))
    fall(desk)
    desk.rounds(2)
    desk.broker.send, desk.broker.lost = send, None
    lost = newest(desk, "stop_loss")
    assert lost.state.unresolved
    assert [each.outcome.value for each in lost.state.attempts] == ["REJECTED"] * refused_first + ["UNRESOLVED"]
    for _ in range(60):
        desk.rounds()
        renewed = newest(desk, "stop_loss")
        if renewed.intent.order.client_order_id != lost.intent.order.client_order_id:
            break
    assert renewed.state.status is S.ACCEPTED
    desk.rounds()
    assert desk.held() == 0


# --- time


def tehran(desk, at, *lacks):
    """The desk by Tehran's hours, at a time of its day, in minutes; an order of its own at a broker that lacks them."""
    hours = Hours(calendar("XTEH"))
    begin = hours.on(instant(desk.clock.wall_ns())).day
    midnight = calendar("XTEH").at(begin, at)
    desk.reopened(hours=hours, lacks=set(lacks))
    desk.clock.sleep(midnight.timestamp() - desk.clock.wall_ns() / 1e9)
    desk.interrupt.wait_until = desk.clock.move_to
    desk.quote(4860, 4870)


@pytest.mark.parametrize(
    ("minutes", "is_over"), [(5, False), (14, False), (17, True), (120, True), (230, True), (245, True), (600, True)]
)
def test_an_order_for_the_opening_ends_when_the_market_trades_and_stays_ended(desk, minutes, is_over):
    tehran(desk, time(8, 45), TimeInForce.AT_THE_OPEN)
    name = desk.manager.place(request(time_in_force="at_the_open", price=4861)).order_id
    assert desk.manager.track(name).status is S.ACCEPTED
    desk.clock.sleep(minutes * 60)
    desk.manager.poll()
    state = desk.manager.entry(name).state
    assert state.status is (S.CANCELED if is_over else S.ACCEPTED)
    if is_over:
        assert reasons(desk, name)[ReportKind.PENDING_CANCEL] == "its time in force, at_the_open, is over"


def test_an_instant_is_over_when_it_has_come(desk):
    ends = instant(desk.clock.wall_ns()) + timedelta(seconds=60)
    working = desk.manager.place(request(time_in_force="gtd", expires_at=ends)).order_id
    held = hold_stop(desk, time_in_force="gtd", expires_at=ends)
    desk.clock.sleep(59.999)
    desk.manager.poll()
    assert desk.manager.track(working).status is S.ACCEPTED
    assert desk.manager.entry(held).is_held_back
    desk.clock.sleep(0.001)
    desk.manager.poll()
    assert desk.manager.track(working).status is S.CANCELED
    assert desk.manager.track(held).status is S.DENIED
    assert reasons(desk, working)[ReportKind.PENDING_CANCEL] == "its time in force, gtd, is over"
    assert desk.manager.entry(held).state.reason == "its time in force, gtd, is over, before it had left"


def test_what_is_left_of_an_order_whose_time_is_over_is_taken_back(desk):
    ends = instant(desk.clock.wall_ns()) + timedelta(seconds=60)
    name = desk.manager.place(request(time_in_force="gtd", expires_at=ends, price=4861)).order_id
    desk.trade(4861, 400)
    desk.rounds(31)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty) == (S.CANCELED, 400)


def test_an_order_whose_time_is_over_is_taken_back_also_while_nobody_knows_of_its_change(desk):
    ends = instant(desk.clock.wall_ns()) + timedelta(seconds=60)
    name = desk.manager.place(request(time_in_force="gtd", expires_at=ends, price=4861)).order_id
    desk.rounds(25)
    desk.broker.replace = failing(NoAnswer("silence"))
    assert desk.manager.replace(name, price=4862).is_unresolved
    desk.rounds(7)
    assert desk.manager.entry(name).state.status is S.CANCELED


def test_a_day_order_is_not_taken_back_and_neither_is_what_its_broker_keeps_itself(desk):
    day = desk.manager.place(request(price=4861)).order_id
    kept = desk.manager.place(request(time_in_force="gtc", price=4861)).order_id
    desk.rounds(60)
    assert desk.manager.track(day).status is S.ACCEPTED
    assert desk.manager.track(kept).status is S.ACCEPTED


def test_what_its_broker_takes_back_by_itself_is_not_taken_back_here(desk):
    asked = counted(desk, "cancel")
    desk.manager.place(request(time_in_force="ioc", price=4861))
    # What this looks after on its way is every order of the login.
    desk.manager.place_oco(OcoRequest(orders=(request(price=4850), request(price=4840))))
    assert asked == []


def test_what_is_being_taken_back_is_not_asked_for_again_in_every_round(desk):
    desk.reopened(lacks={TimeInForce.IOC})
    asked = []
    desk.broker.cancel = lambda name: asked.append(name) or failing(NoAnswer("silence"))()
    desk.manager.place(request(time_in_force="ioc", price=4861))
    desk.rounds(3)
    assert len(asked) == 1


# --- partial fills


@pytest.fixture
def partly(tmp_path, stepped_clock):
    made = []

    def make(strategy, **terms):
        desk = Desk(tmp_path, stepped_clock, partial_fills=PartialFillConfig(strategy=strategy, **terms))
        desk.quote(4850, 4870)
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.close()


def test_how_long_nothing_has_traded_counts_from_the_last_trade_of_each_order(partly):
    desk = partly(CompletionStrategy.TIME_BASED, after=20.0)
    first = desk.manager.place(request(price=4861)).order_id
    desk.trade(4861, 300)
    desk.rounds(9)
    second = desk.manager.place(request(price=4860)).order_id
    desk.trade(4861, 100)
    desk.rounds(9)
    assert desk.manager.entry(first).state.filled_qty == 400
    desk.rounds(3)
    assert desk.manager.entry(first).state.status is S.FILLED
    assert desk.manager.entry(second).state.filled_qty == 0


def test_an_order_that_has_not_traded_hides_no_rest(partly):
    desk = partly(CompletionStrategy.CANCEL_REMAINING)
    whole = desk.manager.place(request(price=4851)).order_id
    rest = desk.manager.place(request(price=4861)).order_id
    desk.trade(4861, 300)
    desk.rounds()
    assert desk.manager.track(whole).status is S.ACCEPTED
    assert desk.manager.track(rest).status is S.CANCELED


def test_a_rest_whose_instrument_cannot_be_read_waits(partly):
    for error in (NoAnswer("silence"), CaptchaError("no captcha")):
        desk = partly(CompletionStrategy.CANCEL_REMAINING)
        name = desk.manager.place(request(price=4861)).order_id
        desk.trade(4861, 300)
        desk.clock.sleep(120)
        desk.broker.instrument, read = failing(error), desk.broker.instrument
        desk.rounds()
        assert desk.manager.entry(name).state.status is S.PARTIALLY_FILLED
        desk.broker.instrument = read
        desk.rounds()
        assert desk.manager.entry(name).state.status is S.CANCELED


def test_a_rest_that_cannot_be_taken_back_now_is_taken_back_later_and_hides_no_other(partly):
    desk = partly(CompletionStrategy.CANCEL_REMAINING)
    first = desk.manager.place(request(price=4861)).order_id
    second = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 300)
    desk.trade(4861, 900)
    cancel, asked = desk.broker.cancel, []

    def once(name):
        asked.append(name)
        if len(asked) == 1:
            raise Refused("not now", host="paper", code=1)
        return cancel(name)

    desk.broker.cancel = once
    desk.rounds()
    assert sorted(desk.manager.track(name).status for name in (first, second)) in (
        [S.CANCELED, S.FILLED],
        [S.CANCELED, S.PARTIALLY_FILLED],
        [S.FILLED, S.PARTIALLY_FILLED],
    )
    desk.rounds()
    assert desk.manager.orders() == ()


def test_that_a_rest_was_taken_back_is_said_and_cannot_go_unwritten(partly):
    desk = partly(CompletionStrategy.CANCEL_REMAINING)
    name = desk.manager.place(request(price=4861)).order_id
    desk.trade(4861, 300)
    append = desk.journal.append

    def full(reports, **_where):
        if any(report.kind is ReportKind.PENDING_CANCEL for report in reports):
            raise JournalError("the disk is full")
        append(reports)

    desk.journal.append = full
    with pytest.raises(JournalError, match="the disk is full"):
        desk.rounds()
    desk.journal.append = append
    desk.rounds()
    assert reasons(desk, name)[ReportKind.PENDING_CANCEL] == "the rest of a partial fill, as configured"


def test_a_rest_that_trades_at_another_price_is_the_same_order(partly):
    desk = partly(CompletionStrategy.IMMEDIATE)
    desk.refuse(Reason.UNKNOWN_ORDER, only=0)
    name = desk.manager.place(request(price=4861)).order_id
    desk.trade(4861, 300)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.price, state.quantity) == (S.FILLED, 4870, 1000)
    assert [row.venue_order_id for row in desk.at_venue()] == [state.venue_order_id]


def test_a_market_that_nobody_knows_moves_no_rest(partly):
    desk = partly(CompletionStrategy.IMMEDIATE)
    name = desk.manager.place(request(price=4861)).order_id
    desk.trade(4861, 300)
    old = desk.broker.quote(ISIN)
    desk.broker.quote = lambda _isin: old
    desk.clock.sleep(14)
    desk.rounds(3)
    state = desk.manager.entry(name).state
    assert (state.status, state.price, state.filled_qty) == (S.PARTIALLY_FILLED, 4861, 300)


def test_a_person_is_told_once_that_exits_have_traded_more_than_their_entry(desk):
    """The stop has left for all of it when the profit, canceled by then, turns out to have traded."""
    placed = bracket(desk)
    desk.trade(4865, 3000)
    desk.rounds(2)
    desk.quote(4790, 4795, bid_quantity=D(100_000))
    desk.trade(4795, 10)
    desk.rounds(4)
    entry, profit, stop = (now(desk, each) for each in placed)
    assert (entry.status, profit.status, stop.status) == (S.FILLED, S.CANCELED, S.FILLED)
    report = ExecutionReport(
        placed[1].order_id, "r", ReportKind.PARTIALLY_FILLED, instant(desk.clock.wall_ns()), cum_qty=D(400)
    )
    desk.journal.append([report])
    desk.rounds(3)
    words = "its exits have traded 400 shares more than it has bought"
    assert desk.interventions.count((placed[0].order_id, words)) == 1
    # Whoever begins later has nothing to add.
    desk.interventions.clear()
    desk.open()
    desk.rounds(3)
    assert [why for _, why in desk.interventions if "exits have traded" in why] == []
