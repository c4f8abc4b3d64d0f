"""What is traded, as its broker describes it today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.price_band import PriceBand


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument as its broker describes it today.

    Attributes:
        id: ISIN or symbol.
        symbol: Its short name, Persian in Tehran; may be empty.
        name: Its long name; may be empty.
        band: Today's price band.
        min_quantity: The smallest order, in shares.
        max_quantity: The largest order, in shares.
        lot_size: Quantities are multiples of it, in shares.
        reference_price: Yesterday's closing price, or None where the broker does not say.
        last_price: The last trade's price, or None.
        state: The exchange's word for the instrument's trading state; empty where the broker does not say.
        expiry: The last day on which a contract trades; None for what never ends, as shares do.
        tick_size: The step in which its prices move, where the broker says it; None where the market's table holds.
    """

    id: InstrumentId
    symbol: str
    name: str
    band: PriceBand
    min_quantity: Decimal
    max_quantity: Decimal
    lot_size: Decimal
    reference_price: Decimal | None = None
    last_price: Decimal | None = None
    state: str = ""
    expiry: date | None = None
    tick_size: Decimal | None = None

    @property
    def is_derivative(self) -> bool:
        """Whether it is a contract that ends, of which so many are open."""
        return self.expiry is not None
