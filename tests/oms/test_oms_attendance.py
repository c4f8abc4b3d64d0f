"""What a living process holds back and makes no rounds for: it is left to those that do."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from decimal import Decimal

import pytest
from oms_desk import ISIN, Deeds, Desk, Killed, request

from firstbell.errors import JournalError, RunError
from firstbell.journal.base import Owner
from firstbell.journal.owner import _started as started
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import instant
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.cancel import withdraw
from firstbell.oms.orders.attendance import Attendance
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.risk.verdict import ErrorCode

D = Decimal
K = ReportKind
S = OrderStatus
STOP = {"order_type": "stop", "side": "sell", "price": None, "quantity": 10, "trigger_price": 4845}


@pytest.fixture(autouse=True)
def everybody_lives(monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)


def bought(desk, quantity=10):
    desk.manager.place(request(price=4870, quantity=quantity))
    desk.rounds()
    assert desk.held() == quantity


def falls(desk):
    desk.quote(4830, 4835, bid_quantity=D(50_000))
    desk.trade(4832, 10)


def kinds(desk, name):
    return [report.kind for report in desk.journal.reports(name)]


def test_what_a_closed_manager_held_back_is_let_go_by_another_process_though_the_first_one_lives(desk):
    bought(desk)
    name = desk.manager.place(request(**STOP)).order_id
    desk.manager.close()
    assert kinds(desk, name)[-1] is K.HANDED_OVER
    desk.open()
    desk.rounds()
    (entry,) = desk.manager.orders()
    assert (entry.intent.plan_id, entry.is_held_by(entry.owner)) == (name, True)
    assert kinds(desk, name)[-1] is K.TAKEN_OVER
    falls(desk)
    desk.rounds(3)
    assert desk.held() == 0
    assert desk.manager.track(name).status is S.FILLED


def test_a_bracket_of_a_closed_manager_goes_on_in_another_process(desk):
    legs = desk.manager.place_bracket(
        BracketRequest(entry=request(quantity=10, price=4870), take_profit=4950, stop_loss=4845)
    )
    desk.manager.close()
    desk.open()
    desk.rounds(3)
    assert desk.held() == 10
    falls(desk)
    desk.rounds(5)
    assert desk.held() == 0
    states = [desk.manager.track(leg.order_id).status for leg in legs]
    assert states == [S.FILLED, S.CANCELED, S.FILLED]


def test_what_was_triggered_before_its_manager_closed_leaves_in_the_next_one(desk):
    bought(desk)
    name = desk.manager.place(request(**STOP)).order_id
    desk.refuse(None)
    (trader,) = desk.manager.traders
    trader.sender.write(name, K.TRIGGERED)
    desk.manager.close()
    desk.open()
    desk.rounds()
    assert desk.held() == 0


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("deed", [1, 2])
def test_a_process_that_dies_as_it_takes_over_loses_no_word_of_a_price_that_had_come(desk, monkeypatch, deed, after):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: False)
    bought(desk)
    name = desk.manager.place(request(**STOP)).order_id
    (trader,) = desk.manager.traders
    trader.sender.write(name, K.TRIGGERED)
    desk.manager.close()
    # The market has gone back up since.
    with suppress(Killed):
        desk.open(Deeds(deed, after=after))
        desk.rounds(1)
    desk.open()
    # One that may have left is asked for first.
    desk.rounds(60)
    assert desk.held() == 0
    assert desk.manager.track(name).status is S.FILLED


def test_one_that_is_left_to_others_is_not_let_go_by_the_process_that_left_it(desk):
    bought(desk)
    name = desk.manager.place(request(**STOP)).order_id
    (trader,) = desk.manager.traders
    trader.holding.hand_over()
    assert trader.holding.ours == ()
    assert desk.manager.entry(name).is_handed_over
    trader.holding.take_over()
    # It is its own again, under its next round.
    assert [each.intent.order.client_order_id for each in trader.holding.ours] == [f"{name}-r2"]


def test_one_that_is_left_to_others_can_be_changed_and_taken_back(desk):
    first, second = (desk.manager.place(request(**STOP)).order_id for _ in range(2))
    desk.manager.close()
    assert desk.manager.replace(first, trigger_price=4840).is_success
    assert desk.manager.entry(first).is_handed_over
    assert desk.manager.entry(first).state.trigger_price == 4840
    desk.manager.cancel(second)
    desk.open()
    desk.rounds()
    (entry,) = desk.manager.orders()
    assert (entry.intent.plan_id, entry.state.trigger_price) == (first, 4840)


def test_what_another_process_has_just_taken_back_keeps_nothing_else_from_being_left(desk):
    names = [desk.manager.place(request(**STOP)).order_id for _ in range(3)]
    here = desk.manager
    desk.open()
    # The first process has not heard of it.
    desk.manager.cancel(names[1])
    here.close()
    assert kinds(desk, names[1])[-1] is K.WITHDRAWN
    assert [kinds(desk, name)[-1] for name in names[::2]] == [K.HANDED_OVER] * 2


def two_processes(desk):
    """Two that live, the later one the desk's own; their managers."""
    managers = []
    for owner in (this_process(), Owner(this_process().host, os.getppid(), started(os.getppid()))):
        desk.reopened(owner=owner)
        managers.append(desk.manager)
    return managers


