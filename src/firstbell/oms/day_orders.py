"""The orders of a day, as people ask for them."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from firstbell.model.order_status import OrderStatus
from firstbell.oms.orders.families import entries_by_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, tzinfo

    from firstbell.journal.base import Entry, Journal


def day_orders(journal: Journal, day: date, tz: tzinfo) -> tuple[Entry, ...]:
    """The orders of a day, and those of earlier days that have left or ended on it, the oldest first.

    Args:
        journal: Where they are.
        day: The day.
        tz: The exchange's zone.

    Raises:
        JournalError: They cannot be read.
    """
    began = datetime.combine(day, time(), tzinfo=tz).astimezone(UTC)

    def is_of_the_day(entry: Entry) -> bool:
        moments = (entry.state.submitted_at, entry.state.ended_at)
        return entry.intent.order.day == day or any(
            at is not None and at.astimezone(tz).date() == day for at in moments
        )

    return tuple(filter(is_of_the_day, journal.entries_around(day, None, began.date())))


def open_besides(journal: Journal, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """What is open, of whatever day, and not among these orders.

    Raises:
        JournalError: It cannot be read.
    """
    listed = {entry.intent.order.client_order_id for entry in entries}
    open_ = journal.open_entries(placed=True)
    return tuple(entry for entry in open_ if entry.intent.order.client_order_id not in listed)


def without_earlier_rounds(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Orders without those that never left and that another process has gone on with."""
    newest = {plan_id: each.round for plan_id, each in entries_by_plan(entries).items()}
    return tuple(
        each
        for each in entries
        if each.state.status is not OrderStatus.DENIED
        or each.state.attempts
        or each.round == newest[each.intent.plan_id]
    )
