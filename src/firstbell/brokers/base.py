"""What a broker is to the rest of the house. Whoever writes the next adapter implements `Broker`, and nothing else.

A broker that speaks HTTP is a pure dialect (how a request is written, how an answer is read) plus the shared
transport; such a one is also an `HttpBroker`, and `HttpBroker.prepare` with `HttpBroker.read_answer` is all that the
sniper needs at the bell.

The contract of every method that speaks to the broker:

* It blocks, and it may be called from any thread or greenlet; one `Broker` belongs to one login.
* It raises only `firstbell.errors.BrokerError` and its children, and picks the child with care: `NotSent` only when
  certainly no byte left, `Refused` only when the broker certainly answered no, `NoAnswer` for all the rest.
* Reads may be repeated by whoever calls; `submit` is never repeated by anyone but the order engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from firstbell.errors import Unreadable
from firstbell.model.terms import OrderType, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from firstbell.model.identifiers import BrokerCode, InstrumentId, VenueOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.model.quote import Quote
    from firstbell.model.refusals import RefusalKind
    from firstbell.model.report import Fill
    from firstbell.model.terms import AttemptOutcome, Side


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a broker can do by itself; the order manager supplies the rest.

    Attributes:
        min_interval_ms: The shortest time between two orders of one account, in ms.
        client_order_ids: Whether the broker carries our name for an order and finds it by that name.
        replace: Whether a working order can be changed in place.
        order_types: The order types that it takes. Of the others, stops are held back by the order manager, and a
            market order becomes a limit order that crosses the spread.
        times_in_force: How long it lets orders stay.
        native_bracket: Whether it takes an entry with its profit and its stop as one.
        native_oco: Whether it cancels the one when the other fills, by itself.
        shows_book: Whether its quotes have the book's levels in them.
        in_process: Whether it answers in this process: then there is no host, and `HttpBroker.send` is the only way.
    """

    min_interval_ms: int
    client_order_ids: bool
    replace: bool
    order_types: frozenset[OrderType] = frozenset({OrderType.LIMIT})
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.DAY})
    native_bracket: bool = False
    native_oco: bool = False
    shows_book: bool = False
    in_process: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """The right to act for an account. Its text stands in the cache alone.

    Attributes:
        text: The token itself: never logged, never shown.
        ends_at: When it ends, aware; never later than one hour from the log-in unless the token itself says so.
    """

    text: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the broker's own calculator says an amount of money buys.

    Attributes:
        quantity: How many shares; may be zero or negative when the money is.
        net_amount: What they cost with the fee, in rials, or None where it does not say.
        fee: The fee, in rials, or None where it does not say.
    """

    quantity: Decimal
    net_amount: Decimal | None
    fee: Decimal | None


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One row of the broker's list of the day.

    Attributes:
        venue_order_id: The broker's lasting name for the order.
        instrument: What is traded.
        side: Buy or sell.
        price: The limit price; of one that was refused it may be zero, where the broker does not say.
        quantity: Shares ordered; likewise.
        filled_qty: Shares traded.
        working: Whether what is left of it still works.
        refused: Whether the broker or the exchange ended it with an error, so that it was never on the book.
        created_at: When the broker took it, aware, or None where it does not say.
        status: The broker's own word or number for its state.
        client_order_id: Our name for it, where the broker carries names.
        avg_px: The average price of what traded, where the broker says it.
    """

    venue_order_id: VenueOrderId
    instrument: InstrumentId
    side: Side
    price: Decimal
    quantity: Decimal
    filled_qty: Decimal
    working: bool
    refused: bool
    created_at: datetime | None
    status: str
    client_order_id: str | None = None
    avg_px: Decimal | None = None


class PartlyUnreadable(Unreadable):
    """A list came of which some rows cannot be understood: what the others show is there, and nothing is absent.

    Attributes:
        rows: The rows that can be read: `VenueOrder`.
    """

    def __init__(self, message: str, rows: Sequence[VenueOrder], *, host: str = "") -> None:
        self.rows = tuple(rows)
        super().__init__(message, host=host)


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One trade of the day as the broker lists it: the fill, and what it is a fill of.

    Attributes:
        instrument: What was traded.
        side: Which side of it is the account's.
        fill: The trade.
        venue_order_id: The order's name, where the broker says it.
        named: Whether the trade's name is the broker's own. Where it is ours, the row may be a sum that grows, and have
            another name next time: then the trades of an order count only together, as they stand in one answer.
    """

    instrument: InstrumentId
    side: Side
    fill: Fill
    venue_order_id: VenueOrderId | None = None
    named: bool = True


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account holds of one instrument, in shares."""

    instrument: InstrumentId
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP, unread, and when.

    Attributes:
        status: The HTTP status.
        headers: The answer's headers, names in lower case.
        body: The whole body, bounded by the transport.
        sent_ns: When the first byte left: nanoseconds since the epoch, on our clock.
        sent_monotonic_ns: The same on the monotonic clock.
        answered_ns: When the answer was complete, likewise.
        round_trip_ns: From the first byte out to the answer's end, on the monotonic clock.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    sent_monotonic_ns: int
    answered_ns: int
    round_trip_ns: int


