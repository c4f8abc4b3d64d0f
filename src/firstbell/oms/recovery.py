"""Start-up is recovery: what a dead process left behind is judged before anything else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.journal.owner import is_alive
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport

if TYPE_CHECKING:
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal, Owner
    from firstbell.model.identifiers import RunId


def recover(journal: Journal, clock: Clock, run_id: RunId, ended: Owner | None = None) -> tuple[Entry, ...]:
    """Judge every open order whose owner is dead.

    Before its bell nothing of it can have left: it is denied. After its bell it may have left: it is unresolved from
    now on, and the broker's lists are asked for it.

    Args:
        journal: Where the orders are.
        clock: Tells whether a bell has rung.
        run_id: Who judges.
        ended: A living process that has certainly stopped sending, such as this one at its end.

    Returns:
        Every order that is unresolved now, oldest first.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    reports = []
    for entry in journal.open_entries():
        if entry.state.unresolved or (entry.owner != ended and is_alive(entry.owner)):
            continue
        before_bell = entry.state.status is OrderStatus.INITIALIZED and clock.wall_ns() < entry.intent.bell_ns
        when = "before the bell; nothing had left" if before_bell else "after the bell without a word"
        reports.append(
            ExecutionReport(
                client_order_id=entry.intent.order.client_order_id,
                run_id=run_id,
                kind=ReportKind.DENIED if before_bell else ReportKind.UNRESOLVED,
                at=instant(clock.wall_ns()),
                reason=f"{entry.owner} ended {when}",
            )
        )
    if reports:
        journal.append(reports)
    return tuple(entry for entry in journal.open_entries() if entry.state.unresolved)
