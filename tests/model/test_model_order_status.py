from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, RunId, VenueOrderId
from firstbell.model.order import Order, OrderState, fold
from firstbell.model.order_status import DONE, PLACED, TRANSITIONS, IllegalMove, OrderStatus, ReportKind, next_status
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderOutcome, Side

NAME = ClientOrderId("fb-20261121-0011aabbccdd-0")
ORDER = Order(
    NAME,
    AccountName("Order_A"),
    BrokerCode("gs"),
    InstrumentId("IRO1MHRN0001"),
    Side.BUY,
    Decimal(5860),
    Decimal(100),
    date(2026, 11, 21),
)
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)


def report(kind, **facts):
    return ExecutionReport(NAME, RunId("r"), kind, AT, **facts)


def attempt(outcome, number=1):
    return Attempt(number, AT, 0, AT, 1000, 200, None, None, outcome)


def test_every_state_stands_in_the_table():
    assert set(TRANSITIONS) == set(OrderStatus)


def test_done_orders_never_reopen():
    for status in DONE:
        for target in TRANSITIONS[status].values():
            assert target in DONE


def test_a_placed_order_never_becomes_unplaced_but_by_the_exchange():
    for status in PLACED:
        for kind, target in TRANSITIONS[status].items():
            assert target in PLACED or kind is ReportKind.REJECTED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (OrderStatus.INITIALIZED, ReportKind.ACCEPTED),
        (OrderStatus.INITIALIZED, ReportKind.REJECTED),
        (OrderStatus.FILLED, ReportKind.CANCELED),
        (OrderStatus.REJECTED, ReportKind.ACCEPTED),
        (OrderStatus.DENIED, ReportKind.SUBMITTED),
        (OrderStatus.CANCELED, ReportKind.PENDING_REPLACE),
        (OrderStatus.ACCEPTED, ReportKind.SUBMITTED),
    ],
)
def test_illegal_moves_raise(status, kind):
    with pytest.raises(IllegalMove, match="does not fit"):
        next_status(status, kind)


def test_late_fill_of_a_canceled_order_is_counted():
    state = fold(
        ORDER,
        [
            report(ReportKind.SUBMITTED),
            report(ReportKind.ACCEPTED),
            report(ReportKind.CANCELED),
            report(ReportKind.PARTIALLY_FILLED, fill=Fill("t1", Decimal(40), Decimal(5850))),
        ],
    )
    assert (state.status, state.filled_qty, state.leaves_qty) == (OrderStatus.CANCELED, 40, 60)


def test_a_fill_that_comes_twice_counts_once_and_the_average_is_exact():
    fills = [Fill("a", Decimal(1), Decimal(10)), Fill("a", Decimal(1), Decimal(10)), Fill("b", Decimal(2), Decimal(11))]
    state = fold(ORDER, [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED)])
    for fill in fills:
        state = state.after(report(ReportKind.PARTIALLY_FILLED, fill=fill))
    assert state.filled_qty == 3
    assert state.avg_px == Decimal(32) / 3


def test_outcomes():
    state = OrderState(ORDER)
    assert state.outcome is OrderOutcome.NOT_SENT
    state = state.after(report(ReportKind.SUBMITTED))
    state = state.after(report(ReportKind.REFUSED, attempt=attempt(AttemptOutcome.REJECTED)))
    # Whoever has it may be sending it again at this instant.
    assert state.outcome is OrderOutcome.UNRESOLVED
    assert state.after(report(ReportKind.REJECTED)).outcome is OrderOutcome.REJECTED
    state = state.after(report(ReportKind.SUBMITTED))
    state = state.after(report(ReportKind.UNRESOLVED, attempt=attempt(AttemptOutcome.UNRESOLVED, 2)))
    assert state.outcome is OrderOutcome.UNRESOLVED
    assert state.status is OrderStatus.SUBMITTED
    accepted = state.after(report(ReportKind.ACCEPTED, venue_order_id=VenueOrderId("7")))
    assert (accepted.outcome, accepted.venue_order_id, accepted.unresolved) == (OrderOutcome.ACCEPTED, "7", False)
    rejected = state.after(report(ReportKind.REJECTED, reason="absent"))
    assert (rejected.outcome, rejected.reason) == (OrderOutcome.REJECTED, "absent")


def test_an_order_of_which_nothing_left_is_not_sent():
    state = OrderState(ORDER).after(report(ReportKind.SUBMITTED))
    state = state.after(report(ReportKind.REFUSED, attempt=attempt(AttemptOutcome.NOT_SENT)))
    assert state.outcome is OrderOutcome.UNRESOLVED
    state = state.after(report(ReportKind.DENIED))
    assert (state.status, state.outcome) == (OrderStatus.DENIED, OrderOutcome.NOT_SENT)


def test_an_unresolved_order_is_never_denied():
    state = OrderState(ORDER).after(report(ReportKind.UNRESOLVED, reason="owner died"))
    with pytest.raises(IllegalMove, match="may be at the broker"):
        state.after(report(ReportKind.DENIED))


