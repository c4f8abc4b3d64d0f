"""Following a journal that other processes write into: each report on a run's orders is handed on once.

A run's reports are written by Locust's process, by forks of it, or for workers on other machines. None of them tells
anybody anything: whoever started the run reads the journal that they all share, and tells it from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.order import OrderState
from firstbell.model.order_status import OrderStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.journal.base import Entry, Follower, Journal
    from firstbell.model.identifiers import ClientOrderId, RunId


class Tail:
    """The reports that a run writes from now on: on its own orders, and on those that were open before it.

    Args:
        journal: Where they are written.
        run_id: The run.
        tell: Hears of each, once.

    Raises:
        JournalError: The journal cannot be read.
    """

    def __init__(self, journal: Journal, run_id: RunId, tell: Follower) -> None:
        self._journal = journal
        self._run_id = run_id
        self._tell = tell
        self._seen: dict[ClientOrderId, OrderState] = {}
        self._told: dict[ClientOrderId, int] = {}
        for entry in journal.open_entries():
            name = entry.intent.order.client_order_id
            self._seen[name] = entry.state
            self._told[name] = len(journal.reports(name))

    def look(self) -> tuple[Entry, ...]:
        """Hand on what is new.

        Returns:
            The run's orders as they stand now.

        Raises:
            JournalError: The journal cannot be read; what is new is handed on next time.
        """
        entries = self._journal.entries(run_id=self._run_id)
        own = {entry.intent.order.client_order_id for entry in entries}
        older = [entry for name in self._seen if name not in own and (entry := self._journal.entry(name)) is not None]
        for entry in (*older, *entries):
            self._hand_on(entry)
        return entries

    def _hand_on(self, entry: Entry) -> None:
        name = entry.intent.order.client_order_id
        if self._seen.get(name) == entry.state:
            return
        told, after = self._told.get(name, 0), OrderState(entry.intent.order)
        reports = self._journal.reports(name)
        for number, report in enumerate(reports):
            before, after = after, after.after(report)
            # What a command writes meanwhile, a cancel among others, it tells by itself.
            if number >= told and report.run_id == self._run_id:
                self._tell(report, before, after)
        self._told[name] = len(reports)
        self._seen[name] = entry.state


def answers_are_in(entries: Iterable[Entry]) -> bool:
    """Whether nothing of a run waits any more to leave, or for an answer."""
    return not any(
        entry.state.status is OrderStatus.INITIALIZED
        or (entry.state.status is OrderStatus.SUBMITTED and not entry.state.unresolved)
        for entry in entries
    )
