"""What holds of an order whatever its reports are and in whatever order they come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.journal.base import Entry, Intent, Owner
from firstbell.model.order import Order, OrderState, fold
from firstbell.model.order_status import DONE, PLACED, TRANSITIONS, IllegalMove, OrderStatus, ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderOutcome, Side
from firstbell.oms.inquiry import needs_asking

D = Decimal
K = ReportKind
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
ORDER = Order("n", "A", "gs", "IRO1MHRN0001", Side.BUY, D(5860), D(100), date(2026, 11, 21))
ANSWERS = {K.ACCEPTED, K.REJECTED, K.REFUSED, K.PARTIALLY_FILLED, K.FILLED, K.CANCELED, K.EXPIRED}


def report(kind, **facts):
    return ExecutionReport("n", "run", kind, AT, **facts)


def attempt(outcome):
    return Attempt(1, AT, 0, AT, 1, 200, None, None, outcome)


QUANTITIES = st.integers(1, 60).map(D)
FILLS = st.builds(Fill, st.sampled_from("abcde"), QUANTITIES, st.sampled_from([D(5850), D(5860)]))
REPORTS = st.builds(
    report,
    st.sampled_from(K),
    fill=st.none() | FILLS,
    cum_qty=st.none() | QUANTITIES,
    venue_order_id=st.none() | st.just("77"),
    attempt=st.none() | st.sampled_from(AttemptOutcome).map(attempt),
)
# Some begin as orders do, so that what comes later is met as well.
HISTORIES = st.builds(
    lambda beginning, rest: [*beginning, *rest],
    st.sampled_from(
        [
            [],
            [report(K.SUBMITTED)],
            [report(K.SUBMITTED), report(K.UNRESOLVED)],
            [report(K.SUBMITTED), report(K.ACCEPTED)],
            [report(K.SUBMITTED), report(K.ACCEPTED), report(K.PENDING_CANCEL)],
        ]
    ),
    st.lists(REPORTS, max_size=10),
)


def life(reports):
    """Every state that an order comes to, and the reports that got it there; those that do not fit are left out."""
    state, states, taken = OrderState(ORDER), [], []
    for each in reports:
        try:
            following = state.after(each)
        except IllegalMove:
            continue
        states.append((state, each, following))
        taken.append(each)
        state = following
    return state, states, taken


def settled(moved, after):
    """What the table says, but for what the sum of the trades says more exactly."""
    if moved in {OrderStatus.REJECTED, OrderStatus.DENIED, OrderStatus.PENDING_REPLACE} or moved not in PLACED:
        return moved
    if after.filled_qty >= after.quantity and not after.changing:
        return OrderStatus.FILLED
    return OrderStatus.PARTIALLY_FILLED if moved is OrderStatus.ACCEPTED and after.filled_qty else moved


@given(HISTORIES)
def test_whatever_is_told_an_order_keeps_to_the_rules(reports):
    state, states, taken = life(reports)
    assert fold(ORDER, taken) == state
    for before, told, after in states:
        if told.kind is not K.INITIALIZED:
            assert after.status is settled(TRANSITIONS[before.status][told.kind], after)
        if before.status in DONE:
            assert after.status in DONE
            late = {K.ACCEPTED, K.PARTIALLY_FILLED, K.FILLED, K.REPLACED, K.REPLACE_REJECTED}
            assert told.kind in late | {K.INITIALIZED}
        assert after.filled_qty >= before.filled_qty
        assert after.trade_ids >= before.trade_ids
        assert after.leaves_qty == max(ORDER.quantity - after.filled_qty, 0)
        assert after.priced_qty <= after.filled_qty
        assert isinstance(after.outcome, OrderOutcome)
        if before.unresolved and not after.unresolved:
            assert told.kind in ANSWERS
        if after.unresolved:
            # Its day may be over without anybody having said what had become of it.
            assert after.status is OrderStatus.SUBMITTED or after.status in DONE
            assert after.outcome is OrderOutcome.UNRESOLVED
        if before.outcome is OrderOutcome.ACCEPTED and after.outcome is not OrderOutcome.ACCEPTED:
            # Exchanges do reject what a broker has accepted; nothing else unsays it.
            assert told.kind is K.REJECTED
        if before.venue_order_id is not None:
            assert after.venue_order_id is not None


@pytest.mark.parametrize("unresolved", [False, True])
@pytest.mark.parametrize("kind", K)
@pytest.mark.parametrize("status", OrderStatus)
def test_each_report_in_each_state(status, kind, unresolved):
    before = OrderState(ORDER, status, unresolved=unresolved and status is OrderStatus.SUBMITTED)
    try:
        after = before.after(report(kind))
    except IllegalMove:
        # What may be at the broker is never denied by us.
        assert kind not in TRANSITIONS[status] or (before.unresolved and kind is K.DENIED)
        return
    assert after.status is (status if kind is K.INITIALIZED else TRANSITIONS[status][kind])
    if kind is not K.INITIALIZED:
        # That its day is over answers nothing, unless it is told with a name or a sum.
        still = before.unresolved and kind not in ANSWERS - {K.EXPIRED}
        assert after.unresolved is (kind is K.UNRESOLVED or still)


@given(HISTORIES)
def test_one_is_placed_exactly_where_somebody_said_so(reports):
    state, _, taken = life(reports)
    said = {K.ACCEPTED, K.PARTIALLY_FILLED, K.FILLED, K.CANCELED, K.EXPIRED}
    placed = any(each.kind in said for each in taken)
    assert (state.status in PLACED) == (placed and state.status is not OrderStatus.REJECTED)


@given(HISTORIES)
def test_what_is_asked_for_is_what_nobody_knows(reports):
    state, *_ = life(reports)
    entry = Entry(Intent(ORDER, "l", "n", 0, None), state, "run", Owner("h", 1, 1.0), AT)
    # What is being sent again is in its sender's hands: it is unresolved to whoever reads, and nobody asks for it.
    is_there_to_be_sent = state.status is OrderStatus.SUBMITTED
    assert needs_asking(entry) == (state.unresolved and is_there_to_be_sent)
    assert (state.outcome is OrderOutcome.UNRESOLVED) == (state.unresolved or is_there_to_be_sent)


@st.composite
def days(draw):
    """What truly happened to an order: its trades, and reports on it as they come in: in any order, some twice."""
    sizes = draw(st.lists(st.integers(1, 24), min_size=1, max_size=4))
    if draw(st.booleans()):
        sizes.append(100 - sum(sizes))
    trades = [Fill(f"t{number}", D(size), D(5850)) for number, size in enumerate(sizes)]
    total, reports = D(0), []
    for trade in trades:
        total += trade.last_qty
        kind = K.FILLED if total == 100 else K.PARTIALLY_FILLED
        told = draw(st.sampled_from(["trade", "sum", "both"]))
        reports.append(report(kind, fill=None if told == "sum" else trade, cum_qty=None if told == "trade" else total))
        if told == "sum" and draw(st.booleans()):
            reports.append(report(kind, fill=trade))
    if total < 100 and draw(st.booleans()):
        reports.append(report(K.CANCELED, cum_qty=draw(st.sampled_from([None, total]))))
    twice = draw(st.lists(st.sampled_from(reports), max_size=4))
    accepted = [report(K.ACCEPTED, venue_order_id="77")] if draw(st.booleans()) else []
    return trades, total, reports, draw(st.permutations([*accepted, *reports, *twice]))


@given(days())
def test_in_whatever_order_reports_come_what_traded_is_the_same(day):
    trades, total, reports, arriving = day
    state, _, _ = life([report(K.SUBMITTED), *arriving])
    told = {each.fill.trade_id for each in reports if each.fill is not None}
    sums = [each.cum_qty for each in reports if each.cum_qty is not None]
    known = sum((trade.last_qty for trade in trades if trade.trade_id in told), D(0))
    assert state.filled_qty == max([known, *sums])
    assert state.filled_qty <= total <= ORDER.quantity
    assert state.trade_ids == told
    assert state.outcome is OrderOutcome.ACCEPTED
    assert (state.status is OrderStatus.FILLED) == (total == 100)
    assert state.avg_px in {None, D(5850)}


@pytest.mark.parametrize("first", ["sum", "trade"])
def test_a_trade_that_a_sum_told_of_already_is_not_added_to_it(first):
    told = {
        "sum": report(K.PARTIALLY_FILLED, cum_qty=D(40)),
        "trade": report(K.PARTIALLY_FILLED, fill=Fill("t", D(40), D(5850))),
    }
    other = {"sum": "trade", "trade": "sum"}[first]
    state = fold(ORDER, [report(K.SUBMITTED), told[first], told[other]])
    assert (state.filled_qty, state.avg_px) == (40, 5850)


def test_a_report_of_another_order_is_none_of_this_one():
    with pytest.raises(ValueError, match="came to"):
        OrderState(ORDER).after(replace(report(K.SUBMITTED), client_order_id="another"))
