"""Over TLS, several sections on one login, all the money in slices, a sale, and the demo."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal

import psutil
import pytest
from e2e_venue import environment

from firstbell.market import fee_rate
from firstbell.model.terms import Side
from firstbell.oms.sizing import affordable, cost

RATE = fee_rate("XTEH", Side.BUY)


def test_over_tls_preflight_dry_run_and_run(open_venue, tmp_path):
    venue = open_venue("--accounts", "2", "--bell-in", "1s", "--tls", str(tmp_path / "tls"), "--offset-ms", "400")
    preflight = venue.firstbell("preflight", "--json")
    found = json.loads(preflight.stdout)
    assert preflight.returncode == 0, preflight.stderr
    assert found["go"]
    assert {host["tls"] for host in found["hosts"]} == {"TLSv1.3"}
    clocks = [host for host in found["hosts"] if host["offset_ms"] is not None]
    assert len(clocks) == 2
    for clock in clocks:
        assert abs(clock["offset_ms"] - 400) <= clock["uncertainty_ms"] + 1
        assert clock["uncertainty_ms"] < 100
    assert "clock is +400 ms from ours" in preflight.stderr.replace("\n", " ") or "ms from ours" in preflight.stderr

    dry = venue.firstbell("run", "--at", "now", "--dry-run", "--json")
    assert dry.returncode == 0
    first, second = json.loads(dry.stdout)["orders"]
    assert (first["outcome"], first["price"], first["quantity"]) == ("not_sent", 5860, 170_018)
    assert first["reason"] == "dry run: would buy 170,018 at 5,860"
    assert (second["price"], second["quantity"]) == (3601, 276_677)
    assert venue.submissions() == []

    run = venue.firstbell("run", "--at", "now", "--json")
    assert run.returncode == 0, run.stderr
    assert len(venue.accepted()) == 2
    assert len(venue.seen()["logins"]) == 2


def test_an_untrusted_certificate_is_a_no_go_and_nothing_is_sent(open_venue, tmp_path):
    venue = open_venue("--accounts", "1", "--bell-in", "1s", "--tls", str(tmp_path / "tls"))
    text = venue.config.read_text(encoding="utf-8")
    venue.config.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("ca_file")))
    preflight = venue.firstbell("preflight")
    assert preflight.returncode == 1
    assert "certificate is not trusted" in preflight.stdout
    run = venue.firstbell("run", "--at", "now", "--json")
    (row,) = json.loads(run.stdout)["orders"]
    assert (run.returncode, row["outcome"]) == (1, "not_sent")
    assert "certificate" in row["reason"]


def test_sections_of_one_login_share_money_and_interval_and_slices_are_paced(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    account = venue.said["accounts"][0]
    one = {name: account[name] for name in ("username", "password", "broker_code")}
    fields = "".join(f"{name} = {value}\n" for name, value in one.items())
    text = venue.config.read_text(encoding="utf-8")
    head = text[: text.index("[Order_")]
    sections = (
        f"[Order_First]\n{fields}isin = IRO1BMLT0001\nmax_value = 400000000\n\n"
        f"[Order_Rest]\n{fields}isin = IRO1SIPA0001\norders = all\nquantity = 220000\n\n"
        f"[Order_Sale]\n{fields}isin = {account['isin']}\nside = sell\n"
    )
    venue.config.write_text(head + sections, encoding="utf-8")
    run = venue.firstbell("run", "--at", venue.in_seconds(6), "--json")
    assert run.returncode == 0, run.stderr
    rows = json.loads(run.stdout)["orders"]
    assert [row["account"] for row in rows] == ["Order_First", "Order_Rest", "Order_Sale"]
    first, rest, sale = rows
    assert first["quantity"] == affordable(Decimal(400_000_000), Decimal(first["price"]), RATE)
    assert rest["quantity"] == 220_000
    spent = sum(cost(Decimal(row["quantity"]), Decimal(row["price"]), RATE) for row in (first, rest))
    assert spent <= account["money"]
    assert (sale["side"], sale["quantity"]) == ("sell", account["holdings"][account["isin"]])
    arrivals = [order["arrival_ns"] for order in venue.submissions()]
    assert len(arrivals) == 3
    assert all(later - earlier >= 300_000_000 for earlier, later in itertools.pairwise(arrivals))
    assert len(venue.seen()["logins"]) == 1


def test_the_demo(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "firstbell", "demo", "--accounts", "8", "--bell-in", "14"],
        env=environment(),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("order_results/*/orders.json")
    document = json.loads(results.read_text(encoding="utf-8"))
    assert document["summary"] == {"configured": 8, "accepted": 8, "rejected": 0, "unresolved": 0, "not_sent": 0}
    assert len({row["broker_code"] for row in document["orders"]}) == 6
    assert "8 orders accepted from 8 accounts" in done.stderr
    assert "مهرگان" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["order_results"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_the_demo_ends_all_of_it(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "firstbell", "demo", "--accounts", "2", "--bell-in", "60"],
        env=environment(TMPDIR=str(tmp_path)),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr:
        if "firstbell warmup" in line:
            break
    if number is signal.SIGINT:
        # As the terminal does it: everybody in the foreground is told.
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    process.communicate(timeout=100)
    assert process.returncode == (130 if number is signal.SIGINT else 128 + number)
    assert list(tmp_path.glob("firstbell-demo-*")) == []
    left = [other.info["cmdline"] for other in psutil.process_iter(["cmdline"]) if str(tmp_path) in _command(other)]
    assert left == []


def _command(process):
    return " ".join(process.info["cmdline"] or ())
