"""The words of the order manager's policies, as configs write them."""

from __future__ import annotations

from enum import StrEnum


class RetryStrategy(StrEnum):
    """How the pauses between attempts grow."""

    EXPONENTIAL_BACKOFF = "exponential_backoff"
    """Each pause is so many times the one before it."""
    LINEAR_BACKOFF = "linear_backoff"
    """Each pause is longer than the one before it by the first."""
    FIXED_DELAY = "fixed_delay"
    """All pauses are as long as the first."""
    IMMEDIATE = "immediate"
    """No pauses but those that the broker itself asks for."""


class CompletionStrategy(StrEnum):
    """What becomes of the rest of an order that has traded in part."""

    IMMEDIATE = "immediate"
    """It is to trade at once."""
    TIME_BASED = "time_based"
    """It is to trade once nothing has traded for a while."""
    PRICE_BASED = "price_based"
    """It is to trade once the market moves away from it."""
    CANCEL_REMAINING = "cancel_remaining"
    """It is canceled."""
