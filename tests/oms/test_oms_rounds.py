"""Rounds: when something held back may leave, and who looks after it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import NoAnswer, NotSent, Refused
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.policies import CompletionStrategy
from firstbell.model.report import ExecutionReport
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.policies.partial_fills import PartialFillConfig
from firstbell.risk.trading_state import Halt, HaltFile

D = Decimal
S = OrderStatus


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4860, 4870)
    made.trade(4865, 10)
    yield made
    made.close()


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
    assert len(asked) == 1
    desk.rounds(5)
    assert len(asked) == 2
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
