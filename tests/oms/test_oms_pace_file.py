"""The pace of a login that several processes share."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import time
from functools import partial

import portalocker
import pytest
from oms_desk import Desk, request

from firstbell.clock import SystemClock
from firstbell.errors import NotSent
from firstbell.journal.owner import this_process
from firstbell.model.order_status import OrderStatus
from firstbell.oms.pace_file import PaceFile
from firstbell.oms.pacing import Pacer

MS = 1_000_000
S = 1_000_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pace" / "login"


def test_a_turn_is_taken_once_an_interval(path):
    mine, other = PaceFile(path), PaceFile(path)
    assert mine.take(100 * S, 300 * MS) == 100 * S
    assert other.take(100 * S, 300 * MS) == 100 * S + 300 * MS
    assert mine.take(100 * S + 299 * MS, 300 * MS) == 100 * S + 300 * MS
    assert other.take(100 * S + 300 * MS, 300 * MS) == 100 * S + 300 * MS
    assert mine.take(100 * S + 300 * MS, 300 * MS) == 100 * S + 600 * MS


def test_what_left_later_than_its_turn_holds_the_next_one_up(path):
    mine, other = PaceFile(path), PaceFile(path)
    assert mine.take(100 * S, 300 * MS) == 100 * S
    mine.sent(100 * S + 50 * MS)
    assert other.take(100 * S + 300 * MS, 300 * MS) == 100 * S + 350 * MS
    mine.sent(99 * S)
    assert other.take(100 * S + 300 * MS, 300 * MS) == 100 * S + 350 * MS


@pytest.mark.parametrize("ago_s", [1, 11, 3600])
def test_what_is_heard_of_an_earlier_sending_sets_nothing_back(path, ago_s):
    mine, other = PaceFile(path), PaceFile(path)
    assert mine.take(4000 * S, 300 * MS) == 4000 * S
    # As a process does that starts, or has not listened for a while.
    other.sent((4000 - ago_s) * S)
    assert other.take(4000 * S + 20 * MS, 300 * MS) == 4000 * S + 300 * MS


def test_an_instant_that_is_reserved_is_kept_free_on_either_side(path):
    mine, other = PaceFile(path), PaceFile(path)
    assert mine.reserve(103 * S, 100 * S, 300 * MS) == 103 * S
    assert other.take(100 * S, 300 * MS) == 103 * S + 300 * MS
    assert other.take(103 * S + 100 * MS, 300 * MS) == 103 * S + 300 * MS
    assert other.take(103 * S + 300 * MS, 300 * MS) == 103 * S + 300 * MS
    assert mine.reserve(103 * S + 400 * MS, 103 * S + 300 * MS, 300 * MS) == 103 * S + 600 * MS


@pytest.mark.parametrize(
    "text", ["", "nonsense", "\x00\xff", f"other#boot {100 * S}", "{host} -5", "{host} ٣", "{host} 9 9"]
)
def test_what_another_start_of_the_machine_wrote_or_nobody_counts_for_nothing(path, text):
    path.parent.mkdir()
    path.write_text(text.replace("{host}", this_process().host), encoding="latin-1" if "\xff" in text else "utf-8")
    assert PaceFile(path).take(100 * S, 300 * MS) == 100 * S
    assert PaceFile(path).take(100 * S, 300 * MS) == 100 * S + 300 * MS


def test_what_lies_far_ahead_was_written_by_another_clock(path):
    PaceFile(path).sent(500 * S)
    assert PaceFile(path).take(100 * S, 300 * MS) == 100 * S


def test_the_file_is_its_owners_alone_and_never_a_link(path):
    PaceFile(path).take(S, MS)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.unlink()
    path.symlink_to("/dev/null")
    with pytest.raises(NotSent, match="pace/login cannot be used"):
        PaceFile(path).take(2 * S, MS)


def test_what_has_left_is_not_called_unsent_for_want_of_the_file(path, caplog):
    path.parent.mkdir()
    path.mkdir()
    PaceFile(path).sent(S)
    assert "cannot be used" in caplog.text
    with pytest.raises(NotSent):
        PaceFile(path).take(2 * S, MS)


def _take_turns(path, count, pipe):
    taken, pace = [], PaceFile(path)
    pipe.send("ready")
    pipe.recv()
    while len(taken) < count:
        now_ns = time.monotonic_ns()
        if (free_ns := pace.take(now_ns, 20 * MS)) <= now_ns:
            taken.append(now_ns)
        else:
            time.sleep(max(0, free_ns - time.monotonic_ns()) / S)
    pipe.send(taken)


def test_of_several_processes_no_two_have_the_same_turn(path):
    context = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for _ in range(3):
        here, there = context.Pipe()
        processes.append(context.Process(target=_take_turns, args=(path, 20, there)))
        processes[-1].start()
        ends.append(here)
    for end in ends:
        assert end.recv() == "ready"
    for end in ends:
        end.send("go")
    turns = sorted(at for end in ends for at in end.recv())
    for process in processes:
        process.join()
    assert len(turns) == 60
    assert all(later - sooner >= 20 * MS for sooner, later in itertools.pairwise(turns))


def test_a_forked_child_waits_for_its_parents_turn(path):
    pace = PaceFile(path)
    assert pace.take(time.monotonic_ns(), 60 * S) <= time.monotonic_ns()
    child = os.fork()
    if child == 0:
        now_ns = time.monotonic_ns()
        os._exit(0 if pace.take(now_ns, 60 * S) > now_ns else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_pacer_takes_turns_with_the_pacers_of_other_processes(path):
    mine, other = Pacer(300 * MS, shared=PaceFile(path)), Pacer(300 * MS, shared=PaceFile(path))
    assert mine.take(100 * S) == 100 * S
    mine.sent(100 * S + 10 * MS)
    assert other.earliest(100 * S + 20 * MS) == 100 * S + 20 * MS
    assert other.take(100 * S + 20 * MS) == 100 * S + 310 * MS
    assert other.take(100 * S + 310 * MS) == 100 * S + 310 * MS
    assert mine.take(100 * S + 310 * MS) == 100 * S + 610 * MS
    assert mine.reserve(105 * S, 101 * S) == 105 * S
    assert other.take(101 * S) == 105 * S + 300 * MS


def test_turns_that_are_taken_ahead_are_kept_from_other_processes_each_of_them_once(path):
    mine = Pacer(300 * MS, shared=PaceFile(path), ahead=True)
    other = Pacer(300 * MS, shared=PaceFile(path))
    assert mine.reserve(105 * S, 101 * S) == 105 * S
    # It is reserved already.
    assert mine.turn(105 * S, 102 * S) == 105 * S
    mine.sent(105 * S + MS)
    # The next one of a run, before the other process wakes.
    assert mine.turn(105 * S, 105 * S + 100 * MS) == 105 * S + 301 * MS
    assert other.take(105 * S + 301 * MS) == 105 * S + 601 * MS
    mine.sent(105 * S + 302 * MS)
    assert other.take(105 * S + 602 * MS) == 105 * S + 602 * MS
    assert mine.turn(105 * S, 105 * S + 603 * MS) == 105 * S + 902 * MS
    # Whoever takes his turns as he sends reserves none.
    assert other.turn(105 * S, 105 * S + 603 * MS) == 105 * S


def test_what_is_too_far_ahead_takes_nothing_out_of_the_file(path):
    mine, other = PaceFile(path), PaceFile(path)
    mine.sent(100 * S)
    assert mine.reserve(130 * S, 100 * S, 300 * MS) == 130 * S
    assert other.take(100 * S + 100 * MS, 300 * MS) == 100 * S + 300 * MS


def test_a_turn_that_has_passed_is_taken_now(path):
    """The answer to a run's first order took longer than the interval: the second one leaves at once."""
    mine, other = Pacer(300 * MS, shared=PaceFile(path), ahead=True), Pacer(300 * MS, shared=PaceFile(path))
    assert mine.turn(105 * S, 101 * S) == 105 * S
    mine.sent(105 * S)
    assert mine.turn(105 * S, 105 * S + 600 * MS) == 105 * S + 600 * MS
    assert other.take(105 * S + 650 * MS) == 105 * S + 900 * MS


