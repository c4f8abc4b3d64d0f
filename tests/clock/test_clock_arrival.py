from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.clock import Probe
from firstbell.clock.arrival import ArrivalModel, arrivals
from firstbell.clock.lead import aim, expect, lead_of
from firstbell.clock.probing import next_probe_ns

MS = 1_000_000
S = 1_000_000_000
EPOCH = 1_795_000_000 * S
INTERVAL = 350 * MS

WEIRD = st.builds(
    lambda sent, trip, date: Probe(sent, sent + trip, date),
    st.one_of(st.integers(0, 10 * S), st.integers(-(2**70), 2**70)),
    st.one_of(st.just(0), st.integers(0, 100 * MS), st.integers(0, 2**60)),
    st.one_of(st.integers(0, 12), st.integers(1_794_999_990, 1_795_000_020), st.integers(-(2**33), 2**33)),
)
MODELS = st.lists(
    st.tuples(st.integers(0, 2 * S), st.integers(1, 100)), min_size=1, max_size=12, unique_by=lambda pair: pair[0]
).map(
    lambda pairs: ArrivalModel(
        tuple(EPOCH + shift for shift, _ in sorted(pairs)),
        tuple(weight / sum(each for _, each in pairs) for _, weight in sorted(pairs)),
    )
)


def cost(x, interval):
    return x if x >= 0 else x + -(x // interval) * interval


def by_definition(model, bell_ns, interval_ns, fire_ns):
    pairs = zip(model.shifts_ns, model.weights, strict=True)
    return sum(weight * cost(shift + fire_ns - bell_ns, interval_ns) for shift, weight in pairs)


@given(st.lists(WEIRD, max_size=12), st.lists(st.tuples(st.integers(0, S), st.integers(EPOCH, EPOCH + S)), max_size=3))
def test_no_probes_are_too_weird(probes, refusals):
    model = arrivals(probes, refusals)
    if not probes:
        assert model is None
        return
    assert model is not None
    assert all(low <= high for low, high in pairwise(model.shifts_ns))
    assert math.isclose(sum(model.weights), 1, abs_tol=1e-6)
    assert model.shifts_ns[0] <= model.median_ns <= model.shifts_ns[-1]
    aimed = aim(model, EPOCH + 100 * S, INTERVAL)
    assert aimed.expected_delay_ns >= -1
    assert 0 <= aimed.early_probability <= 1 + 1e-9
    at_ns = next_probe_ns(probes, probes[-1].answered_ns)
    assert at_ns is None or 0 <= at_ns - probes[-1].answered_ns <= S


def test_one_probe_leaves_a_second_open_and_says_so():
    model = arrivals([Probe(5 * S, 5 * S + 40 * MS, 1_795_000_000)])
    low = EPOCH - 5 * S
    assert low - 30 * MS < model.quantile_ns(0.01) < low + 20 * MS
    assert low + 970 * MS < model.quantile_ns(0.99) < low + 1030 * MS
    assert model.quantile_ns(0.5) == pytest.approx(low + 500 * MS, abs=40 * MS)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(-(10**6), 10**6), st.floats(0, 5))
