"""What stands before an order is what stands there: said exactly, or never too little."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.identifiers import InstrumentId
from firstbell.model.quote import Level, Quote
from firstbell.model.terms import Side
from firstbell.oms.orders.queue_position import SHOWN_LEVELS, QueuePosition, followed, volume_ahead
from firstbell.simulator.book import BookOrder, OrderBook

AT = datetime(2026, 11, 21, 6, tzinfo=UTC)
OURS = 10_000
D = Decimal


def quote(bids: list[tuple[int, int, int | None]], asks: list[tuple[int, int, int | None]] | None = None) -> Quote:
    shown = [tuple(Level(D(p), D(q), n) for p, q, n in side) for side in (bids, asks or [])]
    return Quote(InstrumentId("IRO1MHRN0001"), AT, *shown)


def seen(book: OrderBook) -> Quote:
    """The book as a broker shows it."""
    shown = [
        tuple(
            Level(level.price, level.quantity, len(level.orders)) for level in islice(book.levels(side), SHOWN_LEVELS)
        )
        for side in Side
    ]
    return Quote(InstrumentId("IRO1MHRN0001"), AT, *shown)


def truth(book: OrderBook, side: Side, price: Decimal, ours: int) -> tuple[Decimal, int]:
    """What would trade before our order: every order at better prices, and the older ones at its own."""
    shares, orders = D(0), 0
    for level in book.levels(side):
        for order in level.orders.values():
            if order.id == ours:
                return shares, orders
            if level.price == price or (level.price > price if side is Side.BUY else level.price < price):
                shares, orders = shares + order.leaves, orders + 1
    return shares, orders


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (QueuePosition(Side.BUY, D(5860), D(0), D(1_204_000), 312), "1,204,000 shares in 312 orders ahead at 5,860"),
        (QueuePosition(Side.BUY, D(5860), D(500), D(0), 1), "500 shares in 1 order ahead at 5,860"),
        (QueuePosition(Side.BUY, D(5860), D(500), D(7), None), "507 shares ahead at 5,860"),
        (
            QueuePosition(Side.BUY, D(5860), D(5), D(7), 2, is_whole=False),
            "at least 12 shares in 2 orders ahead at 5,860",
        ),
        (QueuePosition(Side.SELL, D(5860), D(0), D(0), 0), "nothing ahead at 5,860"),
        (QueuePosition(Side.SELL, D(5860), D(0), D(0), None, is_whole=False), "nothing shown ahead at 5,860"),
    ],
)
def test_it_is_said_in_words(position: QueuePosition, words: str) -> None:
    assert str(position) == words


def test_better_prices_and_the_same_price_stand_before_it_and_worse_ones_do_not() -> None:
    bids = [(5860, 100, 2), (5850, 40, 1), (5840, 7, 1)]
    asks = [(5870, 9, 1), (5880, 8, 2), (5890, 1, 1)]
    bought = volume_ahead(quote(bids, asks), Side.BUY, D(5850))
    assert (bought.better, bought.level, bought.quantity, bought.orders) == (100, 40, 140, 3)
    sold = volume_ahead(quote(bids, asks), Side.SELL, D(5880))
    assert (sold.better, sold.level, sold.orders) == (9, 8, 3)
    assert volume_ahead(quote(bids), Side.BUY, D(5870)).quantity == 0


def test_its_own_shares_do_not_stand_before_it() -> None:
    there = volume_ahead(quote([(5860, 100, 2), (5850, 40, 3)]), Side.BUY, D(5850), D(15))
    assert (there.level, there.orders) == (25, 4)
    # A list that lags behind may show less than is our own.
    assert volume_ahead(quote([(5850, 10, 1)]), Side.BUY, D(5850), D(15)).quantity == 0


def test_one_share_of_its_own_is_an_order_and_none_is_not() -> None:
    shown = quote([(5850, 40, 3)])
    assert volume_ahead(shown, Side.BUY, D(5850), D(1)).orders == 2
    assert volume_ahead(shown, Side.BUY, D(5850), D(0)).orders == 3
    # A list that lags behind may not show it at all.
    assert volume_ahead(quote([]), Side.BUY, D(5850), D(1)).orders == 0


def test_where_the_broker_counts_no_orders_neither_do_we() -> None:
    assert volume_ahead(quote([(5860, 100, None), (5850, 40, 3)]), Side.BUY, D(5850)).orders is None


def test_a_price_beyond_the_levels_shown_has_at_least_so_much_before_it() -> None:
    five = [(5860 - 10 * n, 100, 1) for n in range(5)]
    assert not volume_ahead(quote(five), Side.BUY, D(5700)).is_whole
    assert volume_ahead(quote(five), Side.BUY, D(5820)).is_whole
    assert volume_ahead(quote(five[:4]), Side.BUY, D(5700)).is_whole
    assert not volume_ahead(quote(five[:4]), Side.BUY, D(5700), shown=4).is_whole


def test_followed_it_never_grows_at_its_own_price() -> None:
    first = volume_ahead(quote([(5850, 115, 3)]), Side.BUY, D(5850), D(15))
    joined = followed(first, quote([(5850, 515, 9)]), D(15))
    assert (joined.level, joined.orders) == (100, None)
    assert followed(joined, quote([(5850, 515, 9)]), D(15), traded=D(60)).level == 40
    assert followed(joined, quote([(5850, 75, 2)]), D(15)).level == 60
    assert followed(joined, quote([(5860, 7, 1), (5850, 510, 9)]), D(10), has_filled=True).quantity == 7
    over = [(5900 - 10 * n, 100, 1) for n in range(5)]
    hidden = followed(first, quote(over), D(15))
    assert (hidden.quantity, hidden.orders, hidden.is_whole) == (600, None, False)
    # What stood there once is not known for long where nothing of it is seen: what is said is that it is no less.
    assert followed(hidden, quote(over), D(15)).quantity == 500
    assert followed(hidden, quote([(5850, 515, 9)]), D(15)).level == 500


def test_followed_at_a_broker_that_shows_less_it_is_known_that_there_may_be_more() -> None:
    first = volume_ahead(quote([(5850, 115, 3)]), Side.BUY, D(5850), D(15), shown=2)
    over = [(5870, 100, 1), (5860, 100, 1)]
    assert not followed(first, quote(over), D(15), shown=2).is_whole
    assert followed(first, quote(over), D(15), shown=3).is_whole


SIDES = st.sampled_from(list(Side))
ARRIVALS = st.lists(st.tuples(SIDES, st.integers(-4, 4), st.integers(1, 50)), max_size=25)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), SIDES, st.integers(-4, 4), st.integers(1, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("shrink"), st.integers(0, 30)),
    ),
    max_size=25,
)


def filled(book: OrderBook, arrivals: list[tuple[Side, int, int]]) -> None:
    for number, (side, offset, shares) in enumerate(arrivals, start=1):
        book.take(BookOrder(number, side, D(5800 + 10 * offset), D(shares)))


@given(ARRIVALS, SIDES, st.integers(-4, 4))
def test_seen_just_before_it_joins_it_is_exact(arrivals: list[tuple[Side, int, int]], side: Side, offset: int) -> None:
    book, price = OrderBook(), D(5800 + 10 * offset)
    filled(book, arrivals)
    said = volume_ahead(seen(book), side, price)
    # Only resting: whether it would trade at once is another question.
    book.rest(BookOrder(OURS, side, price, D(7)))
    shares, orders = truth(book, side, price, OURS)
    if said.is_whole:
        assert (said.quantity, said.orders) == (shares, orders)
    else:
        assert said.quantity <= shares


@given(ARRIVALS, EVENTS, SIDES, st.integers(-4, 4), st.integers(1, 60), st.booleans())
def test_once_it_is_there_never_less_is_said_than_is_true(
    arrivals: list[tuple[Side, int, int]],
    events: list[tuple[object, ...]],
    side: Side,
    offset: int,
    own: int,
    looks_each_time: bool,
) -> None:
    book, price = OrderBook(), D(5800 + 10 * offset)
    filled(book, arrivals)
    ours = BookOrder(OURS, side, price, D(own))
    book.take(ours)
    if OURS not in book:
        return
    said = volume_ahead(seen(book), side, price, ours.leaves)
    held = ours.leaves
    traded = D(0)
    resting = {order.id for each in Side for level in book.levels(each) for order in level.orders.values()}
    for number, event in enumerate(events, start=20_000):
        if event[0] == "arrive":
            arriving = BookOrder(number, event[1], D(5800 + 10 * event[2]), D(event[3]))  # type: ignore[arg-type,operator]
            for match in book.take(arriving):
                other = match.sell if side is Side.SELL else match.buy
                if match.price == price and other not in {OURS, number}:
                    traded += match.quantity
            resting.add(number)
        else:
            others = sorted(each for each in resting if each in book and each != OURS)
            if others:
                picked = others[event[1] % len(others)]  # type: ignore[operator]
                book.remove(picked) if event[0] == "cancel" else _halve(book, picked)
        if OURS not in book:
            return
        if looks_each_time:
            said = followed(said, seen(book), ours.leaves, traded=traded, has_filled=ours.leaves < held)
            traded = D(0)
            _judge(said, book, side, price)
    said = followed(said, seen(book), ours.leaves, traded=traded, has_filled=ours.leaves < held)
    _judge(said, book, side, price)


def _judge(said: QueuePosition, book: OrderBook, side: Side, price: Decimal) -> None:
    shares, orders = truth(book, side, price, OURS)
    if said.is_whole:
        assert said.quantity >= shares
        assert said.orders is None or said.orders >= orders
    assert said.better <= shares


def _halve(book: OrderBook, number: int) -> None:
    for side in Side:
        for level in book.levels(side):
            order = level.orders.get(number)
            if order is not None and order.leaves > 1:
                book.shrink(number, order.leaves // 2)
                return


def test_an_order_that_is_in_no_level_shown_is_not_taken_off_those_before_it() -> None:
    found = volume_ahead(quote([(105, 10, 3), (104, 10, 3)]), Side.BUY, D(100), D(5), shown=2)
    assert (found.quantity, found.orders, found.is_whole) == (20, 6, False)
