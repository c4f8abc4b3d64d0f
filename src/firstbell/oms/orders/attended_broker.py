"""A broker whose every call is counted: a `firstbell.brokers.base.HttpBroker` around another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from firstbell.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from firstbell.brokers.base import (
        Answer,
        Capabilities,
        Estimate,
        Holding,
        HttpBroker,
        Outcome,
        PreparedCall,
        PreparedOrder,
        Token,
        VenueFill,
        VenueOrder,
    )
    from firstbell.clock import Clock
    from firstbell.model.identifiers import BrokerCode, InstrumentId, VenueOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.model.quote import Quote
    from firstbell.model.terms import Side
    from firstbell.oms.orders.broker_health import BrokerHealth

T = TypeVar("T")


class AttendedBroker:
    """Passes every call on, and has its end counted.

    Args:
        broker: The broker.
        health: Counts.
        clock: Tells what a call takes.
    """

    def __init__(self, broker: HttpBroker, health: BrokerHealth, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self.health = health

    @property
    def code(self) -> BrokerCode:
        """The broker's code."""
        return self._broker.code

    @property
    def capabilities(self) -> Capabilities:
        """What it can do by itself."""
        return self._broker.capabilities

    @property
    def is_logged_in(self) -> bool:
        """Whether a living token is at hand."""
        return self._broker.is_logged_in

    def login(self, *, lasting_until: datetime | None = None) -> Token:
        """Make sure of a living token; counted only where it fails: mostly nobody is asked."""
        try:
            token = self._broker.login(lasting_until=lasting_until)
        except BrokerError as error:
            self.health.failed(error)
            raise
        self.health.has_token_until(token.ends_at)
        return token

    def forget_token(self) -> None:
        """The broker has refused the token."""
        self._broker.forget_token()

    def buying_power(self, *, fresh: bool = False) -> Decimal:
        """What the account may spend."""
        return self._count(self._broker.buying_power, fresh=fresh)

    def instrument(self, instrument: InstrumentId, *, fresh: bool = False) -> Instrument:
        """The instrument as the broker describes it today."""
        return self._count(self._broker.instrument, instrument, fresh=fresh)

    def quote(self, instrument: InstrumentId) -> Quote:
        """What the market says of an instrument now."""
        return self._count(self._broker.quote, instrument)

    def estimate(self, instrument: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Estimate | None:
        """What the broker's calculator says."""
        return self._count(self._broker.estimate, instrument, side, money, price)

    def submit(self, order: Order) -> Outcome:
        """Send one order, once."""
        return self._count(self._broker.submit, order)

    def cancel(self, venue_order_id: VenueOrderId) -> None:
        """Take a working order off the book."""
        self._count(self._broker.cancel, venue_order_id)

    def replace(self, venue_order_id: VenueOrderId, order: Order) -> Outcome:
        """Change a working order."""
        return self._count(self._broker.replace, venue_order_id, order)

    def orders(self, day: date) -> tuple[VenueOrder, ...]:
        """Every order of the day."""
        return self._count(self._broker.orders, day)

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """The orders that still work."""
        return self._count(self._broker.open_orders)

    def fills(self, day: date) -> tuple[VenueFill, ...]:
        """The day's trades."""
        return self._count(self._broker.fills, day)

    def positions(self) -> tuple[Holding, ...]:
        """What the account holds."""
        return self._count(self._broker.positions)

    def prepare(self, order: Order) -> PreparedOrder:
        """Write an order as bytes."""
        return self._broker.prepare(order)

    def send(self, prepared: PreparedOrder, *, timeout_s: float) -> Answer:
        """Send a prepared order now, once."""
        return self._count(self._broker.send, prepared, timeout_s=timeout_s)

    def prepare_proof(self) -> PreparedCall:
        """Write one cheap call to the host that takes orders."""
        return self._broker.prepare_proof()

    def read_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read what the broker answered to an order."""
        return self._broker.read_answer(status, headers, body)

    def _count(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        began_ns = self._clock.monotonic_ns()
        try:
            answer = call(*args, **kwargs)
        except BrokerError as error:
            self.health.failed(error)
            raise
        self.health.answered(self._clock.monotonic_ns() - began_ns)
        return answer
