"""Orders, intents and reports for the journal's tests, and the places where a journal can be."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pg8000.native import DatabaseError

from firstbell.clock import SystemClock
from firstbell.journal.base import Intent, Owner
from firstbell.journal.opening import open_journal
from firstbell.journal.owner import this_process
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, Side

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import PostgresServer

AT = datetime(2026, 11, 21, 5, 15, 0, 123456, tzinfo=UTC)
DAY = date(2026, 11, 21)
FAR = 2**62
KNOWN = frozenset({VenueOrderId("1")})
PLAN = "fb-20261121-0011aabbccdd-0"
DEAD = Owner(this_process().host, 2**22 + 1, 0.0)
SQL_ERRORS = (sqlite3.Error, DatabaseError)


def order(name=PLAN):
    return Order(name, "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(170018), DAY)


def intent(name=PLAN, bell_ns=FAR, known=KNOWN):
    return Intent(order(name), "login", name, bell_ns, known)


def report(kind, name=PLAN, **facts):
    return ExecutionReport(name, "run", kind, AT, **facts)


def accepted(journal, name=PLAN, venue="77"):
    attempt = Attempt(1, AT, 412, AT, 8120, 200, None, "ok", AttemptOutcome.ACCEPTED, '{"serialNumber": 77}')
    journal.append(
        [report(ReportKind.SUBMITTED, name), report(ReportKind.ACCEPTED, name, venue_order_id=venue, attempt=attempt)]
    )


@dataclass(frozen=True)
class Where:
    """Where a journal is; what a child process needs to open it as well."""

    url: str | None
    path: Path

    def open(self, clock=None):
        return open_journal(self.url, self.path, clock or SystemClock())


class Place:
    """Where a journal is, with a door for whoever goes behind its back."""

    def __init__(self, path: Path, server: PostgresServer | None) -> None:
        self.server = server
        self.database = None if server is None else server.make_database()
        self.where = Where(None if server is None else server.url(self.database), path)
        self._opened = contextlib.ExitStack()

    def open(self, clock=None):
        journal = self.where.open(clock)
        self._opened.callback(journal.close)
        return journal

    def run(self, statement):
        """Carry out one statement past the journal."""
        if self.server is not None:
            return self.server.run(f"SET search_path = firstbell; {statement}", self.database)
        with contextlib.closing(sqlite3.connect(self.where.path)) as db, db:
            return db.execute(statement).fetchall()

    def close(self):
        self._opened.close()
