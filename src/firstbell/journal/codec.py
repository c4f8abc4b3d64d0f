"""Reports as text and back: exact numbers as texts, times as RFC 3339, nothing lost and nothing guessed."""

from __future__ import annotations

import json
from typing import Any

from firstbell.errors import JournalDamaged
from firstbell.model.facts import Facts, document, instant_of
from firstbell.model.identifiers import ClientOrderId, RunId, VenueOrderId
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome


def write_report(report: ExecutionReport) -> str:
    """A report's own facts as one JSON object; ids, kind and time stand beside it in columns."""
    facts: dict[str, Any] = {}
    if report.venue_order_id is not None:
        facts["venue_order_id"] = report.venue_order_id
    if report.attempt is not None:
        facts["attempt"] = _attempt_facts(report.attempt)
    if report.fill is not None:
        fill = report.fill
        facts["fill"] = {"trade_id": fill.trade_id, "last_qty": str(fill.last_qty), "last_px": str(fill.last_px)}
    if report.cum_qty is not None:
        facts["cum_qty"] = str(report.cum_qty)
    if report.reason is not None:
        facts["reason"] = report.reason
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    # A stranger's JSON can bring half of a surrogate pair, which no database takes as it is.
    return text if _is_whole(text) else json.dumps(facts, separators=(",", ":"))


def read_report(client_order_id: str, run_id: str, kind: str, at: str, facts_text: str) -> ExecutionReport:
    """The report that `write_report` wrote.

    Raises:
        JournalDamaged: It is not one.
    """
    try:
        facts = Facts(document(facts_text))
        fill, attempt, venue_order_id = facts.inner("fill"), facts.inner("attempt"), facts.maybe_text("venue_order_id")
        return ExecutionReport(
            client_order_id=ClientOrderId(client_order_id),
            run_id=RunId(run_id),
            kind=ReportKind(kind),
            at=instant_of(at),
            venue_order_id=None if venue_order_id is None else VenueOrderId(venue_order_id),
            attempt=None if attempt is None else _read_attempt(attempt),
            fill=None if fill is None else Fill(fill.text("trade_id"), fill.number("last_qty"), fill.number("last_px")),
            cum_qty=facts.maybe_number("cum_qty"),
            reason=facts.maybe_text("reason"),
        )
    except ValueError as error:
        raise JournalDamaged(
            f"a report on {client_order_id} in the journal cannot be read ({type(error).__name__}); "
            "keep the file as it is and look at it before anything is sent"
        ) from error


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _attempt_facts(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "sent_at": None if attempt.sent_at is None else attempt.sent_at.isoformat(),
        "lateness_us": attempt.lateness_us,
        "answered_at": None if attempt.answered_at is None else attempt.answered_at.isoformat(),
        "round_trip_us": attempt.round_trip_us,
        "http_status": attempt.http_status,
        "code": attempt.code,
        "message": attempt.message,
        "outcome": attempt.outcome.value,
        "raw": attempt.raw,
        "sent_ns": attempt.sent_ns,
        "arrival_ns": attempt.arrival_ns,
        "too_early": attempt.too_early,
    }


def _read_attempt(facts: Facts) -> Attempt:
    return Attempt(
        number=facts.whole("number"),
        sent_at=facts.maybe_instant("sent_at"),
        lateness_us=facts.maybe_whole("lateness_us"),
        answered_at=facts.maybe_instant("answered_at"),
        round_trip_us=facts.maybe_whole("round_trip_us"),
        http_status=facts.maybe_whole("http_status"),
        code=facts.maybe_whole("code"),
        message=facts.maybe_text("message"),
        outcome=AttemptOutcome(facts.text("outcome")),
        raw=facts.maybe_text("raw"),
        sent_ns=facts.maybe_whole("sent_ns"),
        arrival_ns=facts.maybe_whole("arrival_ns"),
        too_early=facts.flag("too_early", unsaid=False),
    )
