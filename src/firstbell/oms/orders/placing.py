"""From a request to orders: checked, priced, named, sent; and what may be tried after a certain refusal."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError
from firstbell.market.fees import fee_rate
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import NEVER_PLACED, OrderStatus
from firstbell.model.terms import OrderOutcome, OrderRole, OrderType, Side
from firstbell.oms.orders.key_names import KeyNames
from firstbell.oms.orders.key_orders import ASKED_BEFORE, MOST_ORDERS, KeyOrders, other_terms, part_key
from firstbell.oms.orders.queue_position import volume_ahead
from firstbell.oms.orders.readiness import Readiness
from firstbell.oms.orders.response import OrderResponse, denied, response_of
from firstbell.oms.orders.trader import Denied
from firstbell.oms.policies.exposure import Exposure
from firstbell.oms.policies.fallback import ManualIntervention, Means, applied, propose
from firstbell.oms.policies.placement_error import placement_error
from firstbell.risk.trading_state import TradingState
from firstbell.risk.verdict import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.config import AccountSettings
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.quote import Quote
    from firstbell.oms.orders.readiness import Ready
    from firstbell.oms.orders.trader import Trader
    from firstbell.oms.policies.pricing import Market

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Belonging:
    """Which other orders an order belongs with; see `firstbell.model.instructions.Instructions`."""

    parent_id: ClientOrderId | None = None
    group: str | None = None


ALONE: Final = Belonging()
"""It belongs with no others."""


@dataclass(slots=True)
class _Asked:
    """A request on its way: its key, the order that it comes to, and the orders made of it so far.

    Attributes:
        key: Its key.
        order: The order that it comes to at first.
        is_keyed: Whether whoever asked has named the key: then it is one order however often asked for.
        is_told_of: Whether whoever asked tells a person by himself what came of it.
        bracket: Of a bracket's entry, its plan: what goes on for it belongs to that bracket too. Else None.
        made: The orders made of it.
        refusals: How many of them have been refused.
    """

    key: str
    order: Order
    is_keyed: bool
    is_told_of: bool = False
    bracket: ClientOrderId | None = None
    made: list[ClientOrderId] = field(default_factory=list)
    refusals: int = 0


class Placing:
    """Places one account's requests.

    Args:
        trader: The login's trader.
        account: The account.
    """

    def __init__(self, trader: Trader, account: AccountSettings) -> None:
        self._trader = trader
        self._account = account
        self._readiness = Readiness(trader)
        self._names = KeyNames(trader, account)
        self._keys = KeyOrders(trader.blotter, self._names.of)

    def place(self, request: OrderRequest, *, is_entry: bool = False, checked: bool = True) -> OrderResponse:
        """Place a request.

        Args:
            request: What is asked for.
            is_entry: Whether it is a bracket's entry: then whatever goes on for it belongs to the bracket.
            checked: Whether the checks on what is asked for are made. What ends a position must be placeable as long
                as the market takes orders at all; limits and the final checks hold for it all the same.

        Raises:
            JournalError: It could not be written down: without a claim no order leaves.
        """
        trader = self._trader
        with trader.lock:
            if (before := self._asked_before(request) or self._held_before(request)) is not None:
                return before
            ready = self._readiness.of(request, checked=checked, leaves=True)
            if isinstance(ready, OrderResponse):
                # Whoever closes positions asks again and again, and tells of it himself.
                return self._told(request, ready) if checked else ready
            began_ns, broker_ns = time.perf_counter_ns(), trader.sender.broker_ns
            key = request.key or self._names.new_key()
            order = self._order(request, key, ALONE, ready)
            bracket = order.client_order_id if is_entry else None
            asked = _Asked(key, order, request.key is not None, is_told_of=not checked, bracket=bracket)
            if not checked and order.quantity > ready.market.instrument.max_quantity:
                response = self._in_parts(asked, ready.market)
            else:
                response = self._pursue(asked, order, ready.market)
            took_ns = time.perf_counter_ns() - began_ns - (trader.sender.broker_ns - broker_ns)
            trader.context.observe("overhead", max(took_ns, 0))
            if response.status is OrderStatus.DENIED and request.key is not None:
                # Another process may have been asked for the same just now.
                response = self._keys.asked_before(request.key) or self._of_rival(request.key) or response
            return self._told(request, response) if checked else response

    def hold(self, request: OrderRequest, belonging: Belonging, *, checked: bool) -> OrderResponse:
        """Claim an order that is held back whatever its broker can: one of several that belong together."""
        with self._trader.lock:
            if (before := self._asked_before(request)) is not None:
                return before
            ready = self._readiness.of(request, checked=checked)
            if isinstance(ready, OrderResponse):
                # What it would be denied for now does not undo it.
                return self._held_before(request) or self._told(request, ready)
            order = self._order(request, request.key or self._names.new_key(), belonging, ready)
            why_not = None
            if request.key is not None:
                why_not = partial(self._why_no_more, _Asked(request.key, order, is_keyed=True))
            try:
                response = self._trader.place(order, ready.market.instrument, hold=True, why_not=why_not)
            except Denied as against:
                response = denied(str(against), ErrorCode.RISK_LIMIT_BREACH)
            return self._told(request, response)

    def _asked_before(self, request: OrderRequest) -> OrderResponse | None:
        """How a request's key stands where it has been used before; None where it has not.

        Of one that is held back that is told only where it has other terms; see `_held_before`.
        """
        if request.key is None:
            return None
        before = self._keys.asked_before(request.key)
        rounds = self._keys.rounds(request.key)
        if not rounds or not (before is not None or rounds[-1].is_held_back):
            return before
        others = self._other_terms(request, rounds)
        return of_others(before or response_of(rounds[-1]), request.key, others) if others else before

    def _held_before(self, request: OrderRequest) -> OrderResponse | None:
        """How a request's key stands where an order of it is held back, by whatever process; None where none is."""
        rounds = () if request.key is None else self._keys.rounds(request.key)
        held = rounds and rounds[-1].is_held_back
        return response_of(rounds[-1], message=ASKED_BEFORE) if held else None

    def _other_terms(self, request: OrderRequest, rounds: Sequence[Entry]) -> list[str]:
        """What an order was asked for, as its newest round says, and a request under its key does not ask for.

        Nothing where any round was for just that: a later one may be for what was left, or as it was changed since.
        """
        asked = self._by_isin(request, rounds[0])
        others = [other_terms(asked, each.state) for each in rounds]
        return others[-1] if all(others) else []

    def _by_isin(self, request: OrderRequest, entry: Entry) -> OrderRequest:
        """A request by the instrument's own name: it may be asked for by its symbol."""
        if request.instrument == entry.intent.order.instrument:
            return request
        try:
            return replace(request, instrument=self._trader.market.instrument(request.instrument).id)
        except (BrokerError, CaptchaError):
            return request

    def _told(self, request: OrderRequest, response: OrderResponse) -> OrderResponse:
        """Tell of what got no name, and so stands in no journal."""
        if response.order_id is None:
            self._trader.context.denied(self._account, request, response.message)
        return response

    def _pursue(self, asked: _Asked, order: Order, market: Market) -> OrderResponse:
        """Place an order, and what may be tried instead where it is refused for certain."""
        response = self._coded(self._one(asked, order, market))
        outcome = self._trader.sender.last_outcome
        if response.outcome is not OrderOutcome.REJECTED or response.order_id is None:
            return self._with_queue(response, order, market.quote)
        asked.refusals += 1
        response = replace(response, error=placement_error(outcome) if outcome is not None else None)
        kind = None if outcome is None else outcome.kind
        context = self._trader.context
        if kind is not None and context.fallback.enabled:
            market = self._anew(market)
        tried = propose(
            asked.order, order, kind, asked.refusals, market, context.fallback, self._means(order, market.instrument)
        )
        if tried is None:
            return response
        if isinstance(tried, ManualIntervention):
            if not asked.is_told_of:
                context.intervene(str(response.order_id), tried.reason)
            return replace(response, message=f"{response.message}; a person has to look: {tried.reason}")
        _log.info("%s was refused: %s instead", response.order_id, tried)
        return replace(response, children=self._instead(asked, applied(order, tried), response, market))

    def _instead(
        self, asked: _Asked, others: Sequence[Order], refused: OrderResponse, market: Market
    ) -> tuple[OrderResponse, ...]:
        """Place what is tried instead of an order that was refused, until one of them is not taken."""
        context, children = self._trader.context, list[OrderResponse]()
        for other in others:
            if len(asked.made) >= MOST_ORDERS:
                context.intervene(str(refused.order_id), f"it has come to {MOST_ORDERS} orders")
                break
            named = replace(other, client_order_id=self._names.of(part_key(asked.key, len(asked.made))))
            if named.price != asked.order.price:
                named = replace(named, instructions=replace(named.instructions, asked_price=asked.order.price))
            if asked.bracket is not None:
                terms = replace(named.instructions, parent_id=asked.bracket, role=OrderRole.ENTRY)
                named = replace(named, instructions=terms)
            children.append(self._pursue(asked, named, market))
            if not children[-1].is_success:
                break
        return tuple(children)

    def _in_parts(self, asked: _Asked, market: Market) -> OrderResponse:
        """Place what ends a position and is more than one order may be for, in orders as large as may be."""
        left, largest, responses = asked.order.quantity, market.instrument.max_quantity, list[OrderResponse]()
        while left > 0 and len(asked.made) < MOST_ORDERS:
            name = self._names.of(part_key(asked.key, len(asked.made)))
            part = replace(asked.order, client_order_id=name, quantity=min(left, largest))
            responses.append(self._pursue(asked, part, market))
            if not responses[-1].is_success:
                break
            left -= part.quantity
        return replace(responses[0], children=(*responses[0].children, *responses[1:]))

    def _coded(self, response: OrderResponse) -> OrderResponse:
        """The response with the code of what stood against it, where none is said yet."""
        context = self._trader.context
        if response.error is not None or response.is_success:
            return response
        if response.is_unresolved:
            return replace(response, error=ErrorCode.NETWORK_ERROR)
        may_not = context.interrupt.is_set() or context.state() is not TradingState.ACTIVE
        if response.status is OrderStatus.DENIED and response.order_id is not None and may_not:
            return replace(response, error=ErrorCode.RISK_LIMIT_BREACH)
        if response.order_id is not None and self._trader.pacer.pause_left_ns(context.clock.monotonic_ns()):
            return replace(response, error=ErrorCode.RATE_LIMIT_ERROR)
        return response

    def _anew(self, market: Market) -> Market:
        """The market as it is now: what was known when the order was made did not keep it from being refused."""
        instrument = self._trader.market.described_now(market.instrument)
        quote = self._trader.market.quote(instrument.id, fresh=True)
        return replace(market, instrument=instrument, quote=quote or market.quote)

    def _one(self, asked: _Asked, order: Order, market: Market) -> OrderResponse:
        blotter = self._trader.blotter
        states = [entry.state for name in asked.made if (entry := blotter.entry(name)) is not None]
        if asked.made and asked.is_keyed:
            # Meanwhile another process may have been asked for the same.
            states = [entry.state for entry in self._keys.all(asked.key)]
        if (why := Exposure.of(asked.order.quantity, states).why_not(order.quantity)) is not None:
            return denied(why, ErrorCode.RISK_LIMIT_BREACH)
        why_not = partial(self._why_no_more, asked) if asked.is_keyed else None
        try:
            response = self._trader.place(order, market.instrument, why_not=why_not)
        except Denied as against:
            return denied(str(against), ErrorCode.RISK_LIMIT_BREACH)
        asked.made.append(response.order_id or order.client_order_id)
        return response

    def _why_no_more(self, asked: _Asked, entry: Entry) -> str | None:
        """Why an order that has been claimed may not leave: for what another process has made of the same key."""
        order = entry.intent.order
        if entry.is_held_back:
            # Two may be held back at once: the one that was claimed first stays. In doubt neither does.
            others = [e for e in self._names.named_otherwise(asked.key) if e.claimed_at <= entry.claimed_at]
        else:
            others = list(self._names.rivals(asked.key))
        rivals = {each.intent.order.client_order_id: each.state for each in others}
        rivals.pop(order.client_order_id, None)
        return Exposure.of(asked.order.quantity, rivals.values()).why_not(order.quantity)

    def _of_rival(self, key: str) -> OrderResponse | None:
        """How the order of a key stands that another process has named by another day; None where there is none."""
        found = [e for e in self._names.named_otherwise(key) if e.state.status not in NEVER_PLACED]
        return response_of(found[-1], message=ASKED_BEFORE) if found else None

    def _order(self, request: OrderRequest, key: str, belonging: Belonging, ready: Ready) -> Order:
        market, price, trigger = ready.market, ready.price, request.trigger_price
        if (
            request.order_type is OrderType.TRAILING_STOP
            and trigger is None
            and request.trailing_offset is not None
            # A bracket's trails from where the market is when its entry trades.
            and belonging.parent_id is None
        ):
            away = request.trailing_offset if request.side is Side.BUY else -request.trailing_offset
            trigger = max(price + away, market.instrument.band.low)
        return Order(
            client_order_id=self._names.of(key),
            account=self._account.name,
            broker_code=self._account.broker_code,
            instrument=market.instrument.id,
            side=request.side,
            price=price,
            quantity=request.quantity,
            day=self._trader.context.today(),
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            instructions=Instructions(
                trigger_price=trigger,
                trailing_offset=request.trailing_offset,
                expires_at=request.expires_at,
                role=request.role,
                parent_id=belonging.parent_id,
                group=belonging.group,
            ),
        )

    def _means(self, order: Order, instrument: Instrument) -> Means:
        """What the account has to trade with, asked for only after a refusal; unknown where it cannot be read."""
        broker = self._trader.broker
        try:
            if order.side is Side.BUY:
                rate = fee_rate(self._trader.context.market, Side.BUY)
                return Means(money=broker.buying_power(fresh=True), fee_rate=rate)
            held = [each.quantity for each in broker.positions() if each.instrument == instrument.id]
            return Means(holding=sum(held, start=order.quantity * 0))
        except (BrokerError, CaptchaError, ValueError) as error:
            _log.warning("what there is to trade with could not be read: %s", error)
            return Means()

    def _with_queue(self, response: OrderResponse, order: Order, before: Quote | None) -> OrderResponse:
        """Say what stands before it in the book, where it rests and the broker shows the book."""
        rests = response.status in {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}
        if not rests or before is None or not self._trader.broker.capabilities.shows_book:
            return response
        return replace(response, queue=volume_ahead(before, order.side, order.price))


def of_others(before: OrderResponse, key: str, others: Sequence[str]) -> OrderResponse:
    """The response to what was asked for under a key that stands for something else."""
    words = f"nothing was sent: the key {key} stands for other terms today: {'; '.join(others)}"
    return replace(before, message=words, error=ErrorCode.VALIDATION_ERROR, is_made=False)
