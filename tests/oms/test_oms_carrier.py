"""The way of an order by its broker's own transport: its turn holds until its first byte leaves."""

from __future__ import annotations

import pytest

from firstbell.brokers.stamped import FIRST_BYTE
from firstbell.errors import NotSent
from firstbell.oms.carrier import keeping_turn, wait_for_turn
from firstbell.oms.pace_file import PaceFile
from firstbell.oms.pacing import Pacer

MS = 1_000_000
INTERVAL = 350 * MS


class Interrupt:
    def __init__(self, clock):
        self.clock = clock
        self.stopped = False

    def is_set(self):
        return self.stopped

    def wait_until(self, monotonic_ns):
        self.clock.sleep(max(monotonic_ns - self.clock.monotonic_ns(), 0) / 1e9)
        return self.stopped


@pytest.fixture
def send(tmp_path, stepped_clock):
    """Sends something that takes a while to connect; when its first byte leaves, and what others may do meanwhile."""
    shared, interrupt = PaceFile(tmp_path / "pace"), Interrupt(stepped_clock)
    pacer = Pacer(INTERVAL, shared=shared)
    other = PaceFile(tmp_path / "pace")

    def send_(connecting_ns, *, at_ns=None, stop=False):
        assert not wait_for_turn(pacer, stepped_clock, interrupt, stepped_clock.monotonic_ns())
        turn_ns = stepped_clock.monotonic_ns()
        with keeping_turn(pacer, stepped_clock, interrupt):
            if at_ns is not None:
                stepped_clock.sleep(at_ns / 1e9)
                assert other.take(stepped_clock.monotonic_ns(), INTERVAL) == stepped_clock.monotonic_ns()
            stepped_clock.sleep((connecting_ns - (at_ns or 0)) / 1e9)
            interrupt.stopped = stop
            FIRST_BYTE.get()()
            left_ns = stepped_clock.monotonic_ns()
        return left_ns - turn_ns, other.take(left_ns, INTERVAL) - left_ns

    return send_


def test_what_has_a_connection_leaves_at_once(send):
    assert send(2 * MS) == (2 * MS, INTERVAL - 2 * MS)
    assert FIRST_BYTE.get() is None


def test_a_turn_moves_on_with_the_connection_that_is_made(send):
    assert send(250 * MS) == (250 * MS, INTERVAL)


@pytest.mark.parametrize(("other_at", "leaves_at"), [(None, 600), (380, 730)], ids=["nobody", "another process"])
def test_where_another_may_have_come_meanwhile_another_turn_is_taken(send, other_at, leaves_at):
    at_ns = None if other_at is None else other_at * MS
    assert send(600 * MS, at_ns=at_ns) == (leaves_at * MS, INTERVAL)


def test_a_process_that_is_held_up_right_after_it_has_taken_its_turn_takes_another(tmp_path, stepped_clock):
    interrupt, pacer = Interrupt(stepped_clock), Pacer(INTERVAL, shared=PaceFile(tmp_path / "pace"))
    assert not wait_for_turn(pacer, stepped_clock, interrupt, stepped_clock.monotonic_ns())
    turn_ns = stepped_clock.monotonic_ns()
    stepped_clock.sleep(0.4)
    assert PaceFile(tmp_path / "pace").take(stepped_clock.monotonic_ns(), INTERVAL) == turn_ns + 400 * MS
    with keeping_turn(pacer, stepped_clock, interrupt):
        FIRST_BYTE.get()()
    assert stepped_clock.monotonic_ns() - turn_ns == 750 * MS


@pytest.mark.parametrize("connecting", [250, 600])
def test_stopped_while_its_connection_is_made_nothing_leaves(send, connecting):
    with pytest.raises(NotSent, match="stopped while its connection was made"):
        send(connecting * MS, stop=True)
    assert FIRST_BYTE.get() is None