def make_rounds(desk, *managers, count=3):
    for _ in range(count):
        desk.clock.sleep(2)
        for manager in managers:
            manager.poll()


@pytest.mark.parametrize("what", ["cancel", "change"])
def test_what_was_done_to_one_just_before_it_is_taken_over_stands(desk, what):
    watcher, script = two_processes(desk)
    name = script.place(request(**STOP)).order_id
    script.close()
    (trader,) = watcher.traders
    look = trader.watch.look

    def meanwhile():
        # Between what the watcher has heard of and its taking over.
        trader.watch.look = look
        if what == "cancel":
            withdraw(desk.journal.entry(name), desk.journal, desk.clock, "elsewhere")
        else:
            at = instant(desk.clock.wall_ns())
            desk.journal.append([ExecutionReport(name, "elsewhere", K.REPLACED, at, trigger_price=D(4700))])

    trader.watch.look = meanwhile
    make_rounds(desk, watcher)
    assert [entry.state.trigger_price for entry in watcher.orders()] == ([] if what == "cancel" else [4700])


@pytest.mark.parametrize("order", [1, -1])
def test_a_bracket_of_which_two_processes_hold_parts_comes_to_one_of_them(desk, order):
    managers = two_processes(desk)
    legs = managers[0].place_bracket(
        BracketRequest(entry=request(quantity=10, price=4870), take_profit=4950, stop_loss=4845)
    )
    exits = [leg.order_id for leg in legs[1:]]
    ((first,), (second,)) = (manager.traders for manager in managers)
    first.holding.hand_over()
    # Each is quicker than the other with one of them.
    for trader, name in zip((first, second)[::order], exits, strict=True):
        trader.holding.hold_anew(desk.journal.entry(name))
    first.hear()
    second.hear()
    assert len(first.holding.ours) == len(second.holding.ours) == 1
    make_rounds(desk, *managers)
    falls(desk)
    make_rounds(desk, *managers, count=8)
    assert desk.held() == 0
    assert sum(row.filled_qty for row in desk.at_venue() if row.side == "sell") == 10
    assert desk.interventions == []


def test_a_group_of_a_closed_manager_is_looked_after_as_a_whole(desk):
    bought(desk)
    exits = {"instrument": ISIN, "side": "sell", "quantity": 10}
    legs = desk.manager.place_oco(
        OcoRequest(
            orders=(
                OrderRequest(order_type="limit", price=4950, **exits),
                OrderRequest(order_type="stop", trigger_price=4845, **exits),
            )
        )
    )
    desk.manager.close()
    desk.open()
    falls(desk)
    desk.rounds(5)
    assert desk.held() == 0
    assert desk.manager.track(legs[1].order_id).status is S.FILLED


