"""At which price a stop leaves once its own has come, and whether what does not trade at once stays on the book."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.oms.policies.fallback import marketable_price, waiting_price

if TYPE_CHECKING:
    from firstbell.model.order import OrderState
    from firstbell.model.quote import Quote
    from firstbell.model.terms import Side
    from firstbell.oms.policies.fallback import FallbackConfig
    from firstbell.oms.policies.pricing import Market


@dataclass(frozen=True, slots=True)
class Leaving:
    """How an order that was held back leaves.

    Attributes:
        price: Its limit; where it leaves as a market order, what it is valued at.
        rests: Whether it is to be a limit order also where its broker takes market orders.
    """

    price: Decimal
    rests: bool


def leaving(state: OrderState, quantity: Decimal, market: Market, config: FallbackConfig) -> Leaving:
    """How one that was held back leaves, as the market stands.

    A stop asks for whatever price there is; where there is no market, for the worst that is allowed. That is counted
    from where it waits now, wherever it waited when it was placed.

    Args:
        state: The order as it stands.
        quantity: So many shares leave.
        market: The market, asked just now.
        config: How far from its trigger it may leave.
    """
    order = state.order
    if order.order_type.has_limit:
        return Leaving(state.price, rests=True)
    near = state.trigger_price or order.price
    found = marketable_price(replace(order, price=near), market, config)
    price = waiting_price(order.side, near, market, config) if found is None else found
    return Leaving(price, rests=_is_thin(market.quote, order.side, quantity))


def _is_thin(quote: Quote | None, side: Side, quantity: Decimal) -> bool:
    """Whether fewer wait on the other side than there are to trade: of a market order the rest would be canceled."""
    if quote is None:
        return False
    return sum((level.quantity for level in quote.levels(side.opposite)), Decimal(0)) < quantity
