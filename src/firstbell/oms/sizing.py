"""How many shares money pays for: pure arithmetic, exact, and never a rial too much."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Final

from firstbell.market.fees import fee
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from firstbell.brokers.base import Estimate
    from firstbell.model.instrument import Instrument
    from firstbell.model.price_band import PriceBand

_EXACT: Final = Context(prec=200, rounding=ROUND_FLOOR)
"""Products and sums of numbers as `firstbell.model.money.exact` reads them are exact in it."""
_RATE: Final = Context(prec=28, rounding=ROUND_FLOOR)
"""Floored, so that the fee that a rate was made of is the fee that it makes, rounded up."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """How many shares, and what they cost.

    Attributes:
        quantity: Shares; zero when the money pays for none.
        money: What it may cost at most, in rials.
        fee_rate: The fee as a part of the value, as it was used.
        by_calculator: Whether the broker's own calculator said so, and not the formula.
    """

    quantity: Decimal
    money: Decimal
    fee_rate: Decimal
    by_calculator: bool


def limit_price(side: Side, band: PriceBand, fixed: Decimal | None) -> Decimal:
    """The price of an order: the fixed one if the user set one, else the top of the band to buy, its bottom to sell."""
    if fixed is not None:
        return fixed
    return band.high if side is Side.BUY else band.low


def cut_to_lot(quantity: Decimal, lot_size: Decimal) -> Decimal:
    """The largest multiple of `lot_size` that is at most `quantity`; zero for what is not positive."""
    if quantity <= 0:
        return Decimal(0)
    with localcontext(_EXACT):
        return (quantity // lot_size) * lot_size


def affordable(money: Decimal, price: Decimal, fee_rate: Decimal, lot_size: Decimal = Decimal(1)) -> Decimal:
    """What `money` pays for at `price` with the fee in it: ``floor(money / (price x (1 + fee)))``, cut to the lot.

    The fee that is charged is rounded up to whole rials; one lot less is taken where that rounding would overspend,
    which whole rials never do; as many less as make up for it where a lot costs less than a rial.

    Returns:
        Shares; ``cost(result) <= money`` always holds.
    """
    if money <= 0:
        return Decimal(0)
    with localcontext(_EXACT):
        quantity = cut_to_lot((money / (price * (1 + fee_rate))).to_integral_value(), lot_size)
        over = cost(quantity, price, fee_rate) - money
        if over > 0:
            # Reckoned, not tried: where a lot is worth a tiny part of a rial there would be no end of trying.
            lots = (over / (price * lot_size)).to_integral_value(rounding=ROUND_CEILING)
            quantity = max(quantity - lots * lot_size, Decimal(0))
    return quantity


def cost(quantity: Decimal, price: Decimal, fee_rate: Decimal) -> Decimal:
    """What `quantity` shares at `price` take from the buying power, the fee included, in rials."""
    with localcontext(_EXACT):
        value = quantity * price
        return value + fee(value, fee_rate)


def size_buy(
    money: Decimal, price: Decimal, instrument: Instrument, fee_rate: Decimal, said: Estimate | None
) -> Sizing:
    """How many shares to buy for `money`: the calculator's word where it holds water, else the formula.

    The calculator is believed when what it names is positive and costs, by its own figures, no more than the money.
    Without a fee or a net amount of its own it is believed only as far as the formula goes: it may have left the fee
    out.

    Returns:
        The sizing, not yet capped by the instrument's largest order.
    """
    by_formula = affordable(money, price, fee_rate, instrument.lot_size)
    formula = Sizing(by_formula, money, fee_rate, by_calculator=False)
    if said is None or said.quantity <= 0 or money <= 0:
        return formula
    quantity = cut_to_lot(said.quantity, instrument.lot_size)
    if quantity <= 0:
        return formula
    rate = _rate_of(said, price)
    if rate is None:
        return Sizing(quantity, money, fee_rate, by_calculator=True) if quantity <= by_formula else formula
    if cost(quantity, price, rate) > money:
        return formula
    return Sizing(quantity, money, rate, by_calculator=True)


def _rate_of(said: Estimate, price: Decimal) -> Decimal | None:
    with localcontext(_EXACT):
        value = said.quantity * price
    if said.fee is not None and said.fee >= 0:
        fees = said.fee
    elif said.net_amount is not None and said.net_amount >= value:
        fees = said.net_amount - value
    else:
        return None
    return _RATE.divide(fees, value)
