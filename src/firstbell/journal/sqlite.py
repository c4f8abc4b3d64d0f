"""The journal in one SQLite file, in WAL mode, for all processes of one machine."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import TYPE_CHECKING, Any

from firstbell.errors import JournalError
from firstbell.journal.base import (
    AlreadyPlaced,
    Claimed,
    Entry,
    Held,
    Intent,
    Note,
    Owner,
    ReportMisfit,
    RunRecord,
)
from firstbell.journal.claims import Decision, decide, later_round
from firstbell.journal.rows import insert_report, read_entry, read_reports, read_run
from firstbell.journal.sqlite_file import begin, open_file, translated
from firstbell.model.identifiers import AccountName, ClientOrderId, RunId
from firstbell.model.instant import instant
from firstbell.model.order_status import IllegalMove, ReportKind
from firstbell.model.report import ExecutionReport

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from firstbell.clock import Clock
    from firstbell.journal.base import ClaimAnswer, Subscriber
    from firstbell.model.order import Order, OrderState


class SqliteJournal:
    """A `firstbell.journal.base.Journal` in one file.

    Safe to use from several threads, greenlets and processes, and after a fork: each process opens the file for itself.

    Args:
        path: The file; it and its folder are made, readable by their owner alone, when first needed.
        clock: Tells when a report was written and whether a claim's bell has rung.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened_by = 0
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have every later report of this process handed on, once it is durable."""
        self._subscribers.append(subscriber)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._opened_by == os.getpid():
                self._connection.close()
            self._connection = None

    def begin_run(self, record: RunRecord) -> None:
        """Write down that a run begins."""
        lines = [[line.account, line.broker_code, line.instrument, line.side.value] for line in record.lines]
        with self._transaction() as db:
            db.execute(
                "INSERT INTO runs (run_id, bell, results_dir, lines) VALUES (?, ?, ?, ?)",
                (record.run_id, record.bell.isoformat(), record.results_dir, json.dumps(lines, ensure_ascii=False)),
            )

    def run(self, run_id: RunId) -> RunRecord | None:
        """A run by its name."""
        rows = self._rows("SELECT * FROM runs WHERE run_id = ?", (run_id,))
        return read_run(rows[0]) if rows else None

    def newest_run(self) -> RunRecord | None:
        """The run begun last."""
        rows = self._rows("SELECT * FROM runs ORDER BY seq DESC LIMIT 1")
        return read_run(rows[0]) if rows else None

    def claim(self, intent: Intent, run_id: RunId, owner: Owner) -> ClaimAnswer:
        """Claim a plan, durably. Processes that claim the same plan at once are served one after another."""
        handed_on: list[tuple[ExecutionReport, Order]] = []
        with self._transaction() as db:
            rows = db.execute(
                "SELECT * FROM orders WHERE plan_id = ? ORDER BY round DESC LIMIT 1", (intent.plan_id,)
            ).fetchall()
            held = self._entry(db, rows[0]) if rows else None
            decision = decide(held, owner, self._clock.wall_ns())
            if held is not None and decision.report is not None:
                reason = decision.reason
                report = self._report(held.intent.order, run_id, decision.report, reason)
                insert_report(db, report)
                handed_on.append((report, held.intent.order))
                held = self._entry(db, rows[0])
            answer: ClaimAnswer
            if held is not None and decision.answer is Decision.PLACED:
                answer = AlreadyPlaced(held)
            elif held is not None and decision.answer is not Decision.FREE:
                answer = Held(held, ours=decision.answer is Decision.OURS)
            else:
                round_ = 1 if held is None else int(rows[0]["round"]) + 1
                order = later_round(intent, round_)
                self._insert_order(db, intent, order, round_, run_id, owner)
                report = self._report(order, run_id, ReportKind.INITIALIZED, None)
                insert_report(db, report)
                handed_on.append((report, order))
                answer = Claimed(order)
        self._hand_on(handed_on)
        return answer

    def append(self, reports: Sequence[ExecutionReport]) -> None:
        """Write reports, all or none, durably."""
        handed_on: list[tuple[ExecutionReport, Order]] = []
        with self._transaction() as db:
            states: dict[str, OrderState] = {}
            for report in reports:
                name = report.client_order_id
                if name not in states:
                    rows = db.execute("SELECT * FROM orders WHERE client_order_id = ?", (name,)).fetchall()
                    if not rows:
                        raise JournalError(f"a report came on {name}, which the journal does not know")
                    states[name] = self._entry(db, rows[0]).state
                try:
                    states[name] = states[name].after(report)
                except IllegalMove as error:
                    raise ReportMisfit(f"{name}: {error}") from error
                insert_report(db, report)
                handed_on.append((report, states[name].order))
        self._hand_on(handed_on)

    def note(self, run_id: RunId, notes: Sequence[Note]) -> None:
        """Write down what a run found out."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO notes (run_id, account, kind, text, client_order_id) VALUES (?, ?, ?, ?, ?)",
                [(run_id, note.account, note.kind, note.text, note.client_order_id) for note in notes],
            )

    def notes(self, run_id: RunId) -> tuple[Note, ...]:
        """A run's notes, in the order in which they were written."""
        return tuple(
            Note(AccountName(row["account"]), row["kind"], row["text"], row["client_order_id"])
            for row in self._rows("SELECT * FROM notes WHERE run_id = ? ORDER BY seq", (run_id,))
        )

    def entry(self, client_order_id: ClientOrderId) -> Entry | None:
        """One order."""
        found = self._entries("client_order_id = ?", (client_order_id,))
        return found[0] if found else None

    def entries(
        self, *, day: date | None = None, run_id: RunId | None = None, login: str | None = None
    ) -> tuple[Entry, ...]:
        """Orders, oldest first: of a trading day, of a run, of a login, or all."""
        wanted = {"day": None if day is None else day.isoformat(), "run_id": run_id, "login": login}
        given = {column: value for column, value in wanted.items() if value is not None}
        return self._entries(" AND ".join(f"{column} = ?" for column in given) or "1", tuple(given.values()))

    def open_entries(self) -> tuple[Entry, ...]:
        """Orders that are neither done nor known to be at the broker."""
        ended = ("DENIED", "REJECTED", "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED")
        marks = ",".join("?" * len(ended))
        return self._entries(
            f"NOT EXISTS (SELECT 1 FROM reports r WHERE r.client_order_id = orders.client_order_id"  # noqa: S608 - only question marks are put in
            f" AND r.kind IN ({marks}))",
            ended,
        )

    def reports(self, client_order_id: ClientOrderId) -> tuple[ExecutionReport, ...]:
        """All reports on one order, oldest first."""
        with self._reading() as db:
            return read_reports(db, client_order_id)

    def _entries(self, where: str, values: tuple[Any, ...]) -> tuple[Entry, ...]:
        with self._reading() as db:
            rows = db.execute(f"SELECT * FROM orders WHERE {where} ORDER BY seq", values).fetchall()  # noqa: S608 - `where` is made of our own words
            return tuple(self._entry(db, row) for row in rows)

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._reading() as db:
            return db.execute(query, values).fetchall()

    def _entry(self, db: sqlite3.Connection, row: sqlite3.Row) -> Entry:
        return read_entry(row, read_reports(db, row["client_order_id"]))

    def _report(self, order: Order, run_id: RunId, kind: ReportKind, reason: str | None) -> ExecutionReport:
        at = instant(self._clock.wall_ns())
        return ExecutionReport(order.client_order_id, run_id, kind, at, reason=reason)

    def _insert_order(
        self, db: sqlite3.Connection, intent: Intent, order: Order, round_: int, run_id: RunId, owner: Owner
    ) -> None:
        known = None if intent.known_ids is None else json.dumps(sorted(intent.known_ids))
        at = instant(self._clock.wall_ns()).isoformat()
        facts: dict[str, Any] = {
            "client_order_id": order.client_order_id,
            "plan_id": intent.plan_id,
            "round": round_,
            "run_id": run_id,
            "login": intent.login,
            "account": order.account,
            "broker_code": order.broker_code,
            "instrument": order.instrument,
            "side": order.side.value,
            "price": str(order.price),
            "quantity": str(order.quantity),
            "order_type": order.order_type.value,
            "time_in_force": order.time_in_force.value,
            "day": order.day.isoformat(),
            "bell_ns": intent.bell_ns,
            "known_ids": known,
            "owner_host": owner.host,
            "owner_pid": owner.pid,
            "owner_started": owner.started,
            "claimed_at": at,
        }
        columns, marks = ", ".join(facts), ", ".join("?" * len(facts))
        db.execute(f"INSERT INTO orders ({columns}) VALUES ({marks})", tuple(facts.values()))  # noqa: S608 - our own column names

    def _hand_on(self, reports: list[tuple[ExecutionReport, Order]]) -> None:
        for report, order in reports:
            for subscriber in self._subscribers:
                subscriber(report, order)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            yield self._open()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            db = self._open()
            begin(db)
            try:
                yield db
            except BaseException:
                db.rollback()
                raise
            db.commit()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._opened_by != os.getpid():
            self._connection, self._opened_by = open_file(self._path), os.getpid()
        return self._connection
