from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime

import gevent
import pytest

from firstbell.log import hide
from firstbell.oms.engines import HALT_SIGNAL, Engines
from firstbell.risk.trading_state import Halt, HaltFile
from firstbell.sniper.kill_switch import KillSwitch
from firstbell.sniper.users import GreenInterrupt

HALT = Halt(datetime(2026, 11, 21, 5, 14, 59, tzinfo=UTC), "reza", "wrong price")


@pytest.fixture
def interrupt():
    return GreenInterrupt()


@pytest.fixture
def switch(tmp_path, interrupt):
    told = []
    made = KillSwitch(tmp_path, interrupt, told.append)
    made.heard = told
    before = signal.getsignal(HALT_SIGNAL)
    yield made
    made.disarm()
    signal.signal(HALT_SIGNAL, before)


def test_armed_it_lets_everything_pass(switch, interrupt, tmp_path):
    switch.arm()
    gevent.sleep(0.1)
    assert not interrupt.is_set()
    assert not interrupt.is_halt
    assert len(Engines.of(tmp_path).living()) == 1


def test_a_halt_in_force_is_known_at_once(switch, interrupt, tmp_path):
    HaltFile.of(tmp_path).write(HALT)
    switch.arm()
    assert interrupt.is_set()
    assert interrupt.is_halt
    assert interrupt.why == str(HALT)
    gevent.sleep(0)
    assert switch.heard == [str(HALT)]


def test_the_file_is_seen_and_wakes_who_waits(switch, interrupt, tmp_path):
    switch.arm()
    waiting = gevent.spawn(interrupt.wait_until, time.monotonic_ns() + 60_000_000_000)
    gevent.sleep(0)
    HaltFile.of(tmp_path).write(HALT)
    assert waiting.get(timeout=10) is True
    assert interrupt.why == str(HALT)
    assert Engines.of(tmp_path).has_stopped(Engines.of(tmp_path).living()[0])


def test_the_signal_is_heard_while_no_greenlet_runs(switch, interrupt, tmp_path):
    switch.arm()
    HaltFile.of(tmp_path).write(HALT)
    os.kill(os.getpid(), HALT_SIGNAL)
    until = time.monotonic() + 10
    # As the volley spins: nothing here lets a greenlet run.
    while not interrupt.is_set():
        assert time.monotonic() < until
    assert interrupt.is_halt
    gevent.sleep(0.05)
    assert interrupt.why == str(HALT)


def test_a_signal_by_hand_is_a_halt_that_lasts(switch, interrupt, tmp_path):
    switch.arm()
    os.kill(os.getpid(), HALT_SIGNAL)
    until = time.monotonic() + 10
    while HaltFile.of(tmp_path).read() is None:
        assert time.monotonic() < until
        gevent.sleep(0.01)
    halt = HaltFile.of(tmp_path).read()
    assert halt.why == "told by a signal"
    assert interrupt.why == str(halt)


def test_from_within_it_stops_is_written_and_told(switch, interrupt, tmp_path):
    hide("pl4nted-secret")
    switch.arm()
    switch.halt("the budget is spent: pl4nted-secret", "run 1", HALT.since)
    assert interrupt.is_halt
    halt = HaltFile.of(tmp_path).read()
    assert (halt.since, halt.by, halt.why) == (HALT.since, "run 1", "the budget is spent: ***")
    assert interrupt.why == str(halt)
    gevent.sleep(0.05)
    assert switch.heard == [str(halt)]


def test_it_stops_also_where_it_cannot_be_written(tmp_path, interrupt):
    (tmp_path / "state").write_text("a file where the folder should be")
    KillSwitch(tmp_path / "state", interrupt).halt("why", "run 1", HALT.since)
    assert interrupt.is_halt
    assert "by run 1 (why)" in interrupt.why


def test_a_halt_says_more_than_a_stop_and_a_stop_does_not_hide_it(interrupt):
    interrupt.stop()
    assert (interrupt.is_set(), interrupt.is_halt, interrupt.why) == (True, False, "stopped")
    interrupt.halt("halted by reza")
    interrupt.stop()
    assert (interrupt.is_set(), interrupt.is_halt, interrupt.why) == (True, True, "halted by reza")


def test_disarmed_it_ignores_the_signal(switch, interrupt, tmp_path):
    switch.arm()
    switch.disarm()
    os.kill(os.getpid(), HALT_SIGNAL)
    gevent.sleep(0.05)
    assert not interrupt.is_set()
    assert Engines.of(tmp_path).living() == []
