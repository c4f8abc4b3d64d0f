"""The real command against a simulated exchange and a time server; and what it makes of its readings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal

import pytest

from firstbell.brokers.reach import Reach
from firstbell.clock.arrival import ArrivalModel
from firstbell.clock.lead import expect
from firstbell.clock.ntp import NtpReading
from firstbell.sniper import measured
from firstbell.sniper.host_clock import HostReading
from firstbell.sniper.preflight import HostReport
from firstbell_process import Process

MS = 1_000_000
URL = "https://api.example"
OLD_KEYS = {
    "broker_code",
    "service",
    "url",
    "problem",
    "tls",
    "certificate_ends_at",
    "connect_ms",
    "offset_ms",
    "uncertainty_ms",
    "round_trip_ms",
}


def environment():
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FIRSTBELL", "TELEGRAM"))}
    return clean | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "160"}


def report(offset_ms, uncertainty_ms, ntp=None, **options):
    reading = HostReading(round(offset_ms * MS), round(uncertainty_ms * MS), (40 * MS,), **options)
    return HostReport("gs", "api", URL, Reach(None), reading, ntp=ntp)


@pytest.mark.parametrize(
    ("offset_ms", "uncertainty_ms", "ntp_ms", "unexplained_ms"),
    [
        (400, 20, None, 380),
        (-400, 20, None, 380),
        (60, 20, None, 40),
        (10, 20, None, 0),
        # By NTP our own clock is to blame, …
        (400, 20, 395, 0),
        # … or is not, …
        (400, 20, 0, 375),
        (30, 5, -60, 80),
        # … or is, but not in that direction.
        (400, 20, -400, 775),
    ],
)
def test_what_nothing_explains_is_warned_of_above_50_ms(offset_ms, uncertainty_ms, ntp_ms, unexplained_ms):
    ntp = None if ntp_ms is None else NtpReading("time.example", ntp_ms * MS, 5 * MS)
    found = report(offset_ms, uncertainty_ms, ntp)
    assert found.unexplained_ns == unexplained_ms * MS
    assert bool(found.warnings) is (unexplained_ms > 50)
    assert all(URL in warning and f"{offset_ms:+.0f} ms from ours" in warning for warning in found.warnings)
    assert all("time.example" in warning for warning in found.warnings if ntp)
    assert found.refused is None


def test_a_clock_known_to_a_second_only_is_refused():
    assert report(0, 1000).refused is None
    assert "its clock is known to 1.1 s only" in report(0, 1100).refused
    assert "its clock could not be read: its answers bear no date" in (
        HostReport("gs", "api", URL, Reach(None), clock_problem="its answers bear no date").refused
    )
    assert HostReport("gs", "identity", URL, Reach(None)).refused is None
    assert HostReport("gs", "identity", URL, Reach(None)).warnings == ()


def test_contradictions_and_incredible_clocks_are_warned_of():
    (said,) = report(0, 300, contradiction_ns=250 * MS).warnings
    assert "its dates contradict each other by 250.0 ms" in said
    (said,) = report(86_400_000, 20).warnings
    assert "+86400 s from ours: not believed" in said


@pytest.fixture
def venue(tmp_path):
    """A simulated exchange, 400 ms ahead."""
    config = tmp_path / "config.ini"
    command = ["exchange", "--json", "--accounts", "2", "--offset-ms", "400", "--bell-in", "1s"]
    given = [*command, "--write-config", config]
    with Process(given, stderr=subprocess.DEVNULL, env=environment()) as process:
        json.loads(process.stdout.readline())
        yield config
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def preflight(config, *options):
    return Process(["-c", config, "preflight", *options], env=environment(), cwd=config.parent)


def test_path_lead_and_expected_delay_are_shown_and_kept(venue):
    # Log-ins are once each, so the two may run at the same time with folders of their own.
    text = venue.read_text(encoding="utf-8")
    other = venue.with_name("other.ini")
    lines = [line for line in text.splitlines() if not line.startswith("state_dir")]
    at = lines.index("[firstbell]") + 1
    lines[at:at] = ["state_dir = other", "ntp_server = 127.0.0.1:9"]
    other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    other.chmod(0o600)
    with preflight(venue, "--json") as programs, preflight(other) as people:
        out, err = programs.communicate(timeout=60)
        shown, said = people.communicate(timeout=60)
    assert (programs.returncode, people.returncode) == (0, 0), err + said
    document = json.loads(out)
    assert (document["go"], document["ntp"]) == (True, None)
    assert all(set(host) >= OLD_KEYS for host in document["hosts"])
    clocks = [host for host in document["hosts"] if host["offset_ms"] is not None]
    assert len(clocks) == 2
    for clock in clocks:
        assert abs(clock["offset_ms"] - 400) <= clock["uncertainty_ms"] + 1
        assert clock["unexplained_ms"] > 50
        assert 0 < clock["round_trip_ms"] <= clock["round_trip_median_ms"] <= clock["round_trip_p95_ms"]
        assert clock["lead_chosen"] is True
        assert 0 <= clock["expected_delay_ms"] < 200
        assert 0 <= clock["early_probability"] < 0.5
        assert clock["samples"] >= 3
        assert clock["clock_problem"] is None
    assert "ms from ours: check this machine's clock" in " ".join(err.split())

    kept = measured.load(
        next(path.parent for path in venue.parent.rglob("measured.json") if path.parent.name != "other")
    )
    (host,) = kept.hosts
    assert host.url == clocks[0]["url"]
    assert set(host.broker_codes) == {clock["broker_code"] for clock in clocks}
    assert abs(float(host.offset_ms) - 400) <= float(host.uncertainty_ms) + 1
    assert len(host.round_trips_ms) == clocks[0]["samples"]
    assert round(host.expected_delay_ms, 3) == round(Decimal(clocks[0]["expected_delay_ms"]), 3)

    assert "ntp_server 127.0.0.1:9: " in " ".join(said.split())
    for column in ("round trip, ms", "clock offset, ms", "lead, ms", "expected after the bell, ms"):
        assert column in shown


def test_a_lead_of_ones_own_is_judged_by_the_same_model():
    model = ArrivalModel((0, 10 * MS), (0.5, 0.5))
    assert expect(model, 0, 350 * MS, fire_ns=-5 * MS).early_probability == 0.5
