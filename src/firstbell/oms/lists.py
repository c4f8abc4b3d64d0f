"""Finding an order in the broker's own list of the day, and knowing when it certainly is not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import PartlyUnreadable
from firstbell.errors import BrokerError
from firstbell.journal.base import AT_ONCE_NS, HELD_NS
from firstbell.model.instant import TEHRAN, instant
from firstbell.model.order_status import DONE, IN_HAND, PLACED, TRANSITIONS, OrderStatus, ReportKind
from firstbell.model.terms import AttemptOutcome, TimeInForce
from firstbell.oms.carrier import ANSWER_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date, datetime

    from firstbell.brokers.base import Broker, VenueOrder
    from firstbell.journal.base import Entry, Journal
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import InstrumentId, VenueOrderId
    from firstbell.model.order import OrderState
    from firstbell.model.terms import Side

MIN_MISSES: Final = 4
"""Looks that must have missed an order before it counts as absent."""
MIN_ABSENCE_NS: Final = 75 * 1_000_000_000
"""How far apart the first and last of those looks must be: 60 s are promised, and lists are known to lag by more."""
CLOCK_SLACK: Final = timedelta(seconds=5)
"""How much earlier than our sending a row may claim to be: clocks differ, and the broker's times are cut to seconds."""
LONGEST_SENDING: Final = timedelta(minutes=10)
"""Within this time what has got its name is claimed and sent: a person may have to read a captcha in between."""
_WAITED_FOR: Final = timedelta(seconds=ANSWER_WITHIN_S)
LASTING: Final = frozenset({TimeInForce.GTC, TimeInForce.GTD})
"""What does not end with its day by itself."""


def came_between(entry: Entry) -> tuple[datetime, datetime]:
    """Between which two instants an order has come to its broker: it was sent, and it was answered.

    Of one that nobody has answered, until it was waited for no more. Where nobody has written down what came of it,
    for its process was cut short, it may have been sent some minutes after it was claimed or let go, or tried last: a
    person had to log in first, say. Of one that is held back both are its claim.
    """
    state = entry.state
    sent = [(each.sent_at, each) for each in state.attempts if each.sent_at is not None]
    if not sent:
        bell_ns = entry.intent.bell_ns
        has_bell = AT_ONCE_NS < bell_ns < HELD_NS
        at = state.submitted_at or (max(entry.claimed_at, instant(bell_ns)) if has_bell else entry.claimed_at)
        return at, at if entry.is_held_back else at + LONGEST_SENDING
    sent_at, last = sent[-1]
    if state.status in IN_HAND and last.outcome is not AttemptOutcome.UNRESOLVED:
        # What was refused is over, and may have been sent again.
        return sent_at, (last.answered_at or sent_at) + LONGEST_SENDING
    return sent_at, last.answered_at or sent_at + _WAITED_FOR


def days_listed(entry: Entry) -> tuple[date, date]:
    """The days in whose lists an order may stand; twice the same, but for what was sent just before midnight.

    They are those on which it was sent and answered; of one that has not left, its own.
    """
    if _has_not_left(entry):
        return entry.intent.order.day, entry.intent.order.day
    first, last = came_between(entry)
    return first.astimezone(TEHRAN).date(), last.astimezone(TEHRAN).date()


def days_to_read(entry: Entry, today: date, days: OrderDays | None) -> tuple[date, ...]:
    """The days whose lists show an order, or may, the earliest first; none that is to come.

    What is sent after a session is for the next one, and no broker says in which of the two days' lists it stands.

    Args:
        entry: The order.
        today: The day that it is at the exchange.
        days: Which day an order is for; where that is not known, what is old may stand in today's list as well.
    """
    found = set(all_days(entry, days))
    if days is None or max(found) > today:
        # Until its session it may be shown as working on any day.
        found.add(today)
    return tuple(sorted(day for day in found if day <= today)) or (today,)


def all_days(entry: Entry, days: OrderDays | None) -> frozenset[date]:
    """The days in whose lists an order may stand, also those that are to come; see `days_to_read`."""
    found = frozenset(days_listed(entry))
    if days is None or _has_not_left(entry):
        return found
    return found | {day for at in came_between(entry) if (day := days.day_of(at)) is not None}


