"""What the market says of an instrument at one moment: the best limits, the last trade, how much trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstbell.model.terms import Side

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from firstbell.model.identifiers import InstrumentId


@dataclass(frozen=True, slots=True)
class Level:
    """Everything that rests at one price on one side of the book.

    Attributes:
        price: The price.
        quantity: Shares, of all orders there together.
        orders: How many orders they are, or None where the broker does not say.
    """

    price: Decimal
    quantity: Decimal
    orders: int | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """An instrument's market at one moment. What the broker does not say is None, or empty.

    Attributes:
        instrument: What is traded.
        at: When it was read, aware, on our clock.
        bids: The best buying levels, the highest price first.
        asks: The best selling levels, the lowest price first.
        last_price: The last trade's price.
        volume: Shares traded today.
        open_interest: Contracts that are open, of a derivative.
    """

    instrument: InstrumentId
    at: datetime
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    last_price: Decimal | None = None
    volume: Decimal | None = None
    open_interest: Decimal | None = None

    @property
    def bid(self) -> Decimal | None:
        """The highest price that somebody pays."""
        return self.bids[0].price if self.bids else None

    @property
    def ask(self) -> Decimal | None:
        """The lowest price that somebody sells at."""
        return self.asks[0].price if self.asks else None

    @property
    def spread(self) -> Decimal | None:
        """From the bid to the ask; None where a side is empty."""
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    def levels(self, side: Side) -> tuple[Level, ...]:
        """The levels of one side, the best first."""
        return self.bids if side is Side.BUY else self.asks

    def touch(self, side: Side) -> Decimal | None:
        """The price at which an order of `side` would trade at once: the ask for a buy, the bid for a sell."""
        return self.ask if side is Side.BUY else self.bid
