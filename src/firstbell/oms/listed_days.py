"""In which days' lists of the broker's an order stands, or may; and the lists of several days as one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import PartlyUnreadable
from firstbell.errors import BrokerError
from firstbell.journal.base import AT_ONCE_NS, HELD_NS
from firstbell.model.instant import TEHRAN, instant
from firstbell.model.order_status import IN_HAND, OrderStatus
from firstbell.model.terms import AttemptOutcome, TimeInForce
from firstbell.oms.carrier import ANSWER_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date, datetime

    from firstbell.brokers.base import Broker, VenueOrder
    from firstbell.journal.base import Entry, Journal
    from firstbell.market.hours import OrderDays
    from firstbell.model.identifiers import ClientOrderId, InstrumentId, VenueOrderId
    from firstbell.model.order import OrderState
    from firstbell.model.terms import Side

LONGEST_SENDING: Final = timedelta(minutes=10)
"""Within this time what has got its name is claimed and sent: a person may have to read a captcha in between."""
_REMEMBERED: Final = 4_000
"""Of so many orders it is remembered in which days' lists they stand, before that begins anew."""
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


class DaysToRead:
    """`days_to_read` of a login's orders, worked out once for each as it stands: it is asked for again and again.

    Args:
        days: Which day an order is for.
    """

    def __init__(self, days: OrderDays) -> None:
        self._days = days
        self._known: dict[ClientOrderId, tuple[OrderState, tuple[date, ...]]] = {}
        self._known_on: date | None = None

    def of(self, entry: Entry, today: date) -> tuple[date, ...]:
        """The days whose lists show an order, or may, on the day that it is at the exchange."""
        if today != self._known_on or len(self._known) > _REMEMBERED:
            self._known, self._known_on = {}, today
        name, state = entry.intent.order.client_order_id, entry.state
        known = self._known.get(name)
        if known is None or known[0] is not state:
            known = self._known[name] = (state, days_to_read(entry, today, self._days))
        return known[1]


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