def test_what_was_reserved_and_not_used_holds_up_nobody_but_others(path):
    mine, other = PaceFile(path), PaceFile(path)
    other.sent(99 * S + 900 * MS)
    assert mine.reserve(105 * S, 100 * S, 300 * MS) == 105 * S
    # It is to leave later, or sooner, after all.
    assert mine.reserve(105 * S + 100 * MS, 100 * S, 300 * MS) == 105 * S + 100 * MS
    assert mine.reserve(104 * S, 100 * S, 300 * MS) == 104 * S
    assert mine.reserve(100 * S, 100 * S, 300 * MS) == 100 * S + 200 * MS
    assert other.take(100 * S + 200 * MS, 300 * MS) == 100 * S + 500 * MS
    # But somebody has come after it.
    other.sent(100 * S + 500 * MS)
    assert mine.reserve(100 * S + 600 * MS, 100 * S + 600 * MS, 300 * MS) == 100 * S + 800 * MS


def test_a_file_system_without_locks_lets_nothing_leave(path, monkeypatch):
    def without(*_):
        raise portalocker.LockException(OSError(37, "No locks available"))

    monkeypatch.setattr(portalocker, "lock", without)
    with pytest.raises(NotSent, match="cannot be locked"):
        PaceFile(path).take(100 * S, 300 * MS)


