"""Prices that the exchange takes and the user allows: inside the band, on the tick, not too far from what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Final

from firstbell.market.ticks import tick_size
from firstbell.model.terms import Side
from firstbell.oms.policies.given import number_of

if TYPE_CHECKING:
    from firstbell.model.instrument import Instrument
    from firstbell.model.quote import Quote

_EXACT: Final = Context(prec=200)
"""Products of numbers as `firstbell.model.money.exact` reads them are exact in it."""


@dataclass(frozen=True, slots=True)
class Market:
    """What a price is found by.

    Attributes:
        code: The market, whose table of ticks holds where the broker names none: ``XTEH``.
        instrument: The instrument as its broker describes it today.
        quote: What the market says of it now, or None where nobody was asked.
    """

    code: str
    instrument: Instrument
    quote: Quote | None = None

    def tick_at(self, price: Decimal) -> Decimal | None:
        """The price step at `price`, or None where nobody knows it."""
        if self.instrument.tick_size is not None:
            return self.instrument.tick_size
        try:
            return tick_size(self.code, price)
        except ValueError:
            return None

    def takes(self, price: Decimal) -> bool:
        """Whether the exchange takes `price`: an end of the band, or inside it and on the tick."""
        band = self.instrument.band
        if price in {band.low, band.high}:
            return True
        tick = self.tick_at(price)
        return band.holds(price) and tick is not None and price % tick == 0


def part_of_one(name: str, value: object) -> Decimal:
    """A part of something, from 0 to 1; a float, as in ``0.05``, is taken as it is written.

    Raises:
        ValueError: It is none; the message has its name.
    """
    part = number_of(name, repr(value) if isinstance(value, float) else value)
    if not 0 <= part <= 1:
        raise ValueError(f"{name} is a part of one, from 0 to 1, not {part}")
    return part


def worst_price(side: Side, asked: Decimal, adjustment: Decimal) -> Decimal:
    """How far a price may go against its owner: up for a buy, down for a sell.

    Args:
        side: Buy or sell.
        asked: The price that was asked for at first.
        adjustment: The largest change, as a part of it.
    """
    with localcontext(_EXACT):
        return asked * (1 + adjustment if side is Side.BUY else 1 - adjustment)


def fitted(side: Side, wanted: Decimal, worst: Decimal, market: Market) -> Decimal | None:
    """The price nearest to `wanted` that the exchange takes and that is not worse than `worst`.

    Prices are cut to the tick in their owner's favor: a buy's down, a sell's up.

    Returns:
        The price; None where the band begins beyond `worst`, or nobody knows the tick.
    """
    band = market.instrument.band
    low, high = (band.low, min(band.high, worst)) if side is Side.BUY else (max(band.low, worst), band.high)
    if low > high:
        return None
    price = min(max(wanted, low), high)
    if not market.takes(price):
        price = _cut(side, price, market) or price
        # The band's own ends need not be on the tick; beyond them it would cut too far.
        price = max(price, low) if side is Side.BUY else min(price, high)
    return price if market.takes(price) else None


def crossing_price(side: Side, worst: Decimal, allowance: Decimal, market: Market) -> Decimal | None:
    """A limit that trades at once, as far as the quote tells: the best opposite price and a little beyond it.

    Args:
        side: Buy or sell.
        worst: The worst price that is allowed.
        allowance: How far beyond the best opposite price it may go, as a part of that.
        market: What it is found by.

    Returns:
        The price; None where there is no opposite price, or none that may be paid.
    """
    touch = None if market.quote is None else market.quote.touch(side)
    if touch is None:
        return None
    price = fitted(side, worst_price(side, touch, allowance), worst, market)
    return price if price is not None and crosses(side, price, market) else None


def crosses(side: Side, price: Decimal, market: Market) -> bool:
    """Whether an order at `price` would trade at once, as far as the quote tells."""
    touch = None if market.quote is None else market.quote.touch(side)
    if touch is None:
        return False
    return price >= touch if side is Side.BUY else price <= touch


def _cut(side: Side, price: Decimal, market: Market) -> Decimal | None:
    """`price` cut to the tick, in its owner's favor."""
    tick = market.tick_at(price)
    if tick is None:
        return None
    with localcontext(_EXACT):
        steps = (price / tick).to_integral_value(rounding=ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
        return steps * tick
