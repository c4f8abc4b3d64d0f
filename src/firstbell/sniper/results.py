"""What a run came to, read from the journal alone, and written so that it is complete at every moment."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from firstbell.clock import rfc3339
from firstbell.config.private_folder import OWNER_FILE, open_own_folder
from firstbell.errors import JournalDamaged, RunError
from firstbell.log import json_lines, redact
from firstbell.model.instant import instant
from firstbell.model.money import plain
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from firstbell.journal.base import Entry, Journal, Note, RunLine, RunRecord
    from firstbell.model.identifiers import ClientOrderId, RunId
    from firstbell.model.report import Attempt

SCHEMA: Final = 1
"""The version of ``orders.json``; only ever raised when a reader would have to change."""

FINISHED: Final = "finished"
NOT_SENT: Final = "not_sent"
STANDS_FOR: Final = "stands_for"
WARNING: Final = "warning"
DRY: Final = "dry"
CLOCK: Final = "clock"
"""Kinds of notes that a run writes about an account (`CLOCK`: about itself)."""

_WAITS: Final = "armed; waiting for the bell"
_MAY_HAVE_LEFT: Final = "armed; it may have left, and nothing is known yet"
_EXIT: Final = {
    OrderOutcome.ACCEPTED: 0,
    OrderOutcome.REJECTED: 1,
    OrderOutcome.NOT_SENT: 1,
    OrderOutcome.UNRESOLVED: 3,
}


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as the journal tells it.

    Attributes:
        record: How it was started.
        entries: The orders that it claimed.
        notes: What it found out besides.
        referred: Orders of earlier runs that its lines stand for.
        ended: Whether no process of it can still send.
        now_ns: The instant as of which it is told, in ns since the epoch: an order that may have left by then and of
            which nothing is known is unresolved.
    """

    record: RunRecord
    entries: tuple[Entry, ...]
    notes: tuple[Note, ...]
    referred: Mapping[ClientOrderId, Entry]
    ended: bool
    now_ns: int

    @property
    def finished(self) -> bool:
        """Whether every configured account has said that it is done."""
        done = {note.account for note in self.notes if note.kind == FINISHED}
        return all(line.account in done for line in self.record.lines)


def view(journal: Journal, record: RunRecord, *, ended: bool, now_ns: int) -> RunView:
    """Read one run from the journal; the arguments are those of `RunView`.

    Raises:
        JournalError: It cannot be read.
    """
    notes = journal.notes(record.run_id)
    referred = {}
    for note in notes:
        if note.kind in {STANDS_FOR, NOT_SENT} and note.client_order_id is not None:
            entry = journal.entry(note.client_order_id)
            if entry is not None:
                referred[note.client_order_id] = entry
    return RunView(record, journal.entries(run_id=record.run_id), notes, referred, ended, now_ns)


def document(run: RunView, timezone: tzinfo) -> dict[str, Any]:
    """The contents of ``orders.json``: fixed names, exact numbers, times in exchange time with microseconds."""
    orders = [row for line in run.record.lines for row in _rows(line, run, timezone)]
    return {
        "schema": SCHEMA,
        "run": run.record.run_id,
        "bell": rfc3339(run.record.bell, timezone),
        "summary": _summary(orders),
        "clock": _clock(run.notes),
        "lateness": lateness(orders),
        "orders": orders,
    }


