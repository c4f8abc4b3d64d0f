"""The journal's rows as what they mean, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from firstbell.errors import JournalDamaged
from firstbell.journal.base import Entry, Intent, Note, Owner, RunLine, RunRecord
from firstbell.journal.codec import read_instructions, read_report, write_instructions, write_report
from firstbell.journal.digest import check, with_digest
from firstbell.model.facts import day_of, document, instant_of, number_of, texts_of
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, RunId, VenueOrderId
from firstbell.model.order import Order, fold
from firstbell.model.terms import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from firstbell.journal.store import Row
    from firstbell.model.report import ExecutionReport


def order_row(
    intent: Intent, order: Order, *, round_: int, run_id: RunId, owner: Owner, claimed_at: datetime
) -> dict[str, Any]:
    """An order that has been claimed, as a row."""
    row = {
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
        "known_ids": None if intent.known_ids is None else json.dumps(sorted(intent.known_ids)),
        "owner_host": owner.host,
        "owner_pid": owner.pid,
        "owner_started": owner.started,
        "claimed_at": claimed_at.isoformat(),
        "instructions": write_instructions(order.instructions),
    }
    return with_digest("orders", row)


def read_entry(row: Row, reports: Iterable[ExecutionReport]) -> Entry:
    """An order with its reports.

    Raises:
        JournalDamaged: It cannot be read, or is not as it was written.
    """
    check("orders", row)
    try:
        order = Order(
            client_order_id=ClientOrderId(row["client_order_id"]),
            account=AccountName(row["account"]),
            broker_code=BrokerCode(row["broker_code"]),
            instrument=InstrumentId(row["instrument"]),
            side=Side(row["side"]),
            price=number_of(row["price"]),
            quantity=number_of(row["quantity"]),
            day=day_of(row["day"]),
            order_type=OrderType(row["order_type"]),
            time_in_force=TimeInForce(row["time_in_force"]),
            instructions=read_instructions(row["instructions"]),
        )
        known = row["known_ids"]
        intent = Intent(
            order=order,
            login=row["login"],
            plan_id=ClientOrderId(row["plan_id"]),
            bell_ns=row["bell_ns"],
            known_ids=None if known is None else frozenset(map(VenueOrderId, texts_of(document(known)))),
        )
        owner = Owner(row["owner_host"], row["owner_pid"], row["owner_started"])
        claimed_at = instant_of(row["claimed_at"])
        return Entry(intent, fold(order, reports), RunId(row["run_id"]), owner, claimed_at)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise JournalDamaged(f"the order {row['client_order_id']} in the journal cannot be read: {error}") from error


def report_row(report: ExecutionReport) -> dict[str, Any]:
    """A report as a row."""
    row = {
        "client_order_id": report.client_order_id,
        "run_id": report.run_id,
        "kind": report.kind.value,
        "at": report.at.isoformat(),
        "facts": write_report(report),
    }
    return with_digest("reports", row)


def read_reports(rows: Iterable[Row]) -> dict[str, list[ExecutionReport]]:
    """Reports by their order's name, those on one order in the order of `rows`.

    Raises:
        JournalDamaged: One cannot be read, or is not as it was written.
    """
    reports: dict[str, list[ExecutionReport]] = {}
    for row in rows:
        check("reports", row)
        name = row["client_order_id"]
        report = read_report(name, row["run_id"], row["kind"], row["at"], row["facts"])
        reports.setdefault(name, []).append(report)
    return reports


def run_row(record: RunRecord) -> dict[str, Any]:
    """A run as a row."""
    lines = [[line.account, line.broker_code, line.instrument, line.side.value] for line in record.lines]
    row = {
        "run_id": record.run_id,
        "bell": record.bell.isoformat(),
        "results_dir": record.results_dir,
        "lines": json.dumps(lines, ensure_ascii=False),
    }
    return with_digest("runs", row)


def read_run(row: Row) -> RunRecord:
    """A run as it was started.

    Raises:
        JournalDamaged: It cannot be read, or is not as it was written.
    """
    check("runs", row)
    try:
        lines = tuple(
            RunLine(AccountName(account), BrokerCode(broker), InstrumentId(instrument), Side(side))
            for account, broker, instrument, side in map(texts_of, _lines(row["lines"]))
        )
        return RunRecord(RunId(row["run_id"]), instant_of(row["bell"]), lines, row["results_dir"])
    except (ValueError, TypeError) as error:
        raise JournalDamaged(f"the run {row['run_id']} in the journal cannot be read: {error}") from error


def _lines(text: str) -> list[Any]:
    lines = document(text)
    if not isinstance(lines, list):
        raise ValueError("a list is not one")  # noqa: TRY004 - one error for all that is damaged
    return lines


def note_row(run_id: RunId, note: Note) -> dict[str, Any]:
    """A note as a row."""
    text = None if note.text is None else _storable(note.text)
    row = {
        "run_id": run_id,
        "account": note.account,
        "kind": note.kind,
        "text": text,
        "client_order_id": note.client_order_id,
    }
    return with_digest("notes", row)


def read_note(row: Row) -> Note:
    """A note as it was written.

    Raises:
        JournalDamaged: It has changed since.
    """
    check("notes", row)
    return Note(AccountName(row["account"]), row["kind"], row["text"], row["client_order_id"])


def _storable(text: str) -> str:
    """A text that every database takes: no NUL, no half of a surrogate pair, such as strangers' JSON can bring."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
