"""Runs that are over, or somebody else's: their results read anew from the journal and put back on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstbell.model.order_status import DONE, PLACED
from firstbell.oms.recovery import recover
from firstbell.sniper import results

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal, RunRecord
    from firstbell.model.identifiers import RunId


def current(journal: Journal, clock: Clock, record: RunRecord, tz: tzinfo) -> dict[str, Any]:
    """What a run has come to by now.

    Raises:
        JournalError: The journal cannot be read.
    """
    open_ = [entry for entry in journal.entries(run_id=record.run_id) if _is_open(entry)]
    ended = not any(journal.alive(entry.owner) for entry in open_)
    return results.document(results.view(journal, record, ended=ended, now_ns=clock.wall_ns()), tz)


def put_back(journal: Journal, clock: Clock, run_ids: Iterable[RunId], tz: tzinfo) -> None:
    """Write the results of these runs anew.

    Raises:
        JournalError: The journal cannot be read.
        RunError: They cannot be written.
    """
    for run_id in sorted(set(run_ids)):
        record = journal.run(run_id)
        if record is not None:
            results.write(Path(record.results_dir), current(journal, clock, record, tz))


def recover_all(journal: Journal, clock: Clock, run_id: RunId, tz: tzinfo) -> tuple[Entry, ...]:
    """Judge what dead processes left behind, and bring the results of their runs up to date.

    Returns:
        Every order that is unresolved now.

    Raises:
        JournalDamaged: A row of the journal is not as it was written, whatever run it is of.
        JournalError: The journal cannot be read or written.
        RunError: The results cannot be written.
    """
    journal.verify()
    before = {entry.intent.order.client_order_id: entry for entry in journal.open_entries()}
    unresolved = recover(journal, clock, run_id)
    changed = [entry.run_id for name, entry in before.items() if (now := journal.entry(name)) and now != entry]
    put_back(journal, clock, changed, tz)
    return unresolved


def _is_open(entry: Entry) -> bool:
    return entry.state.status not in DONE and entry.state.status not in PLACED
