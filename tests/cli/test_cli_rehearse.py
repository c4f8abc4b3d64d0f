"""``firstbell run --rehearse`` as a real process: one whole rehearsal, what ends it early, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psutil
import pytest

ACCOUNTS = """
[Order_Mine]
username = ali
password = pl4nted-1
broker_code = gs
isin = IRO1MHRN0001
[Order_Sale]
username = ali
password = pl4nted-1
broker_code = gs
isin = IRO1FOLD0001
side = sell
quantity = 1000
[Order_Fund]
username = zahra
password = pl4nted-2
broker_code = shahr
isin = IRT1ABCD0001
price = 77,770
[captcha]
solver = command
command = touch captcha-was-asked
[broker.gs]
min_interval_ms = 400
[risk]
max_order_value = 300,000,000
"""
GS, SHAHR = "https://api-gs.ephoenix.ir", "https://api-shahr.ephoenix.ir"
# Less time than a real rehearsal takes before its bell: there are few log-ins, and nobody here judges its aim.
QUICK = (
    "import sys; from datetime import timedelta; from firstbell.cli.main import main; "
    "from firstbell.sniper import rehearsal; rehearsal.BELL_IN = timedelta(seconds=int(sys.argv.pop(1))); main()"
)


def host(code, url, **changed):
    found = {"broker_codes": [code], "url": url, "offset_ms": 120.5, "uncertainty_ms": 0.8}
    return found | {"round_trips_ms": [30.2, 31.0, 34.9], "expected_delay_ms": 3.1} | changed


def measure(folder, *hosts, ago=timedelta(minutes=3)):
    state = folder / ".firstbell"
    state.mkdir(mode=0o700)
    document = {"schema": 1, "measured_at": (datetime.now(UTC) - ago).isoformat(), "hosts": list(hosts)}
    path = state / "measured.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)


@pytest.fixture
def morning(tmp_path):
    """A folder with a config, and another one for what is only temporary."""
    folder = tmp_path / "morning"
    folder.mkdir()
    (tmp_path / "temporary").mkdir()
    config = folder / "config.ini"
    config.write_text(ACCOUNTS, encoding="utf-8")
    config.chmod(0o600)
    return folder


def environment(folder):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FIRSTBELL_", "LOCUST_", "COLUMNS"))
    }
    # None of these may lead a rehearsal anywhere.
    planted = dict.fromkeys(("HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    planted |= {"FIRSTBELL_AT": "now", "LOCUST_HTML": str(folder / "report.html")}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**kept, **planted, "PYTHONPATH": path, "TMPDIR": str(folder.parent / "temporary")}


@contextlib.contextmanager
def started(folder, *options, bell_in=14):
    with subprocess.Popen(
        [sys.executable, "-c", QUICK, str(bell_in), "run", "--rehearse", *options],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def rehearse(folder, *options):
    with started(folder, *options) as process:
        out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def nothing_is_left(folder):
    assert list((folder.parent / "temporary").glob("firstbell-*")) == []
    for process in psutil.process_iter(["cmdline"]):
        assert str(folder.parent) not in " ".join(process.info["cmdline"] or ())


def test_a_whole_rehearsal_tells_what_the_exchange_saw_and_touches_nothing(morning):
    measure(
        morning,
        host("gs", GS),
        host("shahr", SHAHR, offset_ms=-80, expected_delay_ms=None),
        ago=timedelta(days=3, hours=1),
    )
    before = {path: path.read_bytes() for path in morning.rglob("*") if path.is_file()}
    status, out, err = rehearse(morning, "--json", "--processes", "2")
    assert status == 0, err
    told = json.loads(out)
    assert told["run"]["summary"] == {"configured": 3, "accepted": 3, "rejected": 0, "unresolved": 0, "not_sent": 0}
    assert [row["account"] for row in told["run"]["orders"]] == ["Order_Mine", "Order_Sale", "Order_Fund"]
    mine, sale, fund = told["run"]["orders"]
    assert (mine["side"], sale["side"], sale["quantity"]) == ("buy", "sell", 1000)
    assert fund["price"] == 77_770
    assert all(row["price"] * row["quantity"] <= 300_000_000 for row in told["run"]["orders"])
    gs, shahr = told["hosts"]
    assert (gs["url"], gs["offset_ms"], gs["expected_delay_ms"], gs["logins"], gs["orders"]) == (GS, 120.5, 3.1, 1, 2)
    assert gs["round_trip_ms"] == {"min": 30.2, "median": 31.0, "max": 34.9}
    assert (shahr["offset_ms"], shahr["expected_delay_ms"], shahr["accepted"]) == (-80, None, 1)
    for each in told["hosts"]:
        assert 0 <= each["lateness_us"]["first"] <= each["lateness_us"]["median"] <= each["lateness_us"]["last"]
        assert each["doubt"] is None
    for row in told["run"]["orders"]:
        # An answer takes the measured path there and back.
        assert all(attempt["round_trip_us"] >= 29_000 for attempt in row["attempts"])
    assert told["expect"][0].startswith("gs: your order is there ")
    assert "1 more order of the same login follows" in told["expect"][0]
    assert "paths and clocks were measured 3 days ago: `firstbell preflight` measures them anew" in err
    assert "A rehearsal: 3 accounts on the simulated exchange; no broker is spoken to." in err
    assert "gs: 30.2 to 34.9 ms there and back, its clock +120.5 ms from ours" in err
    assert "pl4nted" not in out + err
    assert {path: path.read_bytes() for path in morning.rglob("*") if path.is_file()} == before
    nothing_is_left(morning)


@pytest.mark.parametrize(("number", "status", "bell_in"), [(signal.SIGINT, 130, 60), (signal.SIGTERM, 143, 14)])
def test_whoever_ends_it_ends_all_of_it(morning, number, status, bell_in):
    measure(morning, host("gs", GS), host("shahr", SHAHR))
    # With more than half a minute it is ended while it warms up, with less while Locust runs already.
    with started(morning, bell_in=bell_in) as process:
        said = ""
        while not said.splitlines()[-1:] or not said.splitlines()[-1].startswith("Run "):
            line = process.stderr.readline()
            assert line, said
            said += line
        os.kill(process.pid, number)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    nothing_is_left(morning)


@pytest.mark.parametrize("options", [["--web"], ["--dry-run"], ["--at", "now"], ["--at", "now", "--web"]])
def test_what_a_rehearsal_does_not_take_is_a_usage_error(morning, options):
    status, out, err = rehearse(morning, *options)
    assert (status, out) == (2, "")
    said = " ".join(err.replace("│", " ").split())
    assert f"leave out {' and '.join(option for option in options if option.startswith('--'))}" in said


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        (None, "a rehearsal needs measured paths and clocks, and there are none yet"),
        ([host("gs", GS)], "shahr: not measured from here yet, or at another address"),
        ([host("gs", GS), host("shahr", "https://elsewhere.example")], "shahr: not measured from here yet"),
    ],
)
def test_without_a_measurement_it_says_what_to_do(morning, hosts, message):
    if hosts is not None:
        measure(morning, *hosts)
    status, out, err = rehearse(morning)
    assert (status, out) == (2, "")
    assert message in err
    assert "run `firstbell preflight` first" in err
    nothing_is_left(morning)
