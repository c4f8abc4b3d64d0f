"""Prices from rows of trades that are no single trades but sums that grow, under no lasting name. Pure.

What such rows come to together is exact all the same: how much of an order has traded, and for how much money. What is
more than was known before is counted as a trade of its own, or as two, one tick of that money apart, where it does not
divide evenly: so their value is what the broker said, to the rial.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from firstbell.model.money import plain
from firstbell.model.report import Fill

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.model.order import OrderState

_NOTHING: Final = Decimal(0)
_DIGITS: Final = 12
"""So many digits behind the point no money has."""


class Traded(NamedTuple):
    """What has traded in all.

    Attributes:
        quantity: How many shares.
        value: For how much money, without fees.
        fee: What was taken for it; None where that is not known of all of it.
    """

    quantity: Decimal
    value: Decimal
    fee: Decimal | None

    @classmethod
    def of(cls, fills: Iterable[Fill]) -> Traded:
        """What trades come to together."""
        told = list(fills)
        fees = [each.fee for each in told if each.fee is not None]
        return cls(
            sum((each.last_qty for each in told), _NOTHING),
            # An average that does not come out even is cut somewhere far behind the point.
            round(sum((each.last_qty * each.last_px for each in told), _NOTHING), _DIGITS).normalize(),
            sum(fees, _NOTHING) if len(fees) == len(told) else None,
        )

    def less(self, others: Iterable[OrderState]) -> Traded:
        """What is left of it once the priced trades of other orders are taken out."""
        quantity, value, fee = self
        for state in others:
            quantity, value = quantity - state.priced_qty, value - state.filled_value
            fee = None if fee is None else fee - state.fees
        return Traded(quantity, value, fee)


def beyond(state: OrderState, traded: Traded, *, has_price: bool) -> list[Fill]:
    """What of an order has traded beyond what has a price already, as trades; nothing where the sums do not fit it.

    Args:
        state: The order.
        traded: All that has traded of it, as its broker says now.
        has_price: Whether the order has a limit at its broker: then nothing of it has traded at a worse price.
    """
    quantity, value = traded.quantity - state.priced_qty, traded.value - state.filled_value
    if traded.quantity != state.filled_qty or quantity <= 0 or value <= 0:
        return []
    parts = _parts(quantity, value)
    if not parts or (has_price and any(state.is_worse(price) for _, price in parts)):
        return []
    fee = None if traded.fee is None or traded.fee < state.fees else traded.fee - state.fees
    if state.priced_qty and not state.fees:
        # What was priced before had none that was told, and was reckoned with the market's: that is not taken twice.
        fee = None
    # The whole fee is told with the first part.
    fees = [fee, *[None if fee is None else _NOTHING] * (len(parts) - 1)]
    name = f"sum {plain(traded.quantity)}"
    return [
        Fill(name if number == 0 else f"{name} +", shares, price, fees[number])
        for number, (shares, price) in enumerate(parts)
    ]


def _parts(quantity: Decimal, value: Decimal) -> list[tuple[Decimal, Decimal]]:
    """Shares and prices that come to a value exactly: one, or two that are as near as can be; none where none do."""
    price = value / quantity
    if Fraction(price) * Fraction(quantity) == Fraction(value):
        return [(quantity, price)]
    tick = Decimal(1).scaleb(min(int(value.as_tuple().exponent), 0))
    if quantity != quantity.to_integral_value():
        return []
    low = (price // tick) * tick
    higher = (value - low * quantity) / tick
    return [(quantity - higher, low), (higher, low + tick)] if 0 < higher < quantity else []
