"""What the venue keeps of orders and trades."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.model.order_status import DONE, OrderStatus

if TYPE_CHECKING:
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.terms import Side


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What an investor asks for.

    Attributes:
        instrument: What is traded.
        side: Buy or sell.
        price: The limit price, in rials.
        quantity: How many shares.
    """

    instrument: InstrumentId
    side: Side
    price: Decimal
    quantity: Decimal


@dataclass(slots=True)
class ExchangeOrder:
    """An accepted order. Only the venue changes it.

    Attributes:
        serial: Its lasting number at the exchange.
        number_of_account: Which one of its account's orders it is, from 1.
        account: The account's name.
        instrument: What is traded.
        side: Buy or sell.
        price: The limit price, in rials.
        quantity: Shares ordered.
        created_at: When it was accepted, in ns since the epoch on the exchange's clock.
        status: One of ``ACCEPTED``, ``PARTIALLY_FILLED``, ``FILLED``, ``CANCELED`` and ``EXPIRED``.
        filled_qty: Shares traded.
        filled_value: The sum of price times quantity over its trades, in rials.
        edited: Whether it has been changed since.
    """

    serial: int
    number_of_account: int
    account: str
    instrument: InstrumentId
    side: Side
    price: Decimal
    quantity: Decimal
    created_at: int
    status: OrderStatus = OrderStatus.ACCEPTED
    filled_qty: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    edited: bool = False

    @property
    def working(self) -> bool:
        """Whether it may still trade."""
        return self.status not in DONE

    @property
    def leaves_qty(self) -> Decimal:
        """Shares still to trade; zero once it no longer works."""
        return self.quantity - self.filled_qty if self.working else Decimal(0)

    @property
    def canceled_qty(self) -> Decimal:
        """Shares that will never trade, because the order was canceled or has expired."""
        return self.quantity - self.filled_qty - self.leaves_qty


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade.

    Attributes:
        number: Its number at the exchange, from 1.
        at: When it happened, in ns since the epoch on the exchange's clock.
        instrument: What was traded.
        price: At what price, in rials.
        quantity: How many shares.
        buy: The buying order's serial.
        sell: The selling order's serial.
    """

    number: int
    at: int
    instrument: InstrumentId
    price: Decimal
    quantity: Decimal
    buy: int
    sell: int
