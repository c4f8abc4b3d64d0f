"""Prices from sums that grow: the value is what the broker said, exactly, or nothing is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import Side
from firstbell.oms.orders.summed_trades import Traded, beyond

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
D = Decimal


def told(*reports, side=Side.BUY, price=5000, quantity=1000):
    order = Order("a", "A", "gs", "IRO1FOLD0001", side, D(price), D(quantity), date(2026, 11, 21))
    state = OrderState(order)
    for kind, facts in ((ReportKind.SUBMITTED, {}), (ReportKind.ACCEPTED, {}), *reports):
        state = state.after(ExecutionReport("a", "run", kind, AT, **facts))
    return state


def filled(cum_qty):
    return ReportKind.PARTIALLY_FILLED, {"cum_qty": D(cum_qty)}


def traded(trade_id, quantity, price, fee=None):
    return ReportKind.PARTIALLY_FILLED, {"fill": Fill(trade_id, D(quantity), D(price), fee)}


@pytest.mark.parametrize(
    ("quantity", "value", "parts"),
    [
        (300, 300 * 4990, [(300, 4990)]),
        (300, 300 * 4990 + 1, [(299, 4990), (1, 4991)]),
        (3, 10, [(2, 3), (1, 4)]),
        (4, 10, [(4, "2.5")]),
        (3, "10.01", [(2, "3.33"), (1, "3.35")]),
    ],
)
def test_the_value_is_kept_to_the_last_rial(quantity, value, parts):
    state = told(filled(quantity))
    found = beyond(state, Traded(D(quantity), D(value), None), has_price=True)
    assert sum(each.last_qty * each.last_px for each in found) == D(value)
    assert sum(each.last_qty for each in found) == quantity
    if D(value) != D("10.01"):
        assert [(each.last_qty, each.last_px) for each in found] == [(shares, D(price)) for shares, price in parts]
    after = told(filled(quantity), *((ReportKind.PARTIALLY_FILLED, {"fill": each}) for each in found))
    assert (after.priced_qty, after.filled_value) == (quantity, D(value))


def test_what_an_average_comes_to_is_told_apart_to_the_rial():
    state = told(traded("1", 1000, 4738), filled(3800), quantity=3800)
    blurred = Traded.of([Fill("x", D(3800), D(18_013_000) / 3800)])
    found = beyond(state, blurred, has_price=True)
    assert [each.last_px for each in found] == [4741, 4742]
    assert sum(each.last_qty * each.last_px for each in found) == 18_013_000 - 4_738_000


def test_only_what_is_more_than_was_known_is_counted_and_its_fee():
    state = told(traded("1", 400, 4950, D(70)), filled(600))
    (found,) = beyond(state, Traded(D(600), D(400 * 4950 + 200 * 4980), D(100)), has_price=True)
    assert found == Fill("sum 600", D(200), D(4980), D(30))


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        # The list of orders and that of trades are not of one moment.
        (500, 500 * 4950),
        (700, 700 * 4950),
        # It is worse than the limit; it is no value at all; it is less than was known before.
        (600, 600 * 5001),
        (600, 0),
        (600, 400 * 4950 - 1),
    ],
)
def test_sums_that_do_not_fit_the_order_say_nothing(quantity, value):
    state = told(traded("1", 400, 4950), filled(600))
    assert beyond(state, Traded(D(quantity), D(value), None), has_price=True) == []


def test_a_sale_trades_at_its_limit_or_better():
    state = told(filled(10), side=Side.SELL)
    assert beyond(state, Traded(D(10), D(10 * 4999), None), has_price=True) == []
    assert beyond(state, Traded(D(10), D(10 * 4999), None), has_price=False)
    assert beyond(state, Traded(D(10), D(10 * 5000), None), has_price=True)


def test_a_fee_counts_only_where_all_of_it_is_known():
    rows = [Fill("1", D(10), D(4990), D(5)), Fill("2", D(10), D(4990))]
    assert Traded.of(rows) == (20, 20 * 4990, None)
    assert Traded.of(rows[:1]) == (10, 10 * 4990, 5)


@pytest.mark.parametrize(("side", "prices"), [(Side.BUY, (5000, 4900)), (Side.SELL, (5000, 5100))])
def test_what_traded_before_its_price_was_made_better_has_its_price_all_the_same(side, prices):
    changed = ReportKind.REPLACED, {"price": D(prices[1])}
    before, after = told(filled(10), changed, side=side), told(filled(10), side=side, price=prices[1])
    at_first = Traded(D(10), D(10 * prices[0]), None)
    assert beyond(before, at_first, has_price=True) == [Fill("sum 10", D(10), D(prices[0]), None)]
    # That has never been the price of this one.
    assert beyond(after, at_first, has_price=True) == []
    worse = Traded(D(10), D(10 * (prices[0] + (1 if side is Side.BUY else -1))), None)
    assert beyond(before, worse, has_price=True) == []


def test_the_price_that_one_that_was_held_back_had_before_it_left_is_none_that_it_has_traded_at():
    order = Order("a", "A", "gs", "IRO1FOLD0001", Side.BUY, D(5000), D(10), date(2026, 11, 21))
    state = OrderState(order)
    for kind, price in ((ReportKind.REPLACED, 4900), (ReportKind.SUBMITTED, None), (ReportKind.ACCEPTED, None)):
        state = state.after(ExecutionReport("a", "run", kind, AT, price=None if price is None else D(price)))
    assert state.worst_price == 4900
    for price, worst in ((4800, 4900), (4950, 4950), (4700, 4950)):
        state = state.after(ExecutionReport("a", "run", ReportKind.REPLACED, AT, price=D(price)))
        assert state.worst_price == worst


def test_what_was_reckoned_with_the_markets_fee_has_no_part_in_a_fee_that_is_told_later():
    state = told(traded("1", 400, 4950), filled(600))
    (found,) = beyond(state, Traded(D(600), D(400 * 4950 + 200 * 4980), D(100)), has_price=True)
    assert found.fee is None
