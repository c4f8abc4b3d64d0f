"""One listed instrument's day at the venue: its book, its prices, what has traded."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from firstbell.errors import SimulatorError
from firstbell.simulator.book import OrderBook

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.model.instrument import Instrument


@dataclass(slots=True)
class Listing:
    """One instrument's day.

    Attributes:
        instrument: The instrument as it was listed.
        reference: Yesterday's closing price, in rials.
        book: Its working orders.
        last_price: The last trade's price, or None before the first.
        volume: Shares traded today.
        value: Rials traded today.
        closing_price: Set when trading at the close begins.
    """

    instrument: Instrument
    reference: Decimal
    book: OrderBook = field(default_factory=OrderBook)
    last_price: Decimal | None = None
    volume: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    closing_price: Decimal | None = None

    def next_day(self) -> None:
        """Begin another day: nothing has traded, and its reference price is the last one."""
        self.reference = self.reference if self.last_price is None else self.last_price
        self.volume = self.value = Decimal(0)
        self.closing_price = None

    def traded(self, price: Decimal, quantity: Decimal) -> None:
        """Count a trade."""
        self.last_price = price
        self.volume += quantity
        self.value += price * quantity

    def average_price(self, tick_at: Callable[[Decimal], Decimal]) -> Decimal:
        """The day's average price weighted by volume, on the nearest tick; the reference price before any trade."""
        if not self.volume:
            return self.reference
        average = self.value / self.volume
        tick = tick_at(average)
        return (average / tick).to_integral_value(rounding=ROUND_HALF_EVEN) * tick


def listed(instrument: Instrument) -> Listing:
    """List an instrument.

    Raises:
        SimulatorError: It has no reference price.
    """
    if instrument.reference_price is None:
        raise SimulatorError(f"{instrument.id} cannot be listed without a reference price")
    return Listing(instrument, instrument.reference_price)
