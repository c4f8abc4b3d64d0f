"""One login's trader: claims, changes and cancels, each by itself, and what other processes have of the login."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import request

from firstbell.errors import NoAnswer, NotSent, Refused, RunError
from firstbell.journal.base import AT_ONCE_NS, HELD_NS, Intent, Owner
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome
from firstbell.oms.orders.requests import OcoRequest
from stepped_clock import SteppedClock

D = Decimal
S = OrderStatus
K = ReportKind
STOP = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4840, "quantity": 10}


def beside(desk):
    """A second process on the same journal and market, which lives beside the first."""
    other = copy.copy(desk)
    other.journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
    other.open()
    return other


def trader_of(desk):
    (trader,) = desk.manager.traders
    return trader


def kinds(desk, name):
    return [report.kind for report in desk.journal.reports(name)]


def silent(*_args, **_kwargs):
    raise NoAnswer("silence")


def lose(desk, **terms):
    """Place an order whose answer gets lost; its response."""

    def lost(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    desk.broker.lost = lost
    response = desk.manager.place(request(**terms))
    desk.broker.lost = None
    return response


# --- claiming


def test_a_broker_that_finds_an_order_by_our_name_is_not_asked_what_was_there_before(desk):
    desk.manager.place(request())
    asked, listed = [], desk.broker.orders
    desk.broker.orders = lambda day: asked.append(day) or listed(day)
    response = desk.manager.place(request())
    assert desk.manager.entry(response.order_id).intent.known_ids == frozenset()
    assert asked == []


def test_where_it_cannot_be_read_what_was_there_before_the_claim_says_so(desk):
    desk.reopened(lacks={"client_order_ids"})
    desk.broker.orders = silent
    response = desk.manager.place(request())
    assert desk.manager.entry(response.order_id).intent.known_ids is None


def test_what_was_there_before_is_read_anew_after_five_seconds(desk):
    desk.reopened(lacks={"client_order_ids"})
    asked, listed = [], desk.broker.orders
    desk.broker.orders = lambda day: asked.append(day) or listed(day)
    for pause_s, count in ((0, 1), (5, 1), (0.1, 2)):
        desk.clock.sleep(pause_s)
        desk.manager.place(request())
        assert len(asked) == count


def test_while_an_order_is_unresolved_another_is_not_claimed(desk):
    lost = lose(desk)
    response = desk.manager.place(request())
    assert (response.order_id, response.status, response.outcome) == (None, S.DENIED, OrderOutcome.NOT_SENT)
    assert response.message == f"{lost.order_id} of this login is unresolved; nothing new until it is known"
    assert len(desk.journal.entries()) == 1


def test_asked_for_again_an_unresolved_order_is_not_sent_again_and_one_that_is_there_is_told_of(desk):
    lost = lose(desk, key="k")
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, again.status) == (lost.order_id, S.SUBMITTED)
    assert again.is_unresolved
    assert len(desk.at_venue()) == 1
    desk.rounds()
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, again.status) == (lost.order_id, S.ACCEPTED)
    assert again.message == "it was asked for before; nothing was sent"
    assert len(desk.at_venue()) == 1


def test_what_another_process_has_under_way_stands_against_a_claim(desk, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    first = desk.manager.entry(desk.manager.place(request()).order_id)
    order = replace(first.intent.order, client_order_id="theirs")
    other = Owner("elsewhere#1", 7, 1.0)
    intent = Intent(order, first.intent.login, "theirs", desk.clock.wall_ns(), frozenset())
    desk.journal.claim(intent, "r-other", other)
    response = desk.manager.place(request())
    assert (response.order_id, response.status) == (None, S.DENIED)
    assert response.message == f"{other} has theirs of this login"
    at = first.claimed_at
    theirs = SqliteJournal(desk.folder / "journal.db", desk.clock)
    theirs.append([ExecutionReport("theirs", "r-other", K.UNRESOLVED, at, reason="silence")])
    theirs.close()
    response = desk.manager.place(request())
    assert response.message == "theirs of this login is unresolved; nothing new until it is known"
    # From now on it is known here as well, and asked for.
    assert [entry.intent.order.client_order_id for entry in trader_of(desk).blotter.unresolved()] == ["theirs"]
    assert len(desk.at_venue()) == 1


def test_what_is_held_back_is_claimed_as_such_and_what_is_not_as_one_that_leaves_at_once(desk):
    held = desk.manager.entry(desk.manager.place(request(**STOP)).order_id)
    assert held.intent.bell_ns == HELD_NS
    sent = desk.manager.entry(desk.manager.place(request()).order_id)
    assert sent.intent.bell_ns == AT_ONCE_NS
    assert sent.intent.login == trader_of(desk).login.key
    assert sent.intent.plan_id == sent.intent.order.client_order_id


# --- changing and canceling


def test_what_is_held_back_is_changed_here(desk):
    name = desk.manager.place(request(**STOP)).order_id
    response = desk.manager.replace(name, quantity=7)
    assert (response.message, response.is_held) == ("changed; held back here", True)
    state = desk.manager.entry(name).state
    assert (state.quantity, state.trigger_price, state.price) == (7, 4840, 4840)
    limit = desk.manager.place(request(order_type="stop_limit", price=4900, trigger_price=4890)).order_id
    desk.manager.replace(limit, price=4910)
    state = desk.manager.entry(limit).state
    assert (state.price, state.trigger_price, state.quantity) == (4910, 4890, 1000)


def test_what_works_has_no_trigger_to_change(desk):
    name = desk.manager.place(request()).order_id
    with pytest.raises(RunError, match=f"{name} is a limit order: it has no trigger price"):
        desk.manager.replace(name, trigger_price=4850)


def test_a_broker_that_changes_nothing_is_not_asked_to(desk):
    desk.reopened(lacks={"replace"})
    name = desk.manager.place(request()).order_id
    asked = []
    desk.broker.replace = lambda *args: asked.append(args)
    with pytest.raises(RunError, match="paper changes no orders: cancel it and place another"):
        desk.manager.replace(name, price=4850)
    assert asked == []
    assert desk.manager.entry(name).state.status is S.ACCEPTED


def test_one_that_is_being_canceled_is_not_changed(desk):
    name = desk.manager.place(request()).order_id
    desk.broker.cancel = silent
    assert desk.manager.cancel(name).status is S.PENDING_CANCEL
    with pytest.raises(RunError, match="is PENDING_CANCEL: there is nothing to change"):
        desk.manager.replace(name, price=4850)


def test_one_that_has_traded_in_part_is_changed_in_what_is_named_alone(desk):
    name = desk.manager.place(request(price=4861)).order_id
    desk.trade(4861, 400)
    desk.rounds()
    assert desk.manager.replace(name, price=4862).status is S.PARTIALLY_FILLED
    assert desk.manager.replace(name, quantity=401).status is S.PARTIALLY_FILLED
    (row,) = desk.at_venue()
    assert (row.price, row.quantity, row.filled_qty) == (4862, 401, 400)


def test_after_a_cancel_that_its_broker_refused_it_is_seen_what_became_of_the_order(desk):
    name = desk.manager.place(request(price=4861)).order_id

    def refuse(_name):
        desk.trade(4861, 1000)
        raise Refused("too late", host="paper", code=105)

    desk.broker.cancel = refuse
    response = desk.manager.cancel(name)
    assert (response.is_success, response.status, response.message) == (False, S.FILLED, "too late")
    assert desk.manager.track(name).status is S.FILLED


def test_a_cancel_says_why_it_was_asked_for(desk):
    name = desk.manager.place(request()).order_id
    held = desk.manager.place(request(**STOP)).order_id
    trader = trader_of(desk)
    trader.cancel(desk.manager.entry(name), "somebody said so")
    trader.cancel(desk.manager.entry(held), "somebody said so")
    told = {report.kind: report.reason for report in desk.journal.reports(name)}
    assert told[K.PENDING_CANCEL] == "somebody said so"
    assert desk.journal.reports(held)[-1].reason == "somebody said so, before it had left"


# --- letting go, and taking over


def test_one_that_leaves_as_it_is_is_not_told_to_have_changed(desk):
    both = request(price=4850, quantity=500), request(price=4840, quantity=500)
    for response in desk.manager.place_oco(OcoRequest(orders=both)):
        assert K.REPLACED not in kinds(desk, response.order_id)
        assert response.status is S.ACCEPTED


def test_that_one_leaves_is_written_down_before_it_does(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = desk.manager.place(request(**STOP)).order_id
    seen = []

    def note(send, prepared, *, timeout_s):
        seen.append(kinds(desk, name)[-1])
        return send(prepared, timeout_s=timeout_s)

    desk.broker.lost = note
    desk.quote(4830, 4835)
    desk.trade(4832, 10)
    desk.rounds()
    assert seen == [K.SUBMITTED]


def test_nothing_is_taken_over_before_it_is_known_what_became_of_what_was_under_way(desk):
    held = desk.manager.place(request(**STOP)).order_id
    lost = lose(desk)
    desk.broker.orders = silent
    desk.open()
    desk.broker.orders, listed = silent, desk.broker.orders
    desk.rounds(2)
    assert {entry.intent.order.client_order_id for entry in desk.manager.orders()} == {held, lost.order_id}
    desk.broker.orders = listed
    desk.clock.sleep(60)
    desk.rounds()
    assert {entry.intent.order.client_order_id for entry in desk.manager.orders()} == {f"{held}-r2", lost.order_id}


def test_what_a_living_process_holds_back_is_not_taken_over(desk, monkeypatch):
    held = desk.manager.place(request(**STOP)).order_id
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    desk.open()
    desk.rounds()
    assert [entry.intent.order.client_order_id for entry in desk.manager.orders()] == [held]
    assert K.TAKEN_OVER not in kinds(desk, held)


def test_one_that_cannot_be_held_anew_is_told_so(desk):
    name = desk.manager.place(request(**STOP)).order_id
    trader = trader_of(desk)
    entry = desk.manager.entry(name)
    # It is ours, and held already.
    assert not trader.holding.hold_anew(entry)
    desk.manager.cancel(name)
    # By what was known before it was taken back nothing is held.
    assert not trader.holding.hold_anew(entry)
    assert trader.holding.hold_anew(desk.manager.entry(name))
    assert desk.manager.entry(f"{name}-r2").is_held_back
    assert not desk.manager.entry(f"{name}-r2").state.triggered


def test_the_interval_runs_from_the_last_of_what_was_sent(desk):
    desk.reopened(min_interval_ms=700)
    for pause_s in (100, 50, 0.2):
        desk.manager.place(request())
        desk.clock.sleep(pause_s)
    desk.open()
    now_ns = desk.clock.monotonic_ns()
    assert trader_of(desk).pacer.earliest(now_ns) - now_ns == 500_000_000


def test_where_nothing_was_sent_nothing_is_waited_for(desk):
    desk.reopened(min_interval_ms=700)
    desk.manager.place(request(**STOP))
    desk.open()
    assert trader_of(desk).pacer.last_ns is None


def test_an_attempt_that_did_not_leave_is_no_sending(desk):
    desk.reopened(min_interval_ms=700)
    tries = []

    def second(send, prepared, *, timeout_s):
        tries.append(desk.clock.monotonic_ns())
        if len(tries) == 1:
            raise NotSent("no network")
        return send(prepared, timeout_s=timeout_s)

    desk.interrupt.wait_until = desk.clock.move_to
    desk.broker.lost = second
    assert desk.manager.place(request()).is_success
    assert len(tries) == 2
    desk.open()
    assert trader_of(desk).pacer.last_ns == tries[-1]


def test_of_a_clock_that_was_set_back_the_whole_interval_is_kept(desk):
    desk.reopened(min_interval_ms=700)
    desk.manager.place(request())
    desk.clock = SteppedClock(desk.clock.wall_ns() - 3600 * 10**9)
    desk.clock.sleep(60)
    desk.market.clock = desk.clock
    desk.open()
    now_ns = desk.clock.monotonic_ns()
    assert trader_of(desk).pacer.earliest(now_ns) - now_ns == 700_000_000


def looked_up(desk):
    """What is read anew from the journal from now on."""
    names, entry = [], desk.journal.entry
    desk.journal.entry = lambda name: names.append(name) or entry(name)
    return names


def test_what_was_there_at_the_start_is_not_read_again(desk):
    desk.manager.place(request())
    desk.open()
    names = looked_up(desk)
    trader_of(desk).hear()
    assert names == []
    # What this process writes itself is not read either.
    desk.manager.place(request())
    names.clear()
    trader_of(desk).hear()
    assert names == []


def test_what_is_told_twice_is_read_once(desk):
    name = desk.manager.place(request()).order_id
    other = SqliteJournal(desk.folder / "journal.db", desk.clock)
    at = desk.manager.entry(name).claimed_at
    other.append([ExecutionReport(name, "other", K.REPLACED, at, price=D(4850))])
    other.close()
    after = desk.journal.reports_after
    desk.journal.reports_after = lambda _seq, **how: after(0, **how)
    names = looked_up(desk)
    trader_of(desk).hear()
    trader_of(desk).hear()
    assert names == [name]
    assert desk.manager.entry(name).state.price == 4850


def test_what_another_process_writes_is_heard_once_and_in_order(desk, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    name = desk.manager.place(request(price=4861)).order_id
    other = beside(desk)
    other.manager.replace(name, price=4850)
    other.manager.replace(name, quantity=500)
    trader_of(desk).hear()
    state = desk.manager.entry(name).state
    assert (state.price, state.quantity) == (4850, 500)
    other.manager.cancel(name)
    trader_of(desk).hear()
    assert desk.manager.orders() == ()
    other.close()


def test_a_change_that_was_answered_needs_no_look_at_the_list(desk):
    name = desk.manager.place(request()).order_id
    asked, listed = [], desk.broker.orders
    desk.broker.orders = lambda day: asked.append(day) or listed(day)
    assert desk.manager.replace(name, price=4850).is_success
    assert asked == []


def test_the_limit_that_one_had_come_to_is_the_one_that_the_next_process_holds(desk):
    name = desk.manager.place(request(order_type="stop_limit", price=4900, trigger_price=4890)).order_id
    desk.manager.replace(name, price=4910)
    desk.open()
    (entry,) = desk.manager.orders()
    assert (entry.intent.order.client_order_id, entry.state.price, entry.state.trigger_price) == (
        f"{name}-r2",
        4910,
        4890,
    )
