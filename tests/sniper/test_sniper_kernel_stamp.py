"""An answer's time is when it came, however late somebody reads it."""

from __future__ import annotations

import socket
import sys
import time

import pytest

from firstbell.errors import NoAnswer
from firstbell.sniper.kernel_stamp import came_ago_ns
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.waiting import PlainWaiter

S = 1_000_000_000
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def until_stamped(lane, there):
    """The kernel begins to stamp a moment after a socket has asked for it; until then it tells when it was read."""
    for _ in range(100):
        lane.seal(REQUEST)
        lane.fire()
        there.recv(1000)
        there.sendall(ANSWER)
        assert PlainWaiter().readable(lane.shot()[0].__self__.fileno(), 5)
        come_ns = time.monotonic_ns()
        time.sleep(0.01)
        answer = lane.read(time.monotonic_ns() + 5 * S)
        if answer.sent_monotonic_ns + answer.round_trip_ns < come_ns + 5_000_000:
            return
    raise AssertionError("the kernel stamps nothing")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux stamps what comes on a TCP connection")
def test_an_answer_that_lies_there_is_timed_by_its_coming():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Lane(LaneAddress.of(url), None, PlainWaiter()) as lane:
            lane.open(time.monotonic_ns() + 5 * S)
            there, _ = server.accept()
            with there:
                until_stamped(lane, there)
                for _ in range(2):
                    lane.seal(REQUEST)
                    lane.fire()
                    there.recv(1000)
                    there.sendall(ANSWER)
                    assert PlainWaiter().readable(lane.shot()[0].__self__.fileno(), 5)
                    come_ns = time.monotonic_ns()
                    time.sleep(0.2)
                    answer = lane.read(time.monotonic_ns() + 5 * S)
                    # The kernel keeps time by another clock than ours, to within microseconds.
                    assert 0 < answer.round_trip_ns <= come_ns - answer.sent_monotonic_ns + 1_000_000
                    assert answer.answered_ns - answer.sent_ns == answer.round_trip_ns


def test_a_stamp_that_cannot_be_is_not_believed():
    assert came_ago_ns(None) == 0
    assert came_ago_ns(time.time_ns() + 60 * S) == 0
    assert came_ago_ns(time.time_ns() - 60 * S) == 0
    assert came_ago_ns(time.time_ns() - S) >= S


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux stamps what comes on a TCP connection")
def test_what_had_come_before_the_order_left_is_not_its_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Lane(LaneAddress.of(url), None, PlainWaiter()) as lane:
            lane.open(time.monotonic_ns() + 5 * S)
            there, _ = server.accept()
            with there:
                until_stamped(lane, there)
                lane.seal(REQUEST)
                there.sendall(ANSWER)
                assert PlainWaiter().readable(lane.shot()[0].__self__.fileno(), 5)
                lane.fire()
                with pytest.raises(NoAnswer, match="had come before"):
                    lane.read(time.monotonic_ns() + 5 * S)
                assert not lane.is_open
