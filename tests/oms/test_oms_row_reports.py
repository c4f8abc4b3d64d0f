"""What a row of the broker's list says of an order: terms, trades, ends, and what was asked for and never heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.brokers.base import VenueOrder
from firstbell.model.order import LISTS_LAG, Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.lists import MIN_ABSENCE_NS
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


def said(a_row, a_state, *, has_price=True, at=AT):
    told = reports_of(a_row, a_state, report, Waiting(), 0, has_price=has_price, at=at)
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
def test_what_was_asked_for_is_given_up_after_four_looks_over_as_long_as_lists_lag(asked, answer):
    waiting, now = Waiting(), state(asked)

    def look(seconds):
        return [each.kind for each in reports_of(row(), now, report, waiting, seconds * SECOND, has_price=True, at=AT)]

    assert [look(0), look(1), look(10), look(62), look(74)] == [[], [], [], [], []]
    assert look(75) == [answer]
    # After that it is waited for anew.
    assert [look(76), look(77), look(78), look(150), look(151)] == [[], [], [], [], [answer]]
    assert [look(160), look(300), look(400)] == [[], [], []]


def test_what_is_asked_for_again_is_waited_for_anew():
    waiting, first = Waiting(), state(S.ACCEPTED).after(ExecutionReport("o", "r", K.PENDING_CANCEL, AT))
    again = first.after(ExecutionReport("o", "r", K.PENDING_CANCEL, AT + timedelta(seconds=60)))

    def look(now, seconds):
        return [each.kind for each in reports_of(row(), now, report, waiting, seconds * SECOND, has_price=True, at=AT)]

    assert [look(first, seconds) for seconds in range(0, 60, 2)] == [[]] * 30
    assert [look(again, seconds) for seconds in range(60, 135, 3)] == [[]] * 25
    assert look(again, 135) == [K.CANCEL_REJECTED]


def test_waiting_ends_when_the_order_stands_otherwise():
    waiting, asked = Waiting(), state(S.PENDING_CANCEL)
    for seconds in (0, 1, 2):
        reports_of(row(), asked, report, waiting, seconds * SECOND, has_price=True, at=AT)
    reports_of(row(), state(S.ACCEPTED), report, waiting, 3 * SECOND, has_price=True, at=AT)
    assert reports_of(row(), asked, report, waiting, 80 * SECOND, has_price=True, at=AT) == []


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
        looks = [reports_of(row(), now, report, waiting, at * 25 * SECOND, has_price=True, at=AT) for at in range(4)]
        assert [each.reason for each in looks[-1]] == [why]


def test_four_looks_in_a_hurry_are_not_enough_and_a_long_time_with_three_is_not_either():
    waiting, now = Waiting(), state(S.PENDING_CANCEL)

    def look(seconds):
        return reports_of(row(), now, report, waiting, round(seconds * SECOND), has_price=True, at=AT)

    assert [look(at) for at in (0, 5, 100)] == [[], [], []]
    assert look(101) != []
    assert [look(at) for at in (200, 201, 202, 203, 274.9)] == [[]] * 5
    assert look(275) != []


def test_each_order_is_waited_for_by_itself():
    waiting = Waiting()
    for at in range(3):
        assert not waiting.is_over("one", at * 25 * SECOND, AT, AT)
    assert not waiting.is_over("two", 75 * SECOND, AT, AT)
    waiting.ended("two")
    waiting.ended("three")
    assert waiting.is_over("one", 75 * SECOND, AT, AT)


@pytest.mark.parametrize(("asked_s_ago", "over_at_s"), [(0, 75), (30, 45), (75, 3), (4000, 3), (-4000, 75)])
def test_what_was_asked_for_before_this_process_began_has_been_waited_for_since(asked_s_ago, over_at_s):
    waiting, asked_at = Waiting(), AT - timedelta(seconds=asked_s_ago)
    looks = [at for at in range(100) if waiting.is_over("one", at * SECOND, asked_at, AT + timedelta(seconds=at))]
    assert looks[0] == over_at_s


def test_what_ends_an_order_ends_the_waiting_too():
    waiting, asked = Waiting(), state(S.PENDING_CANCEL)
    for seconds in (0, 4, 8):
        reports_of(row(), asked, report, waiting, seconds * SECOND, has_price=True, at=AT)
    (gone,) = reports_of(row(working=False), asked, report, waiting, 12 * SECOND, has_price=True, at=AT)
    assert gone.kind is K.CANCELED


def test_every_report_names_the_order_at_its_broker_and_what_has_traded():
    for old, a_row in (
        (state(S.ACCEPTED), row(price=D(120), filled_qty=D(40))),
        (state(S.ACCEPTED), row(filled_qty=D(1))),
    ):
        told = reports_of(a_row, old, report, Waiting(), 0, has_price=True, at=AT)
        assert {each.venue_order_id for each in told} == {"7"}
        assert told[-1].cum_qty == a_row.filled_qty
    (replaced, _) = reports_of(
        row(price=D(120), quantity=D(90), filled_qty=D(40)),
        state(S.ACCEPTED),
        report,
        Waiting(),
        0,
        has_price=True,
        at=AT,
    )
    assert (replaced.price, replaced.quantity, replaced.cum_qty) == (120, 90, None)
    (gone,) = reports_of(row(working=False), state(S.ACCEPTED), report, Waiting(), 0, has_price=True, at=AT)
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


# --- lists that lag behind an accepted change


def changed(a_state, seconds=0, **terms):
    """The order once a change was accepted, so long after the first moment."""
    at = AT + timedelta(seconds=seconds)
    return a_state.after(ExecutionReport("o", "r", K.REPLACED, at, **{name: D(to) for name, to in terms.items()}))


def test_lists_are_waited_for_as_long_as_for_an_absence():
    assert timedelta(microseconds=MIN_ABSENCE_NS // 1000) == LISTS_LAG


def test_a_row_with_the_terms_from_before_a_change_is_taken_for_old_for_a_while():
    now = changed(state(S.ACCEPTED), price=120, quantity=150)
    for seconds in (0, 62, 74.9):
        assert said(row(), now, at=AT + timedelta(seconds=seconds)) == ([], now)
    kinds, after = said(row(), now, at=AT + LISTS_LAG)
    assert kinds == [K.REPLACED]
    assert (after.price, after.quantity) == (110, 100)


def test_third_terms_are_believed_at_once():
    now = changed(state(S.ACCEPTED), price=120, quantity=150)
    for a_row in (row(price=D(130)), row(price=D(120)), row(quantity=D(150))):
        kinds, after = said(a_row, now)
        assert kinds == [K.REPLACED]
        assert (after.price, after.quantity) == (a_row.price, a_row.quantity)


def test_the_terms_from_before_each_of_several_changes_are_taken_for_old():
    now = changed(changed(state(S.ACCEPTED), quantity=150), 40, quantity=200)
    for quantity in (100, 150):
        assert said(row(quantity=D(quantity)), now, at=AT + timedelta(seconds=50))[0] == []
    at = AT + timedelta(seconds=80)
    assert said(row(quantity=D(100)), now, at=at)[0] == [K.REPLACED]
    assert said(row(quantity=D(150)), now, at=at)[0] == []
    assert [each.quantity for each in changed(now, 80, quantity=300).former] == [150, 200]


def test_what_an_old_row_tells_of_trades_is_counted_and_fills_no_order_that_has_grown():
    now = changed(state(S.ACCEPTED), quantity=150)
    kinds, after = said(row(filled_qty=D(100)), now)
    assert kinds == [K.PARTIALLY_FILLED]
    assert (after.status, after.filled_qty, after.quantity) == (S.PARTIALLY_FILLED, 100, 150)


def test_an_old_row_ends_no_change_that_is_asked_for_after_that():
    now = replace(changed(state(S.ACCEPTED), price=120), status=S.PENDING_REPLACE)
    assert said(row(), now)[0] == []
    assert said(row(price=D(130)), now)[0] == [K.REPLACED]


def test_one_that_has_ended_is_never_too_old():
    now = changed(state(S.ACCEPTED), price=120, quantity=150)
    kinds, after = said(row(filled_qty=D(40), working=False), now)
    assert kinds == [K.CANCELED]
    assert (after.price, after.filled_qty) == (120, 40)


def test_a_market_orders_row_from_before_a_change_is_old_by_its_quantity():
    now = changed(state(S.ACCEPTED), quantity=150)
    assert said(row(price=D(999)), now, has_price=False)[0] == []
    assert said(row(price=D(999), quantity=D(120)), now, has_price=False)[0] == [K.REPLACED]


def test_what_was_changed_before_it_came_to_its_broker_is_in_no_list():
    held = changed(OrderState(ORDER), quantity=150)
    assert held.former == ()
    assert changed(state(S.ACCEPTED), price=110).former == ()
