"""One login at the paper broker."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import Answer, Capabilities, Estimate, PreparedCall, PreparedOrder, Token
from firstbell.brokers.paper import dialect
from firstbell.brokers.paper.latency import NO_LATENCY
from firstbell.brokers.paper.venue import FEES_OF
from firstbell.errors import NoAnswer, NoSuchInstrument, NotSent, Refused
from firstbell.market import fee_rate
from firstbell.model.broker_codes import PAPER
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.instant import instant
from firstbell.model.terms import Side
from firstbell.simulator.rules import TIMES_IN_FORCE, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from firstbell.brokers.base import Holding, Outcome, VenueFill, VenueOrder
    from firstbell.brokers.paper.latency import Latency
    from firstbell.brokers.paper.market import PaperMarket
    from firstbell.model.identifiers import BrokerCode, InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.model.quote import Quote

BASE_URL: Final = "paper://here"
"""What stands where other brokers have a host: nothing is sent anywhere."""
HOST: Final = "paper"
_TOKEN_LIFE: Final = timedelta(hours=1)
_ANSWER_S: Final = 10.0
_LONGEST_ID: Final = 18
_ACCOUNT: Final = "/account"


class PaperBroker:
    """A `firstbell.brokers.base.HttpBroker` for one account of a paper market.

    Args:
        market: The market.
        username: The account's name; any will do.
        latency: How long a call takes.
        min_interval_ms: The shortest time between two orders that whoever sends them keeps, in ms.
    """

    def __init__(
        self, market: PaperMarket, username: str, *, latency: Latency = NO_LATENCY, min_interval_ms: int = 0
    ) -> None:
        self.market = market
        self._username = username
        self._latency = latency
        self._clock = market.clock
        self._token: Token | None = None
        self._capabilities = Capabilities(
            min_interval_ms,
            client_order_ids=True,
            replace=True,
            order_types=dialect.ORDER_TYPES,
            times_in_force=TIMES_IN_FORCE,
            shows_book=True,
            in_process=True,
        )

    @property
    def code(self) -> BrokerCode:
        """The broker's code."""
        return PAPER

    @property
    def capabilities(self) -> Capabilities:
        """What it can do by itself."""
        return self._capabilities

    @property
    def is_logged_in(self) -> bool:
        """Whether a living token is at hand; see the protocol."""
        return self._current() is not None

    def login(self, *, lasting_until: datetime | None = None) -> Token:
        """Make sure of a living token; see the protocol. Every login is let in, whatever its password."""
        token = self._current()
        if token is None or (lasting_until is not None and token.ends_at < lasting_until):
            ends_at = instant(self._clock.wall_ns()) + _TOKEN_LIFE
            token = self._token = Token(self.market.tokens.log_in(self._username), ends_at)
        return token

    def forget_token(self) -> None:
        """The broker has refused the token."""
        self._token = None

    def buying_power(self, *, fresh: bool = False) -> Decimal:
        """What the account may spend, in rials; always as it is now."""
        del fresh
        self._ask()
        return self.market.buying_power(self._username)

    def instrument(self, instrument: InstrumentId, *, fresh: bool = False) -> Instrument:
        """The instrument as it is now; it may be asked for by its symbol, and has its ISIN in what comes back."""
        del fresh
        self._ask()
        try:
            return self.market.instrument(instrument)
        except LookupError as error:
            raise NoSuchInstrument(str(error), host=HOST) from None

    def quote(self, instrument: InstrumentId) -> Quote:
        """What the paper market says of an instrument now."""
        self._ask()
        try:
            return self.market.quote(instrument)
        except LookupError as error:
            raise NoSuchInstrument(str(error), host=HOST) from None

    def estimate(self, instrument: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Estimate | None:
        """What `money` buys, or takes to be sold for it, at `price`."""
        lot = self.instrument(instrument).lot_size
        rate = fee_rate(FEES_OF, side)
        each = price * (1 + rate if side is Side.BUY else 1 - rate)
        quantity = money // (each * lot) * lot
        fee = quantity * price * rate
        return Estimate(quantity, quantity * each, fee)

    def prepare(self, order: Order) -> PreparedOrder:
        """Write an order as bytes; see the protocol.

        Raises:
            ValueError: Its quantity is not a whole number, its price is finer than the instrument's prices are, or
                paper does not take orders of its type.
            NotSent: There is no living token: `login` comes first.
        """
        self._check_price(order)
        return self._prepared(order, dialect.ORDERS, dialect.new_order(order))

    def send(self, prepared: PreparedOrder, *, timeout_s: float) -> Answer:
        """Carry a prepared order out, once; see the protocol.

        Raises:
            NotSent: The paper account cannot be opened.
            NoAnswer: The answer takes longer than `timeout_s`; the order was carried out all the same.
        """
        there_s, back_s = self._latency.draw()
        began_ns, began_monotonic_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        self._clock.sleep(min(there_s, timeout_s))
        status, body = self._carry(prepared)
        self._clock.sleep(min(back_s, max(timeout_s - there_s, 0)))
        if there_s + back_s > timeout_s:
            raise NoAnswer(f"paper did not answer within {timeout_s:g} s", host=HOST)
        passed_ns = max(self._clock.monotonic_ns() - began_monotonic_ns, 1)
        return Answer(status, {}, body, began_ns, began_monotonic_ns, began_ns + passed_ns, passed_ns)

    def prepare_proof(self) -> PreparedCall:
        """Write the question for the buying power. There is no connection here that it could prove alive."""
        return PreparedCall("GET", BASE_URL, _ACCOUNT, self._headers(), None)

    def read_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read what the paper broker answered to an order."""
        del headers
        return dialect.read_order_answer(status, body)

    def submit(self, order: Order) -> Outcome:
        """Send one order, once.

        Raises:
            ValueError: As `prepare`.
        """
        self.login()
        return self._outcome(self.prepare(order))

    def replace(self, venue_order_id: VenueOrderId, order: Order) -> Outcome:
        """Give a working order the price and quantity of `order`; what has traded is in the quantity.

        Raises:
            ValueError: The quantity is not a whole number, or the price too fine, or the id is not one of paper's.
        """
        self.login()
        self._check_price(order)
        path = f"{dialect.ORDERS}/{_serial(venue_order_id)}"
        return self._outcome(self._prepared(order, path, dialect.change(order)))

    def cancel(self, venue_order_id: VenueOrderId) -> None:
        """Take a working order off the book; see the protocol.

        Raises:
            ValueError: The id is not one of paper's.
        """
        serial = _serial(venue_order_id)
        self._ask()
        found = self.market.cancel(self._username, serial)
        if isinstance(found, Refusal):
            raise Refused(found.detail, host=HOST, code=dialect.CODES[found.reason], status=dialect.REFUSED)

    def orders(self, day: date) -> tuple[VenueOrder, ...]:
        """Every order of the day, and those of earlier days that still worked on it."""
        self._ask()
        return self.market.orders(self._username, day)

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """The orders that still work."""
        self._ask()
        return self.market.open_orders(self._username)

    def fills(self, day: date) -> tuple[VenueFill, ...]:
        """The day's trades, each with its fee."""
        self._ask()
        return self.market.fills(self._username, day)

    def positions(self) -> tuple[Holding, ...]:
        """What the account holds."""
        self._ask()
        return self.market.holdings(self._username)

    def _current(self) -> Token | None:
        token = self._token
        return None if token is None or token.ends_at <= instant(self._clock.wall_ns()) else token

    def _ask(self) -> None:
        """What goes before every question: a living token, and the time that it takes."""
        if not self.market.tokens.knows(self._username, self.login().text):
            self.forget_token()
            self.login()
        self._clock.sleep(sum(self._latency.draw()))

    def _headers(self) -> dict[str, str]:
        token = self._current()
        if token is None:
            raise NotSent("paper: there is no living token; log in first", host=HOST)
        return {"Authorization": f"Bearer {token.text}"}

    def _prepared(self, order: Order, path: str, body: bytes) -> PreparedOrder:
        return PreparedOrder(order, "POST", BASE_URL, path, self._headers(), body)

    def _check_price(self, order: Order) -> None:
        if order.order_type.has_limit:
            self.market.check_fineness(order.instrument, order.price)

    def _outcome(self, prepared: PreparedOrder) -> Outcome:
        answer = self.send(prepared, timeout_s=_ANSWER_S)
        return self.read_answer(answer.status, answer.headers, answer.body)

    def _carry(self, prepared: PreparedOrder) -> tuple[int, bytes]:
        token = prepared.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.market.tokens.knows(self._username, token):
            return dialect.unauthorized()
        try:
            if prepared.path == dialect.ORDERS:
                found = self.market.place(self._username, dialect.read_new_order(prepared.body))
            else:
                serial = _serial(VenueOrderId(prepared.path.removeprefix(f"{dialect.ORDERS}/")))
                found = self.market.change(self._username, serial, *dialect.read_change(prepared.body))
        except ValueError as error:
            return dialect.refused(dialect.MALFORMED, str(error))
        if found is None:
            return dialect.refused(dialect.NOBODY_THERE, "there is nobody on the other side to trade with")
        if isinstance(found, Refusal):
            return dialect.refused(dialect.CODES[found.reason], found.detail)
        return dialect.accepted(found.serial)


def _serial(venue_order_id: VenueOrderId) -> int:
    if not (venue_order_id.isascii() and venue_order_id.isdigit() and len(venue_order_id) <= _LONGEST_ID):
        raise ValueError(f"{venue_order_id!r} is not the number of an order here")
    return int(venue_order_id)
