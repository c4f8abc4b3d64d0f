"""Ending a run with orders in flight: nothing new leaves, what has left is awaited, and the results are whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from e2e_venue import LOCUSTFILE, environment
from test_run_at_the_bell import judge

NEVER = "300s"
"""So long until the exchange takes orders: what is sent until then is refused, and sent again."""


def plain_locust(venue, at, *options):
    command = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--headless", "--only-summary", *options]
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(FIRSTBELL_CONFIG=str(venue.config), FIRSTBELL_AT=at),
        cwd=venue.folder,
        start_new_session=True,
    )
    venue.procs.append(process)
    return process


def sent(venue, process, count):
    until = time.monotonic() + 60
    while len(venue.submissions()) < count:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("way", ["run, SIGINT", "run, SIGTERM", "locust, SIGINT", "locust, SIGTERM"])
def test_answers_in_flight_are_awaited(open_venue, way):
    venue = open_venue("--accounts", "2", "--bell-in", "1s", "--fault", "delay:ms=2500,on=order")
    command, number = way.split(", ")
    at = venue.in_seconds(10)
    process = venue.start("run", "--at", at) if command == "run" else plain_locust(venue, at)
    sent(venue, process, 2)
    os.kill(process.pid, signal.Signals[number])
    _, said = process.communicate(timeout=100)
    document = venue.results()
    assert document["summary"]["accepted"] == 2, said
    assert len(judge(venue, document)) == 2
    assert process.returncode == 0


@pytest.mark.parametrize("way", ["run, SIGINT", "locust, SIGTERM", "locust, end of run time"])
def test_no_new_attempt_leaves(open_venue, way):
    venue = open_venue("--accounts", "2", "--bell-in", NEVER)
    command, number = way.split(", ")
    at = venue.in_seconds(10)
    options = ("--run-time", "2s") if number == "end of run time" else ()
    process = venue.start("run", "--at", at) if command == "run" else plain_locust(venue, at, *options)
    sent(venue, process, 4)
    if not options:
        os.kill(process.pid, signal.Signals[number])
    ended_ns = time.time_ns() + (0 if not options else 3_000_000_000)
    process.communicate(timeout=100)
    # A command that was told needs a moment to tell Locust; only `halt` promises how long.
    assert all(each["arrival_ns"] < ended_ns + 2_000_000_000 for each in venue.submissions())
    document = venue.results()
    assert document["summary"]["rejected"] == 2
    assert all("stopped before the next attempt" in row["reason"] for row in document["orders"])
    assert process.returncode == 1
    assert json.loads(venue.firstbell("results", "--json").stdout) == document


def test_an_answer_that_does_not_come_in_time_leaves_the_order_unresolved(open_venue):
    venue = open_venue(
        "--accounts", "1", "--bell-in", "1s", "--fault", "delay:ms=30000,on=order+day_orders+open_orders"
    )
    process = venue.start("run", "--at", venue.in_seconds(10))
    sent(venue, process, 1)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=100)
    assert time.monotonic() - began < 25
    document = venue.results()
    assert document["summary"]["unresolved"] == 1
    assert process.returncode == 3
