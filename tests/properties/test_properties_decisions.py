"""Whether an order may leave: all cases of the rules that decide it, one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.brokers.base import Outcome
from firstbell.brokers.ephoenix.orders import AGAIN
from firstbell.brokers.retry_after import LONGEST_S, retry_after_s
from firstbell.journal.base import Entry, Intent, Owner
from firstbell.journal.claims import Decision, decide, stands_against
from firstbell.model.identifiers import client_order_id, same_login
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import DONE, PLACED, OrderStatus, ReportKind
from firstbell.model.report import Attempt
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.decision import Budget, Step, after_not_sent, next_step
from firstbell.oms.pacing import Pacer

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
BELL_NS = 1_000_000_000_000
ORDER = Order("n", "A", "gs", "I", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21))
HERE, THERE = "here#1", "there#1"
US = Owner(HERE, 1, 1.0)
OWNERS = (US, Owner(HERE, 2, 1.0), Owner(THERE, 3, 1.0))
SECOND = 1_000_000_000


def entry(status, *, unresolved, owner, left):
    attempts = (Attempt(1, AT, 0, None, None, None, None, None, AttemptOutcome.UNRESOLVED),) if left else ()
    state = OrderState(ORDER, status, unresolved=unresolved, attempts=attempts)
    return Entry(Intent(ORDER, "l", "n", BELL_NS, None), state, "run", owner, AT)


CASES = list(
    product(
        OrderStatus,
        (False, True),
        OWNERS,
        (False, True),
        (BELL_NS - 60 * SECOND, BELL_NS - SECOND, BELL_NS - 1, BELL_NS, BELL_NS + SECOND),
        (0, 10 * SECOND),
    )
)


def test_no_plan_is_free_while_its_owner_lives_or_something_of_it_may_have_left():
    free = 0
    for status, unresolved, owner, lives, now_ns, out_of_sight_ns in CASES:
        held = entry(status, unresolved=unresolved, owner=owner, left=status is OrderStatus.SUBMITTED)
        verdict = decide(held, US, now_ns, lambda _, lives=lives: lives, out_of_sight_ns=out_of_sight_ns, here=HERE)
        if verdict.answer is Decision.FREE:
            free += 1
            if status in DONE:
                assert status not in PLACED
                continue
            # Nothing but a claim before its bell, of one who is surely dead, is ever taken over.
            assert (status, unresolved, lives) == (OrderStatus.INITIALIZED, False, False)
            assert owner != US
            assert now_ns < BELL_NS
            assert owner.host == HERE or now_ns < BELL_NS - out_of_sight_ns
            assert verdict.report is ReportKind.DENIED
        if verdict.report is ReportKind.UNRESOLVED:
            assert verdict.answer is Decision.TAKEN
            assert not lives
        if verdict.answer is Decision.OURS:
            assert owner == US
            assert not unresolved
        assert (verdict.answer is Decision.PLACED) == (status in PLACED)
    assert free > 10


def test_nothing_new_of_a_login_is_claimed_beside_what_may_be_at_the_broker():
    for status, unresolved, owner, lives, now_ns, out_of_sight_ns in CASES:
        other = entry(status, unresolved=unresolved, owner=owner, left=False)
        against = stands_against(
            other, US, now_ns, lambda _, lives=lives: lives, out_of_sight_ns=out_of_sight_ns, here=HERE
        )
        if status in DONE or status in PLACED:
            assert not against
        elif unresolved or (owner != US and (lives or status is not OrderStatus.INITIALIZED or now_ns >= BELL_NS)):
            assert against
        elif owner == US:
            assert not against


OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(AttemptOutcome),
    st.none() | st.sampled_from([*AGAIN, 1011, 9999]),
    st.none() | st.text(max_size=5),
    st.none() | st.just("77"),
    st.booleans(),
    st.none() | st.floats(0, 100),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=800)
@given(OUTCOMES, st.integers(1, 12), st.booleans(), st.integers(0, 200), st.integers(1, 10), st.integers(0, 200))
def test_again_follows_certain_refusals_only_and_never_beyond_the_budget(
    outcome, attempts, logged_in_again, earliest_ns, most, deadline_ns
):
    budget = Budget(most, deadline_ns, 2**62)
    upcoming = next_step(outcome, attempts, logged_in_again, earliest_ns, budget)
    if upcoming.step in {Step.AGAIN, Step.LOG_IN_AND_AGAIN}:
        assert outcome.outcome is AttemptOutcome.REJECTED
        assert outcome.again
        assert attempts < most
        assert earliest_ns < deadline_ns
        assert upcoming.not_before_ns == earliest_ns
    if upcoming.step is Step.LOG_IN_AND_AGAIN:
        assert outcome.token_ended
        assert not logged_in_again
    assert (upcoming.step is Step.PLACED) == (outcome.outcome is AttemptOutcome.ACCEPTED)
    unknown = outcome.outcome in {AttemptOutcome.UNRESOLVED, AttemptOutcome.NOT_SENT}
    assert (upcoming.step is Step.ASK) == unknown
    if upcoming.step in {Step.REFUSED, Step.GIVE_UP}:
        assert upcoming.reason


@given(st.integers(1, 12), st.integers(0, 200), st.integers(1, 10), st.integers(0, 200))
def test_what_never_left_is_tried_again_within_the_budget(attempts, earliest_ns, most, deadline_ns):
    upcoming = after_not_sent("why", attempts, earliest_ns, Budget(most, deadline_ns, 2**62))
    assert (upcoming.step is Step.AGAIN) == (attempts < most and earliest_ns < deadline_ns)
    assert upcoming.step in {Step.AGAIN, Step.GIVE_UP}


@given(st.integers(1, 10**10), st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10**9)), max_size=20))
def test_two_sendings_are_never_nearer_than_the_interval(interval_ns, wanted):
    pacer, now_ns, sent = Pacer(interval_ns), 0, []
    for later_ns, late_ns in wanted:
        now_ns += later_ns
        earliest_ns = pacer.earliest(now_ns)
        assert earliest_ns >= now_ns
        now_ns = earliest_ns + late_ns
        pacer.sent(now_ns)
        sent.append(now_ns)
    assert all(second - first >= interval_ns for first, second in pairwise(sent))


HEADERS = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    ["0", "1.5", "86401", "Sat, 21 Nov 2026 08:45:10 GMT", "Sat, 21 Nov 2026 08:45:10 -9999", "9" * 9, "Mon, ", ","]
)


@given(HEADERS, HEADERS)
def test_a_pause_is_none_or_between_nothing_and_a_day(value, now):
    pause = retry_after_s({"retry-after": value, "date": now})
    assert pause is None or 0 <= pause <= LONGEST_S


PLANS = st.tuples(
    st.dates(date(2020, 1, 1), date(2099, 1, 1)),
    st.sampled_from(["gs", "bbi"]),
    st.text(st.characters(min_codepoint=33, codec="utf-8"), min_size=1, max_size=8),
    st.sampled_from(["IRO1MHRN0001", "IRO1BORS0001"]),
    st.sampled_from(Side),
    st.integers(0, 99),
    st.integers(1, 99),
)


@given(PLANS, PLANS)
def test_two_plans_have_one_name_exactly_where_they_are_one(first, second):
    names = client_order_id(*first), client_order_id(*second)
    same = [(*plan[:2], same_login(plan[2]), *plan[3:]) for plan in (first, second)]
    assert (names[0] == names[1]) == (same[0] == same[1])
    assert all(len(name) <= 36 and name.isascii() for name in names)


@given(st.text(max_size=12))
def test_a_login_stays_the_same_however_it_is_written(name):
    assert same_login(same_login(name)) == same_login(name)
    assert same_login(name.upper()) == same_login(name.upper().lower())
    assert same_login(name.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))) == same_login(name)
