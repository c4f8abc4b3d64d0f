"""Streams that go away, and Ctrl-C: what has been done is what the exit status tells."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_paper import LIMIT, written

FIRSTBELL = str(Path(sys.executable).with_name("firstbell"))
PLACE = ("orders", "place", *LIMIT)
FULL = Path("/dev/full")


@pytest.fixture
def folder(tmp_path):
    def write(latency):
        written(tmp_path, f"latency = {latency}\n")
        return tmp_path

    return write


def call(folder, *command, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([FIRSTBELL, *command], cwd=folder, check=False, timeout=60, **options)


def statuses(folder):
    found = json.loads(call(folder, "--json", "orders", "list", "--offline").stdout)["orders"]
    return [order["status"] for order in found]


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full to stand for a full disk")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_cannot_be_printed_was_done_all_the_same(folder, more):
    at = folder("0ms")
    with FULL.open("w") as full:
        placed = call(at, *more, *PLACE, stdout=full)
    assert (placed.returncode, placed.stderr.count(b"could not be written")) == (0, 1)
    assert b"Traceback" not in placed.stderr
    assert statuses(at) == ["ACCEPTED"]
    with FULL.open("w") as full:
        assert call(at, *more, "orders", "cancel", "1", stdout=full, stderr=full).returncode == 0
        assert statuses(at) == ["CANCELED"]
        # Where nothing was to be done but to print, that has not been done.
        listed = call(at, *more, "orders", "list", "--offline", stdout=full)
    assert (listed.returncode, listed.stderr.count(b"could not be written")) == (74, 1)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full to stand for a full disk")
def test_the_module_is_the_same_as_the_command(folder):
    at = folder("0ms")
    command = [sys.executable, "-m", "firstbell"]
    with FULL.open("w") as full:
        printed = subprocess.run([*command, "check"], cwd=at, check=False, timeout=60, stdout=full)
    assert printed.returncode == 74
    helped = subprocess.run([*command, "check", "--help"], cwd=at, check=False, timeout=60, capture_output=True)
    assert helped.stdout.startswith(b"Usage: firstbell check")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_reader_that_has_gone_and_a_closed_stream_say_nothing_of_the_order(folder, more):
    at = folder("0ms")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        placed = call(at, *more, *PLACE, stdout=writing)
    finally:
        os.close(writing)
    assert (placed.returncode, placed.stderr) == (0, b"")
    closed = call(at, *more, *PLACE, stdout=None, stderr=None, preexec_fn=lambda: (os.close(1), os.close(2)))
    assert closed.returncode == 0
    assert statuses(at) == ["ACCEPTED", "ACCEPTED"]


def begun(folder, journal_has):
    """A command that has come as far as its bytes being on their way."""
    process = subprocess.Popen(
        [FIRSTBELL, "--json", *PLACE],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + 40
    while not journal_has():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_on_its_way_when_it_is_ended_is_awaited_or_named(folder, number, times):
    at = folder("1500ms")
    journal = at / ".firstbell" / "journal.db"

    def is_claimed():
        if not journal.exists():
            return False
        with contextlib.closing(sqlite3.connect(journal)) as db:
            try:
                return db.execute("SELECT count(*) FROM orders").fetchone()[0] == 1
            except sqlite3.OperationalError:
                # Its tables are being made.
                return False

    process = begun(at, is_claimed)
    # From its claim on it takes a moment until its bytes leave.
    time.sleep(0.5)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert b"is awaited" in err
    (order,) = json.loads(out)["orders"]
    if times == 1:
        assert (process.returncode, order["status"]) == (0, "ACCEPTED")
    else:
        assert (process.returncode, order["outcome"]) == (3, "unresolved")
        assert order["client_order_id"].encode() in err


@pytest.mark.parametrize("at", ["firstbell.cli.main", "click", "firstbell.cli.orders", "firstbell.oms.orders.manager"])
def test_ctrl_c_while_it_loads_is_said_in_a_word(folder, at):
    program = (
        "import os, signal, sys, importlib.abc\n"
        "class Impatient(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {at!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Impatient())\n"
        f"sys.argv = ['firstbell', *{PLACE!r}]\n"
        "from firstbell.__main__ import main\n"
        "main()\n"
    )
    where = folder("0ms")
    run = subprocess.run([sys.executable, "-c", program], cwd=where, check=False, timeout=60, stderr=subprocess.PIPE)
    assert (run.returncode, run.stderr.strip()) == (130, b"Interrupted.")
    assert statuses(where) == []
