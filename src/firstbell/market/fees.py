"""What an exchange, its brokers and the state take of a trade.

These are the rates on shares. Funds and other boards differ, so a broker's own calculator is asked first where it has
one, and this formula is what remains when it does not answer.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

from firstbell.model.terms import Side

_RATES: Final = {
    "XTEH": {Side.BUY: Decimal("0.003712"), Side.SELL: Decimal("0.0088")},
}
"""Market → side → the part of a trade's value that goes in fees (Tehran: 0.3712 % of a buy, 0.88 % of a sale)."""


def fee_rate(market: str, side: Side) -> Decimal:
    """The fee on shares as a part of the trade's value: 0.003712 for a buy in Tehran.

    Raises:
        ValueError: Nobody knows that market's fees.
    """
    if market not in _RATES:
        raise ValueError(f"the fees of {market!r} are not known; known: {', '.join(_RATES)}")
    return _RATES[market][side]


def fee(value: Decimal, rate: Decimal) -> Decimal:
    """The fee on a trade, in whole rials.

    Rounded up, so that value and fee together are never understated: what fits into the buying power with this fee fits
    into it with the broker's.

    Args:
        value: Price times quantity, in rials; not negative.
        rate: A part of the value, from `fee_rate`.

    Raises:
        ValueError: The value is negative.
    """
    if value < 0:
        raise ValueError(f"a trade's value is not negative, as {value} is")
    return (value * rate).to_integral_value(rounding=ROUND_CEILING)
