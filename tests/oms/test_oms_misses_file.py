"""The looks that have missed an order count for the next process too, for as long as they can be believed."""

from __future__ import annotations

import json

import pytest
from oms_desk import request

from firstbell.errors import NoAnswer
from firstbell.journal.owner import this_process
from firstbell.model.order_status import OrderStatus
from firstbell.oms.lists import Absence
from firstbell.oms.misses_file import MissesFile

S = OrderStatus
HERE = this_process().host


def lost(desk, *, taken=False):
    """An order that nobody answers for: it has not come to its broker, or it has."""

    def lose(send, prepared, *, timeout_s):
        if taken:
            send(prepared, timeout_s=timeout_s)
        raise NoAnswer("the connection was cut")

    desk.broker.lost = lose
    name = desk.manager.place(request()).order_id
    desk.broker.lost = None
    return name


def file_of(desk, name):
    return MissesFile.of(desk.folder, desk.manager.entry(name).intent.login)


def seconds_until_known(desk, name, restart):
    began_ns = desk.clock.monotonic_ns()
    for _ in range(100):
        if desk.manager.entry(name).state.status is S.REJECTED:
            return (desk.clock.monotonic_ns() - began_ns) // 1_000_000_000
        restart()
        desk.rounds(1, 2)
    raise AssertionError("it was never known")


def test_a_restart_does_not_begin_to_count_anew(desk):
    assert 75 <= seconds_until_known(desk, lost(desk), desk.open) <= 80
    # Nothing is kept of what is known.
    name = lost(desk)
    desk.rounds(2)
    assert list(file_of(desk, name).read(desk.clock.monotonic_ns())) == [name]


def test_what_a_later_look_shows_is_not_missed_any_more(desk):
    name = lost(desk, taken=True)
    orders = desk.broker.orders
    desk.broker.orders = desk.broker.open_orders = lambda *_: ()
    desk.rounds(2)
    assert file_of(desk, name).read(desk.clock.monotonic_ns())[name].misses == 2
    del desk.broker.open_orders
    desk.broker.orders = orders
    desk.rounds()
    assert desk.manager.entry(name).state.status is S.ACCEPTED
    assert file_of(desk, name).read(desk.clock.monotonic_ns()) == {}


def test_of_a_machine_that_was_started_anew_nothing_counts(desk):
    name = lost(desk)
    desk.rounds(30)
    path = desk.folder / "looks" / f"{desk.manager.entry(name).intent.login}-missed.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "machine": "before"}))
    assert seconds_until_known(desk, name, lambda: None) <= 20
    name = lost(desk)
    desk.rounds(30)
    path.write_text(json.dumps({**json.loads(path.read_text()), "machine": "before"}))
    desk.open()
    assert seconds_until_known(desk, name, lambda: None) >= 75


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"machine": "HERE", "orders": []}',
        '{"machine": "HERE", "orders": {"a": [2, 5], "b": [1]}}',
        '{"machine": "HERE", "orders": {"a": [0, 5]}}',
        '{"machine": "HERE", "orders": {"a": [2, 11]}}',
        '{"machine": "HERE", "orders": {"a": [2, -1]}}',
        '{"machine": "HERE", "orders": {"a": [2, "5"]}}',
        '{"machine": "HERE", "orders": {"a": [true, 5]}}',
    ],
)
def test_what_cannot_be_a_look_is_none(tmp_path, text, caplog):
    file = MissesFile(tmp_path / "looks" / "l.json")
    file.keep({"a": Absence(2, 5)})
    assert file.read(10) == {"a": Absence(2, 5)}
    (tmp_path / "looks" / "l.json").write_text(text.replace("HERE", HERE))
    assert file.read(10) == {}
    assert caplog.records


def test_what_cannot_be_written_down_is_only_said(tmp_path, caplog):
    (tmp_path / "looks").write_text("a file")
    MissesFile(tmp_path / "looks" / "l.json").keep({"a": Absence(2, 5)})
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("restarts", [False, True])
def test_a_change_that_was_lost_is_waited_for_as_long_whatever_restarts_come_between(desk, restarts):
    name = desk.manager.place(request(price=4840)).order_id

    def lose(*_):
        raise NoAnswer("the connection was cut")

    desk.broker.replace = lose
    assert desk.manager.replace(name, price=4830).is_unresolved
    began_ns = desk.clock.monotonic_ns()
    for number in range(200):
        if restarts and number % 20 == 19:
            desk.open()
        desk.rounds(1, 3)
        if desk.manager.entry(name).state.status is S.ACCEPTED:
            break
    assert 75 <= (desk.clock.monotonic_ns() - began_ns) // 1_000_000_000 <= 90
    assert desk.manager.entry(name).state.price == 4840
