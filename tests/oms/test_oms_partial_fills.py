from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.config import PartialFillSettings
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.model.terms import OrderType, Side
from firstbell.oms.policies.partial_fills import (
    CancelRemaining,
    CompletionStrategy,
    PartialFillConfig,
    PartialFillHandler,
    Reprice,
    Wait,
)
from firstbell.oms.policies.pricing import Market

D = Decimal
S = 1_000_000_000
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
BUY, SELL = Side
INSTRUMENT = Instrument("I", "", "", PriceBand(D(4600), D(5400)), D(1), D(1000), D(1))


def part(side=BUY, price=5000, filled=40, *, kind=OrderType.LIMIT, **facts):
    order = Order("n", "A", "gs", "I", side, D(price), D(100), date(2026, 11, 21), kind)
    return OrderState(order, OrderStatus.PARTIALLY_FILLED, filled_qty=D(filled), **facts)


def quoted(bid=4990, ask=5020):
    return Market("XTEH", INSTRUMENT, Quote("I", AT, (Level(D(bid), D(1)),), (Level(D(ask), D(1)),)))


def decided(strategy, state, market=None, *, at_s=100, last_s=90, **given):
    handler = PartialFillHandler(PartialFillConfig(strategy, **given))
    return handler.decide(state, market or quoted(), last_s * S, at_s * S)


@pytest.mark.parametrize(("side", "price"), [(BUY, 5020), (SELL, 4990)])
def test_at_once_the_rest_goes_to_the_other_side(side, price):
    assert decided("immediate", part(side)) == Reprice(D(price))


def test_by_time_it_goes_there_once_nothing_has_traded_for_so_long():
    assert decided("time_based", part(), at_s=119) == Wait(120 * S)
    assert decided("time_based", part(), at_s=120) == Reprice(D(5020))
    assert decided("time_based", part(), at_s=92, after=2) == Reprice(D(5020))


@pytest.mark.parametrize(
    ("side", "bid", "ask", "price"),
    [
        (BUY, 4990, 5040, None),
        (BUY, 4990, 5050, 5050),
        (SELL, 4960, 5010, None),
        (SELL, 4950, 5010, 4950),
    ],
)
def test_by_price_it_follows_a_market_that_has_gone_so_far(side, bid, ask, price):
    found = decided("price_based", part(side), quoted(bid, ask), price_move="0.01")
    assert found == (None if price is None else Reprice(D(price)))


def test_canceled_it_is_canceled():
    assert decided("cancel_remaining", part()) == CancelRemaining()
    assert decided("cancel_remaining", part(kind=OrderType.MARKET)) == CancelRemaining()


def test_a_rest_too_small_to_pursue_is_canceled():
    assert decided("immediate", part(filled=91), min_remaining=D(10)) == CancelRemaining()
    assert decided("immediate", part(filled=90), min_remaining=D(10)) == Reprice(D(5020))


def test_what_crosses_already_is_left_alone():
    assert decided("immediate", part(price=5020)) is None
    assert decided("immediate", part(SELL, 4990)) is None


@pytest.mark.parametrize("side", Side)
def test_it_goes_no_further_than_is_allowed_from_what_was_asked_for_at_first(side):
    far = quoted(4740, 5260)
    assert decided("immediate", part(side), far) is None
    near = quoted(4750, 5250)
    assert decided("immediate", part(side), near) == Reprice(D(5250) if side is BUY else D(4750))
    # What an earlier change has made of the price moves no bounds.
    state = part(side)
    moved = replace(state, changed=replace(state.changed, price=D(5100) if side is BUY else D(4900)))
    assert decided("immediate", moved, far) is None


def test_without_a_market_there_is_no_price_to_go_to():
    empty = Market("XTEH", INSTRUMENT, Quote("I", AT))
    unread = Market("XTEH", INSTRUMENT)
    for market in (empty, unread):
        assert decided("immediate", part(), market) is None
        assert decided("price_based", part(), market) is None


@pytest.mark.parametrize("status", [each for each in OrderStatus if each is not OrderStatus.PARTIALLY_FILLED])
@pytest.mark.parametrize("strategy", CompletionStrategy)
def test_what_has_not_traded_in_part_or_is_being_changed_is_left_alone(status, strategy):
    assert decided(strategy, replace(part(), status=status)) is None


def test_nothing_is_done_unasked_or_about_a_price_that_is_not_ours():
    assert decided(None, part()) is None
    assert decided("immediate", part(kind=OrderType.MARKET)) is None
    assert decided("cancel_remaining", part(filled=100)) is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"strategy": "later"}, "later"),
        ({"after": -1}, "after"),
        ({"after": float("nan")}, "after"),
        ({"price_move": 2}, "price_move"),
        ({"max_price_adjustment": "x"}, "max_price_adjustment"),
        ({"min_remaining": D(-1)}, "min_remaining"),
        ({"min_remaining": "all"}, "min_remaining"),
        ({"min_remaining": 1.0}, "min_remaining"),
        ({"after": "soon"}, "after"),
    ],
)
def test_a_config_that_cannot_be_is_refused(given, name):
    with pytest.raises(ValueError, match=name):
        PartialFillConfig(**given)


def test_a_config_may_go_to_its_ends():
    config = PartialFillConfig("time_based", after=0, price_move=0, max_price_adjustment=1, min_remaining=D(0))
    assert (config.after, config.price_move, config.max_price_adjustment, config.min_remaining) == (0, 0, 1, 0)
    handler = PartialFillHandler(config)
    assert handler.decide(part(), quoted(), 90 * S, 90 * S) == Reprice(D(5020))


def test_a_section_makes_the_config_of_the_same_numbers():
    assert PartialFillConfig.of(PartialFillSettings()) == PartialFillConfig()
    made = PartialFillConfig.of(PartialFillSettings(strategy="time_based", after="2m", min_remaining=5))
    assert made == PartialFillConfig(CompletionStrategy.TIME_BASED, 120.0, min_remaining=D(5))