def _has_not_left(entry: Entry) -> bool:
    return entry.state.status is OrderStatus.INITIALIZED and not entry.state.unresolved


def listed_on(entry: Entry) -> date:
    """The day in whose list an order stands: that on which it was sent; of one that has not left, its own."""
    return days_listed(entry)[0]


def list_of(
    broker: Broker, entries: Iterable[Entry], today: date, days: OrderDays | None
) -> tuple[tuple[VenueOrder, ...], BrokerError | None]:
    """The lists in which orders stand, or may, as one; and why not all of them can be read, if that is so.

    Args:
        broker: Their broker.
        entries: The orders.
        today: As for `days_to_read`.
        days: Likewise.

    Raises:
        BrokerError: None can be read at all.
    """
    lists: list[Sequence[VenueOrder]] = []
    unread: BrokerError | None = None
    for day in sorted({day for entry in entries for day in days_to_read(entry, today, days)}):
        try:
            lists.append(broker.orders(day))
        except BrokerError as error:
            unread = error
            if isinstance(error, PartlyUnreadable):
                lists.append(error.rows)
    if unread is not None and not lists:
        raise unread
    return as_one(lists), unread


def as_one(lists: Sequence[Sequence[VenueOrder]]) -> tuple[VenueOrder, ...]:
    """The lists of several days as one: of an order that stands in more than one of them, the row that shows most.

    Some brokers list today alone, whatever day is asked for; some go on showing it in an old list as it was. Where a
    broker's numbers begin anew each day, two orders of one number are told apart by what they trade.
    """
    if len(lists) == 1:
        return tuple(lists[0])
    rows: dict[tuple[VenueOrderId, InstrumentId, Side], VenueOrder] = {}
    for row in (row for listed in lists for row in listed):
        key = row.venue_order_id, row.instrument, row.side
        if key not in rows or row.filled_qty >= rows[key].filled_qty:
            rows[key] = row
    return tuple(rows.values())


def is_of(row: VenueOrder, entry: Entry) -> bool:
    """Whether a row may be an order's at all: of one name with it, it has to be of its instrument and side."""
    return (row.instrument, row.side) == (entry.intent.order.instrument, entry.intent.order.side)


def listed_with(
    journal: Journal, login: str, wanted: Collection[date], order_days: OrderDays | None = None
) -> list[Entry]:
    """Orders of a login that stand in the lists of some days, or may.

    Those as well that leave on a later day than that on which they are claimed, or are for a later one.

    Args:
        journal: Where they are.
        login: The login.
        wanted: The days.
        order_days: As for `days_to_read`.

    Raises:
        JournalError: They cannot be read.
    """
    entries = [each for day in sorted(wanted) for each in journal.entries(day=day, login=login)]
    others = [each for each in journal.entries(login=login, bell_ns=HELD_NS) if not each.is_held_back]
    if order_days is not None and wanted:
        for day in order_days.evenings_of(min(wanted)):
            others += journal.entries(day=day, login=login)
    known = {each.intent.order.client_order_id for each in entries}
    for each in others:
        name = each.intent.order.client_order_id
        days = days_listed(each) if order_days is None else days_to_read(each, max(wanted), order_days)
        if name not in known and not set(days).isdisjoint(wanted):
            known.add(name)
            entries.append(each)
    return entries


def shows_day(day: date, rows: Iterable[VenueOrder], entries: Iterable[Entry]) -> bool:
    """Whether a list that was asked for of a day shows anything of it; some brokers list today alone.

    Args:
        day: The day.
        rows: The list.
        entries: Our orders of that day.
    """
    names = {entry.state.venue_order_id for entry in entries} - {None}
    return any(
        row.venue_order_id in names or (row.created_at is not None and row.created_at.astimezone(TEHRAN).date() == day)
        for row in rows
    )


def exchange_day(wall_ns: int) -> date:
    """The day that it is at the exchange."""
    return instant(wall_ns).astimezone(TEHRAN).date()


@dataclass(slots=True)
class Absence:
    """The looks that missed one order, counted over a single process's life: a restart begins anew."""

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
        return "canceled, as asked"
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
