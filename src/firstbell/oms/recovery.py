"""Start-up is recovery: what a dead process left behind is judged before anything else happens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import ReportMisfit
from firstbell.journal.claims import OUT_OF_SIGHT_NS
from firstbell.journal.owner import this_process
from firstbell.model.instant import instant
from firstbell.model.order_status import IN_HAND, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal, Owner
    from firstbell.model.identifiers import RunId


_log = logging.getLogger(__name__)

_STALL_NS: Final = 15_000_000_000
"""How long a report may take to become durable before its owner, who may live after all, looks at his claims again."""


def recover(
    journal: Journal,
    clock: Clock,
    run_id: RunId,
    ended: Owner | None = None,
    *,
    gone: Mapping[Owner, int] | None = None,
    more: str = "",
) -> tuple[Entry, ...]:
    """Judge every open order whose owner is dead.

    Before its bell nothing of it can have left: it is denied. After its bell it may have left: it is unresolved from
    now on, and the broker's lists are asked for it. One of another machine, where only a broken connection shows that
    its owner is dead, is left alone shortly before its bell: he may live, and look at it once more.

    Args:
        journal: Where the orders are.
        clock: Tells whether a bell has rung.
        run_id: Who judges.
        ended: A living process that has certainly stopped sending, such as this one at its end.
        gone: The owners that are judged, and when each was first seen to be dead, in ns since the epoch; by default
            all that are dead now.
        more: Added to what is said of orders that are denied.

    Returns:
        Every order that is unresolved now, oldest first.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    alive: dict[Owner, bool] = {}
    reports = []
    for entry in journal.open_entries():
        owner = entry.owner
        if entry.state.unresolved or entry.is_held_back or entry.state.status not in IN_HAND:
            # What is held back is taken over, as it is, by whoever holds the login's orders next. And what was open
            # when it was looked up may have ended when its reports were read.
            continue
        if gone is None and owner != ended and owner not in alive:
            alive[owner] = journal.alive(owner)
        if (gone is None and alive.get(owner, False)) or (gone is not None and owner not in gone):
            continue
        seen = journal.is_local or owner.host == this_process().host
        kind = _judge(entry, (gone or {}).get(owner, clock.wall_ns()), clock.wall_ns(), seen=seen)
        if kind is None:
            continue
        denied = kind is ReportKind.DENIED
        when = f"before the bell; nothing had left{more}" if denied else entry.when_it_may_have_left
        at = instant(clock.wall_ns())
        reports.append(
            ExecutionReport(entry.intent.order.client_order_id, run_id, kind, at, reason=f"{owner} ended {when}")
        )
    if reports:
        _write(journal, reports)
    return tuple(entry for entry in journal.open_entries() if entry.state.unresolved)


def _write(journal: Journal, reports: Sequence[ExecutionReport]) -> None:
    """Write them at once; where one does not fit, each by itself: another process judges as well and was quicker."""
    try:
        journal.append(reports)
    except ReportMisfit:
        for report in reports:
            try:
                journal.append([report])
            except ReportMisfit as error:
                _log.info("%s", error)


def _judge(entry: Entry, died_ns: int, now_ns: int, *, seen: bool) -> ReportKind | None:
    """What an order comes to whose owner was dead at an instant; None where that cannot be said yet.

    Args:
        entry: The order.
        died_ns: The instant, in ns since the epoch.
        now_ns: Now.
        seen: Whether he was seen to be dead; else only his connection has ended.
    """
    bell_ns = entry.intent.bell_ns
    if entry.state.status is not OrderStatus.INITIALIZED:
        return ReportKind.UNRESOLVED
    if seen:
        return ReportKind.DENIED if entry.cannot_have_left(died_ns) else ReportKind.UNRESOLVED
    if now_ns < bell_ns - OUT_OF_SIGHT_NS - _STALL_NS:
        return ReportKind.DENIED
    return None if now_ns < bell_ns else ReportKind.UNRESOLVED
