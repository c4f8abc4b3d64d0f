from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.clock import Probe, date_header_s, estimate
from firstbell.clock.probing import next_probe_ns

MS = 1_000_000
S = 1_000_000_000
START = 1_795_000_000 * S


@dataclass
class Server:
    """A server whose clock differs from ours by so many ns."""

    offset_ns: int

    def probe(self, sent_ns: int, out_ns: int, back_ns: int) -> Probe:
        return Probe(sent_ns, sent_ns + out_ns + back_ns, (sent_ns + out_ns + self.offset_ns) // S)


OFFSETS = st.integers(-3_600 * S, 3_600 * S)
DELAYS = st.integers(0, 2 * S)
JOURNEYS = st.tuples(st.integers(0, 10 * S), DELAYS, DELAYS)


@given(OFFSETS, st.lists(JOURNEYS, min_size=1, max_size=12))
def test_the_truth_lies_within_the_uncertainty_for_any_delays(
    offset_ns: int, journeys: list[tuple[int, int, int]]
) -> None:
    server = Server(offset_ns)
    now_ns, probes = START, []
    for pause_ns, out_ns, back_ns in journeys:
        now_ns += pause_ns
        probes.append(server.probe(now_ns, out_ns, back_ns))
        now_ns = probes[-1].answered_ns
    found = estimate(probes)
    assert found is not None
    assert found.contradiction_ns == 0
    assert abs(found.offset_ns - offset_ns) <= found.uncertainty_ns
    assert found.samples == len(journeys)


@settings(max_examples=30)
@given(OFFSETS, st.integers(1, 200 * MS), st.integers(0, 10), st.integers(0, 2**32))
def test_probes_aimed_at_the_changes_pin_it_to_about_a_round_trip(
    offset_ns: int, trip_ns: int, spread: int, seed: int
) -> None:
    server, chance = Server(offset_ns), random.Random(seed)  # noqa: S311 - a test's journeys
    now_ns, probes = START + chance.randrange(S), list[Probe]()
    while len(probes) < 24 and (at_ns := next_probe_ns(probes, now_ns)) is not None:
        extra_ns = chance.randrange(trip_ns * spread // 100 + 1)
        out_ns = chance.randrange(trip_ns + 1)
        probes.append(server.probe(at_ns, out_ns, trip_ns - out_ns + extra_ns))
        now_ns = probes[-1].answered_ns
    found = estimate(probes)
    assert found is not None
    assert abs(found.offset_ns - offset_ns) <= found.uncertainty_ns
    assert 2 * found.uncertainty_ns <= max(2.5 * trip_ns, 10 * MS)


def test_one_probe_says_a_second_and_a_round_trip() -> None:
    found = estimate([Server(0).probe(START + 400 * MS, 10 * MS, 10 * MS)])
    assert found is not None
    assert 2 * found.uncertainty_ns == S + 20 * MS
    assert found.round_trip_ns == 20 * MS


def test_servers_that_disagree_are_told() -> None:
    both = (Server(0), Server(5 * S))
    probes = [server.probe(START + step * 50 * MS, MS, MS) for server in both for step in range(20)]
    found = estimate(probes)
    assert found is not None
    assert found.contradiction_ns > 4 * S
    for truth in (0, 5 * S):
        assert abs(found.offset_ns - truth) <= found.uncertainty_ns


def test_no_probe_says_nothing_and_is_sent_at_once() -> None:
    assert estimate([]) is None
    assert next_probe_ns([], START) == START


def test_a_probe_takes_time() -> None:
    with pytest.raises(ValueError, match="before"):
        Probe(2, 1, 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sat, 21 Nov 2026 05:15:00 GMT", 1_795_238_100),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 08:45:00 +0330", 1_795_238_100),
        ("Sat, 21 Nov 2026 05:15:00", None),
        ("soon", None),
        ("", None),
        ("Sat, 99 Nov 2026 05:15:00 GMT", None),
        ("Sat, 21 Nov 99999999999999999999 05:15:00 GMT", None),
    ],
)
def test_date_headers(text: str, seconds: int | None) -> None:
    assert date_header_s(text) == seconds


@given(st.text())
def test_no_date_header_breaks_anything(text: str) -> None:
    found = date_header_s(text)
    assert found is None or isinstance(found, int)