def waiting():
    return [each for each in threading.enumerate() if each.name == "firstbell-attendance"]


def attended(desk, tell, **options):
    return Attendance(tuple(desk.manager.traders), tell, **options)


def test_what_no_rounds_are_made_for_is_left_to_others_and_a_person_is_told_once(desk):
    names = [desk.manager.place(request(**STOP)).order_id for _ in range(2)]
    told, is_told = [], threading.Event()

    def tell(*words):
        told.append(words)
        is_told.set()

    attendance = attended(desk, tell, patience_s=0.05)
    attendance.ended()
    assert is_told.wait(10)
    assert [kinds(desk, name)[-1] for name in names] == [K.HANDED_OVER] * 2
    ((name, why),) = told
    assert name in names
    assert why.endswith("it is left to `firstbell orders watch`, and protects nothing until that runs; with it 1 more")
    # Nothing is left here: nobody waits for anything.
    attendance.ended()
    assert not waiting()


def test_while_threads_make_rounds_nothing_is_left_to_others(desk):
    name = desk.manager.place(request(**STOP)).order_id
    attendance = attended(desk, lambda *_: None, patience_s=0.05)
    attendance.begun()
    with attendance.at_work():
        pass
    assert not waiting()
    assert kinds(desk, name)[-1] is K.INITIALIZED
    attendance.ended()
    while left := waiting():
        left[0].join(10)
    assert kinds(desk, name)[-1] is K.HANDED_OVER


def test_whoever_makes_rounds_more_seldom_is_waited_for_longer(desk):
    name = desk.manager.place(request(**STOP)).order_id
    attendance = attended(desk, lambda *_: None, patience_s=0.2)
    for _ in range(2):
        attendance.round_begins()
        # The pause that he makes.
        assert not threading.Event().wait(0.15)
    with attendance.at_work():
        pass
    began = time.monotonic()
    while left := waiting():
        left[0].join(10)
    assert time.monotonic() - began > 0.4
    assert kinds(desk, name)[-1] is K.HANDED_OVER


def test_what_could_not_be_left_to_others_is_as_soon_as_it_can_be_and_a_person_is_told_once(desk, monkeypatch):
    name = desk.manager.place(request(**STOP)).order_id
    told, tries, append = [], threading.Semaphore(0), desk.journal.append

    def fails(*args, **options):
        tries.release()
        return _fails(*args, **options)

    monkeypatch.setattr(desk.journal, "append", fails)
    attendance = attended(desk, lambda *words: told.append(words), patience_s=0.05)
    attendance.ended()
    assert all(tries.acquire(timeout=10) for _ in range(3))
    monkeypatch.setattr(desk.journal, "append", append)
    while left := waiting():
        left[0].join(10)
    assert kinds(desk, name)[-1] is K.HANDED_OVER
    assert [each for each, _ in told] == [name, name]
    assert "could not be left to others: the disk is full" in told[0][1]
    assert "it is left to `firstbell orders watch`" in told[1][1]


def test_who_makes_no_rounds_is_told_of_orders_as_they_stand(desk):
    watcher, script = two_processes(desk)
    names = [script.place(request(**STOP)).order_id for _ in range(4)]
    (trader,) = script.traders
    trader.holding.hand_over()
    make_rounds(desk, watcher)
    assert script.track(names[0]).order_id == f"{names[0]}-r2"
    assert script.cancel(names[1]).status is S.DENIED
    assert script.replace(names[2], trigger_price=4800).is_success
    assert len(script.orders()) == 3
    assert len(script.cancel_all()) == 3
    make_rounds(desk, watcher)
    assert watcher.orders() == ()


