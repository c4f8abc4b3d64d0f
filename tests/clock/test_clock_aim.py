"""The whole loop in simulated time: probing, estimating, aiming, firing, and again; statistics over many seeds."""

from __future__ import annotations

from statistics import fmean, median

import pytest
from clock_distant_host import PATHS, DistantHost, shots

MS = 1_000_000


def p95(found):
    return found[int(0.95 * len(found))].late_ms


@pytest.mark.parametrize("offset_ms", [1700, -800])
@pytest.mark.parametrize("path", ["20 ± 3 each way", "20 ± 3 there and back"])
def test_the_first_accepted_arrival_is_soon_after_the_bell_of_a_host_known_by_its_dates_alone(path, offset_ms):
    found = shots(15, path, offset_ms, 16, fine=False)
    assert median(shot.late_ms for shot in found) <= 10
    assert p95(found) <= 20
    assert max(shot.attempts for shot in found) == 1
    assert not any(shot.contradicted for shot in found)


@pytest.mark.parametrize(
    ("path", "median_ms", "p95_ms"),
    [
        ("20 ± 3, normal", 13, 40),
        ("loopback", 1.2, 2),
        ("heavy tails", 8, 30),
        ("slow there, fast back", 9, 20),
    ],
)
def test_other_paths(path, median_ms, p95_ms):
    found = shots(12, path, 1700, 16, fine=False)
    assert median(shot.late_ms for shot in found) <= median_ms
    assert p95(found) <= p95_ms
    assert max(shot.attempts for shot in found) <= 2
    assert all(shot.probes <= 25 for shot in found)


def test_with_a_minute_to_look_it_is_sharper_still():
    found = shots(4, "20 ± 3 each way", -800, 56)
    assert median(shot.late_ms for shot in found) <= 8
    assert found[-1].late_ms <= 15
    assert all(shot.probes <= 40 for shot in found)


def test_five_seconds_of_looking_are_worth_a_lot():
    found = shots(25, "20 ± 3 each way", -800, 5)
    assert median(shot.late_ms for shot in found) <= 20
    assert p95(found) <= 60
    assert max(shot.attempts for shot in found) <= 2


def test_what_is_expected_is_what_happens():
    found = shots(30, "20 ± 3 each way", 1700, 8)
    assert fmean(shot.expected_ms for shot in found) == pytest.approx(fmean(shot.late_ms for shot in found), rel=0.3)


def test_a_single_probe_promises_little_and_keeps_it():
    found = shots(60, "20 ± 3 each way", 1700, 5, most=1)
    assert all(shot.expected_ms > 100 for shot in found)
    assert all(0 <= shot.late_ms < 600 for shot in found)
    assert max(shot.attempts for shot in found) <= 4


def test_several_machines_with_different_clocks_are_found_out_and_aimed_at_with_care():
    found = shots(15, "20 ± 3 each way", 1700, 20, machines=(0, 300))
    assert sum(shot.contradicted for shot in found) >= 13
    assert fmean(shot.expected_ms for shot in found if shot.contradicted) > 40
    assert median(shot.late_ms for shot in found) <= 300
    assert max(shot.late_ms for shot in found) <= 700
    assert max(shot.attempts for shot in found) <= 4


def test_clocks_days_apart_break_nothing():
    host = DistantHost("loopback", 0, 1, machines=(0, 3 * 86_400_000 * MS))
    host.measure(10)
    shot = host.fire()
    assert shot.contradicted


@pytest.mark.parametrize("path", PATHS)
def test_looking_ends_by_itself_and_is_polite(path):
    host = DistantHost(path, 0, 7)
    host.measure(1000, fine=False)
    assert 20 <= len(host.probes) <= 40
    assert (host.now_ns - host.began_ns) / 1e9 < 30
