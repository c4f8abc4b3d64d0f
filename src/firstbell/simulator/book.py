"""The order book of one instrument: best price first, and at one price the oldest first."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class BookOrder:
    """What the book keeps of an order.

    Attributes:
        id: Its name, given by the venue.
        side: Buy or sell.
        price: Its limit price, in rials.
        leaves: Shares still to trade; the book counts them down.
    """

    id: int
    side: Side
    price: Decimal
    leaves: Decimal


@dataclass(frozen=True, slots=True)
class Match:
    """Two orders have met.

    Attributes:
        buy: The buying order's id.
        sell: The selling order's id.
        price: The price of the trade, in rials.
        quantity: The shares traded.
    """

    buy: int
    sell: int
    price: Decimal
    quantity: Decimal


@dataclass(slots=True)
class Level:
    """Everything that rests at one price on one side.

    Attributes:
        price: The price.
        quantity: The sum of what its orders still have to trade.
        orders: The orders by id, the oldest first.
    """

    price: Decimal
    quantity: Decimal
    orders: dict[int, BookOrder]


class _BookSide:
    """The levels of one side. `best` is the highest price of the buys, or the lowest of the sells."""

    def __init__(self, side: Side) -> None:
        self._best = -1 if side is Side.BUY else 0
        self._prices: list[Decimal] = []
        self._levels: dict[Decimal, Level] = {}

    def best(self) -> Level | None:
        return self._levels[self._prices[self._best]] if self._prices else None

    def levels(self) -> Iterator[Level]:
        """The levels, the best first."""
        for price in self._prices if self._best == 0 else reversed(self._prices):
            yield self._levels[price]

    def append(self, order: BookOrder) -> None:
        level = self._levels.get(order.price)
        if level is None:
            insort(self._prices, order.price)
            level = self._levels[order.price] = Level(order.price, Decimal(0), {})
        level.orders[order.id] = order
        level.quantity += order.leaves

    def reduce(self, order: BookOrder, quantity: Decimal) -> None:
        """Take `quantity` off an order, and the order off the book once nothing is left of it."""
        order.leaves -= quantity
        level = self._levels[order.price]
        level.quantity -= quantity
        if order.leaves == 0:
            del level.orders[order.id]
            if not level.orders:
                del self._levels[order.price]
                del self._prices[bisect_left(self._prices, order.price)]


class OrderBook:
    """The working orders of one instrument.

    It neither knows accounts nor phases: whoever owns it decides when orders may trade. Orders that were only added
    with `rest` may stand crossed until `uncross` is called, as they do before an opening auction.
    """

    def __init__(self) -> None:
        self._sides = {side: _BookSide(side) for side in Side}
        self._orders: dict[int, BookOrder] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._orders

    def levels(self, side: Side) -> Iterator[Level]:
        """One side's levels, the best price first."""
        return self._sides[side].levels()

    def best(self, side: Side) -> Level | None:
        """One side's best level, or None where nothing rests there."""
        return self._sides[side].best()

    def within(self, side: Side, price: Decimal) -> Decimal:
        """The shares that an arriving order of `side` would meet at `price` or better."""
        met = Decimal(0)
        arriving = BookOrder(0, side, price, met)
        for level in self.levels(side.opposite):
            if not _crosses(arriving, level.price):
                break
            met += level.quantity
        return met

    def rest(self, order: BookOrder) -> None:
        """Put an order behind all others of its price, without trading.

        Raises:
            ValueError: Nothing is left of it to trade, or an order of that id rests here already.
        """
        if order.leaves <= 0:
            raise ValueError(f"order {order.id} has nothing left to rest")
        if order.id in self._orders:
            raise ValueError(f"order {order.id} rests here already")
        self._orders[order.id] = order
        self._sides[order.side].append(order)

    def take(self, order: BookOrder, *, at: Decimal | None = None) -> list[Match]:
        """Trade an arriving order against what rests on the other side; what is left of it rests.

        Args:
            order: The arriving order.
            at: The price of every trade; None means each resting order's own price.

        Returns:
            The trades, in the order in which they happened.
        """
        matches = []
        other = self._sides[Side.SELL if order.side is Side.BUY else Side.BUY]
        while order.leaves > 0 and (level := other.best()) is not None and _crosses(order, level.price):
            resting = next(iter(level.orders.values()))
            quantity = min(order.leaves, resting.leaves)
            buy, sell = (order, resting) if order.side is Side.BUY else (resting, order)
            matches.append(Match(buy.id, sell.id, resting.price if at is None else at, quantity))
            order.leaves -= quantity
            self._reduce(resting, quantity)
        if order.leaves > 0:
            self.rest(order)
        return matches

    def uncross(self, price: Decimal) -> list[Match]:
        """Trade everything that can trade at one price: the best prices first, and at one price the oldest first.

        Args:
            price: The price of every trade, from `firstbell.simulator.auction`.

        Returns:
            The trades, in the order in which they happened.
        """
        matches = []
        buys, sells = self._sides[Side.BUY], self._sides[Side.SELL]
        while (bid := buys.best()) and (ask := sells.best()) and bid.price >= price >= ask.price:
            buy = next(iter(bid.orders.values()))
            sell = next(iter(ask.orders.values()))
            quantity = min(buy.leaves, sell.leaves)
            matches.append(Match(buy.id, sell.id, price, quantity))
            self._reduce(buy, quantity)
            self._reduce(sell, quantity)
        return matches

    def remove(self, order_id: int) -> Decimal:
        """Take an order off the book.

        Returns:
            The shares that were left of it.

        Raises:
            KeyError: It does not rest here.
        """
        order = self._orders[order_id]
        left = order.leaves
        self._reduce(order, left)
        return left

    def shrink(self, order_id: int, leaves: Decimal) -> None:
        """Leave fewer shares of an order on the book. It keeps its place in the queue.

        Raises:
            KeyError: It does not rest here.
            ValueError: That is not fewer, or none at all.
        """
        order = self._orders[order_id]
        if not 0 < leaves <= order.leaves:
            raise ValueError(f"{leaves} is not less than the {order.leaves} left of order {order_id}")
        self._reduce(order, order.leaves - leaves)

    def _reduce(self, order: BookOrder, quantity: Decimal) -> None:
        self._sides[order.side].reduce(order, quantity)
        if order.leaves == 0:
            del self._orders[order.id]


def _crosses(order: BookOrder, price: Decimal) -> bool:
    return order.price >= price if order.side is Side.BUY else order.price <= price
