"""The order log: every report as one JSON line for programs and every event as text, written by a subscriber.

An order's *entry*, *exit*, *stop loss* or *take profit*, whichever its role is, stands there when the broker has
accepted the order, with its price and the broker's id for it, and again with each of its trades: then with what has
traded by then, and, of an order that leaves a position, with what it has earned. One that nobody has said to be
accepted before it traded or was taken off the book stands there from that on. What is only asked for, or has left and
nobody has answered, is a line for programs but no event.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from firstbell.errors import JournalError
from firstbell.journal.order_events import PLACINGS, OrderEvent, event_of, line_of, profit
from firstbell.model.order import OrderState, fold
from firstbell.model.order_status import IllegalMove, OrderStatus, ReportKind
from firstbell.model.terms import OrderRole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal
    from typing import Any, Protocol

    from firstbell.journal.base import Entry, Journal
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport, Fill

    Earned = Callable[[OrderState], Decimal | None]
    """What an order that leaves a position has earned, fees taken off; None where that is not known."""

    class Lines(Protocol):
        """Where lines are written."""

        def write(self, event: Mapping[str, Any], /) -> None:
            """Write one."""
            ...


ORDER_LOG: Final = "orders.log"
"""The file for programs in the logs folder: one JSON object a line."""
TRADING_LOG: Final = "trading_orders.log"
"""The file for people beside it: an event a line."""
_EARLY: Final = frozenset({ReportKind.INITIALIZED, ReportKind.SUBMITTED, ReportKind.REFUSED, ReportKind.UNRESOLVED})
"""Of these nothing is looked up: they come while an order is being sent, and nothing has been told of it before.

Unless it was held back, as a stop or one of several that belong together may have been.
"""


class OrderLog:
    """A `firstbell.journal.base.Subscriber` that writes each report down for people and programs to follow.

    The journal is the truth; the files are its shadow and may be deleted. A line is made of the journal alone, so that
    it is the same whenever it is written.

    Args:
        log: The files.
        journal: What the reports stand in.
        earned: Tells what an order without a parent has earned; where nobody does, its ``pnl`` is null.
    """

    def __init__(self, log: Lines, journal: Journal, earned: Earned | None = None) -> None:
        self._log = log
        self._journal = journal
        self._earned = earned

    def __call__(self, report: ExecutionReport, order: Order) -> None:
        """Write one report."""
        self._log.write(self.told(report, order))

    def told(self, report: ExecutionReport, order: Order) -> dict[str, Any]:
        """The line of one report; what cannot be looked up for it is left out."""
        try:
            return self.line(report, order)
        except JournalError:
            # It never stands in an order's way.
            return line_of(report, order, None, None, None)

    def line(self, report: ExecutionReport, order: Order) -> dict[str, Any]:
        """The line of one report, which stands in the journal already.

        Raises:
            JournalError: The journal cannot be read.
        """
        # What was held back may have come to other terms before it left.
        waits = order.order_type.waits or bool(order.instructions.parent_id or order.instructions.group)
        early = report.kind in _EARLY and (report.kind is ReportKind.INITIALIZED or not waits)
        try:
            before = OrderState(order) if early else self._before(report, order)
            after = before if early else before.after(report)
        except IllegalMove:
            # Somebody else's word came between: what it makes of the order is left out.
            return line_of(report, order, None, None, None)
        event = event_of(report, before, after)
        return line_of(report, order, event, after, self._pnl(report, after, event))

    def _before(self, report: ExecutionReport, order: Order) -> OrderState:
        """The order just before a report; several may have been written at once."""
        return fold(order, self._until(report))

    def _until(self, report: ExecutionReport) -> Iterator[ExecutionReport]:
        reports = self._journal.reports(report.client_order_id)
        return takewhile(lambda each: each != report, reports)

    def _pnl(self, report: ExecutionReport, state: OrderState, event: OrderEvent | None) -> Decimal | None:
        if event not in PLACINGS or event is OrderEvent.ENTRY or not state.filled_qty:
            return None
        parent_id = state.order.instructions.parent_id
        if parent_id is None:
            return None if self._earned is None else self._earned(state)
        parent = self._journal.entry(parent_id)
        if parent is None:
            return None
        # What was known then, so that the line is the same when it is written again.
        entered = []
        for entry in (parent, *self._went_on(parent)):
            known = [each for each in self._journal.reports(entry.intent.order.client_order_id) if each.at <= report.at]
            try:
                entered.append((fold(entry.intent.order, known), _fills(known)))
            except IllegalMove:
                return None
        return profit(state, _fills([*self._until(report), report]), entered)

    def _went_on(self, parent: Entry) -> list[Entry]:
        """The orders that went on for an entry that was refused."""
        if parent.state.status is not OrderStatus.REJECTED:
            return []
        name = parent.intent.plan_id
        orders = self._journal.entries(login=parent.intent.login)
        children = [each for each in orders if each.intent.order.instructions.parent_id == name]
        return [each for each in children if each.intent.order.role is OrderRole.ENTRY]


def _fills(reports: Sequence[ExecutionReport]) -> list[Fill]:
    return [report.fill for report in reports if report.fill is not None]
