"""Sending one login's orders, their changes and their cancels: claimed, paced, checked, written down."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError, NoAnswer, NotSent, RateLimited, Refused
from firstbell.journal.base import ReportMisfit
from firstbell.log import redact
from firstbell.market.ticks import tick_size
from firstbell.model.instant import instant
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import AttemptOutcome, OrderType, Side
from firstbell.oms.attempts import LONGEST_PAUSE_S, Attempts, Desk
from firstbell.oms.carrier import PlainCarrier, keeping_turn, wait_for_turn
from firstbell.oms.decision import Budget
from firstbell.oms.final_check import FinalCheck
from firstbell.oms.policies.retry import BackoffAim
from firstbell.oms.unwritten import may_have_come
from firstbell.risk.checks import PLAN_CHECKS, Denial, Surroundings, deny
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.brokers.base import Answer, HttpBroker, Outcome
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order, OrderState
    from firstbell.model.report import Attempt
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.pacing import Pacer

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
CHANGE_OF: Final = "the change of"
"""What `Unwritten` names."""
_PATIENCE_NS: Final = 60 * _NS
"""How long one order is tried again while it is certainly refused as too early or too soon, in ns."""
_PAUSE_NS: Final = 5 * _NS
"""The longest pause of a broker's that is waited out, in ns: meanwhile nothing else of the login moves."""


