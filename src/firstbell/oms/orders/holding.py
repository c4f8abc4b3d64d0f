"""What one login holds back: taken over from processes that are dead or have left it, held anew, and left to others."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import ReportMisfit
from firstbell.journal.owner import is_suspended
from firstbell.model.identifiers import request_order_id
from firstbell.model.order_status import ReportKind
from firstbell.oms.orders.families import family_of
from firstbell.oms.orders.response import OrderResponse
from firstbell.oms.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from decimal import Decimal

    from firstbell.journal.base import Entry, Owner
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import OrderState
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.logins import Login
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.claiming import Claiming
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.sending import Sender

_log = logging.getLogger(__name__)

_SUSPENDED_NS: Final = 15_000_000_000
"""A process that has been suspended for so long, in ns, looks after nothing: a shorter pause is like a busy machine."""

_ADRIFT_NS: Final = 10_000_000_000
"""For so long, in ns, it may be unknown whether what a dead process held back can be taken over."""


class Holding:
    """Holds one login's orders back.

    Args:
        context: What all logins have in common.
        login: The login.
        blotter: Its orders.
        claiming: Claims them.
        sender: Writes of them.
    """

    def __init__(
        self, context: OrderContext, login: Login, blotter: Blotter, claiming: Claiming, sender: Sender
    ) -> None:
        self._context = context
        self._login = login
        self._blotter = blotter
        self._claiming = claiming
        self._sender = sender
        self._adrift_since_ns: int | None = None
        """Since when, on the monotonic clock, what nobody looks after cannot be taken over; -1 once that was told."""
        self._suspended: dict[Owner, int] = {}
        """Since when, on the monotonic clock, each process is seen to be suspended."""

    @property
    def ours(self) -> tuple[Entry, ...]:
        """What this process holds back, and has not left to others."""
        return tuple(entry for entry in self._blotter.held_back() if entry.is_held_by(self._context.owner))

    @property
    def own(self) -> tuple[Entry, ...]:
        """What of it was claimed by this very manager, and not by another one of the process."""
        return tuple(entry for entry in self.ours if entry.run_id == self._context.run_id)

    def hand_over(self, names: Collection[ClientOrderId] | None = None) -> tuple[Entry, ...]:
        """Leave to others what this manager holds back, for it makes no rounds any more; what that was.

        Args:
            names: Which of what the process holds back; None: all that is the manager's own.

        Raises:
            JournalError: It could not be written down.
        """
        held = self.own if names is None else tuple(e for e in self.ours if e.intent.order.client_order_id in names)
        reports = [self._sender.report(each.intent.order.client_order_id, ReportKind.HANDED_OVER) for each in held]
        try:
            self._context.journal.append(reports)
        except ReportMisfit:
            # Another process has taken one back, or let it go, just now: that one is no matter of ours any more.
            for report in reports:
                self._hand_over_one(report)
        return held

    def _hand_over_one(self, report: ExecutionReport) -> None:
        try:
            self._context.journal.append([report])
        except ReportMisfit as error:
            _log.info("%s", error)
            self._blotter.refresh(report.client_order_id)

    def take_over(self) -> None:
        """Hold back anew what dead processes held, and what living ones have left to others.

        Orders that belong together are held back by one process: where another one that lives holds an earlier one of
        them, they are left to it, those of this process too.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        self._judge_left_behind()
        owner, held = self._context.owner, self._blotter.held_back()
        others = [entry for entry in held if not entry.is_held_by(owner)]
        alive = {each: self._context.journal.alive(each) for each in {entry.owner for entry in others}}
        unresolved = self._blotter.unresolved()
        self._tell_of_adrift([e for e in others if e.is_handed_over or not alive[e.owner]] if unresolved else [])
        if not others or unresolved:
            # Nothing of this login is claimed before it is known what became of that.
            return
        if self._left_by_suspended(others, {owner for owner, lives in alive.items() if lives}):
            others = [entry for entry in self._blotter.held_back() if not entry.is_held_by(owner)]
        adrift = [entry for entry in others if entry.is_handed_over or not alive[entry.owner]]
        theirs = _first_of_families(e for e in others if not e.is_handed_over and alive[e.owner])
        ours = _first_of_families(self.ours)
        elsewhere = {name for name, first in theirs.items() if name not in ours or first < ours[name]}
        if lost := {each.intent.order.client_order_id for each in self.ours if _family(each) in elsewhere}:
            self.hand_over(lost)
        for entry in adrift:
            if _family(entry) not in elsewhere:
                self.hold_anew(entry)

    def _tell_of_adrift(self, adrift: Sequence[Entry]) -> None:
        """Have a person told, once, where what nobody looks after has waited for a while for something unresolved."""
        if not adrift:
            self._adrift_since_ns = None
            return
        now_ns = self._context.clock.monotonic_ns()
        if self._adrift_since_ns is None:
            self._adrift_since_ns = now_ns
        if self._adrift_since_ns < 0 or now_ns - self._adrift_since_ns < _ADRIFT_NS:
            return
        self._adrift_since_ns = -1
        unknown = " and ".join(each.intent.order.client_order_id for each in self._blotter.unresolved())
        more = f", as {len(adrift) - 1} more" if len(adrift) > 1 else ""
        why = f"it is held back{more}, and protects nothing before it is known what became of {unknown}"
        self._context.intervene(adrift[0].intent.order.client_order_id, f"{why}: its broker's lists are asked")

    def _left_by_suspended(self, others: Sequence[Entry], living: Collection[Owner]) -> bool:
        """Have left to others what processes hold back that live and do nothing; whether anything was.

        When one of them goes on, it hears of that, and lets nothing go that does not stand any more as it knew it.
        """
        now_ns = self._context.clock.monotonic_ns()
        suspended = {each for each in living if is_suspended(each)}
        self._suspended = {each: self._suspended.get(each, now_ns) for each in suspended}
        left = False
        for owner, since_ns in self._suspended.items():
            theirs = [each for each in others if each.owner == owner and not each.is_handed_over]
            if not theirs or now_ns - since_ns < _SUSPENDED_NS:
                continue
            first = theirs[0].intent.order.client_order_id
            more = f", as {len(theirs) - 1} more" if len(theirs) > 1 else ""
            why = f"{owner}, which held it back{more}, has been suspended: it goes on here"
            self._context.intervene(first, f"{why}. Let that process go on, or end it")
            for each in theirs:
                report = self._sender.report(each.intent.order.client_order_id, ReportKind.HANDED_OVER)
                self._hand_over_one(replace(report, reason=f"{owner} is suspended"))
            left = True
        return left

    def _judge_left_behind(self) -> None:
        """Have the lists asked for what a process that is dead now had in hand: nobody else may start while we live."""
        left = [entry for entry in self._blotter.in_hand() if self._claiming.is_left_behind(entry)]
        if left:
            recover(self._context.journal, self._context.clock, self._context.run_id)
            self._blotter.hear(entry.intent.order.client_order_id for entry in left)

    def hold_anew(self, entry: Entry) -> bool:
        """Hold back anew what a dead process held, or what never came to its broker: with the terms it had come to.

        Returns:
            Whether it is held back now.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        state = entry.state
        order = replace(
            entry.intent.order,
            client_order_id=entry.intent.plan_id,
            price=_own_price(state),
            quantity=state.quantity,
            instructions=replace(entry.intent.order.instructions, trigger_price=state.trigger_price),
        )
        try:
            taken = self._claiming.claim(order, held=True, where=state)
        except ReportMisfit as error:
            # Somebody has taken it back, changed it, or taken it over just now.
            _log.info("%s", error)
            self._blotter.refresh(entry.intent.order.client_order_id)
            return False
        if isinstance(taken, OrderResponse):
            _log.warning("%s could not be taken over: %s", entry.intent.plan_id, taken.message)
            return False
        return True

    def has_further(self, entry: Entry) -> bool:
        """Whether a further exit like one was held back, whatever has become of it."""
        return self._blotter.plan(self._further(entry)) is not None

    def _further(self, entry: Entry) -> ClientOrderId:
        order, plan_id = entry.intent.order, entry.intent.plan_id
        return request_order_id(order.day, order.broker_code, self._login.leader.username, f"{plan_id}/further")

    def hold_further(self, entry: Entry, quantity: Decimal) -> bool:
        """Hold back a further exit like one that has ended, for the shares that it does not look after.

        They were bought after it had traded in full, or it had to make room for another exit that has not traded yet.

        Its name is made of the other's, so there is but one, whoever asks for it and however often.

        Returns:
            Whether it is held back now.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        order, state, plan_id = entry.intent.order, entry.state, entry.intent.plan_id
        if self.has_further(entry):
            return False
        name = self._further(entry)
        further = replace(
            order,
            client_order_id=name,
            price=_own_price(state),
            quantity=quantity,
            instructions=replace(order.instructions, trigger_price=state.trigger_price),
        )
        taken = self._claiming.claim(further, held=True)
        if isinstance(taken, OrderResponse):
            _log.warning("%s shares are held without an exit: %s", quantity, taken.message)
            return False
        _log.warning("%s looks after %s shares no more: %s is held back for them", plan_id, quantity, name)
        return True


def _family(entry: Entry) -> str:
    """The name under which an order, an entry with its exits, or a group is held back by one process."""
    return family_of(entry) or entry.intent.plan_id


def _first_of_families(entries: Iterable[Entry]) -> dict[str, ClientOrderId]:
    """Of what is held back the first of each family, by the plans' names: the same for every process."""
    first: dict[str, ClientOrderId] = {}
    for entry in entries:
        name, plan_id = _family(entry), entry.intent.plan_id
        first[name] = min(plan_id, first.get(name, plan_id))
    return first


def _own_price(state: OrderState) -> Decimal:
    """The price that an order has of its own: what one without a limit has left at is none."""
    return state.price if state.order.order_type.has_limit else state.order.price