def test_the_next_shift_is_among_the_possible(seed, offset_ms, spread_ms):
    chance = random.Random(seed)  # noqa: S311 - a simulation's chance
    ahead = EPOCH + offset_ms * MS
    now, probes = chance.randrange(10 * S), []

    def way():
        return round((10 + chance.uniform(0, spread_ms)) * MS)

    while len(probes) < 16 and (at := next_probe_ns(probes, now)) is not None:
        there, back = way(), way()
        probes.append(Probe(at, at + there + back, (at + there + ahead) // S))
        now = at + there + back
    model = arrivals(probes)
    assert model.contradiction_ns == 0
    shift = ahead + way()
    slack = round((2 + spread_ms) * MS)
    assert model.shifts_ns[0] - slack <= shift <= model.shifts_ns[-1] + slack


def test_a_refusal_as_too_early_moves_what_is_possible():
    wide = [Probe(5 * S, 5 * S + 40 * MS, 1_795_000_000)]
    before = arrivals(wide)
    bell = EPOCH + 2 * S
    fire = bell - before.quantile_ns(0.7)
    after = arrivals(wide, [(fire, bell)])
    assert after.below(bell - fire) > 0.95
    assert after.median_ns < before.median_ns - 80 * MS


def test_one_refusal_does_not_outweigh_everything_that_was_seen():
    def date(sent):
        return (sent + EPOCH + 20 * MS) // S

    probes = [Probe(sent, sent + 40 * MS, date(sent)) for sent in range(S, 20 * S, 975 * MS)]
    model = arrivals(probes, [(100 * S, EPOCH + 900 * S)])
    assert abs(model.median_ns - EPOCH) < S


def test_a_path_that_got_slow_once_says_little():
    """A probe that took a second longer must not move what the prompt ones pinned."""

    def probe(sent, there, back):
        return Probe(sent, sent + there + back, (sent + there + EPOCH) // S)

    prompt = [probe(second * S + phase, 10 * MS, 10 * MS) for second in range(1, 6) for phase in (985 * MS, 995 * MS)]
    slow = probe(7 * S + 980 * MS, S, 10 * MS)
    alone, both = arrivals(prompt), arrivals([*prompt, slow])
    assert both.contradiction_ns == 0
    assert both.quantile_ns(0.1) == pytest.approx(alone.quantile_ns(0.1), abs=2 * MS)


@given(MODELS, st.integers(1, S), st.integers(-3 * S, 3 * S))
def test_the_expected_delay_is_what_its_definition_says(model, interval, shift):
    bell = EPOCH + 60 * S
    fire = bell - EPOCH - shift
    expected = expect(model, bell, interval, fire_ns=fire)
    assert expected.expected_delay_ns == pytest.approx(by_definition(model, bell, interval, fire), abs=2)


@given(MODELS, st.integers(50 * MS, S), st.one_of(st.none(), st.integers(-S, S)))
def test_no_instant_is_better_than_the_one_aimed_at(model, interval, not_before):
    bell = EPOCH + 60 * S
    limit = None if not_before is None else bell - EPOCH + not_before
    best = aim(model, bell, interval, not_before_ns=limit)
    assert limit is None or best.fire_ns >= limit
    first = bell - model.shifts_ns[-1] if limit is None else limit
    others = [first + step * (bell - model.shifts_ns[0] - first) // 300 for step in range(301)]
    others += [bell - shift for shift in model.shifts_ns]
    for fire in others:
        if limit is None or fire >= limit:
            assert best.expected_delay_ns <= by_definition(model, bell, interval, fire) + 2


def test_a_sharp_edge_is_aimed_at_and_a_rare_early_one_is_risked():
    even = ArrivalModel(tuple(EPOCH + ms * MS for ms in range(10)), (0.1,) * 10)
    assert aim(even, EPOCH + S, INTERVAL).fire_ns == S
    assert aim(even, EPOCH + S, INTERVAL).early_probability == 0
    rare = ArrivalModel((EPOCH - 50 * MS, EPOCH), (0.001, 0.999))
    found = aim(rare, EPOCH + S, INTERVAL)
    assert (found.fire_ns, found.early_probability) == (S, 0.001)
    # The early one arrives 300 ms after the bell in the end.
    assert found.expected_delay_ns == 300_000


def test_what_is_allowed_late_only_is_fired_at_once():
    model = ArrivalModel((EPOCH, EPOCH + 5 * MS), (0.5, 0.5))
    found = aim(model, EPOCH + S, INTERVAL, not_before_ns=2 * S)
    assert (found.fire_ns, found.expected_delay_ns) == (2 * S, S + 5 * MS // 2)


def test_a_lead_counts_on_the_hosts_clock():
    assert lead_of(fire_ns=10 * S - 5 * MS, offset_ns=EPOCH, bell_ns=EPOCH + 10 * S) == 5 * MS


def test_a_model_has_shifts_and_intervals_have_lengths():
    with pytest.raises(ValueError, match="shifts"):
        ArrivalModel((), ())
    with pytest.raises(ValueError, match="longer than nothing"):
        expect(ArrivalModel((1,), (1.0,)), 0, 0, fire_ns=0)
