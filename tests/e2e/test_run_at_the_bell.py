"""The main job, run as a user runs it, against a real exchange in another process, judged by what that one saw."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal

import pytest
import requests
from e2e_venue import LOCUSTFILE, environment

from firstbell.market import fee_rate
from firstbell.model.terms import Side
from firstbell.oms.sizing import affordable
from firstbell.simulator.listings import tehran_instruments


def judge(venue, document):
    """The oracle: what is reported is what happened, and no plan was accepted twice."""
    accepted = {}
    for order in venue.accepted():
        key = (order["broker_code"], order["account"], order["isin"])
        assert key not in accepted, f"accepted twice: {key}"
        accepted[key] = order
    by_section = {
        (account["broker_code"], account["username"], account["isin"]): number
        for number, account in enumerate(venue.said["accounts"], start=1)
    }
    reported = {row["account"]: row for row in document["orders"]}
    for (code, user, isin), number in by_section.items():
        row = reported[f"Order_Account{number}_{code.capitalize()}"]
        there = accepted.get((code, user, isin))
        if row["outcome"] == "accepted":
            assert there is not None, f"{row['account']} is reported accepted and is not there"
            assert str(there["serial"]) == row["venue_order_id"]
            assert (there["price"], there["quantity"]) == (row["price"], row["quantity"])
        if row["outcome"] in {"rejected", "not_sent"}:
            assert there is None, f"{row['account']} is reported {row['outcome']} and is there"
    summary = dict(document["summary"])
    assert summary.pop("configured") == sum(summary.values()) == len(document["orders"])
    return accepted


def test_six_brokers_one_order_each_and_a_second_run_sends_nothing(open_venue):
    venue = open_venue("--accounts", "6", bell_in_s=25)
    warm = venue.firstbell("warmup", "--json")
    assert warm.returncode == 0, warm.stderr
    assert all(row["ready"] for row in json.loads(warm.stdout)["accounts"])
    logins = len(venue.seen()["logins"])
    assert logins == 6
    assert venue.firstbell("warmup").returncode == 0
    assert len(venue.seen()["logins"]) == logins

    run = venue.firstbell("run", "--at", f"{venue.bell:%H:%M:%S}", "--json")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert document == venue.results()
    assert document["summary"]["accepted"] == 6
    accepted = judge(venue, document)
    assert len(accepted) == 6
    largest = {each.id: each.max_quantity for each in tehran_instruments()}
    money = {account["username"]: account["money"] for account in venue.said["accounts"]}
    for (_, user, _), order in accepted.items():
        assert order["lateness_us"] >= 0
        pays_for = affordable(Decimal(money[user]), Decimal(order["price"]), fee_rate("XTEH", Side.BUY))
        assert order["quantity"] == min(pays_for, largest[order["isin"]])
    assert len(venue.seen()["logins"]) == logins

    again = venue.firstbell("run", "--at", "now", "--json")
    assert again.returncode == 0, again.stderr
    assert all(row["attempts"] == [] for row in json.loads(again.stdout)["orders"])
    assert len(venue.accepted()) == 6

    listed = venue.firstbell("orders", "list", "--json")
    assert [order["outcome"] for order in json.loads(listed.stdout)["orders"]] == ["accepted"] * 6
    stats = json.loads(venue.firstbell("cache", "stats", "--json").stdout)
    assert stats["hits"] > 0
    assert stats["kinds"]["token"]["entries"] == 6


def test_too_early_is_sent_again_paced_until_the_exchange_opens(open_venue):
    venue = open_venue("--accounts", "2", bell_in_s=13)
    run = venue.firstbell("run", "--at", f"{venue.bell - timedelta(seconds=1):%H:%M:%S}")
    document = venue.results()
    assert run.returncode == 0, run.stderr
    judge(venue, document)
    for row in document["orders"]:
        codes = [attempt["code"] for attempt in row["attempts"]]
        assert codes[:-1] == [1017] * (len(codes) - 1)
        assert len(codes) > 1
    by_account = {}
    for order in venue.submissions():
        by_account.setdefault(order["account"], []).append(order["arrival_ns"])
    for arrivals in by_account.values():
        assert all(later - earlier >= 300_000_000 for earlier, later in itertools.pairwise(arrivals))


def test_plain_locust_with_fewer_users_than_accounts(open_venue):
    venue = open_venue("--accounts", "4", "--bell-in", "1s")
    venue.config.write_text(
        re.sub(r"order_time = .*", f"order_time = {venue.in_seconds(12)[:8]}", venue.config.read_text())
    )
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
    done = subprocess.run(
        [*command, "--users", "2", "--spawn-rate", "1", "--run-time", "40s"],
        env=environment(FIRSTBELL_CONFIG=str(venue.config)),
        cwd=venue.folder,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "every one of the 4 accounts gets one" in done.stderr
    assert len(venue.accepted()) == 4
    judge(venue, venue.results())


def test_two_processes_share_the_accounts_though_locusts_usual_port_is_taken(open_venue):
    venue = open_venue("--accounts", "6", "--bell-in", "1s")
    with socket.socket() as taken:
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 5557))
            taken.listen()
        run = venue.firstbell("run", "--at", venue.in_seconds(14), "--processes", "2", "--json")
    assert run.returncode == 0, run.stderr
    assert len(judge(venue, json.loads(run.stdout))) == 6


def test_an_answer_that_never_came_is_found_in_the_list(open_venue):
    venue = open_venue("--accounts", "3", "--bell-in", "1s", "--fault", "drop_after_accept:n=2")
    run = venue.firstbell("run", "--at", venue.in_seconds(10), "--json")
    document = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert len(judge(venue, document)) == 3
    unanswered = [row for row in document["orders"] if row["attempts"][0]["outcome"] == "UNRESOLVED"]
    assert len(unanswered) == 2
    assert all(len(row["attempts"]) == 1 for row in unanswered)


def armed(venue, process):
    """Wait until every order of the newest run is claimed."""
    while True:
        with contextlib.suppress(ValueError):
            if all(row["status"] == "INITIALIZED" for row in venue.results()["orders"]):
                return
        assert process.poll() is None
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_whoever_ends_the_command_ends_the_run(open_venue, number):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    process = venue.start("run", "--at", venue.in_seconds(16))
    armed(venue, process)
    os.kill(process.pid, number)
    process.wait(timeout=100)
    # Until well after the bell: nobody is left to fire.
    while time.monotonic() < venue.rings + 2:
        assert venue.submissions() == []
        time.sleep(0.5)
    document = json.loads(venue.firstbell("results", "--json").stdout)
    assert document["summary"]["not_sent"] == 1


def test_killed_after_the_bell_nothing_is_sent_twice_and_reconcile_finds_it(open_venue):
    venue = open_venue("--accounts", "2", "--bell-in", "1s", "--fault", "delay:ms=3000,on=order")
    process = venue.start("run", "--at", venue.in_seconds(9))
    while not venue.submissions():
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    told = json.loads(venue.firstbell("results", "--json").stdout)
    assert [row["outcome"] for row in told["orders"]] == ["unresolved", "unresolved"]
    document = json.loads(venue.firstbell("orders", "reconcile", "--json").stdout)
    assert [row["outcome"] for row in document["orders"]] == ["accepted", "accepted"]
    judge(venue, document)
    again = venue.firstbell("run", "--at", "now", "--json")
    assert again.returncode == 0
    assert len(venue.accepted()) == 2


def test_ctrl_c_before_the_bell_sends_nothing_and_frees_the_plans(open_venue):
    venue = open_venue("--accounts", "2", "--bell-in", "1s")
    process = venue.start("run", "--at", venue.in_seconds(25), "--json")
    armed(venue, process)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    document = json.loads(out)
    assert document["summary"]["not_sent"] == 2
    assert {row["reason"] for row in document["orders"]} == {"stopped before the bell"}
    assert venue.submissions() == []
    after = venue.firstbell("run", "--at", "now", "--json")
    assert after.returncode == 0, after.stderr
    assert len(judge(venue, json.loads(after.stdout))) == 2


def test_a_wrong_password_costs_one_log_in_and_the_others_go_on(open_venue):
    venue = open_venue("--accounts", "2", "--bell-in", "1s")
    venue.edit(venue.said["accounts"][0]["password"], "quite-wrong")
    run = venue.firstbell("run", "--at", venue.in_seconds(10), "--json")
    document = json.loads(run.stdout)
    assert run.returncode == 1
    wrong, right = document["orders"]
    assert wrong["outcome"] == "not_sent"
    assert "password" in wrong["reason"]
    assert right["outcome"] == "accepted"
    tries = [login for login in venue.seen()["logins"] if login["account"] == venue.said["accounts"][0]["username"]]
    assert len(tries) == 1


def test_the_page_watches_behind_a_log_in_and_controls_nothing(open_venue):
    venue = open_venue("--accounts", "2", "--bell-in", "1s")
    process = venue.start("run", "--web", "--at", venue.in_seconds(14))
    address, user, password = where_to_watch(process)
    with requests.Session() as person:
        person.trust_env = False
        wait_for_page(person, address)
        assert "/login" in person.get(f"{address}/stats/requests", timeout=5).url
        wrong = person.post(f"{address}/login_submit", data={"username": user, "password": "guess"}, timeout=5)
        assert "/login" in wrong.url
        person.post(f"{address}/login_submit", data={"username": user, "password": password}, timeout=5)
        stats = person.get(f"{address}/stats/requests", timeout=5)
        assert stats.json()["user_count"] == 2
        for form in (
            {"user_count": 9, "spawn_rate": 9},
            {"user_count": 2, "spawn_rate": 1, "host": "http://127.0.0.1:9"},
        ):
            assert person.post(f"{address}/swarm", data=form, timeout=5).status_code == 403
        foreign = person.get(f"{address}/stop", headers={"Origin": "http://evil.example"}, timeout=5)
        assert foreign.status_code == 403
        assert person.get(f"{address}/stop", timeout=5).status_code == 405
        while venue.results()["summary"]["accepted"] < 2:
            assert process.poll() is None
            time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 0
    assert len(venue.accepted()) == 2


def test_a_page_whose_port_another_program_has_costs_nobody_his_order(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        process = venue.start("run", "--web", "--at", venue.in_seconds(12), "--", "--web-port", str(taken))
        address, user, password = where_to_watch(process)
        assert not address.endswith(f":{taken}")
        with requests.Session() as person:
            person.trust_env = False
            wait_for_page(person, address)
            person.auth = (user, password)
            assert person.get(f"{address}/stats/requests", timeout=20).status_code == 200
            while venue.results()["summary"]["accepted"] < 1:
                assert process.poll() is None
                time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 0
    assert len(venue.accepted()) == 1


def test_the_pages_stop_button_stops_the_run(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    process = venue.start("run", "--web", "--at", venue.in_seconds(20))
    address, user, password = where_to_watch(process)
    with requests.Session() as person:
        person.trust_env = False
        wait_for_page(person, address)
        person.auth = (user, password)
        armed(venue, process)
        assert person.post(f"{address}/stop", timeout=20).status_code == 200
    while "(its stop button was pressed) before the bell" not in str(venue.results()["orders"][0]["reason"]):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 4
    assert venue.submissions() == []
    assert "by the page" in venue.firstbell("resume").stdout


def where_to_watch(process):
    said = ""
    while not (found := re.search(r"Watch at (http://127\.0\.0\.1:\d+)/\s+user (\S+) password (\S+)", said)):
        line = process.stderr.readline()
        assert line, "the run ended before its page opened"
        said += line
    return found.groups()


def wait_for_page(person, address):
    for _ in range(100):
        try:
            person.get(f"{address}/login", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the page never answered")
