"""What an order manager answers: whether it is there, whether anybody knows, and in words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.journal.base import HELD_NS, Entry, Intent, Owner
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderOutcome, Side
from firstbell.oms.orders.response import OrderResponse, response_of
from firstbell.risk.verdict import ErrorCode

D = Decimal
S = OrderStatus
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)
ORDER = Order("fb-1", "A", "paper", "X", Side.BUY, D(10), D(100), date(2026, 11, 28))


def entry(status=S.ACCEPTED, *, held=False, **facts):
    state = OrderState(ORDER, status, **facts)
    return Entry(Intent(ORDER, "l", "fb-1", HELD_NS if held else 0, None), state, "r", Owner("here", 1, 1.0), AT)


def response(status=S.ACCEPTED, outcome=OrderOutcome.ACCEPTED, **facts):
    return OrderResponse("fb-1", status, outcome, "", **facts)


def test_an_order_is_told_as_it_stands():
    traded = {"filled_qty": D(40), "priced_qty": D(40), "filled_value": D(390)}
    told = response_of(entry(S.PARTIALLY_FILLED, venue_order_id="77", **traded))
    assert (told.order_id, told.status, told.venue_order_id) == ("fb-1", S.PARTIALLY_FILLED, "77")
    assert (told.filled_qty, told.avg_px, told.is_held, told.error) == (40, D("9.75"), False, None)
    assert (told.verdicts, told.queue, told.children) == ((), None, ())
    assert told.outcome is OrderOutcome.ACCEPTED


@pytest.mark.parametrize(
    ("status", "words"),
    [(S.ACCEPTED, "accepted"), (S.PARTIALLY_FILLED, "partially filled"), (S.PENDING_CANCEL, "pending cancel")],
)
def test_in_words_it_is_what_is_said_or_why_or_how_it_stands(status, words):
    assert response_of(entry(status)).message == words
    assert response_of(entry(status, reason="no money")).message == "no money"
    told = response_of(entry(status, reason="no money"), message="a limit", error=ErrorCode.RISK_LIMIT_BREACH)
    assert (told.message, told.error) == ("a limit", ErrorCode.RISK_LIMIT_BREACH)


def test_what_is_held_back_says_what_it_waits_for_until_it_leaves():
    told = response_of(entry(S.INITIALIZED, held=True))
    assert told.message == "held back here until its price comes, or its entry trades"
    assert (told.is_held, told.is_success, told.is_done) == (True, True, False)
    left = response_of(entry(S.SUBMITTED, held=True))
    assert (left.is_held, left.is_success, left.message) == (False, False, "submitted")
    assert not response_of(entry(S.INITIALIZED)).is_held


@pytest.mark.parametrize("status", OrderStatus)
def test_success_is_that_its_broker_has_it(status):
    there = status not in {S.INITIALIZED, S.SUBMITTED, S.DENIED, S.REJECTED}
    assert response(status).is_success is there
    assert response(status).is_done is (status in {S.DENIED, S.REJECTED, S.FILLED, S.CANCELED, S.EXPIRED})


def test_what_took_its_place_makes_it_a_success_or_leaves_it_unknown():
    refused = {"status": S.REJECTED, "outcome": OrderOutcome.REJECTED}
    lost = response(S.SUBMITTED, OrderOutcome.UNRESOLVED)
    assert not response(**refused).is_success
    assert not response(**refused).is_unresolved
    one_there = response(**refused, children=(response(**refused), response()))
    assert (one_there.is_success, one_there.is_unresolved, one_there.is_done) == (True, False, False)
    one_lost = response(**refused, children=(response(**refused), lost))
    assert (one_lost.is_success, one_lost.is_unresolved, one_lost.is_done) == (False, True, False)
    none_there = response(**refused, children=(response(**refused), response(**refused)))
    assert (none_there.is_success, none_there.is_unresolved, none_there.is_done) == (False, False, True)


def test_unresolved_is_neither():
    lost = response(S.SUBMITTED, OrderOutcome.UNRESOLVED)
    assert (lost.is_success, lost.is_unresolved, lost.is_done) == (False, True, False)


def test_what_was_placed_is_what_works_or_has_traded_in_its_place_too():
    refused = response(S.REJECTED, OrderOutcome.REJECTED, quantity=D(100), filled_qty=D(0))
    less = response_of(entry(S.PARTIALLY_FILLED, filled_qty=D(40)))
    gone = response_of(entry(S.CANCELED, filled_qty=D(7)))
    assert (refused.placed, less.placed, gone.placed) == (0, 100, 7)
    assert response(S.REJECTED, OrderOutcome.REJECTED, children=(less, gone)).placed == 107
    assert response_of(entry(S.INITIALIZED, held=True)).placed == 100
    assert OrderResponse(None, S.DENIED, OrderOutcome.NOT_SENT, "").placed == 0
