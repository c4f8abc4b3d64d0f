from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from journal_orders import intent, report

from firstbell.journal.base import AT_ONCE_NS, HELD_NS, Entry, Owner
from firstbell.journal.claims import OUT_OF_SIGHT_NS, Decision, decide, stands_against
from firstbell.model.instant import instant
from firstbell.model.order import fold
from firstbell.model.order_status import ReportKind

BELL_NS = 1_795_238_100_000_000_000
HERE = Owner("here#1", 10, 1.0)
ALSO_HERE = Owner("here#1", 11, 1.0)
ELSEWHERE = Owner("elsewhere#1", 11, 1.0)


def held(owner, *kinds):
    planned = intent(bell_ns=BELL_NS)
    state = fold(planned.order, [report(kind) for kind in (ReportKind.INITIALIZED, *kinds)])
    return Entry(planned, state, "run", owner, datetime.fromtimestamp(0, UTC))


def judge(entry, now_ns, *, alive=False):
    return decide(entry, HERE, now_ns, lambda _: alive, out_of_sight_ns=OUT_OF_SIGHT_NS)


def test_nobody_holds_it():
    assert judge(None, BELL_NS).answer is Decision.FREE


@pytest.mark.parametrize("owner", [ALSO_HERE, ELSEWHERE])
@pytest.mark.parametrize("early_ns", [-1, 0, 1, OUT_OF_SIGHT_NS + 1])
def test_a_living_owner_keeps_it(owner, early_ns):
    verdict = judge(held(owner), BELL_NS - early_ns, alive=True)
    assert (verdict.answer, verdict.report) == (Decision.TAKEN, None)


@pytest.mark.parametrize(
    ("owner", "early_ns", "answer", "kind"),
    [
        (ALSO_HERE, OUT_OF_SIGHT_NS + 1, Decision.FREE, ReportKind.DENIED),
        (ALSO_HERE, OUT_OF_SIGHT_NS, Decision.FREE, ReportKind.DENIED),
        (ALSO_HERE, 1, Decision.FREE, ReportKind.DENIED),
        (ALSO_HERE, 0, Decision.TAKEN, ReportKind.UNRESOLVED),
        (ELSEWHERE, OUT_OF_SIGHT_NS + 1, Decision.FREE, ReportKind.DENIED),
        (ELSEWHERE, OUT_OF_SIGHT_NS, Decision.TAKEN, None),
        (ELSEWHERE, 1, Decision.TAKEN, None),
        (ELSEWHERE, 0, Decision.TAKEN, ReportKind.UNRESOLVED),
    ],
)
def test_a_dead_owners_claim(owner, early_ns, answer, kind):
    verdict = judge(held(owner), BELL_NS - early_ns)
    assert (verdict.answer, verdict.report) == (answer, kind)


@pytest.mark.parametrize("owner", [HERE, ALSO_HERE, ELSEWHERE])
@pytest.mark.parametrize(
    ("kinds", "answer"),
    [
        ([ReportKind.DENIED], Decision.FREE),
        ([ReportKind.SUBMITTED, ReportKind.REJECTED], Decision.FREE),
        ([ReportKind.SUBMITTED, ReportKind.ACCEPTED], Decision.PLACED),
        ([ReportKind.SUBMITTED, ReportKind.UNRESOLVED], Decision.TAKEN),
    ],
)
def test_what_has_come_to_an_end_has_no_owner(owner, kinds, answer):
    verdict = judge(held(owner, *kinds), BELL_NS - 1)
    assert (verdict.answer, verdict.report) == (answer, None)


def test_what_has_left_is_never_denied():
    verdict = judge(held(ALSO_HERE, ReportKind.SUBMITTED), BELL_NS - 2 * OUT_OF_SIGHT_NS)
    assert (verdict.answer, verdict.report) == (Decision.TAKEN, ReportKind.UNRESOLVED)


@pytest.mark.parametrize(("bell_ns", "gone_back_ns"), [(AT_ONCE_NS, 0), (AT_ONCE_NS, 10**12), (BELL_NS, 10**9 + 1)])
def test_a_clock_that_was_set_back_proves_nothing(bell_ns, gone_back_ns):
    claimed_ns = BELL_NS - 60 * 10**9
    entry = replace(held(ALSO_HERE), intent=intent(bell_ns=bell_ns), claimed_at=instant(claimed_ns))
    verdict = judge(entry, claimed_ns - gone_back_ns)
    assert (verdict.answer, verdict.report) == (Decision.TAKEN, ReportKind.UNRESOLVED)
    assert verdict.reason.endswith("without a word")
    assert stands_against(entry, HERE, claimed_ns - gone_back_ns, lambda _: False)


def test_what_is_held_back_is_taken_over_whatever_the_clock_says():
    entry = replace(held(ALSO_HERE), intent=intent(bell_ns=HELD_NS), claimed_at=instant(BELL_NS))
    assert judge(entry, BELL_NS - 10**12).report is ReportKind.TAKEN_OVER


@pytest.mark.parametrize("owner", [HERE, ALSO_HERE, ELSEWHERE])
def test_what_its_owner_has_left_to_others_is_taken_over_though_he_lives(owner):
    waiting = replace(held(owner, ReportKind.HANDED_OVER), intent=intent(bell_ns=HELD_NS))
    verdict = judge(waiting, BELL_NS, alive=True)
    assert (verdict.answer, verdict.report) == (Decision.FREE, ReportKind.TAKEN_OVER)
    assert not stands_against(waiting, HERE, BELL_NS, lambda _: True)


def test_what_is_to_leave_at_a_bell_is_left_to_nobody():
    assert judge(held(ALSO_HERE, ReportKind.HANDED_OVER), BELL_NS - 1, alive=True).answer is Decision.TAKEN


def test_our_own():
    assert judge(held(HERE), BELL_NS).answer is Decision.OURS


S, R = [ReportKind.SUBMITTED], [ReportKind.SUBMITTED, ReportKind.REFUSED]
UNKNOWN = [ReportKind.SUBMITTED, ReportKind.UNRESOLVED]


@pytest.mark.parametrize(
    ("owner", "kinds", "early_ns", "alive", "stands"),
    [
        # A living process has the login; our own orders are no hindrance.
        (ALSO_HERE, [], 60 * 10**9, True, True),
        (ALSO_HERE, R, -1, True, True),
        (HERE, [], 1, True, False),
        (HERE, S, -1, True, False),
        # What is unresolved stands against everybody, whoever had it.
        (HERE, UNKNOWN, -1, True, True),
        (ALSO_HERE, UNKNOWN, -1, False, True),
        # A dead one's that cannot have left stands against nobody, one that may have does.
        (ALSO_HERE, [], 1, False, False),
        (ALSO_HERE, [], 0, False, True),
        (ALSO_HERE, S, 60 * 10**9, False, True),
        (ELSEWHERE, [], OUT_OF_SIGHT_NS + 1, False, False),
        (ELSEWHERE, [], OUT_OF_SIGHT_NS, False, True),
        # What has come to an end is over.
        (ALSO_HERE, [ReportKind.DENIED], -1, True, False),
        (ALSO_HERE, [ReportKind.SUBMITTED, ReportKind.ACCEPTED], -1, True, False),
        (ALSO_HERE, [ReportKind.SUBMITTED, ReportKind.REJECTED], -1, True, False),
    ],
)
def test_another_order_of_the_login(owner, kinds, early_ns, alive, stands):
    found = stands_against(
        held(owner, *kinds), HERE, BELL_NS - early_ns, lambda _: alive, out_of_sight_ns=OUT_OF_SIGHT_NS
    )
    assert found is stands
