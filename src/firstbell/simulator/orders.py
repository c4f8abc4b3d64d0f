"""What the venue keeps of orders and trades."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.model.order_status import DONE, OrderStatus
from firstbell.model.terms import TimeInForce

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
        time_in_force: How long it stays; the venue knows ``DAY``, ``GTC``, ``IOC``, ``FOK`` and ``AT_THE_OPEN``.
        client_order_id: The investor's own name for it, which he may give only once; None where he gives none.
    """

    instrument: InstrumentId
    side: Side
    price: Decimal
    quantity: Decimal
    time_in_force: TimeInForce = TimeInForce.DAY
    client_order_id: str | None = None


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
        time_in_force: How long it stays.
        place: Of two orders of one price, the one with the lower number trades first.
        ended_at: When it ceased to work, in ns likewise; None while it works.
        client_order_id: The investor's own name for it, if he gave one.
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
    time_in_force: TimeInForce = TimeInForce.DAY
    place: int = 0
    ended_at: int | None = None
    client_order_id: str | None = None

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
