"""An order as its broker takes it: what the broker has not by itself is said in the terms that it has. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from firstbell.model.terms import OrderType, TimeInForce
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

    from firstbell.brokers.base import Capabilities
    from firstbell.model.order import Order, OrderState

SUPPLIED: frozenset[TimeInForce] = frozenset({TimeInForce.IOC, TimeInForce.GTD, TimeInForce.AT_THE_OPEN})
"""What the order manager supplies where a broker has day orders alone: it takes back in time what is left."""


def must_be_held(order: Order, capabilities: Capabilities) -> bool:
    """Whether an order waits for a trigger that its broker does not know."""
    return order.order_type.waits and order.order_type not in capabilities.order_types


def not_taken(order_type: OrderType, time_in_force: TimeInForce, capabilities: Capabilities) -> tuple[Verdict, ...]:
    """What neither the broker nor the order manager can do; nothing where one of them can do all of it."""
    verdicts = []
    types, times = capabilities.order_types, capabilities.times_in_force
    if order_type not in types and types.isdisjoint({OrderType.LIMIT, OrderType.MARKET}):
        verdicts.append(
            Verdict(ErrorCode.VALIDATION_ERROR, "order type at this broker", order_type.value, _words(types))
        )
    supplied = SUPPLIED if TimeInForce.DAY in times else frozenset[TimeInForce]()
    if time_in_force not in times | supplied:
        allowed = _words(times | supplied)
        verdicts.append(
            Verdict(ErrorCode.VALIDATION_ERROR, "time in force at this broker", time_in_force.value, allowed)
        )
    return tuple(verdicts)


def _words(names: Iterable[StrEnum]) -> str:
    return ", ".join(sorted(each.value for each in names)) or "none"


def is_supplied(order: Order, capabilities: Capabilities) -> bool:
    """Whether its time in force is kept by the order manager, and not by the broker."""
    return order.time_in_force not in capabilities.times_in_force


def has_limit_there(order: Order, capabilities: Capabilities) -> bool:
    """Whether it is, or will be, a limit order at its broker, so that its price stands in the broker's list."""
    return order.order_type.has_limit or OrderType.MARKET not in capabilities.order_types


def as_taken(state: OrderState, capabilities: Capabilities, *, rests: bool = False) -> Order:
    """An order as it is sent now: with the price and quantity that it has now, in terms that the broker takes.

    A stop that has been triggered is a limit or a market order, as exchanges have it; a market order where the broker
    takes none is a limit order at the price that it was given for that.

    Args:
        state: The order as it stands.
        capabilities: What the broker takes.
        rests: Whether a stop's rest is to stay on the book, though the broker takes market orders.
    """
    order = state.order
    kind = order.order_type
    if kind not in capabilities.order_types or (kind.waits and state.triggered):
        takes_market = OrderType.MARKET in capabilities.order_types and not rests
        kind = OrderType.LIMIT if kind.has_limit or not takes_market else OrderType.MARKET
    time_in_force = TimeInForce.DAY if is_supplied(order, capabilities) else order.time_in_force
    return replace(order, price=state.price, quantity=state.quantity, order_type=kind, time_in_force=time_in_force)