class ChangeRefused(Refused):
    """The broker has refused a change; the order stands as before.

    Attributes:
        outcome: What its answer meant.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.message or _unsaid(outcome), code=outcome.code)


class ChangeDenied(NotSent):
    """A change may not leave: a limit, a rule of the exchange, or a halt stands against it."""


class Sender:
    """Sends what one login asks for. One thread at a time; its trader sees to that.

    Args:
        context: What all logins have in common.
        broker: The login's broker.
        blotter: The login's orders.
        pacer: The login's interval.
    """

    def __init__(self, context: OrderContext, broker: HttpBroker, blotter: Blotter, pacer: Pacer) -> None:
        self._context = context
        self._broker = broker
        self._blotter = blotter
        self._pacer = pacer
        self._last: Outcome | None = None
        self._spent: set[ClientOrderId] = set()
        """The plans of which was told that an order's budget is spent: one that is held back anew has a new one."""
        self.broker_ns = 0
        """How long the broker has been waited for, all orders together, in ns."""

    @property
    def last_outcome(self) -> Outcome | None:
        """What the last answer to an order meant; None where none came."""
        return self._last

    def surroundings(self, order: Order, instrument: Instrument) -> Surroundings:
        """What an order is judged against: the day's other orders among it, whether it is counted itself yet or not."""
        # Where nobody makes rounds, nobody has said so yet.
        self._blotter.new_day(self._context.today())
        value, orders = self._blotter.used(but_for=order.client_order_id)
        day_limits, limits = self._context.day_limits, self._context.limits
        if day_limits is not None and limits.max_total_value is not None and order.side is Side.BUY:
            value += day_limits.others(self._blotter.login, self._context.today())
        tick = instrument.tick_size or tick_size(self._context.market, order.price)
        return Surroundings(instrument, tick, self._context.limits, value, orders)

    def why_not(self, order: Order, instrument: Instrument) -> str | None:
        """Why an order may not be claimed by the user's own limits and the exchange's rules; None where it may."""
        return "; ".join(map(str, deny(order, self.surroundings(order, instrument), PLAN_CHECKS))) or None

    def send(self, order: Order, around: Surroundings) -> OrderState:
        """Send a claimed order until the broker accepts, refuses for good, or says nothing.

        Args:
            order: The order, with the price and quantity that it has now, of a type that the broker takes.
            around: What it is judged against right before it leaves.

        Raises:
            JournalError: What happened could not be written down; the order counts as unresolved.
        """
        self._last = None
        try:
            self._broker.login()
            prepared = self._broker.prepare(order)
        except (BrokerError, CaptchaError, ValueError) as error:
            self.write(order.client_order_id, ReportKind.DENIED, reason=redact(f"it could not be prepared: {error}"))
            return self._state(order.client_order_id)
        return Attempts(self._desk(order, around), order, prepared).run(self._context.clock.monotonic_ns())

    def attempted(self, order: Order, attempt: Attempt, answer: Answer | None, outcome: Outcome | None) -> None:
        """Remember what the answer meant: what may be tried instead is decided by it."""
        del order
        if attempt.round_trip_us is not None:
            self.broker_ns += attempt.round_trip_us * 1000
        if answer is not None:
            self._last = outcome

    def change(self, entry: Entry, price: Decimal, quantity: Decimal, instrument: Instrument) -> Outcome | None:
        """Ask the broker to change a working order's price and quantity.

        Returns:
            What the answer meant; None where nothing left. Without an answer the order stays `PENDING_REPLACE`, and
            the list says later what became of it.

        Raises:
            JournalError: It could not be written down.
            Unwritten: It was asked for, and what became of it could not be written down.
            NotSent: The request did not leave; the order stands as before.
            ChangeDenied: Likewise, for it may not.
            Refused: The broker said no; the order stands as before.
            CaptchaError: For want of a log-in it did not leave.
        """
        order, name = entry.intent.order, entry.state.venue_order_id
        if name is None:
            raise NotSent(f"{order.client_order_id} has no id of the broker's yet")
        wanted = _changed(entry, price, quantity)
        self._broker.login()
        try:
            asks = self.report(order.client_order_id, ReportKind.PENDING_REPLACE)
            self._context.journal.append([asks], where=entry.state)
        except ReportMisfit:
            raise NotSent(f"{order.client_order_id} has just been changed, or has traded: look at it again") from None
        why = self.why_no_change(entry, price, quantity, instrument)
        if why is not None:
            self.write(order.client_order_id, ReportKind.REPLACE_REJECTED, reason=why)
            raise ChangeDenied(why)
        with may_have_come(order.client_order_id, CHANGE_OF):
            return self._change(entry, wanted)

    def _change(self, entry: Entry, wanted: Order) -> Outcome | None:
        """Have a change made that was written down, and write down what became of it."""
        ours, name = entry.intent.order.client_order_id, entry.state.venue_order_id
        try:
            outcome = self._replace(str(name), wanted)
        except NoAnswer as error:
            _log.warning("%s: the change got no answer: %s", ours, error)
            return None
        except (BrokerError, CaptchaError) as error:
            self.write(ours, ReportKind.REPLACE_REJECTED, reason=redact(str(error)))
            raise
        if outcome.outcome is AttemptOutcome.ACCEPTED:
            report = replace(self.report(ours, ReportKind.REPLACED), price=wanted.price, quantity=wanted.quantity)
            self._context.journal.append([replace(report, venue_order_id=outcome.venue_order_id)])
        elif outcome.outcome is AttemptOutcome.REJECTED:
            self.write(ours, ReportKind.REPLACE_REJECTED, reason=redact(outcome.message or "the broker said no"))
        return outcome

    def why_no_change(self, entry: Entry, price: Decimal, quantity: Decimal, instrument: Instrument) -> str | None:
        """Why an order may not be changed so by the user's own limits and the exchange's rules; None where it may."""
        if self._context.interrupt.is_set():
            return f"{self._context.interrupt.why} before the change"
        now, wanted = entry.state, _changed(entry, price, quantity)
        denials = deny(wanted, self.surroundings(wanted, instrument), PLAN_CHECKS)
        grows = quantity > now.quantity or price > now.price
        if wanted.side is Side.BUY and grows and (state := self._context.state()) is not TradingState.ACTIVE:
            denials = (Denial("trading state", str(state), "smaller or cheaper buys only"), *denials)
        return "; ".join(map(str, denials)) or None

    def write(self, name: ClientOrderId, kind: ReportKind, *, reason: str | None = None) -> None:
        """Write one report, durably."""
        self._context.journal.append([self.report(name, kind, reason=reason)])

    def report(self, name: ClientOrderId, kind: ReportKind, *, reason: str | None = None) -> ExecutionReport:
        """A report of now."""
        return ExecutionReport(name, self._context.run_id, kind, instant(self._context.clock.wall_ns()), reason=reason)

    def _replace(self, name: str, wanted: Order) -> Outcome:
        clock, pacer = self._context.clock, self._pacer
        if (pause_ns := pacer.pause_left_ns(clock.monotonic_ns())) > _PAUSE_NS:
            left_s = math.ceil(pause_ns / _NS)
            raise RateLimited(f"the broker has asked for a pause, of which {left_s} s are left", retry_after=left_s)
        logged_in, waited = False, False
        while True:
            if wait_for_turn(pacer, clock, self._context.interrupt, pacer.earliest(clock.monotonic_ns())):
                raise ChangeDenied(f"{self._context.interrupt.why} before the change")
            try:
                with keeping_turn(pacer, clock, self._context.interrupt):
                    outcome = self._broker.replace(name, wanted)  # type: ignore[arg-type]
            finally:
                pacer.sent(clock.monotonic_ns())
            if outcome.retry_after is not None:
                pacer.pause(clock.monotonic_ns() + int(min(outcome.retry_after, LONGEST_PAUSE_S) * _NS))
            # Certainly refused: one new log-in, or a pause that is short enough, then once more.
            if outcome.token_ended and not logged_in:
                logged_in = True
                self._broker.forget_token()
                self._broker.login()
            elif outcome.retry_after is not None and outcome.again and not waited:
                waited = True
                if pacer.pause_left_ns(clock.monotonic_ns()) > _PAUSE_NS:
                    return outcome
            else:
                return outcome

    def _desk(self, order: Order, around: Surroundings) -> Desk:
        context, clock = self._context, self._context.clock
        deadline_ns = clock.monotonic_ns() + _PATIENCE_NS
        budget = Budget(
            context.retry.max_attempts, deadline_ns, clock.wall_ns() + _PATIENCE_NS, longest_pause_ns=_PAUSE_NS
        )
        return Desk(
            broker=self._broker,
            carrier=PlainCarrier(self._broker, clock, context.interrupt, budget, self._pacer),
            journal=self._blotter,
            writer=context.journal,
            clock=clock,
            pacer=self._pacer,
            budget=budget,
            run_budget=context.budget,
            check=FinalCheck({order.client_order_id: around}, context.state, self._pacer, context.called),
            interrupt=context.interrupt,
            # A person has to look, but the other orders go on: what repeats itself is this one alone.
            halt=partial(self._tell_of_budget, order.client_order_id),
            aim=BackoffAim(clock.wall_ns(), context.retry),
            run_id=context.run_id,
            watcher=self,
        )

    def _tell_of_budget(self, name: ClientOrderId, why: str) -> None:
        entry = self._blotter.entry(name)
        plan_id = name if entry is None else entry.intent.plan_id
        if plan_id not in self._spent:
            self._spent.add(plan_id)
            self._context.intervene(name, why)

    def _state(self, name: ClientOrderId) -> OrderState:
        entry = self._blotter.entry(name)
        if entry is None:
            raise NotSent(f"{name} is not in the journal")
        return entry.state


def _unsaid(outcome: Outcome) -> str:
    """What a refusal without words of the broker's is about."""
    if outcome.retry_after is not None:
        return f"the broker asks for a pause of {math.ceil(outcome.retry_after)} s"
    return "the broker takes neither the token nor a new one" if outcome.token_ended else "the broker said no"


def _changed(entry: Entry, price: Decimal, quantity: Decimal) -> Order:
    """An order as it would be sent with other terms; a stop that waits at its broker stays one."""
    order = entry.intent.order
    kind = order.order_type if order.order_type.waits and not entry.state.triggered else OrderType.LIMIT
    return replace(order, price=price, quantity=quantity, order_type=kind)
