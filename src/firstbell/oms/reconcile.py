"""Reconciling: asking every broker's list, until it is known, about what is unresolved or still at work."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError
from firstbell.journal.base import ReportMisfit
from firstbell.market.hours import OrderDays
from firstbell.model.instant import instant
from firstbell.model.order_status import ASKED, DONE, PLACED
from firstbell.model.report import ExecutionReport
from firstbell.oms.inquiry import Inquiry, needs_asking
from firstbell.oms.listed_days import days_listed, days_to_read, exchange_day, list_of
from firstbell.oms.lists import MIN_ABSENCE_NS, has_grown, is_of
from firstbell.oms.orders.day_over import DayOver
from firstbell.oms.orders.late_trades import may_have_traded, why_to_look
from firstbell.oms.orders.lost_exits import what_its_end_leaves
from firstbell.oms.orders.row_reports import of_what_was_asked
from firstbell.oms.orders.terms_at_broker import has_limit_there

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from firstbell.brokers.base import Broker, VenueOrder
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal
    from firstbell.market import MarketCalendar
    from firstbell.model.identifiers import ClientOrderId, RunId
    from firstbell.model.order_status import ReportKind

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""How often a list is asked while something is unresolved, in seconds."""
PATIENCE_S: Final = MIN_ABSENCE_NS / 1_000_000_000 + 4 * LOOK_EVERY_S
"""Asking this long, in seconds, is enough to know that an order certainly is not there."""


@dataclass(slots=True)
class Reconciliation:
    """What one round of reconciling came to.

    Attributes:
        looked: The orders that were asked for.
        unresolved: Those of them that nobody can tell of yet.
        pending: Those of which it is not known yet what became of a change, or of a cancel.
        unreachable: Login → why its list could not be asked.
        to_look_at: The orders at which a person has to look, and why: trades were told after they had ended, their day
            is over and no list shows them, or they have ended and leave shares that nothing looks after.
    """

    looked: tuple[ClientOrderId, ...] = ()
    unresolved: tuple[Entry, ...] = ()
    pending: tuple[Entry, ...] = ()
    unreachable: dict[str, str] = field(default_factory=dict)
    to_look_at: dict[ClientOrderId, str] = field(default_factory=dict)


