"""The small closed vocabularies of an order. Values are codes, never texts for display."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal


class Side(StrEnum):
    """Which way an order goes (FIX 54)."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The side that undoes it."""
        return Side.SELL if self is Side.BUY else Side.BUY

    def worst(self, prices: Iterable[Decimal]) -> Decimal:
        """The worst of some prices for whoever trades on this side: the highest that is paid, the lowest that is got.

        Raises:
            ValueError: There are none.
        """
        return max(prices) if self is Side.BUY else min(prices)


class OrderType(StrEnum):
    """What an order asks for (FIX 40). Nothing ever defaults to a market order."""

    LIMIT = "limit"
    """At its price or better."""
    MARKET = "market"
    """At whatever price there is. Its `Order.price` is what it was valued at, and does not go to the broker."""
    STOP = "stop"
    """A market order once its trigger price has traded. Its `Order.price` is what it was valued at."""
    STOP_LIMIT = "stop_limit"
    """A limit order once its trigger price has traded."""
    TRAILING_STOP = "trailing_stop"
    """A stop whose trigger price follows the market at a distance, and never goes back."""

    @property
    def has_limit(self) -> bool:
        """Whether its price is a limit that goes to the broker."""
        return self in {OrderType.LIMIT, OrderType.STOP_LIMIT}

    @property
    def waits(self) -> bool:
        """Whether it waits for a trigger price before it may trade."""
        return self in WAITING


WAITING: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
"""The types that wait for a trigger price before they may trade."""


class TimeInForce(StrEnum):
    """How long an order stays (FIX 59)."""

    DAY = "day"
    """Until the end of the trading day."""
    GTC = "gtc"
    """Until it is canceled."""
    GTD = "gtd"
    """Until an instant: `Instructions.expires_at`."""
    IOC = "ioc"
    """What does not trade at once is canceled."""
    FOK = "fok"
    """All of it at once, or none."""
    AT_THE_OPEN = "at_the_open"
    """In the opening auction, or not at all."""
    AT_THE_CLOSE = "at_the_close"
    """In the closing auction, or not at all."""


class OrderRole(StrEnum):
    """What an order is for: it opens a position, or ends one, and then why."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"


def role_of(said: OrderRole | None, side: Side) -> OrderRole:
    """What an order is for; where nobody said, a buy enters and a sell exits."""
    if said is not None:
        return said
    return OrderRole.ENTRY if side is Side.BUY else OrderRole.EXIT


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