def _summary(orders: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = {outcome.value: sum(row["outcome"] == outcome.value for row in orders) for outcome in OrderOutcome}
    return {"configured": len(orders), **counts}


def doubt(results_dir: Path, run_id: RunId) -> None:
    """Have the results on disk say of every order that was waiting for the bell that it may have left.

    To be called after the bell where the journal cannot be read, so that they cannot be made anew.

    Raises:
        RunError: They cannot be read or written.
    """
    path = results_dir / run_id / "orders.json"
    try:
        written = json.loads(path.read_text("utf-8"))
        rows = written["orders"]
        waiting = [row for row in rows if row["reason"] == _WAITS]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    for row in waiting:
        row.update(outcome=OrderOutcome.UNRESOLVED.value, reason=_MAY_HAVE_LEFT)
    if waiting:
        write(results_dir, {**written, "summary": _summary(rows)})


def exit_status(outcomes: Iterable[str]) -> int:
    """The exit status that a run's outcomes come to; of several, the highest."""
    return max((_EXIT[OrderOutcome(outcome)] for outcome in outcomes), default=0)


def write(results_dir: Path, results: Mapping[str, Any]) -> Path:
    """Replace a run's ``orders.json`` whole; a reader sees the old one or the new one, never a part.

    Returns:
        The file's path.

    Raises:
        RunError: It cannot be written.
    """
    folder = results_dir / str(results["run"])
    text = json_lines(json.dumps(results, ensure_ascii=False, indent=1)) + "\n"
    draft = f".orders-{secrets.token_hex(8)}.json"
    try:
        handle = open_own_folder(folder)
        try:
            # By the folder's handle: a link that takes its name meanwhile leads nowhere.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(draft, flags, OWNER_FILE, dir_fd=handle), "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, "orders.json", src_dir_fd=handle, dst_dir_fd=handle)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=handle)
                raise
        finally:
            os.close(handle)
    except OSError as error:
        raise RunError(f"the results cannot be written to {folder}: {error.strerror}") from error
    return folder / "orders.json"


def _rows(line: RunLine, run: RunView, timezone: tzinfo) -> list[dict[str, Any]]:
    own = _newest_rounds(entry for entry in run.entries if entry.intent.order.account == line.account)
    if own:
        return [_row(line, entry, run, timezone) for entry in own]
    stands_for = [
        run.referred[note.client_order_id]
        for note in run.notes
        if note.account == line.account
        and note.client_order_id is not None
        and note.client_order_id in run.referred
        and (note.kind == STANDS_FOR or _has_become_clear(run.referred[note.client_order_id]))
    ]
    if stands_for:
        return [_row(line, entry, run, timezone) for entry in stands_for]
    dry = [note.text for note in run.notes if note.account == line.account and note.kind == DRY and note.text]
    if dry:
        return [{**_line(line), **_facts(text), "outcome": OrderOutcome.NOT_SENT.value} for text in dry]
    reasons = [note.text for note in run.notes if note.account == line.account and note.kind == NOT_SENT]
    never = "never reached" if run.ended else "not reached yet"
    return [{**_line(line), "outcome": OrderOutcome.NOT_SENT.value, "reason": reasons[-1] if reasons else never}]


def _newest_rounds(entries: Iterable[Entry]) -> list[Entry]:
    """One order a plan: where a living process has taken over what a dead one had claimed, the living one's."""
    return list({entry.intent.plan_id: entry for entry in entries}.values())


def _has_become_clear(entry: Entry) -> bool:
    """Whether an order that another run had claimed is at the broker by now, or left unresolved."""
    return entry.state.outcome in {OrderOutcome.ACCEPTED, OrderOutcome.UNRESOLVED}


def _line(line: RunLine) -> dict[str, Any]:
    return {
        "account": line.account,
        "broker_code": line.broker_code,
        "instrument": line.instrument,
        "side": line.side.value,
        "price": None,
        "quantity": None,
        "client_order_id": None,
        "venue_order_id": None,
        "status": None,
        "outcome": None,
        "reason": None,
        "attempts": [],
    }


def _row(line: RunLine, entry: Entry, run: RunView, timezone: tzinfo) -> dict[str, Any]:
    state, order = entry.state, entry.intent.order
    earlier = entry.run_id != run.record.run_id
    outcome, reason = state.outcome, state.reason
    if state.status is OrderStatus.INITIALIZED:
        # A claimed order without a word of what became of it may have left.
        may_have_left = run.ended or run.now_ns >= entry.intent.bell_ns
        outcome = OrderOutcome.UNRESOLVED if may_have_left else OrderOutcome.NOT_SENT
        reason = _MAY_HAVE_LEFT if may_have_left else _WAITS
    elif state.status is OrderStatus.SUBMITTED and not state.unresolved:
        reason = f"refused so far ({reason}); it may have been sent again, and nothing is known yet"
    if outcome is OrderOutcome.ACCEPTED and state.venue_order_id is None:
        reason = "accepted by an answer that named no id; the broker's list has not shown it yet"
    if outcome is OrderOutcome.ACCEPTED and earlier:
        reason = f"placed earlier, in run {entry.run_id}"
    return {
        **_line(line),
        "price": plain(order.price),
        "quantity": plain(order.quantity),
        "client_order_id": order.client_order_id,
        "venue_order_id": state.venue_order_id,
        "status": state.status.value,
        "outcome": outcome.value,
        "reason": None if reason is None else redact(reason),
        "attempts": [] if earlier else [_attempt(attempt, timezone) for attempt in state.attempts],
    }


def _attempt(attempt: Attempt, timezone: tzinfo) -> dict[str, Any]:
    return {
        "sent_at": None if attempt.sent_at is None else rfc3339(attempt.sent_at, timezone),
        "sent_ns": attempt.sent_ns,
        "estimated_arrival_at": None if attempt.arrival_ns is None else rfc3339(instant(attempt.arrival_ns), timezone),
        "lateness_us": attempt.lateness_us,
        "too_early": attempt.too_early,
        "answered_at": None if attempt.answered_at is None else rfc3339(attempt.answered_at, timezone),
        "round_trip_us": attempt.round_trip_us,
        "http_status": attempt.http_status,
        "code": attempt.code,
        "message": None if attempt.message is None else redact(attempt.message),
        "outcome": attempt.outcome.value,
    }


def lateness(orders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How late a run's orders arrived, as estimated, in µs after the bell: each order's last attempt that left.

    Args:
        orders: The rows of ``orders.json``.
    """
    attempts = [attempt for row in orders for attempt in row["attempts"]]
    last_each = [[a["lateness_us"] for a in row["attempts"] if a["lateness_us"] is not None][-1:] for row in orders]
    late = sorted(us for each in last_each for us in each)
    return {
        "first_us": late[0] if late else None,
        "median_us": int(statistics.median(late)) if late else None,
        "last_us": late[-1] if late else None,
        "early_attempts": sum(attempt["too_early"] for attempt in attempts),
    }


def _facts(text: str) -> dict[str, Any]:
    """What a note says as a document.

    Raises:
        JournalDamaged: It says none.
    """
    try:
        facts = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise JournalDamaged("a note in the journal cannot be read as the document that it should be")
    return facts


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _clock(notes: Iterable[Note]) -> dict[str, Any]:
    """The clocks by which the run aimed: at the top the host whose clock is known worst, then every host."""
    said = [_facts(note.text) for note in notes if note.kind == CLOCK and note.text is not None]
    if not all(isinstance(facts.get("uncertainty_ms"), int | float | None) for facts in said):
        raise JournalDamaged("what the journal holds of a host's clock cannot be read")
    hosts = list({str(facts.get("url")): facts for facts in said}.values())
    # A host whose clock was not read at all is known worse than any.
    uncertain = [(math.inf if (ms := facts.get("uncertainty_ms")) is None else ms, facts) for facts in hosts]
    _, worst = max(uncertain, key=lambda each: each[0], default=(0, dict[str, Any]()))
    return {**{name: worst.get(name) for name in ("offset_ms", "uncertainty_ms", "lead_ms")}, "hosts": hosts}
