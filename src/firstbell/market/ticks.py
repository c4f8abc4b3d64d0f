"""The smallest steps in which prices move."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_STEPS: Final = {
    "XTEH": ((Decimal(0), Decimal(1)), (Decimal(5000), Decimal(10))),
}
"""Market → (from this price on, the tick is), the lowest price first; prices and ticks in rials."""


def tick_size(market: str, price: Decimal) -> Decimal:
    """The tick at a price, in rials: in Tehran 1 below 5,000 and 10 from there on.

    Raises:
        ValueError: Nobody knows that market's ticks, or the price is not positive.
    """
    if market not in _STEPS:
        raise ValueError(f"the ticks of {market!r} are not known; known: {', '.join(_STEPS)}")
    if price <= 0:
        raise ValueError(f"a price is positive, as {price} is not")
    return [tick for start, tick in _STEPS[market] if start <= price][-1]


def on_tick(market: str, price: Decimal) -> bool:
    """Whether the exchange takes `price`: a multiple of the tick at that price.

    Raises:
        ValueError: As `tick_size`.
    """
    return price % tick_size(market, price) == 0
