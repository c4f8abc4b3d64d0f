"""One run on several processes and machines: real masters and workers, killed, and judged by what the exchange saw."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime

import psutil
import pytest
from e2e_venue import LOCUSTFILE, environment, later_s

from firstbell.clock import SystemClock
from firstbell.journal.opening import open_journal
from firstbell.sniper.dealing.sealing import new_key

KEY = new_key()
SIX = ("--accounts", "6", "--bell-in", "1s", "--port-per-broker")
"""A host for each broker: at one host, log-ins keep a second's distance."""


def judge(venue, document):
    """The oracle: no plan is at the exchange twice, what is reported is what happened, and nobody goes unmentioned."""
    accepted = {}
    for order in venue.accepted():
        plan = (order["account"], order["isin"])
        assert plan not in accepted, f"accepted twice: {plan}"
        accepted[plan] = order
    rows = {row["account"]: row for row in document["orders"]}
    assert len(rows) == len(document["orders"]) == len(venue.said["accounts"]) == document["summary"]["configured"]
    for number, account in enumerate(venue.said["accounts"], start=1):
        row = rows[f"Order_Account{number}_{account['broker_code'].capitalize()}"]
        there = accepted.get((account["username"], account["isin"]))
        if row["outcome"] == "accepted":
            assert str(there["serial"]) == row["venue_order_id"], row
        elif row["outcome"] in {"rejected", "not_sent"}:
            assert there is None, row
            assert row["reason"], row
    return accepted


