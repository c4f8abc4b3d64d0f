"""One login's trader: places, changes, cancels and watches its orders, one thing at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firstbell.errors import FirstbellError, JournalError, RunError
from firstbell.journal.base import HELD_NS, ReportMisfit
from firstbell.market.hours import OrderDays
from firstbell.model.instant import instant
from firstbell.model.order import Changed, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.cancel import CANCEL_OF, ask, withdraw
from firstbell.oms.listed_days import DaysToRead
from firstbell.oms.lists import ASKED
from firstbell.oms.orders.attended_broker import AttendedBroker
from firstbell.oms.orders.blotter import Blotter
from firstbell.oms.orders.broker_health import BrokerHealth
from firstbell.oms.orders.claiming import Claiming
from firstbell.oms.orders.holding import Holding
from firstbell.oms.orders.late_trades import LateTrades
from firstbell.oms.orders.market_data import MarketData
from firstbell.oms.orders.response import OrderResponse, response_of
from firstbell.oms.orders.sending import CHANGE_OF, ChangeRefused, Sender
from firstbell.oms.orders.terms_at_broker import as_taken, has_limit_there, is_supplied, must_be_held
from firstbell.oms.orders.watching import Watch
from firstbell.oms.pacing import Pacer
from firstbell.oms.unwritten import may_have_come
from firstbell.risk.verdict import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from decimal import Decimal

    from firstbell.brokers.base import HttpBroker
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.oms.logins import Login
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.leaving import Leaving

_log = logging.getLogger(__name__)

_MS: Final = 1_000_000
_HELD_UP_NS: Final = 30_000_000_000
"""An order leaves within so long of its claim, in ns, or not at all: a log-in comes before the claim."""
_HEARD: Final = 1_000
"""So many reports of others are remembered, so that none is read twice."""

_CHANGEABLE: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
_SAME: Final = "nothing would change: these are its terms already; nothing was sent"


class Trader:
    """The orders of one login. Safe for threads: each thing is done by itself.

    Args:
        context: What all logins have in common.
        login: The login.
        broker: Its broker.
    """

    def __init__(self, context: OrderContext, login: Login, broker: HttpBroker) -> None:
        self.context = context
        self.hours = context.hours_of(login.broker_code)
        self.days = OrderDays(context.calendar_of(login.broker_code))
        """Which day an order of the login is for."""
        self.login = login
        self.health = BrokerHealth(context.clock, context.retry)
        self.broker: HttpBroker = AttendedBroker(broker, self.health, context.clock)
        self.lock = threading.RLock()
        self.blotter = Blotter(context.journal, login.key, context.today())
        listed = [isin for account in login.accounts for isin in account.basket]
        self.market = MarketData(self.broker, context.clock, listed)
        interval_ns = broker.capabilities.min_interval_ms * _MS
        # At a broker of this process there is nobody whom a process could be too fast for.
        shared = None if broker.capabilities.in_process else context.pace_of(login.key)
        self.pacer = Pacer(max(interval_ns, 1), shared=shared)
        self._seq = 0
        self._heard: deque[tuple[ClientOrderId, ReportKind, datetime]] = deque(maxlen=_HEARD)
        self.sender = Sender(context, self.broker, self.blotter, self.pacer)
        to_read = DaysToRead(self.days)
        late = LateTrades(context, self.blotter, login.key, self.days, to_read)
        self.watch = Watch(
            context,
            self.broker,
            self.blotter,
            late,
            lambda order: has_limit_there(order, broker.capabilities),
            login.leader.name,
            self.days,
            to_read,
        )
        self.claiming = Claiming(context, login, self.broker, self.blotter, self.watch)
        self.claim = self.claiming.claim
        """See `Claiming.claim`."""
        self.holding = Holding(context, login, self.blotter, self.claiming, self.sender)

    def load(self) -> None:
        """Read the login's orders, and take over what dead processes held back.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        with self.lock:
            self.context.journal.follow(self.blotter.take)
            self.watch.heard_at = instant(self.context.clock.wall_ns())
            self._seq = self.context.journal.last_seq()
            self.blotter.load()
            self._keep_pace(self.blotter.open())
            self.holding.take_over()

    def hear(self) -> None:
        """Take in what other processes have written: a cancel from the shell, an order placed there, a change.

        Raises:
            JournalError: The journal cannot be read.
        """
        heard_at = instant(self.context.clock.wall_ns())
        self._seq, reports = self.context.journal.reports_after(self._seq, but_of=self.context.run_id)
        news: dict[ClientOrderId, None] = {}
        for report in reports:
            # A database of several machines tells some of it twice.
            mark = (report.client_order_id, report.kind, report.at)
            if mark not in self._heard:
                self._heard.append(mark)
                news[report.client_order_id] = None
        self.blotter.hear(news)
        self.watch.heard_at = heard_at
        if news:
            self._keep_pace([entry for name in news if (entry := self.blotter.known(name)) is not None])

    def place(
        self,
        order: Order,
        instrument: Instrument,
        *,
        hold: bool = False,
        why_not: Callable[[Entry], str | None] | None = None,
    ) -> OrderResponse:
        """Claim an order that has passed all checks, and send it, or hold it back where its broker knows no triggers.

        Args:
            order: The order, named after its plan.
            instrument: The instrument, as it is today.
            hold: Hold it back whatever its broker can: something here lets it go.
            why_not: Says of the order, once it is claimed and before it leaves, why it may not, or None: by then no
                other process can have an order of the login in hand. What it says so of is held back no more.

        Raises:
            Denied: A limit or a rule of the exchange stands against it.
            JournalError: It could not be written down: without a claim no order leaves.
        """
        with self.lock:
            hold = hold or must_be_held(order, self.broker.capabilities)
            with self._alone(order):
                if (why := self.sender.why_not(order, instrument)) is not None:
                    raise Denied(why)
                entry = self.claim(order, held=hold)
            if isinstance(entry, OrderResponse):
                return entry
            why = (None if hold else self._held_up()) or (None if why_not is None else why_not(entry))
            if why is not None:
                kind = ReportKind.WITHDRAWN if hold else ReportKind.DENIED
                self.sender.write(entry.intent.order.client_order_id, kind, reason=why)
                return replace(response_of(self._now(entry)), error=ErrorCode.RISK_LIMIT_BREACH)
            if hold:
                return response_of(entry)
            self.send(entry, instrument)
            return response_of(self._now(entry))

    def _held_up(self) -> str | None:
        """Why an order that has been claimed may not leave: for its process has been suspended since, say."""
        held_up_ns = self.context.clock.monotonic_ns() - self.claiming.claimed_ns
        if held_up_ns < _HELD_UP_NS:
            return None
        return f"it was held up here for {held_up_ns // 1_000_000_000} s, and the market may be another one: ask again"

    @contextmanager
    def _alone(self, order: Order) -> Iterator[None]:
        """Judge an order and claim it while no other process does, where a limit counts what they have.

        Raises:
            Denied: That cannot be had.
        """
        day_limits, counts_all = self.context.day_limits, self.context.limits.max_orders_per_account is not None
        if day_limits is None or (order.side is not Side.BUY and not counts_all):
            yield
            return
        try:
            with day_limits.alone():
                # Of this login too: another process may have placed orders of it.
                self.hear()
                yield
        except RunError as error:
            raise Denied(str(error)) from error

    def send(self, entry: Entry, instrument: Instrument, *, rests: bool = False) -> OrderState:
        """Send a claimed order with the terms that it has now; see `as_taken`."""
        order = as_taken(entry.state, self.broker.capabilities, rests=rests)
        around = self.sender.surroundings(order, instrument)
        if entry.intent.bell_ns == HELD_NS and order.side is Side.SELL:
            # It was let in when it was claimed, and protects something: it is not one order too many by now.
            around = replace(around, limits=replace(around.limits, max_orders_per_account=None))
        return self.sender.send(order, around)

    def cancel(self, entry: Entry, why: str = ASKED) -> OrderResponse:
        """Take an order back: off the broker's book, or, held back, before it ever leaves.

        Cancels pass also while trading is halted.

        Raises:
            RunError: There is nothing to cancel, or nobody knows yet what became of it.
            Refused: The broker said no; the order stands as before.
            NotSent: The request did not leave; the order stands as before.
        """
        context = self.context
        with self.lock:
            entry = self._now(entry)
            try:
                if entry.is_held_back:
                    withdraw(entry, context.journal, context.clock, context.run_id, why)
                else:
                    ask(entry, self.broker, context.journal, context.clock, context.run_id, why)
            except JournalError:
                # Whether anything was sent is what it says; what the list tells could not be written down either.
                raise
            except FirstbellError:
                # Where the broker refused, say: it may have traded or ended meanwhile, and the list tells.
                try:
                    self._look_again(entry)
                except JournalError as error:
                    _log.warning("what the list tells could not be written down: %s", error)
                raise
            self._look_again(entry)
            return response_of(self._now(entry))

    def replace(
        self,
        entry: Entry,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        trigger_price: Decimal | None = None,
    ) -> OrderResponse:
        """Change an order: at its broker, or, held back, here. Terms that it has already are sent to nobody.

        Raises:
            RunError: It cannot be changed as it stands, its broker cannot change orders, or no terms were named.
            NotSent: The change did not leave, or a check denied it; the order stands as before.
            Refused: The broker said no; the order stands as before.
            CaptchaError: For want of a log-in the change did not leave.
        """
        wanted = Changed(price, quantity, trigger_price)
        if wanted == Changed():
            raise RunError("say what is to change: price, quantity or trigger_price")
        with self.lock:
            # As it stands now, for another process may have changed it.
            entry = self.blotter.refresh(entry.intent.order.client_order_id) or entry
            may_change = entry.is_held_back or entry.state.status in _CHANGEABLE
            if may_change and wanted.is_of(entry.state):
                return response_of(entry, message=_SAME)
            if entry.is_held_back:
                self._change_held(entry, wanted)
                return response_of(self._now(entry), message="changed; held back here")
            self._change(entry, wanted)
            return response_of(self._now(entry), message="changed")

    def release(self, entry: Entry, quantity: Decimal, how: Leaving, instrument: Instrument) -> OrderState:
        """Let go of one that was held back: for so many shares, and at that price where it is a limit order there.

        Raises:
            ReportMisfit: It does not stand any more as `entry` says: another process has changed it, or let it go.
            JournalError: It could not be written down.
        """
        state, name = entry.state, entry.intent.order.client_order_id
        leaves = self.sender.report(name, ReportKind.SUBMITTED)
        # From here on it may have left: whoever finds it like this asks the broker's lists.
        reports = [replace(leaves, known_ids=self.claiming.known_ids())]
        if (how.price, quantity) != (state.price, state.quantity):
            changed = self.sender.report(name, ReportKind.REPLACED)
            reports.insert(0, replace(changed, price=how.price, quantity=quantity))
        self.context.journal.append(reports, where=state)
        return self.send(self._now(entry), instrument, rests=how.rests)

    def _look_again(self, entry: Entry) -> None:
        name = entry.intent.order.client_order_id
        if entry.is_held_back:
            self.blotter.refresh(name)
        else:
            self._look(name, CANCEL_OF)

    def _look(self, name: ClientOrderId, of_what: str) -> None:
        """Look at the lists right after an order was asked to end, or to change; who is being ended does not wait."""
        interrupt = self.context.interrupt
        if interrupt.is_set() and not interrupt.is_halt:
            return
        with may_have_come(name, of_what):
            self.watch.look()

    def _change_held(self, entry: Entry, wanted: Changed) -> None:
        report = self.sender.report(entry.intent.order.client_order_id, ReportKind.REPLACED)
        price, quantity, trigger_price = wanted.price, wanted.quantity, wanted.trigger_price
        report = replace(report, price=price, quantity=quantity, trigger_price=trigger_price)
        try:
            self.context.journal.append([report], where=entry.state)
        except ReportMisfit:
            now = self.blotter.refresh(report.client_order_id) or entry
            how = "has just been changed" if now.is_held_back else f"has just been let go, and is {now.state.status}"
            raise RunError(f"{report.client_order_id} {how}: look at it again") from None

    def _change(self, entry: Entry, wanted: Changed) -> None:
        """Have a working order changed at its broker; see `replace`."""
        state, name = entry.state, entry.intent.order.client_order_id
        if wanted.trigger_price is not None:
            if not entry.intent.order.order_type.waits:
                raise RunError(f"{name} is a {entry.intent.order.order_type} order: it has no trigger price")
            raise RunError(f"{name} is {state.status}: its trigger price cannot be changed any more")
        if state.status not in _CHANGEABLE:
            raise RunError(f"{name} is {state.status}: there is nothing to change")
        if not self.broker.capabilities.replace:
            raise RunError(f"{entry.intent.order.broker_code} changes no orders: cancel it and place another")
        price, quantity = wanted.price or state.price, wanted.quantity or state.quantity
        if quantity <= state.filled_qty:
            raise RunError(f"{name} has traded {state.filled_qty} already: to end it, cancel it")
        instrument = self.market.instrument(entry.intent.order.instrument)
        if self.sender.why_no_change(entry, price, quantity, instrument) is not None:
            # What was known may be minutes old: nothing is denied by that alone.
            instrument = self.market.described_now(instrument)
        outcome = self.sender.change(entry, price, quantity, instrument)
        if outcome is not None and outcome.outcome is AttemptOutcome.ACCEPTED:
            return
        # Of one that was refused as well: it may have traded or ended meanwhile, and the list tells.
        self._look(name, CHANGE_OF)
        if outcome is not None and outcome.outcome is AttemptOutcome.REJECTED:
            raise ChangeRefused(outcome)

    def _keep_pace(self, entries: Iterable[Entry]) -> None:
        """Keep the broker's interval to what other processes of this login, of whatever machine, have sent."""
        attempts = [attempt for entry in entries for attempt in entry.state.attempts]
        if sent := [attempt.sent_ns for attempt in attempts if attempt.sent_ns is not None]:
            clock = self.context.clock
            at_ns = clock.monotonic_ns() - max(clock.wall_ns() - max(sent), 0)
            if self.pacer.last_ns is None or at_ns > self.pacer.last_ns:
                self.pacer.sent(at_ns)

    def _now(self, entry: Entry) -> Entry:
        return self.blotter.entry(entry.intent.order.client_order_id) or entry

    @property
    def supplies(self) -> tuple[Entry, ...]:
        """The working orders whose time in force is kept here, and not by the broker."""
        return tuple(e for e in self.blotter.working() if is_supplied(e.intent.order, self.broker.capabilities))


class Denied(FirstbellError):  # noqa: N818 - an order, and it is denied
    """An order may not be claimed; the message names every rule and both numbers. Nothing was written."""
