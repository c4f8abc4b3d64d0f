"""What a person has to be told of an order that has ended: it leaves shares that nothing looks after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.model.money import grouped
from firstbell.model.order_status import NEVER_PLACED, OrderStatus, ReportKind
from firstbell.oms.lists import ASKED_AGAIN
from firstbell.oms.orders.contingency import GIVES_WAY, Unprotected, Ways, next_steps
from firstbell.oms.orders.families import entries_by_plan, family_of, never_came
from firstbell.oms.orders.requests import end_one_position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.journal.base import Entry, Journal
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.report import ExecutionReport

_ON_CANCELS: Final = frozenset({ReportKind.PENDING_CANCEL, ReportKind.CANCEL_REJECTED})
_AS_THEY_STAND: Final = Ways(rests=lambda _entry: False, is_hit=lambda entry: entry.state.triggered, can_replace=False)


def waited_alone(entry: Entry) -> bool:
    """Whether it waited for its price and belongs with no others."""
    terms = entry.intent.order.instructions
    return entry.intent.order.order_type.waits and terms.group is None and terms.parent_id is None


def is_looked_after_alone(entry: Entry, group: Sequence[Entry]) -> bool:
    """Whether it waited for its price, and no position ends with it: alone, or among entries of which one trades."""
    if waited_alone(entry) or not group or not entry.intent.order.order_type.waits:
        return waited_alone(entry)
    return not end_one_position([each.intent.order for each in group])


def was_let_go(entry: Entry) -> bool:
    """Whether a stop's price had come, or it was at its broker, to wait for that there."""
    return entry.state.triggered or entry.state.venue_order_id is not None


def why_lost(entry: Entry, journal: Journal) -> str | None:
    """Why a person has to look at one that was let go, belongs with no others, and has ended; None where all is well.

    One that rested at its broker as a stop was let go with its claim.

    Raises:
        JournalError: It cannot be read what was asked for.
    """
    state = entry.state
    if state.unresolved or (never_came(entry) and not waited_alone(entry)):
        # It was given up with its day, and told of then; or it is held back anew with those that it belongs with.
        return None
    if never_came(entry):
        return f"its price had come, and it never came to its broker: {state.reason}"
    came = "its price had come, and" if state.triggered else "it was at its broker, and"
    if state.status is OrderStatus.REJECTED:
        return f"{came} its broker has refused it: {state.reason}"
    if not state.leaves_qty or state.status in NEVER_PLACED or asked_to_end(entry, journal) is not None:
        return None
    return (
        f"{came} it is {state.status} with {grouped(state.leaves_qty)} that have not traded: nothing goes on for them"
    )


def what_its_end_leaves(entry: Entry, siblings: Sequence[Entry], journal: Journal) -> tuple[ClientOrderId, str] | None:
    """Which order a person has to look at because one has ended, and why; None where all is well.

    Args:
        entry: The order that has ended.
        siblings: All orders of its login, the oldest first.
        journal: Tells what was asked for.

    Raises:
        JournalError: It cannot be read.
    """
    terms, name = entry.intent.order.instructions, entry.intent.order.client_order_id
    group = [each for each in siblings if terms.group is not None and family_of(each) == terms.group]
    if is_looked_after_alone(entry, group):
        why = why_lost(entry, journal) if was_let_go(entry) else None
        return None if why is None else (name, why)
    if (family := family_of(entry)) is None:
        return None
    legs = [each for each in siblings if family_of(each) == family]
    parent = entries_by_plan(siblings).get(terms.parent_id) if terms.parent_id is not None else None
    if terms.parent_id is not None and parent is None:
        return None
    for step in next_steps(parent, legs, _AS_THEY_STAND):
        if isinstance(step, Unprotected) and (lost := unasked(step, journal)) is not None:
            return lost.intent.order.client_order_id, step.why
    return None


def unasked(step: Unprotected, journal: Journal) -> Entry | None:
    """The exit that ended last, where nobody had asked for that; None where somebody had, and all is well.

    Raises:
        JournalError: It cannot be read what was asked for.
    """
    asked = asked_to_end(step.entry, journal)
    if asked is None or (asked.reason == GIVES_WAY and not step.profit_lives):
        return step.entry
    return None


def asked_to_end(entry: Entry, journal: Journal) -> ExecutionReport | None:
    """The word that an order's cancel was asked for; None where it was not, or was refused.

    That it was asked for again, for want of an answer, says nothing new.

    Raises:
        JournalError: It cannot be read.
    """
    reports = [each for each in journal.reports(entry.intent.order.client_order_id) if each.kind in _ON_CANCELS]
    reports = [each for each in reports if each.reason != ASKED_AGAIN]
    return reports[-1] if reports and reports[-1].kind is ReportKind.PENDING_CANCEL else None