@dataclass
class Nodes:
    """Masters and workers, each a process of its own in a folder of its own."""

    venue: object
    tmp: object
    procs: list = field(default_factory=list)
    port: int = 0

    def __post_init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def journal_in(self, url):
        self.venue.config.write_text(re.sub(r"(?m)^\[firstbell\]$", f"[firstbell]\njournal = {url}", self.text))

    @property
    def text(self):
        return self.venue.config.read_text(encoding="utf-8")

    def start(self, name, command, *, config=False, host=None, **env):
        folder = self.tmp / name
        folder.mkdir(exist_ok=True)
        if config:
            env["FIRSTBELL_CONFIG"] = str(self.venue.config)
        if host is not None:
            command = ["unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$0" "$@"', *command]
        with (folder / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment(**env),
                cwd=folder,
                start_new_session=True,
            )
        self.procs.append(process)
        return process

    def master(self, at, workers, *more):
        options = ["--master", "--master-bind-port", self.port, "--expect-workers", workers, "--only-summary", *more]
        command = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--headless", *options]
        return self.start("master", command, config=True, FIRSTBELL_AT=at, FIRSTBELL_KEY=KEY)

    def worker(self, name, *, key=KEY, host=None):
        command = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--worker", "--master-port", self.port]
        env = {} if key is None else {"FIRSTBELL_KEY": key}
        return self.start(name, command, host=host, **env)

    def said(self, name):
        return (self.tmp / name / "stderr").read_text(encoding="utf-8")

    def end(self):
        for process in self.procs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def nodes(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(venue):
            made = Nodes(venue, tmp_path)
            stack.callback(made.end)
            return made

        yield make


def until(condition, process=None, seconds=90, pause_s=0.1):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        assert process is None or process.poll() is None, "it ended too soon"
        time.sleep(pause_s)


def armed(venue, count):
    with contextlib.suppress(ValueError):
        return sum(row["status"] == "INITIALIZED" for row in venue.results()["orders"]) >= count
    return False


def forks_of(process):
    """The workers of `firstbell run --processes N`: Locust's master, and its forks below it."""
    (master,) = psutil.Process(process.pid).children()
    return master.children()


def other_host():
    """A host's name for a worker that is to be seen from afar; skips where this user may not give it one."""
    tried = subprocess.run(["unshare", "--uts", "hostname", "elsewhere"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("this user may not give a process another host name (unshare --uts)")
    return "elsewhere"


def test_refused_before_anything_is_sent(open_venue, nodes, postgres_url):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    made = nodes(venue)
    on_sqlite = made.master(venue.in_seconds(60), 1)
    assert on_sqlite.wait(timeout=100) == 2
    assert "set journal = postgresql://" in made.said("master")
    made.journal_in(postgres_url)
    command = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--headless", "--master"]
    as_worker = venue.firstbell("run", "--", "--worker")
    assert as_worker.returncode == 2
    assert "needs no config" in as_worker.stderr
    refused = {
        "master without a key": made.start("keyless", command, config=True),
        "worker without a key": made.worker("no-key", key=None),
        "worker with no key at all": made.worker("bad-key", key="quite-a-secret"),
    }
    for who, process in refused.items():
        assert process.wait(timeout=100) == 2, who
    for name in ("keyless", "no-key", "bad-key"):
        assert "`firstbell key` makes one" in made.said(name)
        assert "quite-a-secret" not in made.said(name)
    assert venue.submissions() == []


def test_two_machines_share_the_accounts_and_strangers_do_not_come_in(open_venue, nodes, postgres_url, tmp_path):
    venue = open_venue(*SIX, "--fault", "token_ends_at_bell:n=2")
    made = nodes(venue)
    made.journal_in(postgres_url)
    master = made.master(venue.in_seconds(22), 2)
    stranger = made.worker("stranger", key=new_key())
    made.worker("one")
    made.worker("two")
    assert stranger.wait(timeout=100) == 2
    assert "it has another FIRSTBELL_KEY" in made.said("stranger")
    until(lambda: armed(venue, 6), master)
    time.sleep(max(0.0, venue.rings - 6.5 - later_s() / 2 - time.monotonic()))
    late = made.worker("late")
    assert master.wait(timeout=100) == 0, made.said("master")
    assert late.wait(timeout=100) == 0
    document = venue.results()
    assert len(judge(venue, document)) == 6
    assert document["summary"]["accepted"] == 6
    secrets = {account[name] for account in venue.said["accounts"] for name in ("username", "password")}
    for name in ("one", "two", "late", "stranger"):
        for path in (tmp_path / name).rglob("*"):
            text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
            assert not any(secret in text for secret in {*secrets, KEY}), path


def test_a_halt_on_the_masters_machine_reaches_workers_elsewhere(open_venue, nodes, postgres_url):
    elsewhere = other_host()
    venue = open_venue("--accounts", "4", "--bell-in", "300s", "--port-per-broker")
    made = nodes(venue)
    made.journal_in(postgres_url)
    master = made.master(venue.in_seconds(16), 2)
    made.worker("one", host=elsewhere)
    made.worker("two", host=elsewhere)
    # The exchange opens much later: every order is refused and sent again.
    until(lambda: len(venue.submissions()) > 8, master)
    halted = json.loads(venue.firstbell("halt", "--json").stdout)
    halted_ns = int(datetime.fromisoformat(halted["since"]).timestamp() * 1e9)
    assert master.wait(timeout=100) == 4, made.said("master")
    assert all(each["arrival_ns"] < halted_ns + 100_000_000 for each in venue.submissions())
    document = venue.results()
    assert len(judge(venue, document)) == 0
    assert all("called by hand" in row["reason"] for row in document["orders"]), document["orders"]


def test_a_budget_spent_elsewhere_halts_everybody(open_venue, nodes, postgres_url):
    elsewhere = other_host()
    venue = open_venue("--accounts", "2", "--bell-in", "300s", "--port-per-broker")
    made = nodes(venue)
    made.journal_in(postgres_url)
    venue.config.write_text(f"{made.text}\n[risk]\nmax_attempts_per_order = 4\n", encoding="utf-8")
    master = made.master(venue.in_seconds(16), 1)
    made.worker("one", host=elsewhere)
    assert master.wait(timeout=100) == 4, made.said("master")
    assert 4 <= len(venue.submissions()) <= 8
    assert "the budget of 4 attempts per order is spent" in venue.firstbell("resume").stdout


@pytest.mark.timeout(200)
def test_a_dead_machines_orders_are_handed_over_or_asked_for(open_venue, nodes, postgres_url, tmp_path):
    elsewhere = other_host()
    venue = open_venue(*SIX, "--fault", "delay:ms=3000,on=order")
    made = nodes(venue)
    made.journal_in(postgres_url)
    # A busy machine takes half a minute to claim, and it is not handed over at once.
    master = made.master(venue.in_seconds(80), 3)
    made.worker("here")
    before = made.worker("dies-before", host=elsewhere)
    after = made.worker("dies-after", host=elsewhere)
    with contextlib.closing(open_journal(postgres_url, tmp_path / "unused", SystemClock())) as journal:
        # Sooner than in the results, which are written when there is time: who comes late is not handed over.
        until(lambda: len(journal.entries()) == 6, master, seconds=venue.rings - time.monotonic())
    os.killpg(before.pid, signal.SIGKILL)
    until(lambda: len(venue.submissions()) == 6, master, seconds=110, pause_s=0.3)
    os.killpg(after.pid, signal.SIGKILL)
    assert master.wait(timeout=100) == 0, made.said("master")
    document = venue.results()
    assert len(judge(venue, document)) == 6
    assert len(venue.submissions()) == 6
    assert any(row["attempts"] == [] for row in document["orders"])


@pytest.mark.parametrize("before_s", [7, 2])
def test_what_a_worker_had_is_handed_over_when_it_dies_before_the_bell(open_venue, before_s):
    venue = open_venue(*SIX)
    venue.edit("[firstbell]\n", "[firstbell]\ngive_up_after = 8s\n")
    process = venue.start("run", "--at", venue.in_seconds(15), "--processes", "2", "--json")
    until(lambda: armed(venue, 6), process)
    time.sleep(max(0.0, venue.rings - before_s - time.monotonic()))
    forks_of(process)[0].kill()
    out, err = process.communicate(timeout=100)
    document = json.loads(out)
    unresolved = document["summary"]["unresolved"]
    # So late it depends on how well the hosts' clocks were known by then whether it is certain that nothing had left.
    assert unresolved == 0 or (before_s == 2 and process.returncode == 3), err
    assert len(judge(venue, document)) == len(venue.submissions()) == 6 - unresolved


def test_what_a_worker_had_sent_when_it_died_is_asked_for_and_never_sent_again(open_venue):
    venue = open_venue(*SIX, "--fault", "delay:ms=3000,on=order")
    process = venue.start("run", "--at", venue.in_seconds(11), "--processes", "2", "--json")
    until(lambda: armed(venue, 6), process)
    workers = forks_of(process)
    until(lambda: len(venue.submissions()) == 6, process)
    workers[0].kill()
    out, err = process.communicate(timeout=100)
    document = json.loads(out)
    assert process.returncode == 0, err
    assert len(judge(venue, document)) == 6
    assert len(venue.submissions()) == 6
    assert any(row["attempts"] == [] for row in document["orders"])


def test_workers_fire_nothing_when_their_master_has_died(open_venue):
    venue = open_venue(*SIX)
    process = venue.start("run", "--at", venue.in_seconds(13), "--processes", "2", "--json")
    until(lambda: armed(venue, 6), process)
    (master,) = psutil.Process(process.pid).children()
    workers = master.children()
    master.kill()
    psutil.wait_procs(workers, timeout=20)
    process.communicate(timeout=100)
    while time.monotonic() < venue.rings + 1:
        time.sleep(0.2)
    assert venue.submissions() == []
    document = json.loads(venue.firstbell("results", "--json").stdout)
    assert document["summary"]["not_sent"] == 6
    reasons = {row["reason"] for row in document["orders"]}
    assert all("its master" in reason or reason == "stopped before the bell" for reason in reasons), reasons


def test_many_accounts_in_two_processes_once_each(open_venue):
    venue = open_venue("--accounts", "24", "--bell-in", "1s", "--port-per-broker")
    run = venue.firstbell("run", "--at", venue.in_seconds(19), "--processes", "2", "--json")
    document = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert len(judge(venue, document)) == len(venue.submissions()) == 24


def test_with_no_worker_left_the_run_says_so_and_ends(open_venue):
    venue = open_venue(*SIX)
    process = venue.start("run", "--at", venue.in_seconds(60), "--processes", "2", "--json")
    until(lambda: armed(venue, 6), process)
    for worker in forks_of(process):
        worker.kill()
    # Long before the bell.
    out, err = process.communicate(timeout=25)
    document = json.loads(out)
    assert process.returncode == 1, err
    assert document["summary"]["not_sent"] == 6
    assert all("no worker was left" in row["reason"] for row in document["orders"])
    assert venue.submissions() == []


def test_a_worker_of_another_machine_may_join_forks_shortly_before_the_bell(open_venue, nodes, postgres_url):
    venue = open_venue(*SIX)
    made = nodes(venue)
    made.journal_in(postgres_url)
    port = ["--master-bind-port", str(made.port), "--master-port", str(made.port)]
    process = venue.start(
        "run", "--at", venue.in_seconds(15), "--processes", "2", "--json", "--", *port, FIRSTBELL_KEY=KEY
    )
    until(lambda: armed(venue, 6), process)
    time.sleep(max(0.0, venue.rings - 6.5 - later_s() / 2 - time.monotonic()))
    made.worker("third")
    out, err = process.communicate(timeout=100)
    document = json.loads(out)
    assert process.returncode == 0, err
    assert len(judge(venue, document)) == len(venue.submissions()) == 6
