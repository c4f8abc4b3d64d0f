"""The order manager: places, cancels, replaces, tracks and lists the orders of all configured accounts.

It stands on the same journal, claims, attempts and final checks as the bell: one engine. Its work is divided by login:
each has a `Trader`, which does one thing at a time, and `Rounds`, which look after what has been placed.
`OrderManager.start` gives each login a thread for its rounds; `OrderManager.poll` makes one round of all.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.errors import FirstbellError, RunError
from firstbell.model.money import exact
from firstbell.model.order import Changed
from firstbell.oms.garbage import keep_out_of_the_way
from firstbell.oms.orders.attendance import PATIENCE_S, Attendance
from firstbell.oms.orders.changing import Changing
from firstbell.oms.orders.finding import Finding
from firstbell.oms.orders.placing import Placing
from firstbell.oms.orders.placing_together import PlacingTogether
from firstbell.oms.orders.response import OrderResponse, response_of
from firstbell.oms.orders.rounds import Rounds
from firstbell.oms.orders.trader import Trader
from firstbell.oms.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from decimal import Decimal

    from firstbell.brokers.base import HttpBroker
    from firstbell.config.order_settings import TradingMode
    from firstbell.journal.base import Entry, Subscriber
    from firstbell.model.identifiers import AccountName
    from firstbell.model.order_request import OrderRequest
    from firstbell.oms.carrier import Interrupt
    from firstbell.oms.logins import Login
    from firstbell.oms.orders.broker_health import HealthReport
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.requests import BracketRequest, OcoRequest

    Number = int | str | Decimal
    """A number as scripts may give it: never a float."""

_log = logging.getLogger(__name__)

STALE_AFTER: Final = timedelta(seconds=15)
"""Quotes older than this trigger nothing, unless whoever makes the manager says otherwise."""


class OrderManager:
    """The orders of some logins.

    Args:
        context: What they have in common.
        brokers: Each login and its broker.
        mode: Whether accounts of other brokers than ``paper`` may place orders.
        stale_after: Quotes older than this trigger nothing.
        every_s: The pause between two rounds of a login, in seconds.
        patience_s: How long no round may be made, in seconds, before what is held back is left to other processes;
            None: for ever.

    Raises:
        JournalError: The journal cannot be read or written.
    """

    def __init__(
        self,
        context: OrderContext,
        brokers: Mapping[Login, HttpBroker],
        *,
        mode: TradingMode,
        stale_after: timedelta = STALE_AFTER,
        every_s: float = 2.0,
        patience_s: float | None = PATIENCE_S,
    ) -> None:
        self._context = context
        self.mode = mode
        self._every_s = every_s
        self._traders = {login.key: Trader(context, login, broker) for login, broker in brokers.items()}
        self._finding = Finding(self._traders, context.journal, mode)
        self._rounds = {key: Rounds(trader, stale_after) for key, trader in self._traders.items()}
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self._after_round: list[Callable[[], None]] = []
        self.rounds_made = 0
        """How many rounds the threads have made."""
        # Start-up is recovery: what dead processes may have sent is unresolved from now on, and asked for.
        recover(context.journal, context.clock, context.run_id)
        for trader in self._traders.values():
            trader.load()
        self._attendance = Attendance(tuple(self._traders.values()), context.intervene, patience_s)
        # What was taken over from dead processes is held back here now.
        self._attendance.ended()

    # --- placing

    def place(self, request: OrderRequest) -> OrderResponse:
        """Place an order.

        Returns:
            How it stands: `OrderResponse.is_success`, `OrderResponse.is_unresolved`, or denied or refused and why. An
            unresolved one is asked for; it must not be placed anew.

        Raises:
            JournalError: It could not be written down: without a claim no order leaves.
            RunError: Nobody knows its account, or the account trades with real money and the mode is paper.
        """
        trader, account = self._finding.account(request.account, request)
        with self._placing(), trader.lock:
            _know_keys(trader, request)
            return Placing(trader, account).place(request)

    def place_bracket(self, request: BracketRequest) -> tuple[OrderResponse, ...]:
        """Place an entry with its profit and its stop.

        The exits are claimed first and held back, so that no entry ever leaves without them. Where the entry does not
        stay, they never leave.

        Returns:
            The entry, then its exits.

        Raises:
            JournalError: It could not be written down.
            RunError: As for `place`.
        """
        trader, account = self._finding.account(request.entry.account, request.entry)
        placing = PlacingTogether(trader, account)
        with self._placing(), trader.lock:
            _know_keys(trader, request.entry)
            return placing.bracket(request, request.entry.key or uuid.uuid4().hex)

    def place_oco(self, request: OcoRequest) -> tuple[OrderResponse, ...]:
        """Place orders of which one's trading cancels the others.

        Raises:
            JournalError: It could not be written down.
            RunError: As for `place`.
        """
        trader, account = self._finding.account(request.orders[0].account, request.orders[0])
        placing = PlacingTogether(trader, account)
        with self._placing(), trader.lock:
            _know_keys(trader, *request.orders)
            responses = placing.group(request.orders, uuid.uuid4().hex)
            self._rounds[trader.login.key].act()
        return tuple(self._again(response) for response in responses)

    @contextmanager
    def _placing(self) -> Iterator[None]:
        """Entered while an order is placed: what can wait is not done meanwhile, and what is held back is attended.

        Raises:
            RunError: The manager is closed: nobody would look after it.
        """
        if self._attendance.is_closed:
            raise RunError("this desk is closed, and looks after nothing any more: open another one")
        with self._attendance.at_work(), self._context.in_hand:
            yield

    # --- changing

    def cancel(self, order_id: str | None) -> OrderResponse:
        """Take an order back; see `firstbell.oms.orders.changing.Changing.cancel`."""
        trader, entry = self._finding.order(order_id)
        with self._context.in_hand:
            return Changing(trader).cancel(entry)

    def cancel_all(self, account: AccountName | None = None) -> tuple[OrderResponse, ...]:
        """Take back everything that is open, of an account, a section or all; what cannot be is told as it stands.

        Raises:
            RunError: There is no such account: nothing is taken for canceled that was never looked at.
        """
        if account is not None:
            self._finding.account(account)
        responses = []
        for entry in self.orders(account=account):
            try:
                responses.append(self.cancel(entry.intent.order.client_order_id))
            except FirstbellError as error:
                responses.append(replace(response_of(entry, message=str(error)), is_made=False))
        return tuple(responses)

    def replace(
        self,
        order_id: str | None,
        *,
        price: Number | None = None,
        quantity: Number | None = None,
        trigger_price: Number | None = None,
    ) -> OrderResponse:
        """Change an order; see `firstbell.oms.orders.changing.Changing.replace`. Numbers are read as a request's are.

        Raises:
            ValueError: A number is not positive, or cannot be read exactly.
        """
        trader, entry = self._finding.order(order_id)
        terms = {"price": price, "quantity": quantity, "trigger_price": trigger_price}
        wanted = {name: _positive(name, value) for name, value in terms.items()}
        with self._context.in_hand:
            return Changing(trader).replace(entry, Changed(**wanted))

    def close_position(self, account: AccountName, request: OrderRequest) -> OrderResponse:
        """Place an order that ends a position: like `place`, under a key that makes it one order however often asked.

        Raises:
            RunError: As for `place`, or the request has no key or no role of an exit.
        """
        if request.key is None or request.role is None:
            raise RunError("an order that ends a position needs a key and a role")
        trader, settings = self._finding.account(account, request)
        with self._context.in_hand:
            return Placing(trader, settings).place(request, checked=False)

    # --- looking

    def track(self, order_id: str | None) -> OrderResponse:
        """How an order stands; nobody is asked.

        Raises:
            RunError: There is no such order.
        """
        return response_of(self._finding.order(order_id)[1])

    def entry(self, order_id: str | None) -> Entry:
        """An order as the journal has it, by our name or its broker's.

        Raises:
            RunError: There is no such order.
        """
        return self._finding.order(order_id)[1]

    def orders(self, *, account: AccountName | None = None) -> tuple[Entry, ...]:
        """What is open, of an account, a section or all: at a broker, held back, or unresolved; the oldest first."""
        if not self._attendance.is_lasting:
            # Nobody else hears here of what other processes have written.
            for trader in self._traders.values():
                with trader.lock:
                    trader.hear()
        found = [entry for trader in self._traders.values() for entry in trader.blotter.open()]
        wanted = None if account is None else self._finding.meant(account)
        return tuple(entry for entry in found if wanted is None or entry.intent.order.account in wanted)

    def statuses(self) -> Mapping[str, int]:
        """How many open orders there are, by status."""
        return Counter(entry.state.status.value for entry in self.orders())

    def health(self) -> Mapping[AccountName, HealthReport]:
        """How the brokers of all accounts do; nobody is asked."""
        return {name: trader.health.report() for name, (trader, _) in self._finding.accounts.items()}

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have every report of this process handed on, once it is durable; see `firstbell.journal.base.Subscriber`."""
        self._context.journal.subscribe(subscriber)

    @property
    def interrupt(self) -> Interrupt:
        """What stops new attempts."""
        return self._context.interrupt

    @property
    def traders(self) -> Iterable[Trader]:
        """The logins' traders."""
        return self._traders.values()

    # --- watching

    def poll(self) -> None:
        """One round of all logins: lists read, stops followed, brackets kept together.

        Raises:
            JournalError: Something could not be written down.
        """
        self._attendance.round_begins()
        with self._attendance.at_work():
            for rounds in self._rounds.values():
                rounds.round()
        self._end_round()

    def _end_round(self) -> None:
        for call in self._after_round:
            call()

    def after_round(self, call: Callable[[], None]) -> None:
        """Have something done after each round. It may be called by several threads, and raises nothing but our own."""
        self._after_round.append(call)

    def start(self) -> None:
        """Make rounds from now on, each login in a thread of its own, until `stop`.

        From now on garbage is collected less often in this process; see `firstbell.oms.garbage`.
        """
        if self._threads:
            raise RunError("the order manager is at work already")
        keep_out_of_the_way()
        self._ended.clear()
        self._attendance.begun()
        self._threads = [
            threading.Thread(target=self._go_round, args=(key, rounds), name=f"firstbell-{key}", daemon=True)
            for key, rounds in self._rounds.items()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Make no further round; returns when those under way have ended. What is held back stays so.

        Where no other round follows, it is left to whichever process makes rounds; see `attendance`.
        """
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._attendance.ended()

    def close(self) -> None:
        """Make no further round, and leave what is held back to whichever process makes rounds."""
        self.stop()
        self._attendance.close()

    def _go_round(self, key: str, rounds: Rounds) -> None:
        while True:
            try:
                rounds.round()
                self.rounds_made += 1
                self._end_round()
            except FirstbellError as error:
                _log.error("login %s: %s", key, error)
            if self._ended.wait(self._every_s):
                return

    def _again(self, response: OrderResponse) -> OrderResponse:
        # What stands for other terms says so, however its order stands by now.
        if response.order_id is None or response.error is not None:
            return response
        return self.track(response.order_id)


def _know_keys(trader: Trader, *requests: OrderRequest) -> None:
    """Have what other processes have made of the requests' keys known here.

    Raises:
        RunError: A key is like those that are made here of others.
        JournalError: The journal cannot be read.
    """
    keys = [request.key for request in requests if request.key is not None]
    for key in keys:
        if "/" in key:
            raise RunError(f"the key {key}: a key has no /, for the parts of an order get theirs with one")
    if keys:
        trader.hear()


def _positive(name: str, value: Number | None) -> Decimal | None:
    if value is None:
        return None
    try:
        number = exact(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if number <= 0:
        raise ValueError(f"{name}: {number} is not more than zero")
    return number
