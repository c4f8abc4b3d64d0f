"""The order log in a thread of its own: what the files say in the end is what they would have said at once."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from journal_orders import PLAN, intent, order, report

from firstbell.clock import SystemClock
from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.journal import late_order_log
from firstbell.journal.late_order_log import LateOrderLog
from firstbell.journal.opening import open_journal
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG, OrderLog
from firstbell.journal.order_logger import OrderLogger
from firstbell.journal.owner import this_process
from firstbell.model.order_status import ReportKind

K = ReportKind


@pytest.fixture
def journal(tmp_path):
    opened = open_journal(None, tmp_path / "journal.db", SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def files(tmp_path):
    made = OrderFiles(tmp_path / "logs", OrderLogSettings())
    yield made
    made.close()


@pytest.fixture
def late(journal, files):
    made = LateOrderLog(OrderLog(files, journal), files)
    journal.subscribe(made)
    yield made
    made.close()


def lines(files):
    path = files.events.path
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(files, count):
    until = time.monotonic() + 30
    while len(lines(files)) < count:
        assert time.monotonic() < until
        time.sleep(0.01)


def place(journal, number):
    name = f"{PLAN}-{number}"
    asked = intent(name)
    journal.claim(asked, "run", this_process())
    journal.append([report(K.SUBMITTED, name), report(K.ACCEPTED, name, venue_order_id=str(number))])
    journal.append([report(K.CANCELED, name)])


class Held:
    """Files that take nothing until they are let go."""

    def __init__(self, files):
        self.files = files
        self.free = threading.Event()
        self.reached = threading.Event()

    def written(self, line):
        return self.files.written(line)

    def add(self, written):
        self.reached.set()
        assert self.free.wait(30)
        self.files.add(written)


def test_the_lines_are_those_that_would_have_been_written_at_once(journal, files, late, tmp_path):
    at_once = OrderFiles(tmp_path / "other", OrderLogSettings())
    journal.subscribe(OrderLog(at_once, journal))
    for number in range(50):
        place(journal, number)
    assert late.flush()
    assert lines(files) == lines(at_once)
    assert len(lines(files)) == 200
    assert files.texts.path.read_text() == at_once.texts.path.read_text()
    at_once.close()


def test_nobody_waits_for_a_disk_that_takes_nothing(journal, files):
    held = Held(files)
    late = LateOrderLog(OrderLog(files, journal), held)
    journal.subscribe(late)
    place(journal, 1)
    assert held.reached.wait(30)
    place(journal, 2)
    assert (lines(files), late.flush(0.01)) == ([], False)
    held.free.set()
    assert late.flush()
    assert [line["report"] for line in lines(files)] == ["INITIALIZED", "SUBMITTED", "ACCEPTED", "CANCELED"] * 2
    late.close()


class Hand:
    """Whether an order is in hand; and that it has been asked for so often that nobody will do anything meanwhile."""

    def __init__(self):
        self.full = True
        self.asked = 0
        self.asked_often = threading.Event()

    def __call__(self):
        self.asked += 1
        if self.asked >= 50:
            self.asked_often.set()
        return self.full


class FakeTime:
    """The thread's time: it passes by sleeping only, and where it stands still not even by that."""

    def __init__(self, monkeypatch, stands_still=False):
        self.now_s = 0.0
        self.steps = []
        self._stands_still = stands_still
        monkeypatch.setattr(late_order_log, "time", self)

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        self.steps.append(seconds)
        self.now_s += 0 if self._stands_still else seconds


def test_while_an_order_is_in_hand_its_lines_wait_and_come_at_once_when_it_is_not(journal, files, monkeypatch):
    FakeTime(monkeypatch, stands_still=True)
    monkeypatch.setattr(late_order_log, "_OLD_S", 3600.0)
    hand = Hand()
    late = LateOrderLog(OrderLog(files, journal), files, hand)
    journal.subscribe(late)
    for number in (1, 2):
        # The first time the thread begins, the second time it is idle, and is woken.
        hand.full, hand.asked = True, 0
        hand.asked_often.clear()
        place(journal, number)
        if number == 1:
            assert hand.asked_often.wait(30)
        assert len(lines(files)) == 4 * (number - 1)
        hand.full = False
        late.wake()
        wait_for(files, 4 * number)
    late.close()


def test_an_idle_thread_is_not_woken_while_an_order_is_in_hand_and_looks_by_itself(journal, files, monkeypatch):
    monkeypatch.setattr(late_order_log, "_OLD_S", 0.05)
    hand = Hand()
    hand.full = False
    late = LateOrderLog(OrderLog(files, journal), files, hand)
    journal.subscribe(late)
    place(journal, 1)
    assert late.flush()
    hand.full = True
    told = threading.Event()
    monkeypatch.setattr(late._changed, "notify_all", told.set)
    place(journal, 2)
    assert not told.is_set()
    monkeypatch.undo()
    wait_for(files, 8)
    late.close()


