"""This process's runs of logins: each carried out once, however many users ask for it."""

from __future__ import annotations

import gevent
import gevent.event
import pytest
from sniper_house import PLAIN

from firstbell.errors import JournalError
from firstbell.journal.base import Note
from firstbell.oms.logins import logins_of
from firstbell.sniper.arming import Armed
from firstbell.sniper.login_runs import LoginRuns
from firstbell.sniper.users import GreenInterrupt

S = 1_000_000_000
TWO = PLAIN + PLAIN.replace("[risk]", "").replace("Order_A", "Order_B").replace("= u", "= v")


class Arms:
    """Arms nothing, and counts; a login may be told to wait, or to fail."""

    def __init__(self):
        self.logins = []
        self.gate = gevent.event.Event()
        self.gate.set()

    def __call__(self, _context, login, broker, _aims, _aim):
        self.logins.append(login.leader.name)
        self.gate.wait()
        return Armed(login, broker)


@pytest.fixture
def begin(house):
    def begin_(**more):
        context = house.context(TWO)
        arms = Arms()
        began = []
        runs = LoginRuns(context, GreenInterrupt(), arm=arms, began=began.append, **more)
        return runs, logins_of(context.settings.enabled), arms, began

    return begin_


def test_a_login_is_carried_out_once_while_it_is_under_way(begin, house):
    runs, (first, second), arms, began = begin()
    arms.gate.clear()
    users = [gevent.spawn(runs.carry_out, login) for login in (first, first, second)]
    gevent.sleep(0.05)
    assert sorted(arms.logins) == ["Order_A", "Order_B"]
    assert runs.busy
    runs.join(0.01)
    assert runs.busy
    assert not any(user.dead for user in users)
    arms.gate.set()
    runs.join(5)
    gevent.joinall(users, timeout=5)
    assert all(user.dead for user in users)
    assert not runs.busy
    assert [login.leader.name for login in began] == ["Order_A", "Order_B"]
    assert sorted(account for account, _ in house.notes("finished")) == ["Order_A", "Order_B"]


def test_one_that_has_ended_is_begun_anew_for_whom_asks(begin):
    runs, (first, _), arms, began = begin()
    runs.carry_out(first)
    runs.carry_out(first)
    assert arms.logins == ["Order_A", "Order_A"]
    assert len(began) == 2


def test_nobody_need_be_told_of_what_is_begun(house):
    context = house.context()
    arms = Arms()
    runs = LoginRuns(context, GreenInterrupt(), arm=arms)
    runs.carry_out(logins_of(context.settings.enabled)[0])
    assert arms.logins == ["Order_A"]


def test_what_is_done_is_read_again_after_half_a_second(begin, house):
    runs, (first, second), _, _ = begin()
    assert not runs.are_done(first)
    house.journal.note("run", [Note("Order_A", "finished"), Note("Order_B", "warning", "w")])
    house.clock.move_to(S // 2)
    assert not runs.are_done(first)
    house.clock.move_to(S // 2 + 1)
    assert runs.are_done(first)
    assert not runs.are_done(second)


def test_an_end_that_cannot_be_written_down_ends_it_all_the_same(begin, house, caplog):
    runs, (first, _), _, _ = begin()

    def full(*_):
        raise JournalError("the disk is full")

    house.journal.note = full
    runs.carry_out(first)
    assert not runs.busy
    assert "Order_A: the disk is full" in caplog.text


def test_a_clock_is_noted_once_it_can_be(begin, house, caplog):
    runs, _, _, _ = begin()
    runs._note_clock('{"url": "http://127.0.0.1"}')
    assert house.notes("clock") == []
    gevent.sleep(0.05)
    assert house.notes("clock") == [("", '{"url": "http://127.0.0.1"}')]

    def full(*_):
        raise JournalError("the disk is full")

    house.journal.note = full
    runs._note_clock("{}")
    gevent.sleep(0.05)
    assert "the disk is full" in caplog.text


def test_what_stands_against_firing_is_asked_for_here_too(house):
    context = house.context(PLAIN, bell_in_s=-1)
    runs = LoginRuns(context, GreenInterrupt(), why_not=lambda: "the master is gone")
    runs.carry_out(logins_of(context.settings.enabled)[0])
    (row,) = house.rows()
    assert (row["outcome"], row["reason"]) == ("not_sent", "the master is gone")
    assert house.broker.times("send") == []


@pytest.mark.parametrize(("replaceable", "finished"), [(True, []), (None, ["Order_A"])])
def test_only_a_worker_leaves_what_was_stopped_to_others(house, replaceable, finished):
    context = house.context(PLAIN, bell_in_s=-1)
    house.interrupt.stop_at_ns = 0
    more = {} if replaceable is None else {"replaceable": replaceable}
    LoginRuns(context, GreenInterrupt(), **more).carry_out(logins_of(context.settings.enabled)[0])
    assert [account for account, _ in house.notes("finished")] == finished
