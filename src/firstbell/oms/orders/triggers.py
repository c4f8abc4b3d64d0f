"""When an order that we hold back may leave: stops, trailing stops, and a bracket's leg that waits for its price. Pure.

A stop is measured by the last trade, as exchanges do; where nothing has traded, by the price at which it would trade at
once. A quote that is too old triggers nothing: nobody knows where the market is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.terms import OrderType, Side

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from firstbell.model.order import OrderState
    from firstbell.model.quote import Quote


def market_price(quote: Quote, side: Side) -> Decimal | None:
    """Where the market is for a stop of `side`: its last trade, else what it would trade at; None where nobody says."""
    return quote.last_price if quote.last_price is not None else quote.touch(side)


def is_stale(quote: Quote, now: datetime, most: timedelta) -> bool:
    """Whether a quote is too old to go by."""
    return now - quote.at > most


def followed(state: OrderState, quote: Quote) -> Decimal | None:
    """A trailing stop's new trigger price, where the market has moved its way; None where it stays.

    A sell's trigger follows the market up and never comes down; a buy's follows it down and never goes up.
    """
    order = state.order
    offset = order.instructions.trailing_offset
    price = market_price(quote, order.side)
    if order.order_type is not OrderType.TRAILING_STOP or offset is None or price is None:
        return None
    wanted = price - offset if order.side is Side.SELL else price + offset
    if wanted <= 0:
        return None
    now = state.trigger_price
    if now is None or (wanted > now if order.side is Side.SELL else wanted < now):
        return wanted
    return None


def is_hit(state: OrderState, quote: Quote) -> bool:
    """Whether the market has come to where an order that waits may trade.

    A stop sells when the market has fallen to its trigger, and buys when it has risen to it. A limit order that waits
    for its price, as a bracket's profit does, may leave when it would trade at once.
    """
    side = state.order.side
    if state.order.order_type.waits:
        price, trigger = market_price(quote, side), state.trigger_price
        if price is None or trigger is None:
            return False
        return price <= trigger if side is Side.SELL else price >= trigger
    touch = quote.touch(side)
    if touch is None:
        return False
    return touch >= state.price if side is Side.SELL else touch <= state.price