def test_lines_that_have_become_old_are_written_slowly_whatever_is_in_hand(journal, files, monkeypatch):
    fake = FakeTime(monkeypatch)
    late = LateOrderLog(OrderLog(files, journal), held := Held(files), lambda: True)
    journal.subscribe(late)
    place(journal, 1)
    assert held.reached.wait(30)
    first = list(fake.steps)
    held.free.set()
    # A quarter of a second passes before the first line, and then so much before each step that nobody is in the way.
    assert 0.25 + 2 * 4e-3 <= sum(first) < 0.45
    assert {*first} == {20e-6, 4e-3}
    assert late.flush()
    assert len(lines(files)) == 4
    late.close()


@pytest.mark.parametrize("hurry", ["much waits", "somebody waits for it", "it is closed"])
def test_where_there_is_a_hurry_lines_are_written_whatever_is_in_hand(journal, files, monkeypatch, hurry):
    fake = FakeTime(monkeypatch, stands_still=True)
    hand = Hand()
    late = LateOrderLog(OrderLog(files, journal), files, hand)
    journal.subscribe(late)
    if hurry == "much waits":
        monkeypatch.setattr(late_order_log, "HASTE", -1)
    place(journal, 1)
    if hurry == "somebody waits for it":
        assert hand.asked_often.wait(30)
        assert late.flush()
    elif hurry == "it is closed":
        late.close()
    wait_for(files, 4)
    if hurry == "much waits":
        assert {*fake.steps} == {20e-6}
    late.close()


def test_closing_writes_what_waits_and_does_not_take_its_time(journal, files, caplog):
    late = LateOrderLog(OrderLog(files, journal), files, lambda: True)
    journal.subscribe(late)
    for number in range(100):
        place(journal, number)
    late.close()
    assert len(lines(files)) == 400
    # And it begins again.
    place(journal, 100)
    late.close()
    assert len(lines(files)) == 404
    assert caplog.text == ""


def test_what_it_cannot_keep_is_counted_and_said_and_can_be_written_anew(journal, files, caplog):
    held = Held(files)
    late = LateOrderLog(OrderLog(files, journal), held, capacity=5)
    journal.subscribe(late)
    place(journal, 1)
    assert held.reached.wait(30)
    for number in (2, 3, 4):
        place(journal, number)
    # One to four of the first order's are in hand, and five wait.
    assert 7 <= late.lost <= 10
    with caplog.at_level(logging.WARNING):
        late.close(0.05)
    # The first ones are in hand still: nobody knows whether they will ever be written.
    assert "16 lines of the order log could not be written: `firstbell orders log --rebuild`" in caplog.text
    held.free.set()
    assert files.rebuild(journal) == 8
    assert len(lines(files)) == 16


def test_a_line_that_cannot_be_made_is_counted_and_the_others_are_written(journal, files, late, caplog):
    late.write({"event": "entry", "price": float("nan")})
    place(journal, 1)
    assert late.flush()
    assert (len(lines(files)), late.lost) == (4, 1)
    assert "a line of the order log was not written" in caplog.text


def test_those_who_write_themselves_may_write_by_it(files, late):
    OrderLogger(late, account="Order_A").log_order_cancel("gs", "IRO1MHRN0001", "81")
    assert late.flush()
    (line,) = lines(files)
    assert (line["event"], line["venue_order_id"], line["account"]) == ("cancel", "81", "Order_A")


def test_what_waits_is_written_once_though_the_process_forks(journal, files):
    held = Held(files)
    late = LateOrderLog(OrderLog(files, journal), held)
    late(report(K.SUBMITTED), order())
    assert held.reached.wait(30)
    late(report(K.SUBMITTED, reason="waits"), order())
    child = os.fork()
    if child == 0:
        held.free.set()
        late(report(K.SUBMITTED, reason="child"), order())
        late.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    held.free.set()
    late.close()
    assert [line["reason"] for line in lines(files)] == ["child", None, "waits"]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journal_orders import order, report
from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.journal.late_order_log import LateOrderLog
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import OrderLog
from firstbell.model.order_status import ReportKind
files = OrderFiles(Path(sys.argv[1]), OrderLogSettings())
late = LateOrderLog(OrderLog(files, None), files)
for _ in range(300):
    late(report(ReportKind.SUBMITTED), order())
"""
"""A script that ends without closing anything."""


def test_a_script_that_closes_nothing_has_its_lines(tmp_path):
    tests = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "logs"), tests[0]],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(tests)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "logs" / ORDER_LOG).read_text().splitlines()) == 300
    assert not (tmp_path / "logs" / TRADING_LOG).exists()
