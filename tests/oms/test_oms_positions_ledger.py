"""The trades behind one position: whatever comes late, twice or anew, and whatever is forgotten, the sum is right."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.model.position import Position, Trade
from firstbell.model.terms import Side
from firstbell.model.trade_order import position_of
from firstbell.oms.positions.ledger import Ledger

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
FOLD = "IRO1FOLD0001"


def trade(order, minute, price, *, side=Side.BUY, name="1"):
    at = AT + timedelta(minutes=minute)
    return Trade(name, "A", FOLD, side, Decimal(10), Decimal(price), at, Decimal(3), order)


@pytest.fixture
def ledger(monkeypatch):
    """One that keeps only the last two trades of orders of which nothing more is expected."""
    monkeypatch.setattr("firstbell.oms.positions.ledger._KEPT", 2)
    monkeypatch.setattr("firstbell.oms.positions.ledger._FORGOTTEN_AT_ONCE", 1)
    return Ledger("A", FOLD)


def test_what_is_loaded_takes_the_place_of_everything_before(ledger):
    ledger.load({"a": [trade("a", 1, 5000)], "b": [trade("b", 2, 5100)]})
    ledger.load({"b": [trade("b", 2, 5100)]})
    assert ledger.position == position_of("A", FOLD, [trade("b", 2, 5100)])
    ledger.put("b", [trade("b", 2, 5100), trade("b", 3, 5200, name="2")])
    assert ledger.position == position_of("A", FOLD, [trade("b", 2, 5100), trade("b", 3, 5200, name="2")])
    ledger.load({})
    assert ledger.position == Position("A", FOLD)


def test_what_an_order_is_told_anew_takes_the_place_of_what_was_loaded_of_it(ledger):
    ledger.load({"a": [trade("a", 1, 5000, name="rest")], "b": [trade("b", 2, 5100)]})
    ledger.put("a", [trade("a", 3, 5050)])
    assert ledger.position == position_of("A", FOLD, [trade("b", 2, 5100), trade("a", 3, 5050)])


def test_a_trade_that_comes_late_counts_on_top_of_what_was_forgotten(ledger):
    trades = [
        trade(f"o{minute}", minute, 5000 + minute, side=side) for minute, side in enumerate([*Side, *Side, *Side])
    ]
    for each in trades:
        ledger.put(each.client_order_id, [each])
    for each in trades:
        ledger.settle(each.client_order_id)
    assert ledger.position == position_of("A", FOLD, trades)
    # Earlier than all that is still in sight, so all of that is reckoned anew.
    late = trade("late", 3.5, 4000, name="9")
    ledger.put("late", [late])
    assert ledger.position == position_of("A", FOLD, [*trades, late])


def test_no_more_is_forgotten_than_nothing_more_is_expected_of(ledger):
    trades = [trade(f"o{minute}", minute, 5000 + minute) for minute in range(5)]
    for each in trades:
        ledger.put(each.client_order_id, [each])
    for name in ("o0", "o2", "o3"):
        ledger.settle(name)
    # The second one works on: of what came later nothing is forgotten either, so that it finds its place.
    changed = [trades[1], trade("o1", 1.5, 5500, name="2")]
    ledger.put("o1", changed)
    told = [trades[0], *changed, *trades[2:]]
    assert ledger.position == position_of("A", FOLD, told)
    ledger.put("o1", changed[1:])
    assert ledger.position == position_of("A", FOLD, [each for each in told if each is not trades[1]])
    ledger.put("o0", [])
    assert ledger.position.quantity == 50


def test_an_order_that_works_on_can_still_change_when_many_others_are_settled(ledger):
    trades = [trade(f"o{minute}", minute, 5000 + minute) for minute in range(9)]
    for each in trades:
        ledger.put(each.client_order_id, [each])
    for each in trades[:3]:
        ledger.settle(each.client_order_id)
    for each in trades[4:]:
        ledger.settle(each.client_order_id)
    ledger.put("o3", [])
    assert ledger.position == position_of("A", FOLD, [*trades[:3], *trades[4:]])


def test_the_day_opens_with_what_was_forgotten_and_what_traded_before_it(ledger):
    trades = [trade(f"o{minute}", minute, 5000 + minute) for minute in range(5)]
    for each in trades:
        ledger.put(each.client_order_id, [each])
    for each in trades:
        ledger.settle(each.client_order_id)
    ledger.mark(trades[4].at)
    assert ledger.opening == position_of("A", FOLD, trades[:4])
    ledger.mark(trades[3].at)
    assert ledger.opening == position_of("A", FOLD, trades[:3])
    ledger.mark(trades[4].at + timedelta(minutes=1))
    assert ledger.opening == ledger.position == position_of("A", FOLD, trades)


@pytest.mark.parametrize("seed", range(20))
def test_trades_in_whatever_order_they_are_told_come_to_the_same(seed):
    chance = random.Random(seed)  # noqa: S311 - a history that can be told again
    ledger, told = Ledger("A", FOLD, short=False), dict[str, list[Trade]]()
    for _ in range(60):
        order = f"o{chance.randrange(12)}"
        side = Side.BUY if int(order[1:]) % 2 else Side.SELL
        trades = list(told.get(order, ()))
        if trades and chance.random() < 0.3:
            trades.remove(chance.choice(trades))
        else:
            at = AT + timedelta(seconds=chance.randrange(300))
            since = at - timedelta(seconds=chance.randrange(75)) if side is Side.BUY else None
            quantity, price = Decimal(chance.randrange(1, 30)), Decimal(chance.randrange(4900, 5100))
            name = str(chance.randrange(10**9))
            trades.append(Trade(name, "A", FOLD, side, quantity, price, at, Decimal(3), order, since=since))
        told[order] = trades
        ledger.put(order, trades)
        assert ledger.position == position_of("A", FOLD, [t for each in told.values() for t in each], short=False)
