"""Orders from the shell, on paper: each command a real process, as a person or a script would call it."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from cli_paper import CONFIG, LIMIT, written
from click.testing import CliRunner

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.cli.main import cli
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.journal.base import HELD_NS, Intent
from firstbell.journal.owner import this_process
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.engines import Engines
from firstbell.oms.office import Office
from firstbell_process import Process, run_firstbell


@pytest.fixture
def firstbell(tmp_path):
    config = written(tmp_path)

    def call(*arguments, json_=True, status=0):
        done = run_firstbell(["-c", config, *arguments, *(["--json"] if json_ else [])], cwd=tmp_path)
        assert done.returncode == status, (done.stdout, done.stderr)
        return json.loads(done.stdout) if json_ else done.stdout + done.stderr

    call.config = config
    return call


def test_side_and_type_have_to_be_said(firstbell):
    said = firstbell("orders", "place", "--instrument", "X", "--quantity", "1", "--price", "1", json_=False, status=2)
    assert "Missing option '--side'" in said
    said = firstbell("orders", "place", *LIMIT[:4], "--quantity", "1", json_=False, status=2)
    assert "Missing option '--type'" in said
    bad = ("--instrument", "X", "--side", "buy", "--type", "limit", "--quantity", "x", "--price", "1")
    assert "not a number" in firstbell("orders", "place", *bad, json_=False, status=2)


def test_an_order_is_placed_changed_shown_and_canceled(firstbell):
    (placed,) = firstbell("orders", "place", *LIMIT)["orders"]
    name = placed["client_order_id"]
    assert (placed["status"], placed["price"], placed["quantity"]) == ("ACCEPTED", 4860, 1000)
    changed = firstbell("orders", "replace", name, "--price", "۴۸۵۰")["orders"][0]
    assert (changed["status"], changed["price"]) == ("ACCEPTED", 4850)
    shown = firstbell("orders", "show", name)
    assert [each["report"] for each in shown["reports"]][-2:] == ["PENDING_REPLACE", "REPLACED"]
    assert firstbell("orders", "cancel", placed["venue_order_id"])["status"] == "CANCELED"
    assert firstbell("orders", "list")["orders"][0]["status"] == "CANCELED"
    assert "nothing to change" in firstbell("orders", "replace", name, "--price", "4840", json_=False, status=2)


def test_everything_that_is_wrong_is_told_on_a_line_of_its_own(firstbell):
    wrong = (*LIMIT[:4], "--type", "limit", "--quantity", "999999999", "--price", "99999999")
    said = firstbell("orders", "place", *wrong, json_=False, status=1)
    denied = said[said.index("Denied:") :].splitlines()
    assert denied[0] == "Denied: "
    assert all(line.startswith("  ") and line.endswith("]") for line in denied[1:3])


def test_whoever_has_a_stop_held_back_is_told_where_nobody_looks_after_it(firstbell):
    stop = ("--instrument", "IRO1FOLD0001", "--side", "sell", "--type", "stop", "--quantity", "10", "--trigger", "4800")
    told = firstbell("orders", "place", *stop)
    (placed,) = told["orders"]
    why = "it is held back, and no process here looks after it: start `firstbell orders watch`"
    assert told["to_look_at"] == [{"name": placed["client_order_id"], "why": why}]
    office = Office(load(firstbell.config))
    engines = Engines.of(office.state_dir)
    try:
        # As a run at the bell does, which looks after nothing.
        engines.enlist()
        assert len(firstbell("orders", "place", *stop)["to_look_at"]) == 1
        engines.enlist(makes_rounds=True)
        assert firstbell("orders", "place", *stop)["to_look_at"] == []
    finally:
        Engines.of(office.state_dir).resign()
        office.close()


def test_what_works_or_is_held_back_since_another_day_is_listed_too(firstbell):
    office = Office(load(firstbell.config))
    today = exchange_now(office.clock, office.calendar.tz).date()
    yesterday = today - timedelta(days=1)
    order = Order("x", "Order_Paper", "paper", "IRO1FOLD0001", Side.SELL, Decimal(4950), Decimal(10), yesterday)
    ends = {
        "works": ["SUBMITTED", "ACCEPTED"],
        "held": [],
        "gone": ["SUBMITTED", "ACCEPTED", "CANCELED"],
        "ended-today": ["SUBMITTED", "ACCEPTED", "CANCELED"],
    }
    now = instant(office.clock.wall_ns())
    for name, kinds in ends.items():
        named = replace(order, client_order_id=name)
        office.journal.claim(Intent(named, "login", name, HELD_NS, frozenset()), "run", this_process())
        for kind in kinds:
            at = now if (name, kind) == ("ended-today", "CANCELED") else now - timedelta(days=1)
            office.journal.append([ExecutionReport(name, "run", ReportKind(kind), at)])
    office.close()
    listed = firstbell("orders", "list", "--offline")["orders"]
    assert [each["client_order_id"] for each in listed] == ["works", "held", "ended-today"]
    day = firstbell("orders", "list", "--offline", "--day", today.isoformat())["orders"]
    assert [each["client_order_id"] for each in day] == ["ended-today"]


def test_what_several_processes_held_back_one_after_the_other_is_listed_once(firstbell):
    stop = ("--instrument", "IRO1FOLD0001", "--side", "sell", "--type", "stop", "--trigger", "4800", "--quantity", "10")
    firstbell("orders", "place", *stop)
    for _ in range(2):
        firstbell("orders", "place", *LIMIT)
    listed = firstbell("orders", "list", "--offline")["orders"]
    assert [each["held_back"] for each in listed if each["order_type"] == "stop"] == [True]
    every = firstbell("orders", "list", "--offline", "--all")["orders"]
    stops = [each for each in every if each["order_type"] == "stop"]
    assert [each["held_back"] for each in stops] == [False] * (len(stops) - 1) + [True]
    assert len(stops) > 1


def test_reconciling_counts_trades_of_a_canceled_order_and_says_what_they_leave_unprotected(firstbell, monkeypatch):
    placed = firstbell("orders", "place", *LIMIT, "--take-profit", "4950", "--stop-loss", "4800")["orders"]
    for each in placed:
        firstbell("orders", "cancel", each["client_order_id"])
    listed = PaperBroker.orders
    monkeypatch.setattr(
        PaperBroker,
        "orders",
        lambda self, day: tuple(replace(row, filled_qty=Decimal(400)) for row in listed(self, day)),
    )
    done = CliRunner().invoke(cli, ["-c", str(firstbell.config), "--json", "orders", "reconcile", "--once"])
    (entry,) = json.loads(done.stdout)["orders"]
    assert (entry["status"], entry["filled_qty"]) == ("CANCELED", 400)
    assert f"Look at {placed[0]['client_order_id']}" in done.stderr
    assert "400 shares are unprotected" in " ".join(done.stderr.split())


def test_everything_that_is_wrong_is_told_with_its_codes(firstbell):
    wrong = (
        "--instrument",
        "IRO1FOLD0001",
        "--side",
        "buy",
        "--type",
        "limit",
        "--quantity",
        "500000",
        "--price",
        "9999",
    )
    (denied,) = firstbell("orders", "place", *wrong, status=1)["orders"]
    assert {each["code"] for each in denied["verdicts"]} == {"PRICE_ERROR", "QUANTITY_ERROR"}
    assert denied["client_order_id"] is None
    assert firstbell("orders", "list")["orders"] == []
    # It stands in no journal, and in the order log all the same.
    (line,) = (firstbell.config.parent / ".firstbell" / "logs" / "orders.log").read_text().splitlines()
    failed = json.loads(line)
    assert (failed["event"], failed["account"], failed["quantity"]) == ("failed", "Order_Paper", 500000)
    assert "price band: 9,999" in failed["reason"]


def test_the_same_key_from_two_calls_is_one_order(firstbell):
    first, again = (firstbell("orders", "place", *LIMIT, "--key", "once")["orders"][0] for _ in range(2))
    assert first["client_order_id"] == again["client_order_id"]
    assert len(firstbell("orders", "list")["orders"]) == 1


def test_real_money_needs_two_words(firstbell):
    real = CONFIG.partition("[paper]")[0].replace("= paper", "= shahr")
    firstbell.config.write_text(real)
    said = firstbell("orders", "place", *LIMIT, json_=False, status=2)
    assert "trades with real money at shahr" in said
    said = firstbell("orders", "place", *LIMIT, "--live", json_=False, status=2)
    assert "mode = live into its section [orders]" in said


def test_a_halt_lets_nothing_be_placed_and_cancels_pass(firstbell):
    name = firstbell("orders", "place", *LIMIT)["orders"][0]["client_order_id"]
    firstbell("halt")
    (denied,) = firstbell("orders", "place", *LIMIT, status=4)["orders"]
    assert "halted" in denied["message"] or "halted" in denied["reason"]
    assert firstbell("orders", "cancel", name)["status"] == "CANCELED"
    firstbell("resume")
    assert firstbell("orders", "place", *LIMIT)["orders"][0]["status"] == "ACCEPTED"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_when_it_is_told_to_and_what_is_held_stays_held(firstbell, tmp_path, ending):
    stop = ("--instrument", "IRO1FOLD0001", "--side", "sell", "--type", "stop", "--quantity", "10", "--trigger", "4800")
    firstbell("orders", "place", *LIMIT)
    held = firstbell("orders", "place", *stop)["orders"][0]
    assert held["held_back"]
    with Process(["-c", firstbell.config, "orders", "watch", "--json"], cwd=tmp_path) as watching:
        engines = tmp_path / ".firstbell" / "engines"
        until = time.monotonic() + 30
        while not (engines.exists() and list(engines.glob(f"{watching.pid}-*.json"))):
            assert time.monotonic() < until
            assert watching.poll() is None
            time.sleep(0.05)
        os.kill(watching.pid, ending)
        out, err = watching.communicate(timeout=20)
    assert watching.returncode == 0, (out, err)
    assert "Traceback" not in err
    (now,) = (each for each in firstbell("orders", "list")["orders"] if each["held_back"])
    assert now["client_order_id"] == f"{held['client_order_id']}-r2"
    assert firstbell("orders", "cancel", now["client_order_id"])["status"] == "DENIED"


def test_brokers_say_how_they_do(firstbell):
    (account,) = firstbell("orders", "brokers")["accounts"].values()
    assert (account["calls"], account["failures"], account["error_rate"]) == (1, 0, 0.0)
