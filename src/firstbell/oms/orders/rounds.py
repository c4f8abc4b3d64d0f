"""One login's rounds: look at the lists and the market, then do what its orders ask for next."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError, FirstbellError, JournalError
from firstbell.journal.base import ReportMisfit
from firstbell.market import Phase
from firstbell.model.instant import instant
from firstbell.model.order_status import DONE, NEVER_PLACED, OrderStatus, ReportKind
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import WAITING, Side, TimeInForce
from firstbell.oms.orders.asking import Asking
from firstbell.oms.orders.completing import Completing
from firstbell.oms.orders.contingency import (
    Adjust,
    Extend,
    Oversold,
    Release,
    Renew,
    Resize,
    Unprotected,
    Ways,
    Withdraw,
    entered,
    next_steps,
)
from firstbell.oms.orders.exit_alarms import ExitAlarms
from firstbell.oms.orders.families import family_of, goes_on, never_came
from firstbell.oms.orders.late_stops import LateStops
from firstbell.oms.orders.leaving import Leaving, leaving
from firstbell.oms.orders.lost_exits import waited_alone
from firstbell.oms.orders.lost_stops import LostStops
from firstbell.oms.orders.triggers import followed, is_hit, is_stale
from firstbell.oms.policies.pricing import Market
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from decimal import Decimal

    from firstbell.brokers.base import Outcome
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.model.quote import Quote
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.orders.contingency import ContingentStep
    from firstbell.oms.orders.trader import Trader

_log = logging.getLogger(__name__)

_STEPS: Final = 8
"""So often what orders ask for next is looked at in one round: each step may call for another."""


class Rounds:
    """The rounds of one login. Nothing is remembered between two rounds that the journal does not hold, but pauses.

    Args:
        trader: The login's trader.
        stale_after: Quotes older than this trigger nothing.
    """

    def __init__(self, trader: Trader, stale_after: timedelta) -> None:
        self._trader = trader
        self._stale_after = stale_after
        self._asking = Asking(trader)
        self._completing = Completing(trader, self._asking, self._fresh_quote)
        self._late_stops = LateStops(trader)
        self._lost_stops = LostStops(trader, lambda entry: self._take(Renew(entry)))
        self._in_vain: dict[ClientOrderId, bool] = {}
        """What was let go and did not stay, and whether it was told that it is tried again."""
        self._alarms = ExitAlarms(trader, self._in_vain, lambda entry, quantity: self._take(Extend(entry, quantity)))
        self._has_looked = False

    def round(self) -> None:
        """Look, and act.

        Raises:
            JournalError: It could not be written down.
        """
        trader = self._trader
        with trader.lock:
            trader.blotter.new_day(trader.context.today())
            trader.hear()
            trader.claiming.catch_up()
            trader.market.look_again()
            self._lost_stops.remember()
            if trader.health.may_ask(urgent=bool(trader.blotter.unresolved())):
                trader.watch.look()
            trader.holding.take_over()
            self._lost_stops.look()
            self._alarms.begin()
            self.act()
            self._completing.round()
            self._late_stops.look()

    def act(self) -> None:
        """Do what orders ask for as they stand: follow the market, keep together what belongs together, keep time.

        Raises:
            JournalError: It could not be written down.
        """
        with self._trader.lock:
            self._follow_the_market()
            self._keep_together()
            self._let_triggered_go()
            self._keep_time()

    # --- the market

    def _follow_the_market(self) -> None:
        """Move trailing stops, and mark what the market has triggered: durably, before anything is done about it."""
        for entry in self._trader.holding.ours:
            if entry.state.triggered or not self._may_be_triggered(entry):
                continue
            quote = self._fresh_quote(entry)
            if quote is None:
                continue
            name = entry.intent.order.client_order_id
            if (trigger := followed(entry.state, quote)) is not None:
                report = self._trader.sender.report(name, ReportKind.REPLACED)
                if not self._write(entry, replace(report, trigger_price=trigger)):
                    continue
            now = self._trader.blotter.entry(name) or entry
            if is_hit(now.state, quote):
                where = f"the market is at {quote.last_price or quote.touch(entry.intent.order.side)}"
                self._write(now, self._trader.sender.report(name, ReportKind.TRIGGERED, reason=where))

    def _write(self, entry: Entry, report: ExecutionReport) -> bool:
        """Write of one that is held back, unless another process has just changed it, or let it go."""
        try:
            self._trader.context.journal.append([report], where=entry.state)
        except ReportMisfit as error:
            # What it wrote stands, and is looked at in the next round.
            _log.info("%s", error)
            self._trader.blotter.refresh(report.client_order_id)
            return False
        return True

    def _may_be_triggered(self, entry: Entry) -> bool:
        """Whether its time has come to be looked at: an exit's only once its entry has traded.

        A profit that is to rest at the broker is let go by its entry's trades, not by the market.
        """
        terms = entry.intent.order.instructions
        if terms.parent_id is None:
            return entry.intent.order.order_type.waits or terms.group is not None
        parent = self._parent_of(entry)
        if parent is None or (self._rests(entry) and not self._waits_for_another(entry)):
            return False
        # Mostly it is the entry itself that has traded; what went on for it is looked for only where it is not.
        return parent.state.filled_qty > 0 or entered(parent, self._trader.blotter.family(terms.parent_id)).filled > 0

    def _fresh_quote(self, entry: Entry) -> Quote | None:
        order = entry.intent.order
        quote = self._trader.market.quote(order.instrument)
        now = instant(self._trader.context.clock.wall_ns())
        if quote is not None and is_stale(quote, now, self._stale_after):
            _log.warning("%s: the quote is %s old: nothing is triggered by it", order.instrument, now - quote.at)
            return None
        return quote

    # --- orders that belong together

    def _keep_together(self) -> None:
        ways = self._ways()
        for _ in range(_STEPS):
            families = [self._trader.blotter.family(name) for name in self._trader.blotter.families()]
            steps = [step for legs in families if self._are_ours(legs) for step in self._next_steps(legs, ways)]
            if not [step for step in steps if self._take(step)]:
                break
        self._has_looked = True

    def _are_ours(self, legs: Sequence[Entry]) -> bool:
        """Whether nobody else holds any of them back: another living process looks after them."""
        owner = self._trader.context.owner
        return all(leg.is_held_by(owner) for leg in legs if leg.is_held_back)

    def _next_steps(self, legs: Sequence[Entry], ways: Ways) -> Sequence[ContingentStep]:
        parent = self._parent_of(legs[0])
        if parent is None and legs[0].intent.order.instructions.parent_id is not None:
            # Whoever claimed them died before he claimed their entry: it never left, and there is nothing to protect.
            return [Withdraw(leg, "its entry never came") for leg in legs if leg.is_held_back]
        return next_steps(parent, legs, ways)

    def _ways(self) -> Ways:
        return Ways(
            rests=self._rests,
            is_hit=lambda entry: entry.state.triggered and not self._must_stay(entry.intent.order),
            can_replace=self._trader.broker.capabilities.replace,
            largest=self._trader.market.largest_of,
        )

    def _rests(self, entry: Entry) -> bool:
        """Whether an exit rests at the broker: its stop where the broker knows stops, else its limit order.

        A stop at the broker protects also while this process does not run, so it goes before the profit.
        """
        kind, types = entry.intent.order.order_type, self._trader.broker.capabilities.order_types
        if kind.waits:
            return kind in types
        if WAITING.isdisjoint(types):
            return True
        family = self._trader.blotter.family(family_of(entry) or "")
        alive = [e.intent.order.order_type for e in family if e.state.status not in DONE and not goes_on(e)]
        return not any(other.waits and other in types for other in alive)

    def _waits_for_another(self, entry: Entry) -> bool:
        """Whether a stop could rest at the broker, but its profit is there: its price had come."""
        if not entry.intent.order.order_type.waits:
            return False
        name = entry.intent.order.client_order_id
        family = self._trader.blotter.family(family_of(entry) or "")
        # Also while it is still held back, for its broker does not take it just now.
        others = [each for each in family if each.state.triggered and not goes_on(each)]
        return any(e.state.status not in DONE for e in others if e.intent.order.client_order_id != name)

    def _parent_of(self, entry: Entry) -> Entry | None:
        parent_id = entry.intent.order.instructions.parent_id
        return None if parent_id is None else self._trader.blotter.plan(parent_id)

    def _take(self, step: ContingentStep) -> bool:
        """Take one step; whether anything came of it."""
        trader, entry = self._trader, step.entry
        name = entry.intent.order.client_order_id
        try:
            if isinstance(step, Adjust):
                report = trader.sender.report(name, ReportKind.REPLACED)
                done = self._write(entry, replace(report, quantity=step.quantity))
            elif isinstance(step, Withdraw):
                done = self._asking.withdraw(entry, step.why)
            elif isinstance(step, Resize):
                self._alarms.too_small(step)
                done = self._asking.resize(entry, step.quantity)
            elif isinstance(step, Renew):
                done = trader.holding.hold_anew(entry)
            elif isinstance(step, Extend):
                done = trader.holding.hold_further(entry, step.quantity)
            elif isinstance(step, Unprotected):
                self._alarms.unprotected(step)
                done = False
            elif isinstance(step, Oversold):
                self._alarms.oversold(step, is_first_look=not self._has_looked)
                done = False
            else:
                done = self._release(step)
        except JournalError:
            raise
        except FirstbellError as error:
            _log.warning("%s: %s", name, error)
            return False
        return done

    def _let_triggered_go(self) -> None:
        """Let go of what has been triggered and belongs with nothing else."""
        for entry in self._trader.holding.ours:
            if entry.state.triggered and waited_alone(entry):
                self._release(Release(entry, entry.state.quantity))

    def _release(self, step: Release) -> bool:
        """Send what was held back, unless trading is halted: then it stays held back."""
        trader, order = self._trader, step.entry.intent.order
        if self._must_stay(order) or not self._asking.may_leave(step.entry.intent.plan_id):
            return False
        try:
            instrument = trader.market.instrument(order.instrument)
        except (BrokerError, CaptchaError) as error:
            _log.warning("%s cannot leave: %s", order.client_order_id, error)
            return False
        quantity = step.quantity
        if order.instructions.parent_id is not None:
            # What is more than one order may be for has a further exit once this one has traded.
            quantity = min(quantity, instrument.max_quantity)
        how = self._leaving(step.entry, quantity, instrument)
        plan_id = step.entry.intent.plan_id
        trader.hear()
        if trader.claiming.is_busy_elsewhere() or self._has_changed(step.entry):
            # Two orders of one login are never on their way at once, and what was changed is looked at anew: the next
            # round comes soon.
            return False
        self._lost_stops.let_go(step.entry)
        try:
            state = trader.release(step.entry, quantity, how, instrument)
        except ReportMisfit as error:
            # Another process was quicker; what it wrote stands.
            _log.info("%s", error)
            self._lost_stops.kept(step.entry)
            trader.blotter.refresh(order.client_order_id)
            return False
        if state.status not in NEVER_PLACED:
            self._asking.left(plan_id, in_vain=False)
            self._in_vain.pop(plan_id, None)
            return True
        now = trader.blotter.entry(order.client_order_id) or step.entry
        outcome = trader.sender.last_outcome
        again = never_came(now) or (outcome is not None and _may_go_again(outcome))
        if again:
            # It is held back while it waits, so that it can be canceled, and taken over.
            self._asking.left(plan_id, in_vain=True)
            again = trader.holding.hold_anew(now)
        if plan_id not in self._in_vain or (self._in_vain[plan_id] and not again):
            self._in_vain[plan_id] = again
            more = "; it is tried again" if again else ""
            trader.context.intervene(order.client_order_id, f"it was let go and did not stay: {state.reason}{more}")
        return True

    def _leaving(self, entry: Entry, quantity: Decimal, instrument: Instrument) -> Leaving:
        context, market = self._trader.context, self._trader.market
        quote = market.quote(instrument.id, fresh=True)
        return leaving(entry.state, quantity, Market(context.market, instrument, quote), context.fallback)

    def _must_stay(self, order: Order) -> bool:
        """Whether what is held back may not leave now, whatever its price.

        That is so while trading is halted, or it buys and trading only reduces, or of another order nobody knows what
        became of it, or the broker has asked for a pause.
        """
        context, pacer = self._trader.context, self._trader.pacer
        if context.interrupt.is_set() or self._trader.blotter.unresolved():
            return True
        if pacer.pause_left_ns(context.clock.monotonic_ns()):
            return True
        return order.side is Side.BUY and context.state() is not TradingState.ACTIVE

    def _has_changed(self, entry: Entry) -> bool:
        """Whether one that is held back stands otherwise than it did when it was decided that it leaves."""
        now = self._trader.blotter.known(entry.intent.order.client_order_id)
        return now is None or now.state != entry.state

    # --- time

    def _keep_time(self) -> None:
        """Take back what has had its time, where the broker keeps no such times itself."""
        now = instant(self._trader.context.clock.wall_ns())
        phase = self._trader.hours.on(now).phase_at(now)
        for entry in self._trader.supplies:
            order = entry.intent.order
            ends_at = order.instructions.expires_at
            over = (
                order.time_in_force is TimeInForce.IOC
                or (order.time_in_force is TimeInForce.AT_THE_OPEN and phase in _AFTER_THE_OPEN)
                or (ends_at is not None and now >= ends_at)
            )
            if over and entry.state.status in _TAKEN_BACK:
                self._take(Withdraw(entry, f"its time in force, {order.time_in_force}, is over"))
        for entry in self._trader.holding.ours:
            ends_at = entry.intent.order.instructions.expires_at
            if ends_at is not None and now >= ends_at:
                self._take(Withdraw(entry, "its time in force, gtd, is over"))


def _may_go_again(refused: Outcome) -> bool:
    """Whether what refused it passes: also that nobody was there to trade with, for then it leaves to rest."""
    return refused.again or refused.token_ended or refused.kind is RefusalKind.NO_MARKET_ORDERS


_AFTER_THE_OPEN: Final = frozenset({Phase.CONTINUOUS, Phase.AT_CLOSE, Phase.CLOSED})
_TAKEN_BACK: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_REPLACE})
