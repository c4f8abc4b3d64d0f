"""Start-up is recovery: what a killed run left behind is listed at once and asked for before anything else."""

from __future__ import annotations

import json
import os
import signal
import time

from test_run_at_the_bell import judge

LISTED_WITHIN_S = 30
"""Five are promised; a machine that runs other tests besides is slow, and what hangs takes a minute."""


def killed_after_the_bell(venue):
    """A run whose orders the exchange has and shows nobody, ended without a chance to say a word."""
    process = venue.start("run", "--at", venue.in_seconds(9))
    while len(venue.accepted()) < len(venue.said["accounts"]):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listed(venue, *arguments):
    began = time.monotonic()
    command = venue.firstbell("orders", "list", "--json", *arguments)
    assert time.monotonic() - began < LISTED_WITHIN_S
    return command.returncode, {row["account"]: row for row in json.loads(command.stdout)["orders"]}, command.stderr


def test_what_a_killed_run_left_is_listed_at_once_and_resolved_by_listing(open_venue):
    venue = open_venue(
        "--accounts", "2", "--bell-in", "1s", "--fault", "hidden:seconds=30", "--fault", "delay:ms=3000,on=order"
    )
    killed_after_the_bell(venue)
    hidden_until = time.monotonic() + 30
    status, rows, said = listed(venue)
    assert status == 3
    assert [row["outcome"] for row in rows.values()] == ["unresolved", "unresolved"]
    assert said.count("Unresolved") == 2
    assert listed(venue, "--offline")[0] == 3

    # What is unresolved blocks its login, and a run says so before it does anything else.
    run = venue.start("run", "--at", venue.in_seconds(4), "--json")
    began = time.monotonic()
    assert "Unresolved" in run.stderr.readline() + run.stderr.readline() + run.stderr.readline()
    assert time.monotonic() - began < LISTED_WITHIN_S
    out, _ = run.communicate(timeout=90)
    assert run.returncode in {0, 3}
    assert {row["outcome"] for row in json.loads(out)["orders"]} <= {"accepted", "unresolved"}
    assert len(venue.submissions()) == 2

    time.sleep(max(0.0, hidden_until - time.monotonic()))
    status, rows, said = listed(venue)
    assert status == 0, said
    assert {row["outcome"] for row in rows.values()} == {"accepted"}
    judge(venue, json.loads(venue.firstbell("results", "--json").stdout))


def test_a_list_that_does_not_answer_holds_nobody_up(open_venue):
    venue = open_venue(
        "--accounts", "1", "--bell-in", "1s", "--fault", "slow_list:ms=60000", "--fault", "delay:ms=3000,on=order"
    )
    killed_after_the_bell(venue)
    status, rows, said = listed(venue)
    assert status == 3
    assert [row["outcome"] for row in rows.values()] == ["unresolved"]
    assert "Not every broker has answered yet" in said


def test_listing_logs_nobody_in(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s", "--fault", "delay:ms=3000,on=order")
    killed_after_the_bell(venue)
    assert venue.firstbell("cache", "clear").returncode == 0
    logins = len(venue.seen()["logins"])
    status, rows, said = listed(venue)
    assert status == 3
    assert [row["outcome"] for row in rows.values()] == ["unresolved"]
    assert "it has no living token" in said
    assert len(venue.seen()["logins"]) == logins
