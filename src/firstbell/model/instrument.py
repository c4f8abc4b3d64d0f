"""What is traded, and the price band within which it trades today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.model.identifiers import InstrumentId


@dataclass(frozen=True, slots=True)
class PriceBand:
    """The lowest and the highest price that the exchange takes today. Read from the broker, never computed.

    Attributes:
        low: The bottom of the band, in the instrument's currency (rials in Tehran).
        high: The top of the band.

    Raises:
        ValueError: The band is empty or not positive.
    """

    low: Decimal
    high: Decimal

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ValueError(f"a price band from {self.low} to {self.high} is none")

    def holds(self, price: Decimal) -> bool:
        """Whether `price` lies inside the band, its ends included."""
        return self.low <= price <= self.high


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
