"""The opening call auction: one price for all orders gathered before it.

The price is the one at which

1. the most shares trade, then
2. the fewest shares that want to trade at it are left over (the imbalance), then
3. the distance from the reference price is smallest, and then
4. the lower of two equally distant ones.

Every tick is a candidate, not only the prices that orders name: strictly between two named prices fewer orders may be
left over than at either of them. Between two neighboring named prices nothing changes, so of each such gap only the
ticks nearest the reference price need to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_JUST_BELOW: Final = Decimal("1e-9")
"""Less than any tick: it tells the tick that holds below a price from the one that holds at it."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """What an auction finds.

    Attributes:
        price: The one price, in rials.
        volume: The shares that trade at it.
        imbalance: What is left of those that want to trade at it: buys minus sells, in shares.
    """

    price: Decimal
    volume: Decimal
    imbalance: Decimal


def clear(
    buys: Mapping[Decimal, Decimal],
    sells: Mapping[Decimal, Decimal],
    reference: Decimal,
    tick_at: Callable[[Decimal], Decimal],
) -> Clearing | None:
    """Find the price of an auction.

    Args:
        buys: Price → shares wanted at that price or lower.
        sells: Price → shares offered at that price or higher.
        reference: The price that decides among equally good ones: yesterday's closing price.
        tick_at: The tick at a price, in rials.

    Returns:
        The clearing, or None where nothing can trade.
    """
    if not buys or not sells or max(buys) < min(sells):
        return None
    best: tuple[tuple[Decimal, Decimal, Decimal, Decimal], Clearing] | None = None
    for price in _candidates(sorted(buys.keys() | sells.keys()), reference, tick_at):
        wanted = sum((shares for limit, shares in buys.items() if limit >= price), Decimal(0))
        offered = sum((shares for limit, shares in sells.items() if limit <= price), Decimal(0))
        found = Clearing(price, min(wanted, offered), wanted - offered)
        rank = (-found.volume, abs(found.imbalance), abs(price - reference), price)
        if best is None or rank < best[0]:
            best = rank, found
    return best[1] if best is not None else None


def _candidates(named: list[Decimal], reference: Decimal, tick_at: Callable[[Decimal], Decimal]) -> Iterator[Decimal]:
    yield from named
    for low, high in pairwise(named):
        yield from (price for price in _nearest(low, high, reference, tick_at) if low < price < high)


def _nearest(
    low: Decimal, high: Decimal, reference: Decimal, tick_at: Callable[[Decimal], Decimal]
) -> Iterable[Decimal]:
    """The ticks strictly between two named prices that come nearest the reference price, and perhaps some outside."""
    if reference <= low:
        return (low + tick_at(low),)
    below = high - _JUST_BELOW
    if reference >= high:
        return (_floor(below, tick_at(below)),)
    at_or_below = _floor(reference, tick_at(reference))
    above = at_or_below + tick_at(at_or_below)
    return (at_or_below, above)


def _floor(price: Decimal, tick: Decimal) -> Decimal:
    return price // tick * tick
