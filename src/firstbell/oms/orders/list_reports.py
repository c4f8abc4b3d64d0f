"""What a broker's lists tell of one login's orders, written down: each with what was not shown the last time."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from firstbell.journal.base import ReportMisfit
from firstbell.model.instant import TEHRAN, instant
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.listed_days import days_listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.report import Fill
    from firstbell.oms.orders.blotter import Blotter
    from firstbell.oms.orders.context import OrderContext
    from firstbell.oms.orders.looks_file import Look

_log = logging.getLogger(__name__)


class ListReports:
    """Writes them. Another process that asks as well may be quicker: then what it wrote stands.

    Args:
        context: What all logins have in common.
        blotter: The login's orders.
    """

    def __init__(self, context: OrderContext, blotter: Blotter) -> None:
        self._context = context
        self._blotter = blotter
        self._looks = context.looks_of(blotter.login)
        self._shown: dict[ClientOrderId, datetime] = {}

    def shown(self, entries: Iterable[Entry], at: datetime) -> None:
        """A list that was asked for at an instant has been written down: it showed these orders, no more of them."""
        self._shown = {name: each for name, each in self._shown.items() if self._blotter.known(name) is not None}
        self._shown |= {entry.intent.order.client_order_id: at for entry in entries}

    def all_shown(self, look: Look) -> None:
        """So it was of all of the day's orders that the journal had: other processes may go by that."""
        if self._looks is not None:
            self._looks.keep(look)

    def report(self, name: ClientOrderId, kind: ReportKind) -> ExecutionReport:
        """A report of now."""
        return ExecutionReport(name, self._context.run_id, kind, instant(self._context.clock.wall_ns()))

    def trade(self, entry: Entry, fill: Fill) -> ExecutionReport:
        """A report of now of a trade."""
        return replace(self.report(entry.intent.order.client_order_id, ReportKind.PARTIALLY_FILLED), fill=fill)

    def write(self, told: Sequence[Sequence[ExecutionReport]]) -> None:
        """Write what is told of many orders at once; where one does not fit, each order's by itself.

        Raises:
            JournalError: It could not be written down.
        """
        if not told:
            return
        told = self._since_the_last_look(told)
        try:
            self._context.journal.append([report for reports in told for report in reports])
        except ReportMisfit:
            for reports in told:
                self._write_of(reports)

    def write_if_unchanged(self, entry: Entry, reports: Sequence[ExecutionReport]) -> None:
        """Write what is told of an order that has been looked at, unless somebody has written of it since.

        Raises:
            JournalError: It could not be written down.
        """
        if reports:
            (reports,) = self._since_the_last_look([reports])
            self._write_of(reports, entry)

    def _write_of(self, reports: Sequence[ExecutionReport], entry: Entry | None = None) -> None:
        try:
            self._context.journal.append(reports, where=None if entry is None else entry.state)
        except ReportMisfit as error:
            _log.info("%s", error)
            self._blotter.refresh(reports[0].client_order_id)

    def _since_the_last_look(self, told: Sequence[Sequence[ExecutionReport]]) -> list[list[ExecutionReport]]:
        """Reports of what has traded say since when that can be: the look before did not show it, whose ever it was."""
        look = None
        if self._looks is not None and any(_tells(report) for reports in told for report in reports):
            look = self._looks.last()
        return [[self._since(report, look) if _tells(report) else report for report in reports] for reports in told]

    def _since(self, report: ExecutionReport, look: Look | None) -> ExecutionReport:
        entry, own = self._blotter.known(report.client_order_id), self._shown.get(report.client_order_id)
        others = look.asked_at if look is not None and entry is not None and _was_looked_for(entry, look) else None
        return replace(report, since=max((each for each in (own, others) if each is not None), default=None))


def _was_looked_for(entry: Entry, look: Look) -> bool:
    """Whether an order was among those that a look was for: known to its process, and of that day's list."""
    return entry.claimed_at <= look.heard_at and look.asked_at.astimezone(TEHRAN).date() in days_listed(entry)


def _tells(report: ExecutionReport) -> bool:
    """Whether a report tells of something that has traded."""
    return report.fill is not None or report.cum_qty is not None