@dataclass(frozen=True, slots=True)
class PreparedOrder:
    """An order as the bytes of one HTTP request: everything that can be done before the bell has been done.

    Attributes:
        order: What it asks for.
        method: ``POST``.
        base_url: Scheme, host and port, without a path: ``https://api-shahr.ephoenix.ir``.
        path: Path and query.
        headers: All headers that the broker needs, the token among them.
        body: The body, encoded.
    """

    order: Order
    method: str
    base_url: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call as the parts of one HTTP request; the attributes are those of `PreparedOrder`."""

    method: str
    base_url: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a broker's answer to an order means.

    Attributes:
        outcome: `ACCEPTED`, `REJECTED` or `UNRESOLVED`; the dialect never says `NOT_SENT`.
        code: The broker's own code, if it gave one.
        message: The broker's own words, if any.
        venue_order_id: The broker's name for the order, if the answer brought one.
        again: Whether the same order may be sent again, paced. Only ever true of a certain refusal.
        retry_after: Seconds to wait before that, where the broker says so; otherwise its interval.
        token_ended: Whether a new log-in has to come first.
        too_early: Whether it says that the market takes no orders yet: the bell had not rung when the order arrived.
        kind: What a certain refusal is about, where the dialect knows it: what may be tried instead is decided by it.
    """

    outcome: AttemptOutcome
    code: int | None = None
    message: str | None = None
    venue_order_id: VenueOrderId | None = None
    again: bool = False
    retry_after: float | None = None
    token_ended: bool = False
    too_early: bool = False
    kind: RefusalKind | None = None


class Broker(Protocol):
    """One login at one broker."""

    @property
    def code(self) -> BrokerCode:
        """The broker's code."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do by itself."""
        ...

    @property
    def is_logged_in(self) -> bool:
        """Whether a living token is at hand, in memory or in the cache; nobody is asked."""
        ...

    def login(self, *, lasting_until: datetime | None = None) -> Token:
        """Make sure of a living token: the cached one, or one new log-in however many ask at once.

        Args:
            lasting_until: A token that ends before this is replaced; where that fails, it goes on being used.

        Raises:
            WrongPassword: It was refused; it will not be tried again until it has been changed.
            CaptchaError: Nobody solved the captcha.
            RateLimited: The broker asks for a pause longer than we wait by ourselves.
        """
        ...

    def forget_token(self) -> None:
        """The broker has refused the token: the next `login` gets a new one."""
        ...

    def buying_power(self, *, fresh: bool = False) -> Decimal:
        """What the account may spend, fees included, in rials; may be negative.

        Args:
            fresh: Ask the broker even where the cache still has an answer.
        """
        ...

    def instrument(self, instrument: InstrumentId, *, fresh: bool = False) -> Instrument:
        """The instrument as the broker describes it today, its price band among it.

        Raises:
            NoSuchInstrument: The broker knows none.
        """
        ...

    def quote(self, instrument: InstrumentId) -> Quote:
        """What the market says of an instrument now; always asked for anew.

        Raises:
            NoSuchInstrument: The broker knows none.
        """
        ...

    def estimate(self, instrument: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Estimate | None:
        """What `money` buys at `price` by the broker's own calculator; None where it has none or gives no answer."""
        ...

    def submit(self, order: Order) -> Outcome:
        """Send one order, once."""
        ...

    def cancel(self, venue_order_id: VenueOrderId) -> None:
        """Take a working order off the book.

        Raises:
            Refused: The broker said no.
        """
        ...

    def replace(self, venue_order_id: VenueOrderId, order: Order) -> Outcome:
        """Change a working order's price and quantity to those of `order`."""
        ...

    def orders(self, day: date) -> tuple[VenueOrder, ...]:
        """Every order of the day, the filled and the canceled ones too. All of them, or an error: never a part."""
        ...

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """The orders that still work. A filled order is not among them, so this list proves no absence."""
        ...

    def fills(self, day: date) -> tuple[VenueFill, ...]:
        """The day's trades."""
        ...

    def positions(self) -> tuple[Holding, ...]:
        """What the account holds."""
        ...


@runtime_checkable
class HttpBroker(Broker, Protocol):
    """A broker whose orders are single HTTP requests."""

    def prepare(self, order: Order) -> PreparedOrder:
        """Write an order as bytes, with the token of the last `login` in it."""
        ...

    def send(self, prepared: PreparedOrder, *, timeout_s: float) -> Answer:
        """Send a prepared order now, once, on a connection that is warm if it can be.

        Args:
            prepared: What `prepare` made.
            timeout_s: How long to wait for the whole answer, in seconds.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, and no whole answer came.
        """
        ...

    def prepare_proof(self) -> PreparedCall:
        """Write one cheap call to the host that takes orders: its answer proves a connection alive.

        Raises:
            NotSent: There is no living token, or no such host.
        """
        ...

    def read_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read what the broker answered to an order. Never raises: what cannot be read is `UNRESOLVED`."""
        ...
