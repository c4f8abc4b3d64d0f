"""The small closed vocabularies of an order. Values are codes, never texts for display."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Which way an order goes (FIX 54)."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """What an order asks for (FIX 40). Nothing ever defaults to a market order."""

    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long an order stays (FIX 59)."""

    DAY = "day"


class AttemptOutcome(StrEnum):
    """What one sending of an order's bytes came to."""

    ACCEPTED = "ACCEPTED"
    """The broker has it."""
    REJECTED = "REJECTED"
    """The broker said no, for certain: it is not there."""
    UNRESOLVED = "UNRESOLVED"
    """Nobody said. Only the broker's own lists can end this."""
    NOT_SENT = "NOT_SENT"
    """Not one byte left this machine."""


class OrderOutcome(StrEnum):
    """What an order came to, as result files say it. The four always add up to the orders configured."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"
    NOT_SENT = "not_sent"
