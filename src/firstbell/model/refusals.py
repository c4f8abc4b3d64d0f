"""Why a broker refuses orders, in words that are the same for all brokers."""

from __future__ import annotations

from enum import StrEnum


class RefusalKind(StrEnum):
    """What a certain refusal is about. Each broker's dialect sorts its own codes into these, those that it knows."""

    PRICE = "price"
    """The price: outside the band, off its steps."""
    QUANTITY_TOO_LARGE = "quantity_too_large"
    """More than one order may be for."""
    QUANTITY = "quantity"
    """The quantity in some other way: too small, no whole number of lots; or the broker does not say in which."""
    FUNDS = "funds"
    """It costs more than there is, or sells more than is held."""
    NO_MARKET_ORDERS = "no_market_orders"
    """Orders without a limit are not taken, here or now."""
    MARKET_CLOSED = "market_closed"
    """The market takes no orders now."""
    RATE = "rate"
    """Too soon after the last one, or too many."""
    AUTHENTICATION = "authentication"
    """The login or its token."""
    DUPLICATE = "duplicate"
    """There is one like it already."""
    OTHER = "other"
    """Something else, known to be harmless."""
