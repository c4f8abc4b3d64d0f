"""Finding an order in the broker's own list, and knowing when it certainly is not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import HELD_NS
from firstbell.model.order_status import DONE, PLACED, TRANSITIONS, OrderStatus, ReportKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from firstbell.brokers.base import VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import VenueOrderId
    from firstbell.model.order import OrderState

ASKED: Final = "canceled, as asked"
"""Why an order is canceled, where nobody says more."""
ASKED_AGAIN: Final = "asked for again: no list shows the cancel yet"
"""Why, where it is asked for once more and nobody wants anything new: what it was asked for is said by the first."""
MIN_MISSES: Final = 4
"""Looks that must have missed an order before it counts as absent."""
MIN_ABSENCE_NS: Final = 75 * 1_000_000_000
"""How far apart the first and last of those looks must be: 60 s are promised, and lists are known to lag by more."""
CLOCK_SLACK: Final = timedelta(seconds=5)
"""How much earlier than our sending a row may claim to be: clocks differ, and the broker's times are cut to seconds."""


def is_of(row: VenueOrder, entry: Entry) -> bool:
    """Whether a row may be an order's at all: of one name with it, it has to be of its instrument and side."""
    return (row.instrument, row.side) == (entry.intent.order.instrument, entry.intent.order.side)


@dataclass(slots=True)
class Absence:
    """The looks that missed one order: so many, the first of them at an instant of the monotonic clock, in ns."""

    misses: int = 0
    first_ns: int | None = field(default=None)

    def missed(self, at_ns: int) -> bool:
        """Count one look at the whole list of the day that did not show the order.

        Args:
            at_ns: When it was made, on the monotonic clock.

        Returns:
            Whether the order is now known not to be there.
        """
        self.misses += 1
        if self.first_ns is None:
            self.first_ns = at_ns
        return self.misses >= MIN_MISSES and at_ns - self.first_ns >= MIN_ABSENCE_NS


def find(entry: Entry, rows: Iterable[VenueOrder], taken: frozenset[VenueOrderId]) -> VenueOrder | None:
    """The row that is this order, or None when none is.

    By the broker's own name for it or by ours, where one is known. Otherwise by instrument, side, price and quantity,
    among the rows that were not there before it could leave and that no other order of ours is known under. Where the
    list could not be read before that, a row must also say that it was made no earlier than the order could have left.

    A row that the broker ended with an error proves nothing about an unanswered attempt, because an earlier attempt may
    have left it there: such rows are found by name only.

    Args:
        entry: The order.
        rows: The whole list of the day.
        taken: Names under which other orders of ours are known.
    """
    name = entry.state.venue_order_id
    order = entry.intent.order
    for row in rows:
        named = name is not None and row.venue_order_id == name and is_of(row, entry)
        if named or row.client_order_id == order.client_order_id:
            return row
    if name is not None:
        return None
    alike = [row for row in rows if _alike(entry, row) and row.venue_order_id not in taken]
    since = _earliest(entry) - CLOCK_SLACK
    # One that the user made by hand between our look and our sending is older than our sending.
    fresh = [row for row in alike if row.created_at is not None and row.created_at >= since]
    return min(fresh or alike, key=lambda row: (row.created_at is None, row.created_at or 0), default=None)


def in_the_way(entry: Entry, rows: Iterable[VenueOrder], taken: frozenset[VenueOrderId]) -> VenueOrder | None:
    """A row that may be this order though it does not look like it: then its absence is not known.

    The user may have changed the order by hand, and the broker's clock and labels may differ from what we think. So any
    row of the same instrument and side that nothing else explains stands in the way, whatever its price, quantity or
    time.
    """
    order, known = entry.intent.order, entry.known_ids or frozenset()
    for row in rows:
        unexplained = row.venue_order_id not in known and row.venue_order_id not in taken and not row.refused
        if unexplained and (row.instrument, row.side) == (order.instrument, order.side):
            return row
    return None


def _alike(entry: Entry, row: VenueOrder) -> bool:
    order = entry.intent.order
    if row.refused or (row.instrument, row.side, row.price, row.quantity) != (
        order.instrument,
        order.side,
        entry.state.price,
        entry.state.quantity,
    ):
        return False
    known = entry.known_ids
    if known is not None:
        return row.venue_order_id not in known
    return row.created_at is not None and row.created_at >= _earliest(entry) - CLOCK_SLACK


def _earliest(entry: Entry) -> datetime:
    """When the order can first have left: its first attempt, or its claim where no attempt was written down.

    One that was held back left after the word of it; its claim may be of another day.
    """
    sent = [attempt.sent_at for attempt in entry.state.attempts if attempt.sent_at is not None]
    held = entry.intent.bell_ns == HELD_NS and entry.state.submitted_at is not None
    return min(sent, default=entry.state.submitted_at if held else None) or entry.claimed_at


def reading(row: VenueOrder, state: OrderState) -> ReportKind | None:
    """What a row says about an order, as a kind of report; None when it says nothing new or nothing legal.

    Of an order that has ended a row says only what traded before: more than is known is news, whatever became of it.
    """
    if state.status in DONE:
        kind = ReportKind.PARTIALLY_FILLED
    elif row.refused:
        kind = ReportKind.REJECTED
    elif row.filled_qty >= row.quantity > 0:
        kind = ReportKind.FILLED
    elif not row.working:
        kind = ReportKind.CANCELED
    elif row.filled_qty > 0:
        kind = ReportKind.PARTIALLY_FILLED
    else:
        kind = ReportKind.ACCEPTED
    if kind not in TRANSITIONS[state.status]:
        return None
    if kind is ReportKind.ACCEPTED and state.status in PLACED and state.venue_order_id is not None:
        return None
    if kind is ReportKind.PARTIALLY_FILLED and row.filled_qty <= state.filled_qty:
        return None
    return kind


def reason_of(kind: ReportKind, row: VenueOrder, state: OrderState) -> str | None:
    """What is said in words of a reading; None where the kind says it all."""
    if kind is ReportKind.CANCELED and state.status is OrderStatus.PENDING_CANCEL:
        # Its time in force may be over, or another exit takes its place: then nobody has asked for it.
        return ASKED if state.reason in {None, ASKED, ASKED_AGAIN} else f"canceled: {state.reason}"
    if state.status in DONE:
        return late_reason(state)
    if kind in {ReportKind.REJECTED, ReportKind.CANCELED}:
        return f"{kind.value.lower()}, says the broker's list (its state {row.status})"
    return None


def has_grown(state: OrderState, row: VenueOrder) -> bool:
    """Whether a row tells that more has traded than is known, of an order that was at the broker."""
    return state.status in PLACED and row.filled_qty > state.filled_qty


def late_reason(state: OrderState) -> str:
    """The reason of a report that tells what has traded of an order after it has ended."""
    return f"it was {state.status} when the broker's list told of these trades"


def names_taken(entries: Sequence[Entry], but: Entry) -> frozenset[VenueOrderId]:
    """The broker's names that other orders than `but` are known under."""
    return frozenset(
        entry.state.venue_order_id
        for entry in entries
        if entry.state.venue_order_id is not None
        and entry.intent.order.client_order_id != but.intent.order.client_order_id
    )
