"""What one process's looks at the list tell another one: that what trades later traded later."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import NoAnswer
from firstbell.model.instant import instant
from firstbell.oms.orders.looks_file import Look, LooksFile

D = Decimal
_SECOND = timedelta(seconds=1)


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    yield made
    made.close()


def now(desk):
    return instant(desk.clock.wall_ns())


def since_of(desk, name):
    """Since when what was written last of an order's trades can have traded."""
    return [each for each in desk.journal.reports(name) if each.fill is not None][-1].since


def test_what_trades_while_nobody_looks_traded_after_the_last_look_of_the_process_before(desk):
    name = desk.manager.place(request()).order_id
    desk.rounds(4, 5.0)
    looked_at = now(desk)
    desk.open()
    desk.clock.sleep(7)
    desk.trade(4860, 400)
    desk.rounds()
    assert looked_at - 5 * _SECOND <= since_of(desk, name) <= looked_at


def test_an_order_that_the_process_of_the_look_did_not_know_is_not_judged_by_it(desk):
    first = desk.manager.place(request()).order_id
    desk.rounds(4, 5.0)
    file = LooksFile.of(desk.folder, desk.manager.entry(first).intent.login)
    heard_at, looked_at = file.last()
    desk.open()
    desk.clock.sleep(6)
    second = desk.manager.place(request(price=4859)).order_id
    # The one who looked had heard of the first one alone.
    file.keep(Look(heard_at, now(desk)))
    desk.clock.sleep(2)
    desk.trade(4859, 1400)
    desk.rounds()
    assert since_of(desk, first) > looked_at
    assert since_of(desk, second) is None


def test_a_look_that_did_not_find_every_order_is_no_evidence(desk):
    name = desk.manager.place(request()).order_id
    desk.rounds()
    before = LooksFile.of(desk.folder, desk.manager.entry(name).intent.login)
    seen = before.last()
    orders = desk.broker.orders
    desk.broker.orders = lambda _day: ()
    desk.rounds(3, 5.0)
    assert before.last() == seen
    desk.broker.orders = orders
    desk.rounds()
    assert before.last().asked_at > seen.asked_at


def test_nor_is_one_that_got_no_answer(desk):
    name = desk.manager.place(request()).order_id
    desk.rounds()
    file = LooksFile.of(desk.folder, desk.manager.entry(name).intent.login)
    seen = file.last()

    def silent(_day):
        raise NoAnswer("silence")

    desk.broker.orders = silent
    desk.rounds(3, 5.0)
    assert file.last() == seen


def test_yesterdays_look_says_nothing_of_an_order_of_today(desk):
    name = desk.manager.place(request()).order_id
    login = desk.manager.entry(name).intent.login
    LooksFile.of(desk.folder, login).keep(Look(now(desk), now(desk) - timedelta(days=1)))
    desk.open()
    desk.trade(4860, 400)
    desk.rounds()
    assert since_of(desk, name) is None


def test_it_is_written_every_few_seconds_and_kept_in_whole(tmp_path, stepped_clock):
    file = LooksFile.of(tmp_path, "login")
    assert file.last() is None
    at = instant(stepped_clock.wall_ns())
    file.keep(Look(at, at))
    file.keep(Look(at, at + 4 * _SECOND))
    assert file.last() == Look(at, at)
    file.keep(Look(at, at + 5 * _SECOND))
    assert file.last() == Look(at, at + 5 * _SECOND)
    # A clock that was set back is written down at once.
    file.keep(Look(at, at - _SECOND))
    assert file.last() == Look(at, at - _SECOND)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"heard_at": 5}', '{"heard_at": "2026-11-21T09:00:00+03:30"}'])
def test_what_cannot_be_read_is_no_evidence(tmp_path, text):
    file = LooksFile.of(tmp_path, "login")
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "login.json").write_text(text)
    assert file.last() is None


def test_what_cannot_be_written_keeps_nothing_from_going_on(tmp_path, stepped_clock, caplog):
    (tmp_path / "looks").write_text("in the way")
    at = instant(stepped_clock.wall_ns())
    LooksFile.of(tmp_path, "login").keep(Look(at, at))
    assert "looks/login.json cannot be written" in caplog.text
