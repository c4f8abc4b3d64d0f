"""From a wish to cancel or change an order to how it stands then: checked as a new order is, and told as a response."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError, RunError
from firstbell.log import redact
from firstbell.model.instant import instant
from firstbell.model.money import grouped
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import DONE, OrderStatus
from firstbell.model.terms import OrderRole, OrderType
from firstbell.oms.cancel import why_not_canceled
from firstbell.oms.orders.families import entries_by_plan
from firstbell.oms.orders.response import OrderResponse, response_of
from firstbell.oms.orders.sending import ChangeDenied, ChangeRefused
from firstbell.oms.policies.placement_error import placement_error
from firstbell.risk.validation import checks_of_change
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.journal.base import Entry
    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Changed, OrderState
    from firstbell.oms.orders.trader import Trader
    from firstbell.risk.validation import Check

_NOTHING: Final = Decimal(0)
_AT_WORK: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
_EXITS: Final = frozenset({OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.EXIT})


class Changing:
    """Cancels and changes one login's orders as their owner asks for it.

    What the order manager changes by itself, such as a trailing stop's trigger or an exit's quantity, does not come
    through here: no check on the market may stand against it.

    Args:
        trader: The login's trader.
    """

    def __init__(self, trader: Trader) -> None:
        self._trader = trader

    def cancel(self, entry: Entry) -> OrderResponse:
        """Take an order back; `OrderResponse.is_success` says whether it has been.

        Raises:
            JournalError: It could not be written down.
            RunError: There is nothing to cancel, or nobody knows yet what became of it.
        """
        trader = self._trader
        with trader.lock:
            try:
                response = trader.cancel(entry)
            except (BrokerError, CaptchaError) as error:
                response = self._refused(entry, error)
            words = why_not_canceled(response.status, None if response.error is None else response.message)
            if words is None:
                return replace(response, error=None, is_made=True)
            if response.status is OrderStatus.PENDING_CANCEL:
                # A cancel that was asked for before may have been made, whatever was said of this one.
                response = replace(response, error=None)
            return replace(response, message=words, is_made=False)

    def replace(self, entry: Entry, wanted: Changed) -> OrderResponse:
        """Change an order; `OrderResponse.is_success` says whether it has these terms now.

        Raises:
            JournalError: It could not be written down.
            RunError: It cannot be changed as it stands, it has no such term, or its broker cannot change orders.
        """
        trader = self._trader
        with trader.lock:
            entry = trader.blotter.entry(entry.intent.order.client_order_id) or entry
            try:
                if (denied := self._denied(entry, wanted)) is not None:
                    return denied
                response = trader.replace(
                    entry, price=wanted.price, quantity=wanted.quantity, trigger_price=wanted.trigger_price
                )
            except (BrokerError, CaptchaError) as error:
                return self._refused(entry, error)
            now = trader.blotter.entry(entry.intent.order.client_order_id) or entry
            if now.state.changing and now.state.status not in DONE:
                words = "the change has been asked for, and it is not known yet what became of it"
                return replace(response, message=words, is_made=False)
            if wanted.is_of(now.state):
                return replace(response, is_made=True)
            return replace(response_of(now, message=f"it was not changed: it is {now.state.status}"), is_made=False)

    def _refused(self, entry: Entry, error: BrokerError | CaptchaError) -> OrderResponse:
        """How an order stands after its broker, or a limit, stood against what was asked for."""
        now = self._trader.blotter.entry(entry.intent.order.client_order_id) or entry
        if isinstance(error, ChangeDenied):
            code: ErrorCode | None = ErrorCode.RISK_LIMIT_BREACH
        else:
            code = placement_error(error.outcome if isinstance(error, ChangeRefused) else error)
        return replace(response_of(now, error=code, message=redact(str(error))), is_made=False)

    def _denied(self, entry: Entry, wanted: Changed) -> OrderResponse | None:
        """Why a change may not be made by the checks on what is asked for; None where it may."""
        if wanted.is_of(entry.state) or entry.state.status in DONE:
            return None
        found = list(self._beyond_the_position(entry, wanted))
        limits = None
        if entry.is_held_back or (entry.state.status in _AT_WORK and wanted.trigger_price is None):
            more, limits = self._judged(entry, wanted)
            found += more
        if not found and limits is None:
            return None
        code = found[0].code if found else ErrorCode.RISK_LIMIT_BREACH
        words = "; ".join(map(str, found)) or limits
        return replace(response_of(entry, error=code, message=words), verdicts=tuple(found), is_made=False)

    def _judged(self, entry: Entry, wanted: Changed) -> tuple[Sequence[Verdict], str | None]:
        """What an order's new terms are found to be.

        Of one that is held back as if it were placed with them now; of one that works, so far as they change. What
        limits and final checks say of that one is asked right before its change leaves.
        """
        trader, order, state = self._trader, entry.intent.order, entry.state
        terms, waits = order.instructions, entry.is_held_back
        # At its broker it is a limit order, whatever it was before its price came.
        kind = order.order_type if waits else OrderType.LIMIT
        has_limit = kind.has_limit
        try:
            request = OrderRequest(
                instrument=order.instrument,
                side=order.side,
                order_type=kind,
                quantity=wanted.quantity or state.quantity,
                price=wanted.price or (state.price if has_limit else None),
                trigger_price=(wanted.trigger_price or state.trigger_price) if waits else None,
                trailing_offset=terms.trailing_offset if waits else None,
                time_in_force=order.time_in_force,
                expires_at=terms.expires_at,
                account=order.account,
                role=order.role,
            )
        except ValueError as error:
            raise RunError(f"{order.client_order_id}: {error}") from error
        context, instrument = trader.context, trader.market.instrument(order.instrument)
        quote = trader.market.quote(instrument.id, fresh=not has_limit)
        changed = replace(
            order,
            price=request.price or request.trigger_price or state.price,
            quantity=request.quantity,
            instructions=replace(terms, trigger_price=request.trigger_price),
        )

        def judged(by: Instrument) -> tuple[Sequence[Verdict], str | None]:
            now, only = instant(context.clock.wall_ns()), None if entry.is_held_back else _changes(request, state)
            found = context.validator.validate_order(
                request, instrument=by, quote=quote, now=now, hours=trader.hours, only=only
            )
            return found.verdicts, trader.sender.why_not(changed, by) if entry.is_held_back else None

        verdicts, limits = judged(instrument)
        # What was known may be minutes old: nothing is denied by that alone.
        return judged(trader.market.described_now(instrument)) if verdicts or limits is not None else (verdicts, limits)

    def _beyond_the_position(self, entry: Entry, wanted: Changed) -> Sequence[Verdict]:
        """An exit made larger is for no more than there is to exit from."""
        terms, state, blotter = entry.intent.order.instructions, entry.state, self._trader.blotter
        family = terms.group or terms.parent_id
        if family is None or wanted.quantity is None or wanted.quantity <= state.quantity:
            return ()
        parent = None if terms.parent_id is None else blotter.plan(terms.parent_id)
        most = most_of_exit(entry, parent, blotter.family(family))
        if most is None or wanted.quantity <= most:
            return ()
        allowed = f"at most {grouped(most)}, what there is to exit from"
        return (Verdict(ErrorCode.QUANTITY_ERROR, "exit quantity", grouped(wanted.quantity), allowed),)


def _changes(request: OrderRequest, state: OrderState) -> Sequence[Check]:
    """What the new terms of one that works have to pass."""
    price = state.price if request.price is None else request.price
    return checks_of_change(
        price=price != state.price,
        quantity=request.quantity != state.quantity,
        grows=price > state.price or request.quantity > state.quantity,
    )


def most_of_exit(exit_: Entry, parent: Entry | None, family: Sequence[Entry]) -> Decimal | None:
    """How much an exit may be for, what has traded of it included: what is to be sold and no other exit sells.

    Args:
        exit_: One of a bracket's exits, or of a group.
        parent: The bracket's entry; None for a group without one.
        family: All that belong together, those that have ended and earlier rounds among them.

    Returns:
        So many shares; None for one of a group that ends no position: then nothing bounds it.
    """
    name = exit_.intent.order.client_order_id
    exits = [each for each in family if each.intent.order.role in _EXITS]
    entered = [each for each in family if each.intent.order.role not in _EXITS]
    if parent is not None:
        # One that is held back leaves for no more than has been bought by then, however much it is for.
        bought = _may_have if exit_.is_held_back else _has
        most = sum(map(bought, (parent, *entered)), _NOTHING)
    elif entered or len({(each.intent.order.instrument, each.intent.order.side) for each in exits}) != 1:
        return None
    else:
        most = min(each.intent.order.quantity for each in entries_by_plan(exits).values())
    # One that is held back takes the place of whatever is at the broker, once that is canceled.
    others = [each for each in exits if each.intent.order.client_order_id != name]
    taken = (_has(each) if exit_.is_held_back or each.is_held_back else _may_have(each) for each in others)
    return max(most - sum(taken, _NOTHING), _NOTHING)


def _has(entry: Entry) -> Decimal:
    """What has traded of it."""
    return entry.state.filled_qty


def _may_have(entry: Entry) -> Decimal:
    """What will have traded of it at most."""
    state = entry.state
    return state.filled_qty if state.status in DONE else max(state.quantity, state.filled_qty)
