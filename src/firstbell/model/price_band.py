"""The price band: the lowest and the highest price that the exchange takes today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


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
