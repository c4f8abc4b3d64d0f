from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.risk.checks import FINAL_CHECKS, PLAN_CHECKS, Limits, Sending, Surroundings, deny
from firstbell.risk.trading_state import TradingState

MS = 1_000_000
ORDER = Order(
    "fb-20261121-0011aabbccdd-0", "A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21)
)
SELL = replace(ORDER, side=Side.SELL)
BAND = PriceBand(Decimal(5520), Decimal(5860))
INSTRUMENT = Instrument("IRO1MHRN0001", "", "", BAND, Decimal(10), Decimal(400_000), Decimal(10))
SENDING = Sending(TradingState.ACTIVE, 1_000 * MS, None, 350 * MS)
AROUND = Surroundings(INSTRUMENT, Decimal(10), Limits(), Decimal(0), 0, SENDING)


def said(order=ORDER, checks=FINAL_CHECKS, **changes):
    return [str(denial) for denial in deny(order, replace(AROUND, **changes), checks)]


def test_what_is_right_passes():
    assert said() == []


@pytest.mark.parametrize(
    ("order", "changes", "words"),
    [
        ({"price": Decimal(5870)}, {}, "price band: 5,870, allowed 5,520 to 5,860"),
        ({"price": Decimal(5510)}, {}, "price band: 5,510, allowed 5,520 to 5,860"),
        ({"price": Decimal(5555)}, {}, "tick size: 5,555, allowed multiples of 10"),
        ({"price": Decimal(5550)}, {"tick_size": None}, "tick size: 5,550, allowed unknown for this market"),
        ({"quantity": Decimal(95)}, {}, "lot size: 95, allowed multiples of 10"),
        ({"quantity": Decimal(400_010)}, {}, "order size: 400,010, allowed 10 to 400,000"),
        ({}, {"limits": Limits(max_order_value=Decimal(585_999))}, "max_order_value: 586,000, allowed at most 585,999"),
        ({}, {"limits": Limits(max_order_quantity=Decimal(99))}, "max_order_quantity: 100, allowed at most 99"),
        (
            {},
            {"limits": Limits(max_total_value=Decimal(600_000)), "value_so_far": Decimal(14_001)},
            "max_total_value: 600,001, allowed at most 600,000",
        ),
        (
            {},
            {"limits": Limits(max_orders_per_account=2), "orders_so_far": 2},
            "max_orders_per_account: 3, allowed at most 2",
        ),
    ],
)
def test_every_rule_names_itself_and_both_numbers(order, changes, words):
    assert said(replace(ORDER, **order), **changes) == [words]
    # The plan is judged by the same rules.
    assert said(replace(ORDER, **order), PLAN_CHECKS, **changes) == [words]


@pytest.mark.parametrize(
    ("order", "changes"),
    [
        ({"price": Decimal(5520)}, {"tick_size": None}),
        ({"quantity": Decimal(10)}, {}),
        ({"quantity": Decimal(400_000)}, {}),
        ({}, {"limits": Limits(max_order_value=Decimal(586_000))}),
        ({}, {"limits": Limits(max_order_quantity=Decimal(100))}),
        ({}, {"limits": Limits(max_total_value=Decimal(600_000)), "value_so_far": Decimal(14_000)}),
        ({}, {"limits": Limits(max_orders_per_account=3), "orders_so_far": 2}),
    ],
)
def test_a_limit_itself_is_allowed(order, changes):
    assert said(replace(ORDER, **order), **changes) == []


def test_a_sell_spends_nothing():
    assert said(SELL, limits=Limits(max_total_value=Decimal(1)), value_so_far=Decimal(5)) == []


@pytest.mark.parametrize(
    ("state", "order", "words"),
    [
        (TradingState.HALTED, ORDER, ["trading state: HALTED, allowed cancels only"]),
        (TradingState.HALTED, SELL, ["trading state: HALTED, allowed cancels only"]),
        (TradingState.REDUCING, ORDER, ["trading state: REDUCING, allowed sells only"]),
        (TradingState.REDUCING, SELL, []),
    ],
)
def test_the_trading_state(state, order, words):
    assert said(order, sending=replace(SENDING, state=state)) == words


@pytest.mark.parametrize(("passed_ns", "denied"), [(350 * MS, False), (350 * MS - 1, True), (-5 * MS, True)])
def test_the_interval_is_kept_to_the_nanosecond(passed_ns, denied):
    found = said(sending=replace(SENDING, last_ns=SENDING.at_ns - passed_ns))
    assert bool(found) is denied
    if denied:
        assert found == [f"interval: {Decimal(passed_ns) / MS:.3f} ms, allowed at least 350 ms"]


def test_without_a_moment_nothing_may_leave():
    assert said(sending=None) == [
        "trading state: unknown, allowed ACTIVE",
        "interval: unknown, allowed a known one",
    ]


def test_every_reason_is_told():
    many = said(
        replace(ORDER, price=Decimal(9_999), quantity=Decimal(5)),
        limits=Limits(max_order_value=Decimal(1)),
        sending=replace(SENDING, state=TradingState.HALTED, last_ns=SENDING.at_ns),
    )
    assert [each.partition(":")[0] for each in many] == [
        "trading state",
        "interval",
        "price band",
        "tick size",
        "order size",
        "lot size",
        "max_order_value",
    ]
