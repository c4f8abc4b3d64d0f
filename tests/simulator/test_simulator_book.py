"""The order book, by examples and against a book so plain that it cannot be wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.terms import Side
from firstbell.simulator.book import BookOrder, Match, OrderBook


def order(order_id: int, side: Side, price: int, leaves: int) -> BookOrder:
    return BookOrder(order_id, side, Decimal(price), Decimal(leaves))


def match(buy: int, sell: int, price: int, quantity: int) -> Match:
    return Match(buy, sell, Decimal(price), Decimal(quantity))


def depth(book: OrderBook, side: Side) -> list[tuple[int, int, list[int]]]:
    return [(int(level.price), int(level.quantity), list(level.orders)) for level in book.levels(side)]


def test_levels_stand_best_first_and_within_a_level_the_oldest_first() -> None:
    book = OrderBook()
    for number, price in enumerate((100, 120, 110, 120), 1):
        book.rest(order(number, Side.BUY, price, number * 10))
    for number, price in enumerate((150, 140, 150), 5):
        book.rest(order(number, Side.SELL, price, 1))
    assert depth(book, Side.BUY) == [(120, 60, [2, 4]), (110, 30, [3]), (100, 10, [1])]
    assert depth(book, Side.SELL) == [(140, 1, [6]), (150, 2, [5, 7])]


def test_an_arriving_order_trades_at_resting_prices_until_its_limit_and_then_rests() -> None:
    book = OrderBook()
    book.rest(order(1, Side.SELL, 101, 10))
    book.rest(order(2, Side.SELL, 100, 10))
    book.rest(order(3, Side.SELL, 100, 10))
    book.rest(order(4, Side.SELL, 103, 10))
    assert book.take(order(5, Side.BUY, 102, 45)) == [match(5, 2, 100, 10), match(5, 3, 100, 10), match(5, 1, 101, 10)]
    assert depth(book, Side.BUY) == [(102, 15, [5])]
    assert depth(book, Side.SELL) == [(103, 10, [4])]


def test_a_partly_traded_order_keeps_its_place() -> None:
    book = OrderBook()
    book.rest(order(1, Side.BUY, 100, 10))
    book.rest(order(2, Side.BUY, 100, 10))
    assert book.take(order(3, Side.SELL, 100, 4)) == [match(1, 3, 100, 4)]
    assert book.take(order(4, Side.SELL, 90, 8)) == [match(1, 4, 100, 6), match(2, 4, 100, 2)]


def test_trades_can_all_be_at_one_given_price() -> None:
    book = OrderBook()
    book.rest(order(1, Side.SELL, 98, 10))
    assert book.take(order(2, Side.BUY, 100, 10), at=Decimal(100)) == [match(2, 1, 100, 10)]


def test_resting_orders_may_stand_crossed_until_the_book_is_uncrossed() -> None:
    book = OrderBook()
    book.rest(order(1, Side.BUY, 105, 10))
    book.rest(order(2, Side.SELL, 95, 6))
    book.rest(order(3, Side.BUY, 110, 3))
    assert book.uncross(Decimal(100)) == [match(3, 2, 100, 3), match(1, 2, 100, 3)]
    assert depth(book, Side.BUY) == [(105, 7, [1])]
    assert depth(book, Side.SELL) == []


def test_shrinking_keeps_the_place_and_removing_gives_it_up() -> None:
    book = OrderBook()
    book.rest(order(1, Side.SELL, 100, 10))
    book.rest(order(2, Side.SELL, 100, 10))
    book.shrink(1, Decimal(4))
    assert depth(book, Side.SELL) == [(100, 14, [1, 2])]
    assert book.remove(1) == Decimal(4)
    assert depth(book, Side.SELL) == [(100, 10, [2])]
    assert 1 not in book
    assert len(book) == 1


def test_what_makes_no_sense_is_refused() -> None:
    book = OrderBook()
    book.rest(order(1, Side.BUY, 100, 10))
    with pytest.raises(ValueError, match="rests here already"):
        book.rest(order(1, Side.BUY, 100, 10))
    with pytest.raises(ValueError, match="nothing left"):
        book.rest(order(2, Side.BUY, 100, 0))
    with pytest.raises(ValueError, match="not less"):
        book.shrink(1, Decimal(11))
    with pytest.raises(ValueError, match="not less"):
        book.shrink(1, Decimal(0))
    with pytest.raises(KeyError):
        book.remove(3)


class PlainBook:
    """A list that is sorted anew for every trade."""

    def __init__(self) -> None:
        self.orders: list[BookOrder] = []

    def take(self, new: BookOrder) -> list[Match]:
        matches = []
        while new.leaves:
            buying = new.side is Side.BUY
            others = [o for o in self.orders if o.side is not new.side]
            crossing = [o for o in others if (o.price <= new.price if buying else o.price >= new.price)]
            if not crossing:
                break
            best = min(crossing, key=lambda o: (o.price if buying else -o.price, self.orders.index(o)))
            quantity = min(new.leaves, best.leaves)
            buy, sell = (new, best) if buying else (best, new)
            matches.append(Match(buy.id, sell.id, best.price, quantity))
            new.leaves -= quantity
            best.leaves -= quantity
            self.orders = [o for o in self.orders if o.leaves]
        if new.leaves:
            self.orders.append(new)
        return matches

    def remove(self, order_id: int) -> None:
        self.orders = [o for o in self.orders if o.id != order_id]


ACTIONS = st.one_of(
    st.tuples(st.just("take"), st.sampled_from(Side), st.integers(95, 105), st.integers(1, 20)),
    st.tuples(st.just("remove"), st.just(Side.BUY), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("shrink"), st.just(Side.BUY), st.integers(0, 30), st.integers(1, 20)),
)


@given(st.lists(ACTIONS, max_size=60))
def test_it_agrees_with_a_plain_book(actions: list[tuple[str, Side, int, int]]) -> None:
    book, plain = OrderBook(), PlainBook()
    for number, (action, side, price_or_pick, quantity) in enumerate(actions):
        if action == "take":
            expected = plain.take(order(number, side, price_or_pick, quantity))
            assert book.take(order(number, side, price_or_pick, quantity)) == expected
        elif plain.orders:
            picked = plain.orders[price_or_pick % len(plain.orders)]
            if action == "remove":
                assert book.remove(picked.id) == picked.leaves
                plain.remove(picked.id)
            elif quantity <= picked.leaves:
                book.shrink(picked.id, Decimal(quantity))
                picked.leaves = Decimal(quantity)
        for each in Side:
            resting = sorted(
                (o for o in plain.orders if o.side is each), key=lambda o: -o.price if o.side is Side.BUY else o.price
            )
            assert [(o.id, o.leaves) for level in book.levels(each) for o in level.orders.values()] == [
                (o.id, o.leaves) for o in resting
            ]
            for level in book.levels(each):
                assert level.quantity == sum(o.leaves for o in level.orders.values())
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        assert bid is None or ask is None or bid.price < ask.price
