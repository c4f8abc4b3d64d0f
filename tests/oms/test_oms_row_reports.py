"""What a row of the broker's list says of an order: terms, trades, ends, and what was asked for and never heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.brokers.base import VenueOrder
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.orders.row_reports import Waiting, reports_of

D = Decimal
S = OrderStatus
K = ReportKind
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)
SECOND = 1_000_000_000
ORDER = Order("o", "A", "gs", "X", Side.SELL, D(110), D(100), date(2026, 11, 28))


def state(status, **facts):
    return OrderState(ORDER, status, venue_order_id="7", **{name: D(value) for name, value in facts.items()})


def row(**facts):
    usual = {"price": D(110), "quantity": D(100), "filled_qty": D(0), "working": True, "refused": False}
    return VenueOrder("7", "X", Side.SELL, **{**usual, **facts}, created_at=AT, status="2")


def report(name, kind):
    return ExecutionReport(name, "r", kind, AT)


def said(a_row, a_state, *, has_price=True):
    told = reports_of(a_row, a_state, report, Waiting(), 0, has_price=has_price)
    # Whatever is told fits.
    for each in told:
        a_state = a_state.after(each)
    return [each.kind for each in told], a_state


def test_a_row_that_says_nothing_new_tells_nothing():
    assert said(row(), state(S.ACCEPTED))[0] == []
    assert said(row(filled_qty=D(40)), state(S.PARTIALLY_FILLED, filled_qty=40))[0] == []


def test_new_terms_are_told_before_what_has_traded():
    kinds, now = said(row(price=D(120), quantity=D(300), filled_qty=D(150)), state(S.ACCEPTED))
    assert kinds == [K.REPLACED, K.PARTIALLY_FILLED]
    assert (now.status, now.price, now.quantity, now.filled_qty) == (S.PARTIALLY_FILLED, 120, 300, 150)


def test_a_market_orders_row_has_no_price_of_the_orders_own():
    assert said(row(price=D(120)), state(S.ACCEPTED), has_price=False)[0] == []
    kinds, now = said(row(price=D(120), quantity=D(50)), state(S.ACCEPTED), has_price=False)
    assert kinds == [K.REPLACED]
    assert (now.price, now.quantity) == (110, 50)


@pytest.mark.parametrize("status", [S.PENDING_REPLACE, S.ACCEPTED])
def test_an_order_that_traded_to_its_end_after_a_change_that_nobody_heard_of_has_the_changes_terms(status):
    kinds, now = said(row(quantity=D(300), filled_qty=D(300), working=False), state(status))
    assert kinds == [K.REPLACED, K.FILLED]
    assert (now.status, now.quantity, now.filled_qty, now.leaves_qty) == (S.FILLED, 300, 300, 0)


def test_a_change_is_heard_of_when_the_order_was_canceled_right_after_it():
    kinds, now = said(row(quantity=D(300), filled_qty=D(20), working=False), state(S.PENDING_REPLACE))
    assert kinds == [K.REPLACED, K.CANCELED]
    assert (now.status, now.quantity, now.filled_qty) == (S.CANCELED, 300, 20)


def test_what_a_broker_says_of_the_terms_of_an_order_that_has_ended_is_not_gone_by():
    kinds, now = said(row(quantity=D(20), filled_qty=D(20), working=False), state(S.ACCEPTED))
    assert kinds == [K.FILLED]
    assert (now.quantity, now.filled_qty) == (100, 20)


@pytest.mark.parametrize(
    ("asked", "answer"), [(S.PENDING_CANCEL, K.CANCEL_REJECTED), (S.PENDING_REPLACE, K.REPLACE_REJECTED)]
)
def test_what_was_asked_for_is_given_up_after_four_looks_over_ten_seconds(asked, answer):
    waiting, now = Waiting(), state(asked)

    def look(seconds):
        return [each.kind for each in reports_of(row(), now, report, waiting, seconds * SECOND, has_price=True)]

    assert [look(0), look(1), look(2), look(9)] == [[], [], [], []]
    assert look(10) == [answer]
    # After that it is waited for anew.
    assert [look(11), look(12), look(13), look(20), look(21)] == [[], [], [], [], [answer]]
    assert [look(30), look(60), look(90)] == [[], [], []]


def test_waiting_ends_when_the_order_stands_otherwise():
    waiting, asked = Waiting(), state(S.PENDING_CANCEL)
    for seconds in (0, 1, 2):
        reports_of(row(), asked, report, waiting, seconds * SECOND, has_price=True)
    reports_of(row(), state(S.ACCEPTED), report, waiting, 3 * SECOND, has_price=True)
    assert reports_of(row(), asked, report, waiting, 20 * SECOND, has_price=True) == []


def test_what_has_traded_of_an_order_that_ended_is_counted():
    kinds, now = said(row(filled_qty=D(40), working=False), state(S.PENDING_CANCEL))
    assert kinds == [K.CANCELED]
    assert (now.status, now.filled_qty) == (S.CANCELED, 40)
    later = replace(now, filled_qty=D(40))
    assert said(row(filled_qty=D(40), working=False), later)[0] == []


def test_what_is_given_up_says_why():
    for asked, why in (
        (S.PENDING_CANCEL, "the list still shows it working, long after the cancel"),
        (S.PENDING_REPLACE, "the list shows its old terms, long after the change"),
    ):
        waiting, now = Waiting(), state(asked)
        looks = [reports_of(row(), now, report, waiting, at * 4 * SECOND, has_price=True) for at in range(4)]
        assert [each.reason for each in looks[-1]] == [why]


def test_four_looks_in_a_hurry_are_not_enough_and_ten_seconds_with_three_are_not_either():
    waiting, now = Waiting(), state(S.PENDING_CANCEL)

    def look(seconds):
        return reports_of(row(), now, report, waiting, round(seconds * SECOND), has_price=True)

    assert [look(at) for at in (0, 5, 100)] == [[], [], []]
    assert look(101) != []
    assert [look(at) for at in (200, 201, 202, 203, 209.9)] == [[]] * 5
    assert look(210) != []


def test_each_order_is_waited_for_by_itself():
    waiting = Waiting()
    for at in range(3):
        assert not waiting.is_over("one", at * 10 * SECOND)
    assert not waiting.is_over("two", 30 * SECOND)
    waiting.ended("two")
    waiting.ended("three")
    assert waiting.is_over("one", 30 * SECOND)


def test_what_ends_an_order_ends_the_waiting_too():
    waiting, asked = Waiting(), state(S.PENDING_CANCEL)
    for seconds in (0, 4, 8):
        reports_of(row(), asked, report, waiting, seconds * SECOND, has_price=True)
    (gone,) = reports_of(row(working=False), asked, report, waiting, 12 * SECOND, has_price=True)
    assert gone.kind is K.CANCELED


def test_every_report_names_the_order_at_its_broker_and_what_has_traded():
    for old, a_row in (
        (state(S.ACCEPTED), row(price=D(120), filled_qty=D(40))),
        (state(S.ACCEPTED), row(filled_qty=D(1))),
    ):
        told = reports_of(a_row, old, report, Waiting(), 0, has_price=True)
        assert {each.venue_order_id for each in told} == {"7"}
        assert told[-1].cum_qty == a_row.filled_qty
    (replaced, _) = reports_of(
        row(price=D(120), quantity=D(90), filled_qty=D(40)), state(S.ACCEPTED), report, Waiting(), 0, has_price=True
    )
    assert (replaced.price, replaced.quantity, replaced.cum_qty) == (120, 90, None)
    (gone,) = reports_of(row(working=False), state(S.ACCEPTED), report, Waiting(), 0, has_price=True)
    # That nothing has traded is no news of a trade.
    assert (gone.kind, gone.cum_qty) == (K.CANCELED, None)


def test_a_change_in_part_is_a_change():
    for a_row, price, quantity in ((row(price=D(120)), 120, 100), (row(quantity=D(90)), 110, 90)):
        kinds, now = said(a_row, state(S.ACCEPTED))
        assert kinds == [K.REPLACED]
        assert (now.price, now.quantity) == (price, quantity)


@pytest.mark.parametrize("status", [S.SUBMITTED, S.PENDING_CANCEL, S.CANCELED, S.FILLED])
def test_terms_count_only_of_an_order_that_can_have_been_changed(status):
    assert K.REPLACED not in said(row(price=D(120)), state(status))[0]


def test_more_than_was_asked_for_has_traded_only_where_somebody_changed_it():
    kinds, _ = said(row(quantity=D(101), filled_qty=D(101), working=False), state(S.ACCEPTED))
    assert kinds == [K.REPLACED, K.FILLED]
    kinds, _ = said(row(quantity=D(101), filled_qty=D(100), working=False), state(S.ACCEPTED))
    assert K.REPLACED not in kinds


def test_one_that_has_traded_in_part_can_have_been_changed():
    kinds, now = said(row(price=D(120), filled_qty=D(40)), state(S.PARTIALLY_FILLED, filled_qty=40))
    assert kinds == [K.REPLACED]
    assert (now.price, now.filled_qty) == (120, 40)
