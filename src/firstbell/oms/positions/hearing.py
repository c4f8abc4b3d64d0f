"""What reports mean to the book of positions: in which order they count, and whether they tell it anything. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from firstbell.model.order import OrderState
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.positions.tally import Tally

_SET_BACK: Final = timedelta(hours=1)
"""A clock that is set back by more had gone wrong before: what was heard of then is not gone by."""


@dataclass(slots=True)
class Places:
    """What trades are ordered by: never before what was heard of earlier, though the clock was set back meanwhile."""

    newest: datetime | None = None

    def of(self, report: ExecutionReport) -> datetime:
        """The place of what a report tells of; to be asked in the order in which reports were written."""
        at = report.at
        if changes_only(report):
            return at
        if self.newest is not None and at < self.newest <= at + _SET_BACK:
            at = self.newest + timedelta(microseconds=1)
        self.newest = at
        return at


def matters(report: ExecutionReport) -> bool:
    """Whether a report changes a position, or what is made of the next one on its order."""
    return report.fill is not None or not (report.cum_qty is report.price is report.quantity is None)


def changes_only(report: ExecutionReport) -> bool:
    """Whether a report tells of nothing that has traded."""
    return report.fill is None and report.cum_qty is None


def is_unknown(state: OrderState, tally: Tally | None) -> bool:
    """Whether a tally does not stand as its order does in the journal."""
    if tally is None:
        return state.filled_qty > 0
    counted = (tally.filled, tally.priced, tally.price, tally.quantity)
    return counted != (state.filled_qty, state.priced_qty, state.price, state.quantity)
