from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from firstbell.model.order import Changed, Order, OrderState
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import Side
from firstbell.oms.policies.exposure import Exposure

D = Decimal
S = OrderStatus


def order(status, quantity=100, filled=0, **facts):
    asked = Order("n", "A", "gs", "I", Side.BUY, D(5000), D(quantity), date(2026, 11, 21))
    return OrderState(asked, status, filled_qty=D(filled), **facts)


@pytest.mark.parametrize(
    ("state", "divided"),
    [
        (order(S.INITIALIZED), (0, 0, 100, 0)),
        (order(S.SUBMITTED), (0, 0, 100, 0)),
        (order(S.SUBMITTED, unresolved=True), (0, 0, 100, 0)),
        (order(S.DENIED), (0, 0, 0, 0)),
        (order(S.REJECTED), (0, 0, 0, 0)),
        (order(S.ACCEPTED), (0, 100, 0, 0)),
        (order(S.PARTIALLY_FILLED, filled=30), (30, 70, 0, 0)),
        (order(S.PENDING_CANCEL, filled=30), (30, 70, 0, 0)),
        (order(S.PENDING_REPLACE, filled=30), (30, 70, 0, 0)),
        (order(S.FILLED, filled=100), (100, 0, 0, 0)),
        (order(S.CANCELED, filled=30), (30, 0, 0, 70)),
        (order(S.EXPIRED, filled=30), (30, 0, 0, 70)),
        (order(S.PARTIALLY_FILLED, filled=30, changed=Changed(quantity=D(60))), (30, 30, 0, 40)),
        (order(S.PARTIALLY_FILLED, filled=30, changed=Changed(quantity=D(150))), (30, 120, 0, 0)),
        (order(S.INITIALIZED, changed=Changed(quantity=D(150))), (0, 0, 150, 0)),
        (order(S.INITIALIZED, changed=Changed(quantity=D(60))), (0, 0, 100, 0)),
        (order(S.FILLED, filled=110), (110, 0, 0, 0)),
    ],
    ids=lambda case: str(getattr(case, "status", "")),
)
def test_an_order_is_divided_up_by_what_may_still_become_of_it(state, divided):
    found = Exposure.of(D(200), [state])
    assert (found.filled, found.working, found.unresolved, found.ended) == divided
    assert found.free == 200 - sum(divided)


def test_the_orders_of_a_request_add_up_and_another_may_be_for_what_is_free():
    states = [
        order(S.REJECTED, 500),
        order(S.PARTIALLY_FILLED, 200, 50),
        order(S.SUBMITTED, 100, unresolved=True),
        order(S.CANCELED, 100, 40),
    ]
    found = Exposure.of(D(500), states)
    assert found == Exposure(D(500), D(90), D(150), D(100), D(60))
    assert found.free == 100
    assert found.why_not(D(100)) is None
    assert found.why_not(D(101)) == (
        "exposure: 101 more of 500, of which 90 have traded, 150 work, 100 are unresolved and 60 ended; allowed 100"
    )


@pytest.mark.parametrize("nothing", [0, -1])
def test_an_order_for_nothing_is_none(nothing):
    assert Exposure(D(100)).why_not(D(nothing)) is not None


def test_where_a_venue_has_filled_too_much_nothing_is_free():
    assert Exposure.of(D(100), [order(S.FILLED, filled=120)]).free == 0
    assert replace(Exposure(D(100)), filled=D(120)).why_not(D(1)) is not None
