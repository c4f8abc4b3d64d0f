"""One login at a broker of the ephoenix platform."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

from firstbell.brokers import cached_instrument
from firstbell.brokers.base import Answer, Capabilities, PreparedCall, PreparedOrder, Token
from firstbell.brokers.ephoenix import answers, calls, lists
from firstbell.brokers.ephoenix.calls import Call, Service
from firstbell.brokers.ephoenix.fields import number_in
from firstbell.brokers.ephoenix.orders import read_order_answer
from firstbell.cache import Kind
from firstbell.errors import BrokerError, NoAnswer, NotSent, TokenEnded, Unreadable
from firstbell.model.instant import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from firstbell.brokers.base import Estimate, Holding, Outcome, VenueFill, VenueOrder
    from firstbell.brokers.ephoenix.hosts import Hosts
    from firstbell.brokers.session import Session
    from firstbell.brokers.shelf import Shelf
    from firstbell.brokers.transport import Transport
    from firstbell.clock import Clock
    from firstbell.model.identifiers import BrokerCode, InstrumentId, VenueOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.model.quote import Quote
    from firstbell.model.terms import Side

R = TypeVar("R")

ANSWER_S: Final = 10.0
"""Seconds that a call may take."""
_PASSING_NS: Final = 2_000_000_000
"""A question that failed sooner than this is asked once more; one that took longer has used up its time."""
_PAUSE_S: Final = 0.3

_log: Final = logging.getLogger(__name__)


class EphoenixBroker:
    """A `firstbell.brokers.base.HttpBroker` for one login.

    Args:
        code: The broker.
        key: The login's name in the cache.
        hosts: Where the broker is.
        min_interval_ms: The shortest time between two orders, in ms.
        session: The login's token.
        transport: Speaks HTTP.
        shelf: The cache.
        clock: Both clocks, and how to wait.
    """

    def __init__(
        self,
        code: BrokerCode,
        key: str,
        *,
        hosts: Hosts,
        min_interval_ms: int,
        session: Session,
        transport: Transport,
        shelf: Shelf,
        clock: Clock,
    ) -> None:
        self._code = code
        self._key = key
        self._hosts = hosts
        self._capabilities = Capabilities(min_interval_ms, client_order_ids=False, replace=True, shows_book=True)
        self._session = session
        self._transport = transport
        self._shelf = shelf
        self._clock = clock

    @property
    def code(self) -> BrokerCode:
        """The broker's code."""
        return self._code

    @property
    def capabilities(self) -> Capabilities:
        """What the platform can do by itself."""
        return self._capabilities

    @property
    def hosts(self) -> Hosts:
        """Where this broker is: for those who want to try its hosts one by one."""
        return self._hosts

    @property
    def is_logged_in(self) -> bool:
        """Whether a living token is at hand; see the protocol."""
        return self._session.is_at_hand

    def login(self, *, lasting_until: datetime | None = None) -> Token:
        """Make sure of a living token; see the protocol."""
        return self._session.token(lasting_until)

    def forget_token(self) -> None:
        """The broker has refused the token."""
        self._session.forget()

    def token_lives(self) -> bool:
        """Whether the broker takes the token that we have, by a cheap question and without a new log-in.

        Raises:
            BrokerError: It could not be asked.
        """
        token = self._session.current
        if token is None:
            return False
        try:
            answers.document_of(self._send(calls.WHO_AM_I, token), "customer", self._host(Service.BACKOFFICE))
        except TokenEnded:
            return False
        return True

    def buying_power(self, *, fresh: bool = False) -> Decimal:
        """What the account may spend, in rials; see the protocol."""
        cached = None if fresh else self._shelf.get(Kind.BUYING_POWER, self._key)
        known = number_in(cached)
        if known is not None:
            return known
        money = self._read(calls.BUYING_POWER, answers.read_buying_power)
        self._shelf.put(Kind.BUYING_POWER, self._key, format(money, "f"))
        return money

    def instrument(self, instrument: InstrumentId, *, fresh: bool = False) -> Instrument:
        """The instrument as the market data host describes it today; all logins share what is cached of it."""
        key = f"{self._hosts.market_data}\x1f{instrument}"
        cached = None if fresh else cached_instrument.read(self._shelf.get(Kind.INSTRUMENT, key))
        if cached is not None and cached.id == instrument:
            return cached
        found = self._read(
            calls.instrument(instrument), lambda answer, host: answers.read_instrument(answer, instrument, host)
        )
        self._shelf.put(Kind.INSTRUMENT, key, cached_instrument.written(found))
        return found

    def quote(self, instrument: InstrumentId) -> Quote:
        """The best limits and the last price now; see the protocol. The platform says no day's volume that we know."""
        at = instant(self._clock.wall_ns())
        return self._read(
            calls.instrument(instrument), lambda answer, host: answers.read_quote(answer, instrument, host, at)
        )

    def estimate(self, instrument: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Estimate | None:
        """What the broker's calculator says; None where it says nothing that can be read."""
        self._session.token()
        try:
            return self._read(calls.calculate(instrument, side, money, price), answers.read_estimate)
        except (BrokerError, ValueError) as error:
            _log.debug("No estimate: %s", error)
            return None

    def prepare(self, order: Order) -> PreparedOrder:
        """Write an order as bytes, with the token of the last `login` in it; no disk, no network.

        Raises:
            ValueError: Its price or quantity is not a whole number.
            NotSent: There is no living token: `login` comes first.
        """
        return self._prepared(order, calls.new_order(order))

    def send(self, prepared: PreparedOrder, *, timeout_s: float) -> Answer:
        """Send a prepared order now, once."""
        return self._transport.send(
            prepared.method, prepared.base_url, prepared.path, prepared.headers, prepared.body, timeout=timeout_s
        )

    def prepare_proof(self) -> PreparedCall:
        """Ask the host that takes orders for the buying power; see the protocol."""
        call = calls.BUYING_POWER
        headers = calls.headers(self._living_token().text, has_body=False)
        return PreparedCall(call.method, self._base_url(call.service), call.path, headers, call.body)

    def read_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read what the broker answered to an order."""
        return read_order_answer(status, headers, body)

    def submit(self, order: Order) -> Outcome:
        """Send one order, once.

        Raises:
            ValueError: Its price or quantity is not a whole number.
            BrokerError: The log-in failed, nothing was sent, or no answer came.
        """
        self._session.token()
        return self._outcome(self.prepare(order))

    def replace(self, venue_order_id: VenueOrderId, order: Order) -> Outcome:
        """Give a working order the price and quantity of `order`.

        Raises:
            ValueError: They are not whole numbers, or the id is not one of this platform.
            BrokerError: The log-in failed, nothing was sent, or no answer came.
        """
        self._session.token()
        return self._outcome(self._prepared(order, calls.edit_order(order, venue_order_id)))

    def cancel(self, venue_order_id: VenueOrderId) -> None:
        """Take a working order off the book; see the protocol. Asked once: a second time might meet another answer.

        Raises:
            ValueError: The id is not one of this platform.
        """
        self._read(calls.cancel_order(venue_order_id), answers.read_cancel, repeatable=False)

    def orders(self, day: date) -> tuple[VenueOrder, ...]:
        """Every order of the day, or an error."""
        return lists.whole_list(
            lambda page: self._read(calls.day_orders(day, page), lists.read_page), self._host(Service.API)
        )

    def open_orders(self) -> tuple[VenueOrder, ...]:
        """The orders that still work."""
        return self._read(calls.OPEN_ORDERS, lists.read_open_orders)

    def fills(self, day: date) -> tuple[VenueFill, ...]:
        """The day's trades. The platform lists today's, and takes no day."""
        del day
        return self._read(calls.DAY_TRADES, lists.read_fills)

    def positions(self) -> tuple[Holding, ...]:
        """What the account holds."""
        return self._read(calls.HOLDINGS, answers.read_holdings)

    def _prepared(self, order: Order, call: Call) -> PreparedOrder:
        token = self._living_token()
        return PreparedOrder(
            order=order,
            method=call.method,
            base_url=self._base_url(call.service),
            path=call.path,
            headers=calls.headers(token.text, has_body=True),
            body=call.body or b"",
        )

    def _living_token(self) -> Token:
        token = self._session.current
        if token is None:
            raise NotSent(f"{self._host(Service.API)}: there is no living token; log in first")
        return token

    def _outcome(self, prepared: PreparedOrder) -> Outcome:
        answer = self.send(prepared, timeout_s=ANSWER_S)
        return self.read_answer(answer.status, answer.headers, answer.body)

    def _read(self, call: Call, read: Callable[[Answer, str], R], *, repeatable: bool = True) -> R:
        """Ask a question and read the answer.

        After a refused token there is one new log-in, and the question once more. A question that changes nothing is
        also repeated once where it failed quickly, as on a connection that the host had just closed.
        """
        host = self._host(call.service)
        logged_in_again = False
        while True:
            token = self._session.token()
            began = self._clock.monotonic_ns()
            try:
                return read(self._send(call, token), host)
            except TokenEnded:
                if logged_in_again:
                    raise
                logged_in_again = True
                self._session.forget(token.text)
            except (NotSent, NoAnswer) as error:
                if not repeatable or isinstance(error, Unreadable) or self._clock.monotonic_ns() - began > _PASSING_NS:
                    raise
                repeatable = False
                _log.debug("%s; asked once more", error)
                self._clock.sleep(_PAUSE_S)

    def _send(self, call: Call, token: Token, timeout_s: float = ANSWER_S) -> Answer:
        headers = calls.headers(token.text, has_body=call.document is not None)
        return self._transport.send(
            call.method, self._base_url(call.service), call.path, headers, call.body, timeout=timeout_s
        )

    def _base_url(self, service: Service) -> str:
        url = {
            Service.IDENTITY: self._hosts.identity,
            Service.API: self._hosts.api,
            Service.MARKET_DATA: self._hosts.market_data,
            Service.BACKOFFICE: self._hosts.backoffice,
        }[service]
        if url is None:
            raise NotSent(
                f"the {service} host of {self._code} is not known: set {service}_url in [broker.{self._code}]"
            )
        return url

    def _host(self, service: Service) -> str:
        return self._base_url(service).partition("://")[2]