def test_what_takes_long_is_no_rest(desk):
    name = desk.manager.place(request(**STOP)).order_id
    attendance = attended(desk, lambda *_: None, patience_s=0.05)
    attendance.ended()
    with attendance.at_work():
        # It is looked several times, each time after the patience.
        for _ in range(3):
            (looking,) = waiting()
            looking.join(10)
        assert kinds(desk, name)[-1] is K.INITIALIZED
    while left := waiting():
        left[0].join(10)
    assert kinds(desk, name)[-1] is K.HANDED_OVER


def test_a_journal_that_cannot_be_written_keeps_no_manager_from_closing(desk, monkeypatch, caplog):
    desk.manager.place(request(**STOP))
    monkeypatch.setattr(desk.journal, "append", _fails)
    desk.manager.close()
    assert "could not be left to others: the disk is full" in caplog.text
    assert [why.rpartition(": ")[2] for _, why in desk.interventions] == [
        "it protects nothing until this process has ended, and `firstbell orders watch` runs"
    ]


def _fails(*_args, **_options):
    raise JournalError("the disk is full")


def test_a_closed_desk_places_nothing(desk):
    asked = request(**STOP)
    desk.manager.close()
    bracket = BracketRequest(entry=request(quantity=10, price=4870), take_profit=4950, stop_loss=4845)
    for place, what in ((desk.manager.place, asked), (desk.manager.place_bracket, bracket)):
        with pytest.raises(RunError, match="this desk is closed"):
            place(what)
    assert desk.journal.entries() == ()


def test_another_desk_of_the_same_process_leaves_only_what_is_its_own(desk):
    owner = this_process()
    desk.reopened(owner=owner)
    first, name = desk.manager, desk.manager.place(request(**STOP)).order_id
    desk.reopened(owner=owner)
    own = desk.manager.place(request(**STOP)).order_id
    desk.manager.close()
    assert kinds(desk, name)[-1] is K.INITIALIZED
    assert kinds(desk, own)[-1] is K.HANDED_OVER
    make_rounds(desk, first)
    assert {each.intent.plan_id for each in first.orders()} == {name, own}


def test_what_a_suspended_process_holds_back_goes_on_elsewhere_and_is_let_go_once(desk, monkeypatch):
    bought(desk)
    name = desk.manager.place(request(**STOP)).order_id
    suspended = desk.manager.entry(name).owner
    monkeypatch.setattr("firstbell.oms.orders.holding.is_suspended", lambda owner: owner == suspended)
    other = Desk(desk.folder, desk.clock, desk.market, owner=this_process())
    other.rounds(7, 2)
    assert other.interventions == []
    assert desk.journal.entry(name).is_held_by(suspended), "a shorter pause is like a busy machine"
    other.rounds(2, 2)
    ((told, why),) = other.interventions
    assert (told, "has been suspended: it goes on here" in why) == (name, True)
    assert kinds(desk, name)[-2:] == [K.HANDED_OVER, K.TAKEN_OVER]
    falls(desk)
    other.rounds(3)
    assert desk.held() == 0
    # The first one goes on, and knows nothing of it yet.
    desk.rounds(5)
    assert [row.quantity for row in desk.at_venue() if row.side is Side.SELL] == [10]
    assert len(other.interventions) == 1
    other.close()


def test_an_order_that_was_held_up_between_its_claim_and_its_sending_does_not_leave(desk):
    claim = desk.journal.claim

    def slow(*args, **options):
        answer = claim(*args, **options)
        desk.clock.sleep(31)
        return answer

    desk.journal.claim = slow
    answer = desk.manager.place(request(key="k"))
    assert (answer.status, answer.error) == (S.DENIED, ErrorCode.RISK_LIMIT_BREACH)
    assert "it was held up here for 31 s" in answer.message
    desk.journal.claim = claim
    assert desk.at_venue() == ()
    assert desk.manager.place(request(key="k")).is_success
