"""What an order asks for beyond instrument, side, price and quantity, and which other orders it belongs with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.terms import OrderRole


@dataclass(frozen=True, slots=True)
class Instructions:
    """An order's further terms. A plain limit order of the day has none of them.

    Attributes:
        trigger_price: From which price on it may trade (FIX 99), for orders that wait.
        trailing_offset: How far a trailing stop's trigger stays behind the best price since, in the price's unit.
        expires_at: When it ends, aware, for `TimeInForce.GTD`.
        role: What it is for; None where nobody said: then a buy enters and a sell exits.
        parent_id: The entry that it protects, in a bracket: it works for no more than that one has filled. Of an order
            that is an entry itself: the one that was refused, and for which it goes on.
        group: The name that orders have in common of which one's filling cancels the others.
        asked_price: Of an order that goes on for a refused one at another price: the price that was asked for at first.
            How much worse a price may become is counted from there.

    Raises:
        ValueError: A price or an offset is not a positive finite number, or the end has no time zone.
    """

    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    expires_at: datetime | None = None
    role: OrderRole | None = None
    parent_id: ClientOrderId | None = None
    group: str | None = None
    asked_price: Decimal | None = None

    def __post_init__(self) -> None:
        for name, number in (
            ("trigger price", self.trigger_price),
            ("trailing offset", self.trailing_offset),
            ("asked price", self.asked_price),
        ):
            if number is not None and not (number.is_finite() and number > 0):
                raise ValueError(f"an order's {name} is a positive number, not {number!r}")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError("an order's end has no time zone")


PLAIN: Final = Instructions()
"""No further terms."""
