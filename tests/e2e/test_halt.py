"""The kill switch and the budgets, on real runs: what the exchange saw after the halt is what counts."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

TOLERATED_NS = 100_000_000


def refused_again_and_again(venue, *options):
    """A run whose exchange opens much later than it believes: every order is refused and sent again, every 350 ms."""
    process = venue.start("run", "--at", venue.in_seconds(12), *options)
    until = time.monotonic() + 60
    while len(venue.submissions()) < 6:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    return process


def state_dir(venue):
    config = venue.config.read_text(encoding="utf-8")
    return next(
        venue.folder / line.partition("=")[2].strip() for line in config.splitlines() if line.startswith("state_dir")
    )


def engines(venue):
    return [int(path.name.partition("-")[0]) for path in (state_dir(venue) / "engines").glob("*.json")]


def nothing_after(venue, halted_ns):
    late = [each["arrival_ns"] - halted_ns for each in venue.submissions() if each["arrival_ns"] > halted_ns]
    assert all(after_ns <= TOLERATED_NS for after_ns in late), late


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_a_halt_ends_a_busy_run_and_survives_it(open_venue, options):
    venue = open_venue("--accounts", "4", "--bell-in", "300s")
    process = refused_again_and_again(venue, *options)
    halted = venue.firstbell("halt", "--why", "قیمت اشتباه", "--json")
    assert halted.returncode == 0, halted.stderr
    said = json.loads(halted.stdout)
    assert (said["state"], said["why"]) == ("HALTED", "قیمت اشتباه")
    assert said["engines"]
    assert all(engine["stopped"] for engine in said["engines"])
    halted_ns = int(datetime.fromisoformat(said["since"]).timestamp() * 1e9)
    process.communicate(timeout=100)
    assert process.returncode == 4
    nothing_after(venue, halted_ns)
    document = venue.results()
    assert document["summary"]["configured"] == document["summary"]["rejected"] == 4
    reasons = {row["reason"] for row in document["orders"]}
    # What was about to leave when the halt was called is held by the last check rather than by the wait.
    assert all("since 20" in reason and "(قیمت اشتباه)" in reason for reason in reasons), reasons
    ends = ("before the next attempt", "allowed cancels only")
    assert all(reason.endswith(ends) for reason in reasons), reasons

    sent = len(venue.submissions())
    again = venue.firstbell("run", "--at", venue.in_seconds(3), "--json")
    assert again.returncode == 4
    assert json.loads(again.stdout)["summary"]["not_sent"] == 4
    assert "قیمت اشتباه" in again.stderr
    assert len(venue.submissions()) == sent
    assert venue.firstbell("orders", "list").returncode == 0
    assert engines(venue) == []

    resumed = venue.firstbell("resume", "--json")
    assert json.loads(resumed.stdout)["state"] == "ACTIVE"
    assert "قیمت اشتباه" in json.loads(resumed.stdout)["was"]


def test_a_halt_before_the_bell_lets_nothing_leave_and_cancels_still_pass(open_venue):
    venue = open_venue("--accounts", "2", "--bell-in", "1s")
    first = venue.firstbell("run", "--at", "now", "--json", "--", "Order_Account1_Gs_User1")
    placed = [row for row in json.loads(first.stdout)["orders"] if row["outcome"] == "accepted"]
    assert len(placed) == 1
    process = venue.start("run", "--at", venue.in_seconds(20))
    while not engines(venue):
        assert time.monotonic() < venue.rings - 3
        time.sleep(0.1)
    assert venue.firstbell("halt").returncode == 0
    process.communicate(timeout=100)
    assert process.returncode == 4
    assert len(venue.submissions()) == 1
    canceled = venue.firstbell("orders", "cancel", placed[0]["client_order_id"], "--json")
    assert canceled.returncode == 0, canceled.stderr
    assert json.loads(canceled.stdout)["status"] == "CANCELED"


@pytest.mark.parametrize("way", ["file", "signal"])
def test_the_file_alone_and_the_signal_alone_do(open_venue, way):
    venue = open_venue("--accounts", "2", "--bell-in", "300s")
    process = refused_again_and_again(venue)
    if way == "file":
        (state_dir(venue) / "halted.json").touch()
    else:
        for pid in engines(venue):
            os.kill(pid, signal.SIGUSR1)
    halted_ns = time.time_ns()
    process.communicate(timeout=100)
    assert process.returncode == 4
    nothing_after(venue, halted_ns)
    assert (state_dir(venue) / "halted.json").exists()


@pytest.mark.parametrize(
    ("limit", "most", "words"),
    [
        ("max_attempts_per_order = 3", 6, "the budget of 3 attempts per order is spent"),
        ("max_attempts_per_run = 5", 5, "the budget of 5 attempts per run is spent"),
    ],
)
def test_a_spent_budget_halts_the_run_until_a_person_resumes(open_venue, limit, most, words):
    venue = open_venue("--accounts", "2", "--bell-in", "300s")
    venue.config.write_text(f"{venue.config.read_text(encoding='utf-8')}\n[risk]\n{limit}\n", encoding="utf-8")
    run = venue.firstbell("run", "--at", venue.in_seconds(9), "--json")
    assert run.returncode == 4
    assert words in run.stderr
    assert 3 <= len(venue.submissions()) <= most
    document = json.loads(run.stdout)
    # On a busy machine one may have used up what both had.
    assert document["summary"]["rejected"] + document["summary"]["not_sent"] == 2
    assert any(words in row["reason"] for row in document["orders"])
    assert venue.firstbell("run", "--at", "now").returncode == 4
    assert len(venue.submissions()) <= most
    assert words in venue.firstbell("resume").stdout
    assert not Path(state_dir(venue) / "halted.json").exists()


def test_the_kill_switch_works_with_a_config_that_is_being_edited(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "300s")
    venue.config.write_text(f"{venue.config.read_text(encoding='utf-8')}\n[Order_Half\nnonsense", encoding="utf-8")
    assert venue.firstbell("check").returncode == 2
    assert venue.firstbell("halt").returncode == 0
    assert (state_dir(venue) / "halted.json").exists()


def test_whoever_looks_before_the_bell_sees_the_halt(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "300s")
    assert venue.firstbell("halt", "--why", "holiday").returncode == 0
    check = venue.firstbell("check")
    assert check.returncode == 0
    assert "holiday" in check.stderr
    preflight = venue.firstbell("preflight", "--json")
    assert preflight.returncode == 1
    assert "holiday" in json.loads(preflight.stdout)["accounts"][0]["reasons"][0]
