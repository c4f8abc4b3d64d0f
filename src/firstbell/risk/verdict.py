"""What is wrong with an order, as a code for programs and in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """What an error is about. Once shipped, these codes do not change: scripts rely on them."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    """Of an order that was not sent: its terms do not fit together."""
    MARKET_HOURS_ERROR = "MARKET_HOURS_ERROR"
    """The market takes no such order now: it was not sent, or refused for that."""
    SYMBOL_ERROR = "SYMBOL_ERROR"
    """Of an order that was not sent: there is no such instrument, or it cannot be traded, or hardly is."""
    PRICE_ERROR = "PRICE_ERROR"
    """Of an order that was not sent: its price, or the market's, is outside the acceptable range."""
    QUANTITY_ERROR = "QUANTITY_ERROR"
    """Of an order that was not sent: its quantity, in shares or in money, cannot be ordered."""
    API_PLACEMENT_ERROR = "API_PLACEMENT_ERROR"
    """Of placing an order: the broker refused it, or gave an answer that nobody understands."""
    NETWORK_ERROR = "NETWORK_ERROR"
    """Of placing an order: the broker was not reached, or its answer did not come back."""
    RATE_LIMIT_ERROR = "RATE_LIMIT_ERROR"
    """Of placing an order: the broker says that it was asked too often."""
    AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
    """Of placing an order: the broker does not take the login or its token."""
    POSITION_NOT_FOUND = "POSITION_NOT_FOUND"
    """Of watching positions: there is no such position."""
    PRICE_UPDATE_ERROR = "PRICE_UPDATE_ERROR"
    """Of watching positions: their prices could not be brought up to date."""
    RISK_LIMIT_BREACH = "RISK_LIMIT_BREACH"
    """Of watching positions: a limit on what may be lost is exceeded."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is wrong.

    Attributes:
        code: What it is about.
        rule: The rule's name, as in the config where it stands there.
        found: The number found, or what is missing.
        allowed: The number allowed, or the range.
    """

    code: ErrorCode
    rule: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.found}, allowed {self.allowed}"
