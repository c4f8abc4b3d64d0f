"""What stops the threads of an order manager: a word by hand, a halt's file, a halt's signal."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime

import pytest
from oms_desk import Desk, request

from firstbell.errors import RunError
from firstbell.journal.owner import this_process
from firstbell.model.order_status import OrderStatus
from firstbell.oms.engines import HALT_SIGNAL, Engines
from firstbell.oms.orders import thread_interrupt
from firstbell.oms.orders.thread_interrupt import ThreadInterrupt
from firstbell.risk.trading_state import Halt, HaltFile

S = 1_000_000_000
HALT = Halt(datetime(2026, 11, 28, 8, tzinfo=UTC), "me", "wrong price")


@pytest.fixture
def interrupt(tmp_path):
    before = signal.getsignal(HALT_SIGNAL)
    made = ThreadInterrupt(tmp_path)
    yield made
    made.close()
    signal.signal(HALT_SIGNAL, before)


@pytest.fixture
def file(tmp_path):
    return HaltFile.of(tmp_path)


@pytest.fixture
def engines(tmp_path):
    return Engines.of(tmp_path)


@pytest.fixture
def _nobody_looks(monkeypatch):
    """Whoever watches hears the signal alone: the file is not looked for within this test."""
    monkeypatch.setattr(thread_interrupt, "_LOOK_EVERY_S", 3600)


def watchers():
    return [thread for thread in threading.enumerate() if thread.name == "firstbell-halt"]


def after_looks(interrupt, monkeypatch, *happenings):
    """Let a watcher look as often as something happens, in this thread; then it is told to end."""
    left = list(happenings)

    class Ended(threading.Event):
        def wait(self, timeout=None):
            assert timeout == 0.02
            if not left:
                return True
            left.pop(0)()
            return False

    monkeypatch.setattr(interrupt, "_ended", Ended())
    interrupt._watch()


def test_at_first_everything_may_leave(interrupt):
    assert not interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (False, "stopped")


def test_stopped_by_hand_it_is_no_halt_and_nobody_resumes_it(interrupt):
    interrupt.stop()
    assert interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (False, "stopped")
    interrupt.resume()
    assert interrupt.is_set()


def test_a_halt_is_seen_by_whoever_asks_and_holds_as_long_as_its_file_is_there(interrupt, file):
    file.write(HALT)
    assert interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (True, str(HALT))
    interrupt.resume()
    assert interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (True, str(HALT))
    assert interrupt.is_set()
    file.remove()
    # Nobody watches: who asks sees for himself that it has ended.
    assert not interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (False, "stopped")
    interrupt.stop()
    file.write(HALT)
    assert interrupt.is_set()
    file.remove()
    assert interrupt.is_set()


def test_the_first_halt_is_the_one_that_is_told_until_it_ends(interrupt, file):
    file.write(HALT)
    interrupt.is_set()
    file.remove()
    file.write(Halt(None, "another", "later"))
    interrupt.resume()
    assert interrupt.why == str(HALT)
    file.remove()
    interrupt.resume()
    file.write(Halt(HALT.since, "another", "later"))
    assert interrupt.is_set()
    assert interrupt.why.endswith("another (later)")


def test_a_halt_that_is_gone_before_it_can_be_read_is_one_all_the_same(interrupt, file, monkeypatch):
    file.write(HALT)
    monkeypatch.setattr(HaltFile, "read", lambda _: None)
    assert interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (True, "halted")


def test_whoever_called_the_halt_is_told_that_nothing_new_leaves(interrupt, file, engines):
    engines.enlist()
    file.write(HALT)
    assert not engines.has_stopped(this_process())
    interrupt.is_set()
    assert engines.has_stopped(this_process())


@pytest.fixture
def stepped(interrupt, monkeypatch, stepped_clock):
    """The interrupt, and how long it waited each time, on a clock that its waiting moves."""
    waits = []

    class Event(threading.Event):
        happens = staticmethod(lambda: None)

        def wait(self, timeout=None):
            waits.append(timeout)
            stepped_clock.sleep(timeout)
            self.happens()
            return self.is_set()

    looks = iter(range(100))

    def now_ns():
        # Whoever looks at the clock for ever without waiting is found out.
        assert next(looks, None) is not None
        return stepped_clock.monotonic_ns()

    event = Event()
    monkeypatch.setattr(interrupt, "_event", event)
    monkeypatch.setattr(thread_interrupt.time, "monotonic_ns", now_ns)
    return event, waits


def test_it_is_waited_to_the_very_instant_and_a_halt_is_looked_for_meanwhile(interrupt, stepped, stepped_clock):
    _, waits = stepped
    assert interrupt.wait_until(S // 20) is False
    assert stepped_clock.monotonic_ns() == S // 20
    assert waits == [0.02, 0.02, 0.01]


def test_what_is_past_is_not_waited_for(interrupt, stepped, stepped_clock):
    stepped_clock.sleep(5)
    assert interrupt.wait_until(5 * S) is False
    assert interrupt.wait_until(S) is False
    assert stepped[1] == []
    assert interrupt.wait_until(5 * S + 1) is False
    assert stepped_clock.monotonic_ns() == 5 * S + 1


def test_waiting_ends_early_when_it_is_stopped(interrupt, stepped, stepped_clock):
    event, waits = stepped
    event.happens = lambda: interrupt.stop() if stepped_clock.now_ns >= S // 10 else None
    assert interrupt.wait_until(3600 * S) is True
    assert len(waits) == 5


def test_waiting_ends_early_when_trading_is_halted(interrupt, stepped, stepped_clock, file):
    event, waits = stepped
    event.happens = lambda: file.write(HALT) if stepped_clock.now_ns >= S // 10 else None
    assert interrupt.wait_until(3600 * S) is True
    assert interrupt.is_halt
    assert len(waits) == 5


def test_one_that_is_stopped_already_waits_for_nothing(interrupt, stepped):
    interrupt.stop()
    assert interrupt.wait_until(3600 * S) is True
    assert stepped[1] == []


def test_a_watcher_sees_a_halt_come_and_go_though_nobody_asks(interrupt, file, monkeypatch):
    seen = []

    def note():
        seen.append((interrupt.is_halt, interrupt._event.is_set()))

    def halt():
        note()
        file.write(HALT)

    def lift():
        note()
        file.remove()

    after_looks(interrupt, monkeypatch, note, halt, note, lift, note, halt, note)
    nothing, halted = (False, False), (True, True)
    assert seen == [nothing, nothing, halted, halted, nothing, nothing, halted]


def test_a_watcher_is_a_thread_that_holds_no_process_and_ends_with_it(interrupt, file):
    interrupt.watch()
    (watcher,) = watchers()
    assert watcher.daemon
    file.write(HALT)
    assert interrupt._event.wait(20)
    interrupt.close()
    assert watchers() == []
    assert interrupt.is_set()


def test_watched_twice_it_has_one_watcher_and_closed_none(interrupt):
    interrupt.watch()
    interrupt.watch()
    assert len(watchers()) == 1
    interrupt.close()
    assert watchers() == []


@pytest.mark.usefixtures("_nobody_looks")
def test_a_halts_signal_is_heard_at_once(interrupt, file, engines):
    interrupt.watch()
    assert engines.living() == [this_process()]
    assert not engines.has_stopped(this_process())
    file.write(HALT)
    assert not interrupt.is_halt
    signal.raise_signal(HALT_SIGNAL)
    assert (interrupt.is_halt, interrupt.why) == (True, str(HALT))
    assert engines.has_stopped(this_process())


@pytest.mark.usefixtures("_nobody_looks")
def test_a_signal_without_a_file_is_a_halt_too(interrupt):
    interrupt.watch()
    signal.raise_signal(HALT_SIGNAL)
    assert interrupt.is_set()
    assert (interrupt.is_halt, interrupt.why) == (True, "halted by a signal")


@pytest.mark.usefixtures("_nobody_looks")
def test_closed_it_lets_nothing_leave_and_a_late_signal_ends_nobody(interrupt, engines):
    interrupt.watch()
    interrupt.close()
    assert engines.living() == []
    assert signal.getsignal(HALT_SIGNAL) is signal.SIG_IGN
    signal.raise_signal(HALT_SIGNAL)
    assert interrupt.is_set()
    assert not interrupt.is_halt


@pytest.mark.usefixtures("_nobody_looks")
def test_closed_twice_it_leaves_alone_what_others_have_made_of_the_signal(interrupt, engines):
    def ours(*_):
        pass

    interrupt.watch()
    interrupt.close()
    signal.signal(HALT_SIGNAL, ours)
    engines.enlist()
    interrupt.close()
    assert signal.getsignal(HALT_SIGNAL) is ours
    assert engines.living() == [this_process()]


@pytest.mark.usefixtures("_nobody_looks")
def test_a_second_signal_changes_no_words(interrupt, file):
    interrupt.watch()
    file.write(HALT)
    signal.raise_signal(HALT_SIGNAL)
    file.remove()
    file.write(Halt(HALT.since, "another", "later"))
    signal.raise_signal(HALT_SIGNAL)
    assert interrupt.why == str(HALT)


def test_one_that_never_watched_leaves_the_signal_alone_when_it_is_closed(interrupt, engines):
    def ours(*_):
        pass

    signal.signal(HALT_SIGNAL, ours)
    engines.enlist()
    interrupt.close()
    assert interrupt.is_set()
    assert signal.getsignal(HALT_SIGNAL) is ours
    assert engines.living() == [this_process()]


def test_in_another_thread_than_the_main_one_the_file_alone_is_watched(interrupt, engines, file):
    def ours(*_):
        pass

    signal.signal(HALT_SIGNAL, ours)
    problems = []

    def work():
        try:
            interrupt.watch()
            file.write(HALT)
            if not interrupt._event.wait(20):
                problems.append("the halt was not seen")
            problems.extend(engines.living())
            interrupt.close()
        except Exception as error:  # noqa: BLE001 - it belongs to the test's own thread
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert problems == []
    assert signal.getsignal(HALT_SIGNAL) is ours
    assert watchers() == []


def test_a_process_that_cannot_be_told_of_halts_says_so(interrupt, tmp_path):
    (tmp_path / "engines").write_text("a file where the folder should be")
    with pytest.raises(RunError, match="engines cannot be written to"):
        interrupt.watch()


def test_what_was_stopped_by_hand_stays_so_when_a_halt_comes_and_goes(interrupt, file, monkeypatch):
    interrupt.stop()
    after_looks(interrupt, monkeypatch, lambda: file.write(HALT), file.remove, lambda: None)
    assert not interrupt.is_halt
    assert interrupt.is_set()


def test_what_waits_for_no_bell_is_told_to_have_been_stopped_before_it_left(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock)
    desk.quote(4850, 4870)
    desk.interrupt.stop()
    response = desk.manager.place(request())
    assert (response.status, response.message) == (OrderStatus.DENIED, "stopped before it left")
    desk.close()
