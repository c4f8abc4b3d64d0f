"""A measured path: what is drawn from it, and what it does to everything that travels it."""

from __future__ import annotations

import itertools
import time
from email.utils import parsedate_to_datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from firstbell.errors import SimulatorError
from firstbell.simulator.path import MeasuredPath

MS = 1_000_000


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers())
def test_a_round_trip_comes_back_as_it_was_measured_and_no_way_is_shorter_than_half_the_shortest(measured, seed):
    path = MeasuredPath(measured, seed)
    for there, back in itertools.islice(iter(path.draw, None), 20):
        assert there + back in measured
        assert min(there, back) >= min(measured) // 2


def test_the_same_seed_draws_the_same():
    measured = (20 * MS, 26 * MS, 90 * MS)
    one, same, other = (MeasuredPath(measured, seed) for seed in (1, 1, 2))
    draws = [[path.draw() for _ in range(20)] for path in (one, same, other)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("measured", [[], [5, -1]])
def test_a_path_that_nobody_measured_is_refused(measured):
    with pytest.raises(SimulatorError, match="at least one measured round trip, and none below zero"):
        MeasuredPath(measured)


def test_orders_arrive_after_half_the_way_and_every_answer_is_dated_when_it_leaves(practice):
    offset_ns = 1_700 * MS
    client = practice(path=MeasuredPath([800 * MS]), offset_ns=offset_ns).client(logged_in=False)
    # Any answer tells the time, that of a page that is not there as well. The first one is asked in one second of the
    # exchange and arrives in the next, the second one arrives in one and is back in the next.
    for begins in (0.1, 0.65):
        time.sleep((begins - time.time()) % 1)
        sent_ns = time.time_ns()
        answer = client.call("GET", "/")
        back_ns = time.time_ns()
        assert answer.status_code == 404
        earliest_ns, latest_ns = sent_ns + offset_ns + 395 * MS, back_ns + offset_ns - 395 * MS
        date_s = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert earliest_ns // 10**9 <= date_s <= latest_ns // 10**9


def test_the_answer_key_and_the_record_travel_no_path(practice):
    opened = practice(path=MeasuredPath([5_000 * MS]))
    address = opened.exchange.practice_address
    began = time.monotonic()
    assert requests.get(f"{address}/practice/orders", timeout=20).json()["submissions"] == []
    assert requests.post(f"{address}/practice/captcha", timeout=20).status_code == 400
    assert time.monotonic() - began < 4


def test_an_order_is_on_record_when_it_arrives_and_not_when_it_leaves(practice):
    client = practice(path=MeasuredPath([400 * MS])).client()
    sent_ns = time.time_ns()
    assert client.order().status_code == 200
    took_ns = time.time_ns() - sent_ns
    (order,) = client.seen()["submissions"]
    assert 195 * MS <= order["arrival_ns"] - sent_ns <= took_ns - 195 * MS