def test_a_report_of_another_order_is_refused():
    other = ExecutionReport(ClientOrderId("other"), RunId("r"), ReportKind.SUBMITTED, AT)
    with pytest.raises(ValueError, match="came to"):
        OrderState(ORDER).after(other)


@given(st.lists(st.sampled_from(list(ReportKind)), max_size=12))
def test_whatever_arrives_an_unresolved_order_is_never_reported_rejected(kinds):
    state = OrderState(ORDER)
    for kind in kinds:
        try:
            state = state.after(report(kind))
        except IllegalMove:
            continue
        if state.unresolved:
            assert state.outcome is OrderOutcome.UNRESOLVED
            assert state.status is OrderStatus.SUBMITTED or state.status in DONE
        elif state.status in PLACED:
            assert state.outcome is OrderOutcome.ACCEPTED


@pytest.mark.parametrize("bad", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_an_order_without_a_positive_quantity_cannot_be_made(bad):
    with pytest.raises(ValueError, match="quantity is a positive number"):
        Order(
            NAME, ORDER.account, ORDER.broker_code, ORDER.instrument, Side.BUY, Decimal(5860), bad, date(2026, 11, 21)
        )


@pytest.mark.parametrize("bad", [Decimal(0), Decimal("NaN")])
def test_an_order_without_a_positive_price_cannot_be_made(bad):
    with pytest.raises(ValueError, match="^an order's price is a positive number"):
        Order(NAME, ORDER.account, ORDER.broker_code, ORDER.instrument, Side.BUY, bad, Decimal(1), date(2026, 11, 21))


def test_an_order_is_worth_price_times_quantity():
    assert ORDER.value == 586_000


def test_before_the_first_fill_there_is_no_average():
    assert OrderState(ORDER).avg_px is None
    assert OrderState(ORDER).leaves_qty == 100


def test_a_sum_that_a_list_tells_counts_until_the_fills_tell_more():
    state = fold(ORDER, [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED)])
    state = state.after(report(ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(30)))
    assert (state.filled_qty, state.avg_px) == (30, None)
    # A list that lags takes nothing back.
    assert state.after(report(ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(20))).filled_qty == 30
    assert state.after(report(ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(31))).filled_qty == 31


def test_while_some_of_it_has_no_price_an_order_has_no_average():
    state = fold(ORDER, [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED)])
    state = state.after(report(ReportKind.PARTIALLY_FILLED, fill=Fill("1", Decimal(10), Decimal(5850))))
    assert state.avg_px == 5850
    state = state.after(report(ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(30)))
    assert (state.filled_qty, state.avg_px) == (30, None)
    state = state.after(report(ReportKind.PARTIALLY_FILLED, fill=Fill("2", Decimal(20), Decimal(5820))))
    assert (state.filled_qty, state.avg_px) == (30, 5830)


def test_a_name_once_known_is_kept_and_a_claim_changes_nothing():
    state = fold(ORDER, [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED, venue_order_id=VenueOrderId("7"))])
    assert state.after(report(ReportKind.PARTIALLY_FILLED)).venue_order_id == "7"
    assert state.after(report(ReportKind.INITIALIZED)) is state


def test_an_order_sent_again_while_unresolved_stays_so():
    state = fold(ORDER, [report(ReportKind.SUBMITTED), report(ReportKind.UNRESOLVED), report(ReportKind.SUBMITTED)])
    assert state.unresolved
    assert not state.after(report(ReportKind.REFUSED)).unresolved


def test_an_attempt_says_too_early_only_where_the_exchange_did():
    assert attempt(AttemptOutcome.REJECTED).too_early is False


def test_the_late_word_of_a_change_tells_the_terms_of_what_is_done():
    """The order may have grown: until somebody has said whether, a sum does not say that all of it has traded."""
    asked = [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED), report(ReportKind.PENDING_REPLACE)]
    told = [report(ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(120)), report(ReportKind.CANCELED)]
    state = fold(ORDER, [*asked, *told])
    assert (state.status, state.changing) == (OrderStatus.CANCELED, True)
    grown = state.after(report(ReportKind.REPLACED, quantity=Decimal(150)))
    assert (grown.status, grown.changing, grown.leaves_qty) == (OrderStatus.CANCELED, False, 30)
    assert state.after(report(ReportKind.REPLACE_REJECTED)).status is OrderStatus.FILLED


def test_terms_told_of_an_order_that_nobody_has_seen_say_nothing_of_whether_it_is_there():
    state = fold(ORDER, [report(ReportKind.SUBMITTED), report(ReportKind.UNRESOLVED)])
    changed = state.after(report(ReportKind.REPLACED, price=Decimal(5850)))
    assert (changed.status, changed.unresolved, changed.price) == (OrderStatus.SUBMITTED, True, 5850)
