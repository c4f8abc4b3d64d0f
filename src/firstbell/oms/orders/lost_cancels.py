"""Cancels that got lost: asked for again while the list does not show them, a few times and ever more seldom."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError, RunError
from firstbell.journal.base import ReportMisfit
from firstbell.log import redact
from firstbell.model.instant import epoch_ns
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.oms.cancel import ask
from firstbell.oms.lists import ASKED_AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.brokers.base import Broker
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext

_log = logging.getLogger(__name__)

_FIRST_NS: Final = 5_000_000_000
"""A cancel that no list shows is asked for again after so long, in ns; then after twice as long each time."""
_TIMES: Final = 4
"""So often: then it is waited for until the list, however late it is, must have shown it."""


class LostCancels:
    """Asks again for the cancels of one login of which nobody has said what became.

    A cancel that was heard is only refused the second time, and that says nothing of the first. But one that got lost
    would otherwise be waited for as long as lists may lag, and what waits for it with it: a bracket's stop, say. How
    long that has been stands in the journal, so a restart begins nothing anew.

    Args:
        context: What all logins have in common.
        broker: The login's broker.
        blotter: The login's orders.
    """

    def __init__(self, context: OrderContext, broker: Broker, blotter: Blotter) -> None:
        self._context = context
        self._broker = broker
        self._blotter = blotter
        self._due: dict[ClientOrderId, tuple[int, int]] = {}
        """How often each was asked for again, and from when on it may be the next time."""

    def look(self, names: Iterable[ClientOrderId]) -> None:
        """Ask for those again whose time has come.

        Args:
            names: Those that the lists, just read, show at work.

        Raises:
            JournalError: It could not be written down.
        """
        shown = set(names)
        if not shown and not self._due:
            return
        pending = {
            entry.intent.order.client_order_id: entry
            for entry in self._blotter.open()
            if entry.state.status is OrderStatus.PENDING_CANCEL
        }
        now_ns = self._context.clock.monotonic_ns()
        self._due = {name: self._due.get(name) or self._asked(name, now_ns) for name in pending}
        for name, (times, due_ns) in tuple(self._due.items()):
            if name in shown and times < _TIMES and now_ns >= due_ns:
                self._due[name] = (times + 1, now_ns + _pause_ns(times + 1))
                self._ask(pending[name])

    def _asked(self, name: ClientOrderId, now_ns: int) -> tuple[int, int]:
        """How often a cancel was asked for again, by whatever process, and from when on it may be the next time."""
        asked: list[int] = []
        for report in self._context.journal.reports(name):
            if report.kind is ReportKind.PENDING_CANCEL:
                asked.append(epoch_ns(report.at))
            elif report.kind is ReportKind.CANCEL_REJECTED:
                asked.clear()
        times = max(len(asked) - 1, 0)
        # By a clock that has been set back since it was asked for just now.
        since_ns = max(self._context.clock.wall_ns() - asked[-1], 0) if asked else 0
        return times, now_ns + max(_pause_ns(times) - since_ns, 0)

    def _ask(self, entry: Entry) -> None:
        context, name = self._context, entry.intent.order.client_order_id
        try:
            ask(entry, self._broker, context.journal, context.clock, context.run_id, ASKED_AGAIN)
        except ReportMisfit as error:
            # Another process was quicker; what it wrote stands.
            _log.info("%s", error)
            self._blotter.refresh(name)
        except (BrokerError, CaptchaError, RunError) as error:
            _log.info("%s: asked to cancel it again: %s", name, redact(str(error)))


def _pause_ns(times: int) -> int:
    """How long a cancel that was asked for again so often is waited for, in ns."""
    return _FIRST_NS << times
