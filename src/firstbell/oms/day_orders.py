"""The orders of a day, as people ask for them."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
