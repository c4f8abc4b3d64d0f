"""Which orders belong together, and what orders that have all ended leave to do. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import AttemptOutcome, OrderRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId

_NOTHING: Final = Decimal(0)


def family_of(entry: Entry) -> str | None:
    """The name under which an order belongs with others: its group's, or that of the entry that it protects."""
    terms = entry.intent.order.instructions
    return terms.group or terms.parent_id


def goes_on(entry: Entry) -> bool:
    """Whether it belongs to a bracket as an order that goes on for its refused entry, and not as one of its exits."""
    terms = entry.intent.order.instructions
    return terms.parent_id is not None and terms.role is OrderRole.ENTRY


def never_came(entry: Entry) -> bool:
    """Whether an order was to be sent and certainly is not at its broker, though nobody has refused it.

    It was lost on its way, its host could not be reached, or refused it only for the moment, for so long that it was
    given up, or something here kept it from leaving once it had been let go: a halt, a log-in that failed, a check.
    """
    state = entry.state
    if state.venue_order_id is not None:
        return False
    if state.status is OrderStatus.DENIED:
        tried = {attempt.outcome for attempt in state.attempts}
        return state.submitted_at is not None and tried <= {AttemptOutcome.NOT_SENT}
    return state.status is OrderStatus.REJECTED and state.given_up


def entries_by_plan(entries: Iterable[Entry]) -> dict[ClientOrderId, Entry]:
    """The newest order of each plan, by whatever order: one that was claimed again goes on under its later round."""
    newest: dict[ClientOrderId, Entry] = {}
    for entry in entries:
        known = newest.get(entry.intent.plan_id)
        if known is None or known.round <= entry.round:
            newest[entry.intent.plan_id] = entry
    return newest


def is_left_over(name: str, entries: Sequence[Entry], parent: Entry | None) -> bool:
    """Whether orders of a family that are all done leave something to do.

    Args:
        name: The family's name.
        entries: Its orders.
        parent: The entry that they protect; None of a group.
    """
    if any(never_came(entry) for entry in entries):
        return True
    if parent is None:
        # Of a group less has traded than any of its orders was for.
        asked: dict[ClientOrderId, Decimal] = {}
        for entry in entries:
            if entry.intent.order.instructions.group == name:
                # A later round was claimed for what was left then.
                plan_id, quantity = entry.intent.plan_id, entry.intent.order.quantity
                asked[plan_id] = max(asked.get(plan_id, _NOTHING), quantity)
        return sum(entry.state.filled_qty for entry in entries) < min(asked.values(), default=_NOTHING)
    bought = [parent, *(entry for entry in entries if goes_on(entry))]
    sold = [entry for entry in entries if not goes_on(entry)]
    left = sum(entry.state.filled_qty for entry in bought) - sum(entry.state.filled_qty for entry in sold)
    return left != 0