def test_two_desks_of_one_login_keep_the_interval_between_them(tmp_path):
    """Two processes place and change for one login at the same time; judged by when their requests came."""
    options = {"min_interval_ms": 300, "lacks": {"in_process"}, "pace_of": partial(PaceFile.of, tmp_path)}
    desk = Desk(tmp_path, SystemClock(), **options)
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    name = desk.manager.place(request(quantity=10)).order_id
    other = Desk(tmp_path, desk.clock, desk.market, **options)
    assert other.manager.place(request(quantity=10)).status is OrderStatus.ACCEPTED
    assert desk.manager.replace(name, quantity=20).is_success
    assert other.manager.place(request(quantity=10)).status is OrderStatus.ACCEPTED
    sent = [at for each in (desk, other) for at in each.broker.left]
    assert len(sent) == 4
    assert all(later - sooner >= 300 * MS for sooner, later in itertools.pairwise(sorted(sent)))
    desk.close()
    other.close()


def holding(path, seconds):
    """Hold the file's lock from another thread; returns once it is held."""
    held = threading.Event()

    def hold():
        with path.open("rb") as file:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE)
            held.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    return thread


def test_whoever_holds_the_lock_for_a_moment_is_waited_for(path):
    PaceFile(path).take(S, MS)
    thread = holding(path, 0.2)
    began = time.monotonic()
    assert PaceFile(path).take(2 * S, MS) == 2 * S
    assert time.monotonic() - began > 0.1
    thread.join()


def test_whoever_holds_the_lock_for_long_lets_nothing_leave(path):
    PaceFile(path).take(S, MS)
    thread = holding(path, 1.5)
    with pytest.raises(NotSent, match="pace/login has been locked for 1 s"):
        PaceFile(path).take(2 * S, MS)
    thread.join()
    assert PaceFile(path).take(2 * S, MS) == 2 * S


def test_a_file_that_fails_while_it_is_used_lets_nothing_leave(path, monkeypatch):
    def fail(*_args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(NotSent, match="pace/login cannot be used: Input/output error"):
        PaceFile(path).take(S, MS)


def test_a_shorter_line_leaves_nothing_of_a_longer_one(path):
    PaceFile(path).sent(10 * S)
    PaceFile(path).take(100 * S, MS)
    path.write_text(path.read_text().rstrip() + "000\n")
    assert PaceFile(path).take(9, MS) == 9
    assert path.read_text().endswith(" 9\n")
