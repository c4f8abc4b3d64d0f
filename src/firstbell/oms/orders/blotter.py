"""The blotter: one login's orders as they stand, in memory, as the journal's reports tell them.

The journal is the truth and is read once, at the start; after that every report that it tells of is taken in here. What
is done is kept for a while, so that a bracket still finds its legs, and then forgotten: the journal has it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import UTC, datetime, time
from itertools import islice
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import HELD_NS, Entry
from firstbell.model.identifiers import ClientOrderId
from firstbell.model.instant import TEHRAN
from firstbell.model.order_status import DONE, IN_HAND, PLACED, IllegalMove
from firstbell.oms.inquiry import needs_asking
from firstbell.oms.listed_days import days_listed
from firstbell.oms.orders.day_use import DayUse
from firstbell.oms.orders.families import family_of, is_left_over, never_came
from firstbell.oms.orders.lasting import Lasting
from firstbell.oms.orders.marks import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date
    from decimal import Decimal

    from firstbell.journal.base import Journal
    from firstbell.model.identifiers import VenueOrderId
    from firstbell.model.order import OrderState
    from firstbell.model.report import ExecutionReport

_REMEMBERED: Final = 500
"""So many done orders are kept besides those that belong with something open."""
_FORGOTTEN_AT_ONCE: Final = 8
"""With each order that is new so many are forgotten at most: it waits for that."""


class Blotter:
    """The orders of one login. Safe for threads.

    Args:
        journal: Where orders that are not here are looked up.
        login: The login.
        day: The trading day whose orders the limits count.
    """

    def __init__(self, journal: Journal, login: str, day: date) -> None:
        self._journal = journal
        self._login = login
        self._use = DayUse(day)
        self._lock = threading.RLock()
        self._open: dict[ClientOrderId, Entry] = {}
        self._done: OrderedDict[ClientOrderId, Entry] = OrderedDict()
        self._unresolved: dict[ClientOrderId, Entry] = {}
        self._held_back: dict[ClientOrderId, Entry] = {}
        self._in_hand: dict[ClientOrderId, Entry] = {}
        self._stops: dict[ClientOrderId, Entry] = {}
        self._lasting = Lasting()
        self._lost: dict[ClientOrderId, Entry] = {}
        """What never came to its broker and may be held back anew: it is not forgotten, nor what it belongs with."""
        self._families: dict[str, list[ClientOrderId]] = {}
        self._partly_forgotten = Marks()
        """The hashes of the families of which something done is forgotten: what they have sold is not known here."""
        self._plans: dict[ClientOrderId, ClientOrderId] = {}

    @property
    def login(self) -> str:
        """The login's key."""
        return self._login

    def new_day(self, day: date) -> None:
        """Another trading day has begun: what is open stays open, and the limits count anew."""
        with self._lock:
            if day == self._use.day:
                return
            self._lasting.new_day(day)
            self._use = DayUse(day)
            # Some may have been claimed for the new day before anybody looked.
            for entry in (*self._open.values(), *self._done.values()):
                self._use.count(entry)

    def load(self) -> None:
        """Read the login's orders anew: those of the day, the open ones of whatever day, and what belongs with these.

        What has ended today is of the day too: how it ended may be news to whoever looks after it.

        Raises:
            JournalError: They cannot be read.
        """
        began = datetime.combine(self._use.day, time(), tzinfo=TEHRAN)
        entries = self._journal.entries_around(self._use.day, self._login, began.astimezone(UTC).date())
        told_of = [entry for entry in entries if entry.state.status not in DONE or self.has_just_ended(entry)]
        belongs = {name for entry in told_of for name in (family_of(entry), entry.intent.plan_id)} - {None}
        with self._lock:
            for entry in entries:
                # In the order in which they were claimed: of one plan the last is the one that counts.
                if (
                    entry.intent.order.day == self._use.day
                    # What was held back may have been claimed long before the day on which it left.
                    or (entry.intent.bell_ns == HELD_NS and self._use.day in days_listed(entry))
                    or family_of(entry) in belongs
                    or entry.intent.plan_id in belongs
                ):
                    self._put(entry)
            due = set(self.families())
            self._forget(
                kept=lambda entry: (
                    family_of(entry) in due
                    or entry.intent.plan_id in due
                    or (entry.intent.order.order_type.waits and self.has_just_ended(entry))
                )
            )

    def has_just_ended(self, entry: Entry) -> bool:
        """Whether an order ended today."""
        ended_at = entry.state.ended_at
        return ended_at is not None and ended_at.astimezone(TEHRAN).date() == self._use.day

    def put(self, entry: Entry) -> None:
        """Take in an order as it stands: one just claimed, or read from the journal."""
        with self._lock:
            is_new = entry.intent.order.client_order_id not in self._open and entry.state.status not in DONE
            self._put(entry)
            if is_new:
                # Only now: between an order's end and the one that goes on in its place its family looks forgotten.
                self._forget(_FORGOTTEN_AT_ONCE)

    def _put(self, entry: Entry) -> None:
        name = entry.intent.order.client_order_id
        self._use.count(entry)
        if entry.state.status in DONE:
            self._open.pop(name, None)
            self._done[name] = entry
            self._done.move_to_end(name)
        else:
            self._done.pop(name, None)
            self._open[name] = entry
        _keep(self._unresolved, name, entry, needs_asking(entry))
        _keep(self._held_back, name, entry, entry.is_held_back)
        _keep(self._in_hand, name, entry, entry.state.status in IN_HAND and not entry.is_held_back)
        _keep(self._stops, name, entry, entry.intent.order.order_type.waits and entry.state.status not in DONE)
        self._lasting.put(entry)
        family, plan_id = family_of(entry), entry.intent.plan_id
        newest = self.known(self._plans.get(plan_id, name))
        if newest is None or newest.round <= entry.round:
            # An earlier round may be heard of after a later one.
            self._lost.pop(self._plans.get(plan_id, name), None)
            self._plans[plan_id] = name
            _keep(
                self._lost,
                name,
                entry,
                never_came(entry) and (family is not None or entry.intent.order.order_type.waits),
            )
        if family is not None and name not in (members := self._families.setdefault(family, [])):
            members.append(name)

    def take(self, report: ExecutionReport, before: OrderState, after: OrderState) -> None:
        """Take in a report that is durable; a `firstbell.journal.base.Follower`.

        One of an order that is none of ours changes nothing.
        """
        with self._lock:
            entry = self.known(report.client_order_id)
            if entry is None:
                return
            if entry.state is not before:
                # Somebody else's report may have come between: then this one may not even fit.
                try:
                    after = entry.state.after(report)
                except IllegalMove:
                    # It did fit in the journal, which is read again.
                    self.refresh(report.client_order_id)
                    return
            self.put(Entry(entry.intent, after, entry.run_id, entry.owner, entry.claimed_at))

    def hear(self, names: Iterable[ClientOrderId]) -> None:
        """Read anew the orders that other processes have written of; those of other logins change nothing.

        Raises:
            JournalError: They cannot be read.
        """
        for name in names:
            entry = self._journal.entry(name)
            if entry is not None and entry.intent.login == self._login:
                self.put(entry)

    def refresh(self, name: ClientOrderId) -> Entry | None:
        """Read one order anew from the journal; None where it is not there."""
        entry = self._journal.entry(name)
        if entry is not None:
            self.put(entry)
        return entry

    def known(self, name: ClientOrderId) -> Entry | None:
        """An order, if it is remembered here."""
        with self._lock:
            return self._open.get(name) or self._done.get(name)

    def entry(self, name: ClientOrderId) -> Entry | None:
        """An order, from the journal where it is not remembered."""
        return self.known(name) or self._journal.entry(name)

    def as_they_stand(self, entries: Iterable[Entry]) -> list[Entry]:
        """Orders as they stand now; what is not remembered here, as it was."""
        with self._lock:
            names = ((entry.intent.order.client_order_id, entry) for entry in entries)
            return [self._open.get(name) or self._done.get(name) or entry for name, entry in names]

    def is_open(self, name: ClientOrderId) -> bool:
        """Whether an order is not done."""
        return name in self._open

    def open(self) -> tuple[Entry, ...]:
        """What is not done."""
        with self._lock:
            return tuple(self._open.values())

    def done(self) -> tuple[Entry, ...]:
        """What is done and still remembered."""
        with self._lock:
            return tuple(self._done.values())

    def working(self) -> tuple[Entry, ...]:
        """What works at the broker, as far as we know."""
        return tuple(entry for entry in self.open() if entry.state.status in PLACED)

    def unresolved(self) -> tuple[Entry, ...]:
        """What only the broker's lists can tell of."""
        with self._lock:
            return tuple(self._unresolved.values())

    def held_back(self) -> tuple[Entry, ...]:
        """What waits here until the market triggers it, or its bracket lets it go."""
        with self._lock:
            return tuple(self._held_back.values())

    def stops(self) -> tuple[Entry, ...]:
        """What is not done and waits for its price, or has waited for it."""
        with self._lock:
            return tuple(self._stops.values())

    def in_hand(self) -> tuple[Entry, ...]:
        """What was claimed to be sent, by whatever process, and of which no answer has been written down."""
        with self._lock:
            return tuple(self._in_hand.values())

    def lasting_days(self) -> tuple[date, ...]:
        """The days by which any order is named that may last; see `firstbell.oms.orders.lasting.may_last`."""
        with self._lock:
            return self._lasting.days()

    def lasting(self, day: date, names: Iterable[ClientOrderId]) -> tuple[Entry, ...]:
        """The orders that may last, have one of the names of a day, or protect what has."""
        with self._lock:
            return self._lasting.named(day, names)

    def names(self) -> frozenset[VenueOrderId]:
        """The broker's names of everything remembered."""
        with self._lock:
            entries = (*self._open.values(), *self._done.values())
        return frozenset(e.state.venue_order_id for e in entries if e.state.venue_order_id is not None)

    def family(self, name: str) -> tuple[Entry, ...]:
        """The orders that belong together under a name: a bracket's legs, or a group; the oldest first."""
        with self._lock:
            entries = [self._open.get(each) or self._done.get(each) for each in self._families.get(name, ())]
        return tuple(entry for entry in entries if entry is not None)

    def plan(self, plan_id: ClientOrderId) -> Entry | None:
        """The newest order of a plan: one that was claimed again goes on under its later round."""
        with self._lock:
            name = self._plans.get(plan_id)
        return self.entry(plan_id if name is None else name)

    def families(self) -> tuple[str, ...]:
        """The names of the families of which something may be to do.

        They have anything open, or anything that never came to its broker, or have bought more than they have sold, or
        less.
        """
        with self._lock:
            return tuple(
                name
                for name, members in self._families.items()
                if any(each in self._open for each in members)
                or (hash(name) not in self._partly_forgotten and self._is_left_over(name, members))
            )

    def _is_left_over(self, name: str, members: Iterable[ClientOrderId]) -> bool:
        """Whether orders of a family that are all done leave something to do."""
        entries = [entry for each in members if (entry := self.known(each)) is not None]
        return is_left_over(name, entries, self.known(self._plans.get(ClientOrderId(name), ClientOrderId(name))))

    def used(self, but_for: ClientOrderId | None = None) -> tuple[Decimal, int]:
        """What the day's limits have to count of the login: the value of its buys, and how many orders it has had.

        The value, in rials, is that of what works, or may, and of what has traded. An order is one that is, was or may
        be at the broker.

        Args:
            but_for: An order that is left out.
        """
        with self._lock:
            return self._use.used(but_for)

    def _forget(self, most: int | None = None, kept: Callable[[Entry], bool] = lambda _entry: False) -> None:
        """Let go of the oldest done orders that nothing open belongs with, of all of them or so many at most.

        Args:
            most: So many at most; None: all of them.
            kept: Which are kept besides.
        """
        known = len(self._done)
        for name in tuple(islice(self._done, max(known - _REMEMBERED, 0))):
            if most is not None and known - len(self._done) >= most:
                return
            entry = self._done[name]
            if kept(entry):
                continue
            family = family_of(entry)
            of_its_own = self._families.get(entry.intent.plan_id, ())
            members = () if family is None else self._families.get(family, ())
            parent = () if family is None else (self._plans.get(ClientOrderId(family)),)
            if any(each in self._open or each in self._lost for each in (name, *members, *of_its_own, *parent)):
                continue
            self._use.forget(name)
            del self._done[name]
            self._lasting.forget(entry, self._use.day)
            if self._plans.get(entry.intent.plan_id) == name:
                del self._plans[entry.intent.plan_id]
            if family is not None:
                if hash(family) not in self._partly_forgotten:
                    self._partly_forgotten.add(hash(family))
                self._families[family].remove(name)
                if not self._families[family]:
                    del self._families[family]


def _keep(among: dict[ClientOrderId, Entry], name: ClientOrderId, entry: Entry, belongs: bool) -> None:
    if belongs:
        among[name] = entry
    else:
        among.pop(name, None)
