"""The journal's rows as what they mean, and back."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.errors import JournalDamaged
from firstbell.journal.base import Entry, Intent, Owner, RunLine, RunRecord
from firstbell.journal.codec import read_report, write_report
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, RunId, VenueOrderId
from firstbell.model.order import Order, fold
from firstbell.model.terms import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    import sqlite3

    from firstbell.model.report import ExecutionReport


def insert_report(db: sqlite3.Connection, report: ExecutionReport) -> None:
    """Add one report, within the caller's transaction."""
    db.execute(
        "INSERT INTO reports (client_order_id, run_id, kind, at, facts) VALUES (?, ?, ?, ?, ?)",
        (report.client_order_id, report.run_id, report.kind.value, report.at.isoformat(), write_report(report)),
    )


def read_reports(db: sqlite3.Connection, client_order_id: str) -> tuple[ExecutionReport, ...]:
    """All reports on one order, oldest first.

    Raises:
        JournalDamaged: One cannot be read.
    """
    rows = db.execute("SELECT * FROM reports WHERE client_order_id = ? ORDER BY seq", (client_order_id,)).fetchall()
    return tuple(read_report(r["client_order_id"], r["run_id"], r["kind"], r["at"], r["facts"]) for r in rows)


def read_entry(row: sqlite3.Row, reports: tuple[ExecutionReport, ...]) -> Entry:
    """An order with its reports.

    Raises:
        JournalDamaged: It cannot be read.
    """
    try:
        order = Order(
            client_order_id=ClientOrderId(row["client_order_id"]),
            account=AccountName(row["account"]),
            broker_code=BrokerCode(row["broker_code"]),
            instrument=InstrumentId(row["instrument"]),
            side=Side(row["side"]),
            price=Decimal(row["price"]),
            quantity=Decimal(row["quantity"]),
            day=date.fromisoformat(row["day"]),
            order_type=OrderType(row["order_type"]),
            time_in_force=TimeInForce(row["time_in_force"]),
        )
        known = row["known_ids"]
        intent = Intent(
            order=order,
            login=row["login"],
            plan_id=ClientOrderId(row["plan_id"]),
            bell_ns=row["bell_ns"],
            known_ids=None if known is None else frozenset(VenueOrderId(str(i)) for i in json.loads(known)),
        )
        owner = Owner(row["owner_host"], row["owner_pid"], row["owner_started"])
        claimed_at = datetime.fromisoformat(row["claimed_at"])
        return Entry(intent, fold(order, reports), RunId(row["run_id"]), owner, claimed_at)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise JournalDamaged(f"the order {row['client_order_id']} in the journal cannot be read: {error}") from error


def read_run(row: sqlite3.Row) -> RunRecord:
    """A run as it was started.

    Raises:
        JournalDamaged: It cannot be read.
    """
    try:
        lines = tuple(
            RunLine(AccountName(account), BrokerCode(broker), InstrumentId(instrument), Side(side))
            for account, broker, instrument, side in json.loads(row["lines"])
        )
        return RunRecord(RunId(row["run_id"]), datetime.fromisoformat(row["bell"]), lines, row["results_dir"])
    except (ValueError, TypeError) as error:
        raise JournalDamaged(f"the run {row['run_id']} in the journal cannot be read: {error}") from error
