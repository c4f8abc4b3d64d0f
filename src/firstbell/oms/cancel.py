"""Canceling one order: asked for, written down, and believed only when the broker's list shows it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firstbell.errors import CaptchaError, NoAnswer, NotSent, Refused, RunError
from firstbell.journal.base import ReportMisfit
from firstbell.log import redact
from firstbell.model.instant import instant
from firstbell.model.order_status import TRANSITIONS, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.lists import ASKED
from firstbell.oms.unwritten import may_have_come

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.brokers.base import Broker
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal
    from firstbell.model.identifiers import ClientOrderId, RunId, VenueOrderId

_log = logging.getLogger(__name__)

CANCEL_OF: Final = "the cancel of"
"""What `Unwritten` names."""
_OFF_THE_BOOK: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.DENIED})


def why_not_canceled(status: OrderStatus, refusal: str | None = None) -> str | None:
    """In words, why an order that was asked to be canceled is not known to be; None where it is off the book.

    Args:
        status: Where it stands.
        refusal: What the broker, or what stood in the way, said this time; None where nothing did.
    """
    if status in _OFF_THE_BOOK:
        return None
    if status is OrderStatus.PENDING_CANCEL:
        words = "the cancel has been asked for, and it is not known yet what became of it: the order may still trade"
        return words if refusal is None else f"{words}; asked again: {refusal}"
    return refusal or f"it was not canceled: it is {status}"


def cancel(
    entry: Entry,
    broker: Broker,
    journal: Journal,
    clock: Clock,
    run_id: RunId,
    *,
    is_ending: Callable[[], bool] = lambda: False,
) -> Entry:
    """Take an order back, then look at the broker's list.

    An unanswered request leaves the order `PENDING_CANCEL`: it may still trade, and the list is asked again later. One
    that is held back here just never leaves.

    Args:
        entry: The order.
        broker: Its broker.
        journal: Where it stands.
        clock: Both clocks.
        run_id: Under which name this is written.
        is_ending: Whether somebody has asked to end meanwhile: then no list is waited for.

    Returns:
        The order as it stands afterwards.

    Raises:
        RunError: The order cannot be canceled as it stands.
        Refused: The broker said no; the order stands as before.
        NotSent: The request did not leave; the order stands as before.
        CaptchaError: Likewise, for want of a log-in.
        JournalError: It could not be written down, and nothing was sent.
        Unwritten: It was asked for, and what became of it could not be written down.
    """
    name = entry.intent.order.client_order_id
    if entry.is_held_back:
        withdraw(entry, journal, clock, run_id)
        return journal.entry(name) or entry
    inquiry = Inquiry(broker, journal, clock, run_id)
    try:
        ask(entry, broker, journal, clock, run_id)
    except Refused:
        # It may have traded meanwhile: the list tells.
        with may_have_come(name, CANCEL_OF):
            inquiry.look([name])
        raise
    if is_ending():
        return journal.entry(name) or entry
    with may_have_come(name, CANCEL_OF):
        found = inquiry.look([name])
    return found[0] if found else entry


def withdraw(entry: Entry, journal: Journal, clock: Clock, run_id: RunId, why: str = ASKED) -> None:
    """Take back an order that is held back, unless whoever holds it has just let it go.

    Raises:
        RunError: He has: it is on its way.
        JournalError: It could not be written down.
    """
    name = entry.intent.order.client_order_id
    at, reason = instant(clock.wall_ns()), f"{why}, before it had left"
    try:
        journal.append([ExecutionReport(name, run_id, ReportKind.WITHDRAWN, at, reason=reason)])
    except ReportMisfit:
        raise RunError(f"{name} has just been let go: cancel it again") from None


def ask(entry: Entry, broker: Broker, journal: Journal, clock: Clock, run_id: RunId, why: str | None = None) -> None:
    """Ask the broker to take an order off its book. Whether it did, its list shows.

    Raises:
        RunError: The order cannot be canceled as it stands.
        Refused: The broker said no; the order stands as before: where a cancel had been asked for already,
            `PENDING_CANCEL`, for the refusal may just mean that it has been made.
        NotSent: The request did not leave; the order stands as before.
        CaptchaError: Likewise, for want of a log-in.
        JournalError: It could not be written down, and nothing was sent.
        Unwritten: It was asked for, and what became of it could not be written down.
    """
    pen = _Pen(entry.intent.order.client_order_id, journal, clock, run_id)
    _cancelable(entry)
    broker.login()
    name, is_first = pen.asked(entry, why)
    try:
        broker.cancel(name)
    except Refused as error:
        if is_first:
            pen.refused(redact(str(error)))
        raise
    except (NotSent, CaptchaError):
        if is_first:
            pen.refused("the request did not leave")
        raise
    except NoAnswer:
        # It may have been heard: the list decides, now or at the next look.
        _log.warning("%s: the cancel got no answer", entry.intent.order.client_order_id)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes of one order's cancel."""

    order: ClientOrderId
    journal: Journal
    clock: Clock
    run_id: RunId

    def asked(self, entry: Entry, why: str | None) -> tuple[VenueOrderId, bool]:
        """Write that it is asked for, of the order as it stands then.

        Returns:
            The order's name at its broker, and whether it is asked for the first time.
        """
        while True:
            name, is_first = _cancelable(entry), entry.state.status is not OrderStatus.PENDING_CANCEL
            try:
                self.journal.append([self._report(ReportKind.PENDING_CANCEL, why)], where=entry.state)
            except ReportMisfit:
                # Another process has written of it meanwhile.
                entry = self.journal.entry(self.order) or entry
            else:
                return name, is_first

    def refused(self, reason: str) -> None:
        """Write that it has not been made, unless another process knows more by now: it has ended, say."""
        try:
            with may_have_come(self.order, CANCEL_OF):
                self.journal.append([self._report(ReportKind.CANCEL_REJECTED, reason)])
        except ReportMisfit as error:
            _log.info("%s", error)

    def _report(self, kind: ReportKind, reason: str | None) -> ExecutionReport:
        return ExecutionReport(self.order, self.run_id, kind, instant(self.clock.wall_ns()), reason=reason)


def _cancelable(entry: Entry) -> VenueOrderId:
    """The broker's name of an order that can be canceled as it stands.

    Raises:
        RunError: It cannot.
    """
    ours, name = entry.intent.order.client_order_id, entry.state.venue_order_id
    if ReportKind.PENDING_CANCEL not in TRANSITIONS[entry.state.status]:
        raise RunError(f"{ours} is {entry.state.status}: there is nothing to cancel")
    if name is None:
        raise RunError(f"{ours} has no id of the broker's yet: run `firstbell orders reconcile` first")
    return name
