"""The user's limits on a whole day count the orders of all logins, whichever process has placed them.

A login's own orders are counted by its blotter. What other logins have is read from the journal, where a limit counts
it at all; and then one process at a time judges an order and claims it: else two could each see room for theirs.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.cache.file_lock import locked
from firstbell.errors import RunError
from firstbell.journal.base import HELD_NS
from firstbell.model.instant import TEHRAN
from firstbell.model.order_status import DONE
from firstbell.model.terms import Side
from firstbell.oms.listed_days import LASTING
from firstbell.oms.orders.lasting import may_last

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from firstbell.journal.base import Entry, Journal
    from firstbell.model.identifiers import ClientOrderId

LIMITS_LOCK: Final = "limits.lock"
"""Whoever holds it in the folder of locks is the one who claims what such a limit counts."""
_LOCK_S: Final = 10.0
"""How long the lock is waited for, in seconds: whoever holds it claims, and that is soon done."""
_NOTHING: Final = Decimal(0)


def buy_value(entry: Entry) -> Decimal:
    """What an order counts for in a limit on the value of a day's buys: what it is for, or, done, what has traded."""
    state = entry.state
    if entry.intent.order.side is not Side.BUY:
        return _NOTHING
    return state.price * (state.filled_qty if state.status in DONE else state.quantity)


def counts_on(entry: Entry, day: date) -> bool:
    """Whether a day's limits count an order: one of that day, and one of an earlier day that may trade on it.

    That is a buy that is held back, and what works for longer than a day, as long as it does; and of what was held back
    or worked so what has left or ended on that day. Of a day order that nobody has seen end nothing counts any more.
    """
    order, state = entry.intent.order, entry.state
    if order.day >= day or not may_last(entry):
        return order.day == day
    if entry.is_held_back:
        return order.side is Side.BUY
    if order.time_in_force in LASTING and state.status not in DONE:
        # Nobody may have looked since it was to end.
        ends_at = order.instructions.expires_at
        return ends_at is None or ends_at.astimezone(TEHRAN).date() >= day
    left_at = state.submitted_at if entry.intent.bell_ns == HELD_NS else None
    return any(at is not None and at.astimezone(TEHRAN).date() == day for at in (left_at, state.ended_at))


def counted_on(journal: Journal, day: date, login: str | None = None) -> tuple[Entry, ...]:
    """The orders that a day's limits count, each once: of that day, or of an earlier one and not done.

    What of an earlier day has ended on that day already is not among them: to find it, much of a long journal would be
    read, on the way of an order.

    Raises:
        JournalError: They cannot be read.
    """
    found = (*journal.entries(day=day, login=login), *journal.open_entries(placed=True, login=login))
    known = {entry.intent.order.client_order_id: entry for entry in found}
    return tuple(entry for entry in known.values() if counts_on(entry, day))


class DayLimits:
    """What the limits on a day count of other logins. Safe for threads.

    Args:
        journal: Where all orders are.
        locks: The folder of locks of this machine.
    """

    def __init__(self, journal: Journal, locks: Path) -> None:
        self._journal = journal
        self._locks = locks
        self._lock = threading.Lock()
        self._day: date | None = None
        self._seq = 0
        self._values: dict[ClientOrderId, tuple[str, Decimal]] = {}
        self._by_login: defaultdict[str, Decimal] = defaultdict(Decimal)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Judge and claim in here.

        Raises:
            RunError: It is not to be had.
        """
        try:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._locks / LIMITS_LOCK, timeout_s=_LOCK_S):
                yield
        except OSError as error:
            raise RunError(f"the limits on the day could not be checked: {error}") from error

    def others(self, login: str, day: date) -> Decimal:
        """The value of a day's buys of all logins but one, in rials: of what works, or may, and of what has traded.

        Raises:
            JournalError: The journal cannot be read.
        """
        with self._lock:
            self._catch_up(day)
            return sum((value for each, value in self._by_login.items() if each != login), _NOTHING)

    def _catch_up(self, day: date) -> None:
        if day != self._day:
            self._seq = self._journal.last_seq()
            self._values.clear()
            self._by_login.clear()
            for entry in counted_on(self._journal, day):
                self._count(entry, day)
            self._day = day
        while True:
            self._seq, reports = self._journal.reports_after(self._seq)
            if not reports:
                return
            for name in dict.fromkeys(report.client_order_id for report in reports):
                now = self._journal.entry(name)
                if now is not None:
                    self._count(now, day)

    def _count(self, entry: Entry, day: date) -> None:
        name, login = entry.intent.order.client_order_id, entry.intent.login
        value = buy_value(entry) if counts_on(entry, day) else _NOTHING
        _, before = self._values.pop(name, (login, _NOTHING))
        self._by_login[login] += value - before
        if value:
            self._values[name] = (login, value)
