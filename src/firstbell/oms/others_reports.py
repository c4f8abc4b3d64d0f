"""What other processes write into a journal, heard by one that counts it: each report once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from firstbell.journal.base import Journal, Subscriber
    from firstbell.model.identifiers import ClientOrderId, RunId
    from firstbell.model.order import Order

_MOST_ORDERS: Final = 20_000
"""So many orders are remembered; what is written of one that was forgotten has it read again."""


class OthersReports:
    """Hands on what others have written since it was made. Safe for threads.

    Args:
        journal: Where they write.
        run_id: Under which name this process writes: that is handed on by the journal itself.
        tell: Hears of each report.

    Raises:
        JournalError: The journal cannot be read.
    """

    def __init__(self, journal: Journal, run_id: RunId, tell: Subscriber) -> None:
        self._journal = journal
        self._run_id = run_id
        self._tell = tell
        self._turn = threading.Lock()
        self._orders: OrderedDict[ClientOrderId, Order] = OrderedDict()
        self._seq = journal.last_seq()

    def look(self) -> None:
        """Hand on what is new; where another thread does so at this moment, it is left to that one.

        Raises:
            JournalError: The journal cannot be read; what was not handed on is, the next time.
        """
        if not self._turn.acquire(blocking=False):
            return
        try:
            while self._look():
                pass
        finally:
            self._turn.release()

    def _look(self) -> bool:
        """Hand on some of it; whether there may be more."""
        seq, reports = self._journal.reports_after(self._seq, but_of=self._run_id)
        # All orders first: either all of these reports are handed on, or none of them is.
        told = [(report, self._order(report.client_order_id)) for report in reports]
        is_new, self._seq = seq != self._seq, seq
        for report, order in told:
            if order is not None:
                self._tell(report, order)
        while len(self._orders) > _MOST_ORDERS:
            self._orders.popitem(last=False)
        return is_new

    def _order(self, name: ClientOrderId) -> Order | None:
        if name not in self._orders:
            entry = self._journal.entry(name)
            if entry is None:
                return None
            self._orders[name] = entry.intent.order
        self._orders.move_to_end(name)
        return self._orders[name]