class Reconciler:
    """Asks the lists of every login that has something open.

    Args:
        brokers: Login → its broker, for the logins that are configured.
        journal: Where orders are read from and answers written to.
        clock: Tells how far apart the looks are.
        run_id: Who asks.
        late: Whether the orders that were taken off the book today are compared as well: a list may tell of their
            trades after it has told of their end.
        calendar: The market's sessions, which end orders for a day; None: no order is ended by its day.
        days: Which day an order is for, where no calendar is given; see `firstbell.oms.listed_days.days_to_read`.
    """

    def __init__(
        self,
        brokers: Mapping[str, Broker],
        journal: Journal,
        clock: Clock,
        run_id: RunId,
        *,
        late: bool = False,
        calendar: MarketCalendar | None = None,
        days: OrderDays | None = None,
    ) -> None:
        self._brokers = brokers
        self._journal = journal
        self._clock = clock
        self._run_id = run_id
        self._late = late
        self._days = days if calendar is None else OrderDays(calendar)
        self._told: dict[ClientOrderId, None] = {}
        self._to_look_at: dict[ClientOrderId, str] = {}
        self._inquiries: dict[str, Inquiry] = {}
        self._day_over = (
            None
            if calendar is None or self._days is None
            else DayOver(journal, clock, self._days, run_id, self._to_look_at.__setitem__)
        )

    def look(self, only: str | None = None) -> Reconciliation:
        """Ask once for everything that is unresolved or works at its broker.

        What a living process is sending is left to it: it asks by itself, and what it writes must fit.

        Args:
            only: The one login to ask for; by default all.
        """
        result = Reconciliation()
        looked: list[ClientOrderId] = []
        today = exchange_day(self._clock.wall_ns())
        groups: dict[tuple[str, tuple[date, ...]], list[Entry]] = {}
        for entry in self._journal.open_entries(placed=True, login=only):
            if needs_asking(entry) or entry.state.status in PLACED - DONE:
                groups.setdefault((entry.intent.login, days_to_read(entry, today, self._days)), []).append(entry)
        for (login, _), entries in groups.items():
            broker = self._brokers.get(login)
            if broker is None:
                result.unreachable[login] = f"{entries[0].intent.order.account} is not in the config any more"
                continue
            names = [entry.intent.order.client_order_id for entry in entries]
            try:
                broker.login()
                rows, unread = list_of(broker, entries, today, self._days)
                self._compare(broker, entries, rows)
                self._inquiry(login, broker).look(names, rows, whole=unread is None)
                if unread is not None:
                    result.unreachable[login] = f"not all of its list can be read, so nothing is absent: {unread}"
                elif self._day_over is not None:
                    now = (self._journal.entry(name) for name in names)
                    self._day_over.look([entry for entry in now if entry is not None], rows, broker.capabilities)
            except (BrokerError, CaptchaError) as error:
                result.unreachable[login] = str(error)
                _log.warning("%s: %s", entries[0].intent.order.account, error)
            looked += names
            self._tell_of_ends(login, names)
        if self._late:
            self._count_late(only, result)
            looked += self._told
        result.to_look_at = dict(self._to_look_at)
        result.looked = tuple(looked)
        result.unresolved = tuple(entry for entry in self._journal.open_entries() if needs_asking(entry))
        stand = (self._journal.entry(name) for name in looked)
        result.pending = tuple(entry for entry in stand if entry is not None and entry.state.status in ASKED)
        return result

    def _tell_of_ends(self, login: str, names: Sequence[ClientOrderId]) -> None:
        """Remember why a person has to look at what has ended: whoever looks after these orders may not be there."""
        now = [entry for name in names if (entry := self._journal.entry(name)) is not None]
        ended = [entry for entry in now if entry.state.status in DONE]
        now_ns = self._clock.wall_ns()
        # They have ended just now, so they and all that they belong with are among these.
        siblings = (
            self._journal.entries_around(exchange_day(now_ns), login, instant(now_ns).date() - timedelta(days=1))
            if ended
            else ()
        )
        for entry in ended:
            if (told := what_its_end_leaves(entry, siblings, self._journal)) is not None:
                self._to_look_at.setdefault(*told)

    def _compare(self, broker: Broker, entries: Sequence[Entry], rows: Sequence[VenueOrder]) -> None:
        """Write down the terms that orders have by now, and which changes and cancels have not been made."""
        by_name = {row.venue_order_id: row for row in rows}
        at = instant(self._clock.wall_ns())

        def report(name: ClientOrderId, kind: ReportKind) -> ExecutionReport:
            return ExecutionReport(name, self._run_id, kind, at)

        for entry in entries:
            name = entry.state.venue_order_id
            if name is None or (row := by_name.get(name)) is None or not is_of(row, entry):
                continue
            has_price = has_limit_there(entry.intent.order, broker.capabilities)
            told = of_what_was_asked(row, entry.state, report, has_price=has_price, at=at)
            try:
                self._journal.append(told, where=entry.state)
            except ReportMisfit as error:
                # Another process has written of it meanwhile, and that stands.
                _log.info("%s", error)

    def _count_late(self, only: str | None, result: Reconciliation) -> None:
        """Count what traded of today's orders before they were taken off the book and is told only now."""
        today = exchange_day(self._clock.wall_ns())
        ended: dict[str, list[Entry]] = {}
        for entry in self._journal.entries(login=only):
            days = days_listed(entry) if self._days is None else days_to_read(entry, today, self._days)
            if may_have_traded(entry) and today in days:
                ended.setdefault(entry.intent.login, []).append(entry)
        for login, entries in ended.items():
            if (broker := self._brokers.get(login)) is None or login in result.unreachable:
                continue
            try:
                broker.login()
                rows, _unread = list_of(broker, entries, today, self._days)
            except (BrokerError, CaptchaError) as error:
                result.unreachable[login] = str(error)
                _log.warning("%s: %s", entries[0].intent.order.account, error)
                continue
            by_name = {row.venue_order_id: row for row in rows}
            for entry in entries:
                row = None if entry.state.venue_order_id is None else by_name.get(entry.state.venue_order_id)
                if row is not None and is_of(row, entry) and has_grown(entry.state, row):
                    self._told[entry.intent.order.client_order_id] = None
                    self._inquiry(login, broker).look([entry.intent.order.client_order_id], rows)
                    self._judge(entry)

    def _judge(self, entry: Entry) -> None:
        """Remember why a person has to look at an order whose trades were told late, if one has to."""
        name, order = entry.intent.order.client_order_id, entry.intent.order
        siblings = self._journal.entries(day=order.day, login=entry.intent.login)
        if (now := self._journal.entry(name)) is not None and (why := why_to_look(now, siblings)) is not None:
            self._to_look_at[name] = why

    def until_known(self, patience_s: float, told: Callable[[Sequence[Entry]], None]) -> Reconciliation:
        """Ask again and again while something is unresolved, or a change or a cancel is, or not shown after its day.

        Args:
            patience_s: For how long, in seconds.
            told: Called after each look with what is unresolved still.
        """
        until_ns = self._clock.monotonic_ns() + int(patience_s * 1_000_000_000)
        while True:
            result = self.look()
            told(result.unresolved)
            open_ = (*result.unresolved, *result.pending)
            reachable = [entry for entry in open_ if entry.intent.login in self._brokers]
            unshown = self._day_over is not None and self._day_over.waits_for(result.looked)
            if not (reachable or unshown) or self._clock.monotonic_ns() >= until_ns:
                return result
            self._clock.sleep(LOOK_EVERY_S)

    def _inquiry(self, login: str, broker: Broker) -> Inquiry:
        if login not in self._inquiries:
            tell = self._to_look_at.__setitem__
            self._inquiries[login] = Inquiry(broker, self._journal, self._clock, self._run_id, tell, self._days)
        return self._inquiries[login]
