"""Claiming one login's orders: the one door through which an order becomes sendable."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import AT_ONCE_NS, HELD_NS, Claimed, Entry, Held, Intent
from firstbell.model.instant import instant
from firstbell.model.order_status import IN_HAND, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome
from firstbell.oms.orders.response import OrderResponse, response_of

if TYPE_CHECKING:
    from firstbell.brokers.base import HttpBroker
    from firstbell.journal.base import ClaimAnswer
    from firstbell.model.identifiers import ClientOrderId, VenueOrderId
    from firstbell.model.order import Order, OrderState
    from firstbell.oms.logins import Login
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.watching import Watch

_LIST_AGE_NS: Final = 5_000_000_000
"""What the broker's list showed within so long, in ns, was there before an order that leaves now."""
_TRIES: Final = 60
_TRY_AGAIN_NS: Final = 50_000_000
"""Three seconds in all, in ns: an order of another process is answered by then, as a rule."""
_IN_HAND_FOR: Final = timedelta(seconds=6)


class Claiming:
    """Claims the orders of one login.

    Args:
        context: What all logins have in common.
        login: The login.
        broker: Its broker.
        blotter: Its orders.
        watch: Its broker's lists.
    """

    def __init__(self, context: OrderContext, login: Login, broker: HttpBroker, blotter: Blotter, watch: Watch) -> None:
        self._context = context
        self._login = login
        self._broker = broker
        self._blotter = blotter
        self._watch = watch
        self._failed_writes = context.journal.failed_writes
        self.claimed_ns = 0
        """When the last claim was made, on the monotonic clock."""

    def claim(self, order: Order, *, held: bool, where: OrderState | None = None) -> Entry | OrderResponse:
        """Claim an order, durably: the one door through which it becomes sendable.

        Args:
            order: The order.
            held: Whether it is held back.
            where: How its plan's newest order has to stand, where this one goes on for it.

        Returns:
            The order in the journal; or, where it may not be sent, how its plan stands.

        Raises:
            ReportMisfit: The plan's newest order does not stand like that any more.
            JournalError: The journal cannot be read or written.
        """
        context = self._context
        self.catch_up()
        if (unknown := self._unknown_besides(order.client_order_id)) is not None:
            return _not_now(f"{unknown} of this login is unresolved; nothing new until it is known")
        intent = Intent(
            order=order,
            login=self._login.key,
            plan_id=order.client_order_id,
            bell_ns=HELD_NS if held else AT_ONCE_NS,
            known_ids=self.known_ids(),
        )
        answer = self._claimed(intent, where)
        if not isinstance(answer, Claimed):
            return self._not_claimed(answer, order.client_order_id)
        if answer.order is not order:
            # A later round, under a name of its own.
            intent = replace(intent, order=answer.order)
        at = instant(context.clock.wall_ns())
        entry = Entry(intent, answer.state, context.run_id, context.owner, at)
        self._blotter.put(entry)
        return entry

    def known_ids(self) -> frozenset[VenueOrderId] | None:
        """The broker's names in its list of a moment ago; None where it cannot be read.

        None are needed where the broker carries our own names.
        """
        if self._broker.capabilities.client_order_ids:
            return frozenset()
        return self._watch.known_ids(_LIST_AGE_NS)

    def _claimed(self, intent: Intent, where: OrderState | None) -> ClaimAnswer:
        """Claim; where another process has an order of the login in hand just now, wait a moment until it has not."""
        context = self._context
        for _ in range(_TRIES):
            self.claimed_ns = context.clock.monotonic_ns()
            answer = context.journal.claim(intent, context.run_id, context.owner, where=where)
            if not isinstance(answer, Held) or answer.ours or not self.is_in_hand(answer.entry) or self._wait():
                break
        return answer

    def catch_up(self) -> None:
        """Have asked for what this process was cut short in: its answer could not be written down, or it was stopped.

        Its owner lives, so nobody else asks for it. To be called while nothing of the login is being sent.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        failed_writes = self._context.journal.failed_writes
        if failed_writes != self._failed_writes:
            self._read_anew()
            self._failed_writes = failed_writes
        for entry in self._blotter.in_hand():
            if self._is_own(entry) and not entry.state.unresolved:
                self._write(entry, ReportKind.UNRESOLVED, "its sending was cut short before its answer was written")

    def _read_anew(self) -> None:
        """Read what may have been written without being handed on; what was claimed so has not left, and never will."""
        for entry in self._blotter.open():
            self._blotter.refresh(entry.intent.order.client_order_id)
        for entry in self._context.journal.open_entries():
            name = entry.intent.order.client_order_id
            if entry.intent.login == self._login.key and self._is_own(entry) and self._blotter.known(name) is None:
                kind = ReportKind.WITHDRAWN if entry.is_held_back else ReportKind.DENIED
                self._write(entry, kind, "whether it was claimed could not be learned, so it has not left")

    def _is_own(self, entry: Entry) -> bool:
        return entry.owner == self._context.owner and entry.run_id == self._context.run_id

    def _write(self, entry: Entry, kind: ReportKind, reason: str) -> None:
        context, name = self._context, entry.intent.order.client_order_id
        at = instant(context.clock.wall_ns())
        context.journal.append([ExecutionReport(name, context.run_id, kind, at, reason=reason)])

    def is_busy_elsewhere(self) -> bool:
        """Whether another process has an order of the login in hand just now, as far as it has been heard."""
        return any(self.is_in_hand(entry) for entry in self._blotter.in_hand())

    def is_in_hand(self, entry: Entry) -> bool:
        """Whether another process has only just claimed it, and is sending it."""
        return self._is_sent_elsewhere(entry, young=True) and self._context.journal.alive(entry.owner)

    def is_left_behind(self, entry: Entry) -> bool:
        """Whether another process had it in hand, and is dead."""
        return (
            self._is_sent_elsewhere(entry, young=False)
            and not entry.state.unresolved
            and not self._context.journal.alive(entry.owner)
        )

    def _is_sent_elsewhere(self, entry: Entry, *, young: bool) -> bool:
        if entry.state.status not in IN_HAND or entry.owner == self._context.owner or entry.is_held_back:
            return False
        since = entry.state.submitted_at or entry.claimed_at
        # A clock that has been set back makes nothing young.
        return (abs(instant(self._context.clock.wall_ns()) - since) < _IN_HAND_FOR) is young

    def _not_claimed(self, answer: ClaimAnswer, plan_id: ClientOrderId) -> OrderResponse:
        if isinstance(answer, Claimed):
            raise TypeError("it is claimed")
        self._blotter.put(answer.entry)
        # The order itself, asked for again, may be there, or held back by another process: it is told of as it stands.
        may_be_there = answer.entry.state.unresolved or answer.entry.is_held_back
        is_itself = answer.entry.intent.plan_id == plan_id and may_be_there
        if isinstance(answer, Held) and not answer.ours and not is_itself:
            name, owner = answer.entry.intent.order.client_order_id, answer.entry.owner
            why = (
                f"{name} of this login is unresolved; nothing new until it is known"
                if answer.entry.state.unresolved
                else f"{owner} has {name} of this login"
            )
            return _not_now(why)
        return response_of(answer.entry, message="it was asked for before; nothing was sent")

    def _unknown_besides(self, plan_id: ClientOrderId) -> ClientOrderId | None:
        """An order of the login, of another plan, of which nobody knows what became."""
        unresolved = [entry for entry in self._blotter.unresolved() if entry.intent.plan_id != plan_id]
        return unresolved[0].intent.order.client_order_id if unresolved else None

    def _wait(self) -> bool:
        """Wait a moment; whether that was stopped."""
        return self._context.interrupt.wait_until(self._context.clock.monotonic_ns() + _TRY_AGAIN_NS)


def _not_now(why: str) -> OrderResponse:
    return OrderResponse(None, OrderStatus.DENIED, OrderOutcome.NOT_SENT, why)
