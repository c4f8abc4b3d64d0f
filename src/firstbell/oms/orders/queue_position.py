"""How much stands before an order in the book, from the levels that a broker shows. Pure.

What is promised, of a venue that ranks by price and then by time and hides nothing:

* Seen just before the order joins, with nothing happening in between, the number is exact: `volume_ahead` without
  ``own``. What joins in between stands before the order, too, and is not counted.
* Seen once the order is there, it is never too small: `volume_ahead` with ``own``. What has joined behind it at its
  price cannot be told from what stands before it, and is counted.
* Followed from there on, it is never too small either, and as small as what was seen allows: `followed`.

Where the levels shown end at better prices than the order's, there may be more than is said: `is_whole` tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.money import grouped
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.model.quote import Level, Quote

SHOWN_LEVELS: Final = 5
"""Levels a side that the brokers known to us show. Where there are fewer, that is the whole side."""

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """What stands before an order.

    Attributes:
        side: The order's side.
        price: Its price.
        better: Shares at better prices.
        level: Shares before it at its own price.
        orders: In how many orders all of them stand, or None where the broker does not say.
        is_whole: Whether the levels shown reach to the order's price; otherwise there may be more.
    """

    side: Side
    price: Decimal
    better: Decimal
    level: Decimal
    orders: int | None
    is_whole: bool = True

    @property
    def quantity(self) -> Decimal:
        """All shares before it."""
        return self.better + self.level

    def __str__(self) -> str:
        least = "" if self.is_whole else "at least "
        if not self.quantity:
            return f"{'nothing' if self.is_whole else 'nothing shown'} ahead at {grouped(self.price)}"
        found = "" if self.orders is None else f" in {self.orders:,} order{'s' * (self.orders != 1)}"
        return f"{least}{grouped(self.quantity)} shares{found} ahead at {grouped(self.price)}"


def volume_ahead(
    quote: Quote, side: Side, price: Decimal, own: Decimal = _NOTHING, *, shown: int = SHOWN_LEVELS
) -> QueuePosition:
    """What stands before an order of `side` at `price`.

    Args:
        quote: The market, just before the order joined it, or with the order in it.
        side: The order's side.
        price: Its price.
        own: How many of the shares at its price are its own; zero where it is not in the quote yet.
        shown: How many levels a side the broker shows at most.
    """
    levels = quote.levels(side)
    better = [level for level in levels if _is_better(side, level.price, price)]
    same = [level for level in levels if level.price == price]
    return QueuePosition(
        side,
        price,
        _sum(better),
        max(_sum(same) - own, _NOTHING),
        _count([*better, *same], own if same else _NOTHING),
        is_whole=len(better) < len(levels) or len(levels) < shown,
    )


def followed(
    earlier: QueuePosition,
    quote: Quote,
    own: Decimal,
    *,
    traded: Decimal = _NOTHING,
    has_filled: bool = False,
    shown: int = SHOWN_LEVELS,
) -> QueuePosition:
    """What stands before an order that has kept its place, seen anew.

    At its price nobody can have come before it since, so there it is no more than it was, less what has traded there,
    and no more than what is there now. At better prices it is what is there now.

    Args:
        earlier: What stood before it.
        quote: The market now, with the order in it.
        own: How many of the shares at its price are its own now.
        traded: How many shares are known to have traded on its side at its price since, its own not counted.
        has_filled: Whether any of it has traded: then it was the first at its price.
        shown: How many levels a side the broker shows at most.
    """
    now = volume_ahead(quote, earlier.side, earlier.price, own, shown=shown)
    before = _NOTHING if has_filled else max(earlier.level - traded, _NOTHING)
    if not now.is_whole:
        # Of its own price nothing is seen; what it was still holds.
        return replace(now, level=before if earlier.is_whole else now.level, orders=None)
    if not earlier.is_whole and not has_filled:
        return now
    level = min(before, now.level)
    return now if level == now.level else replace(now, level=level, orders=None)


def _is_better(side: Side, price: Decimal, than: Decimal) -> bool:
    return price > than if side is Side.BUY else price < than


def _sum(levels: Iterable[Level]) -> Decimal:
    return sum((level.quantity for level in levels), _NOTHING)


def _count(levels: list[Level], own: Decimal) -> int | None:
    counts = [level.orders for level in levels]
    if any(count is None for count in counts):
        return None
    return max(sum(count for count in counts if count is not None) - (own > 0), 0)
