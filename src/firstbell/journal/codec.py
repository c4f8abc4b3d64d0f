"""Reports as text and back: exact numbers as texts, times as RFC 3339, nothing lost and nothing guessed."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from firstbell.errors import JournalDamaged
from firstbell.model.facts import Facts, document, instant_of
from firstbell.model.identifiers import ClientOrderId, RunId, VenueOrderId
from firstbell.model.instructions import PLAIN, Instructions
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderRole

_NEW_TERMS: Final = ("price", "quantity", "trigger_price")
"""What a replacement may have changed."""


def write_report(report: ExecutionReport) -> str:
    """A report's own facts as one JSON object; ids, kind and time stand beside it in columns."""
    facts: dict[str, Any] = {}
    if report.venue_order_id is not None:
        facts["venue_order_id"] = report.venue_order_id
    if report.attempt is not None:
        facts["attempt"] = _attempt_facts(report.attempt)
    if report.fill is not None:
        facts["fill"] = _fill_facts(report.fill)
    if report.cum_qty is not None:
        facts["cum_qty"] = str(report.cum_qty)
    if report.reason is not None:
        facts["reason"] = report.reason
    for name in _NEW_TERMS:
        number = getattr(report, name)
        if number is not None:
            facts[name] = str(number)
    if report.known_ids is not None:
        facts["known_ids"] = sorted(report.known_ids)
    if report.since is not None:
        facts["since"] = report.since.isoformat()
    return _text(facts)


def read_report(client_order_id: str, run_id: str, kind: str, at: str, facts_text: str) -> ExecutionReport:
    """The report that `write_report` wrote.

    Raises:
        JournalDamaged: It is not one.
    """
    try:
        facts = Facts(document(facts_text))
        fill, attempt, venue_order_id = facts.inner("fill"), facts.inner("attempt"), facts.maybe_text("venue_order_id")
        known_ids, since = facts.maybe_texts("known_ids"), facts.maybe_text("since")
        return ExecutionReport(
            client_order_id=ClientOrderId(client_order_id),
            run_id=RunId(run_id),
            kind=ReportKind(kind),
            at=instant_of(at),
            venue_order_id=None if venue_order_id is None else VenueOrderId(venue_order_id),
            attempt=None if attempt is None else _read_attempt(attempt),
            fill=None if fill is None else _read_fill(fill),
            cum_qty=facts.maybe_number("cum_qty"),
            reason=facts.maybe_text("reason"),
            **{name: facts.maybe_number(name) for name in _NEW_TERMS},
            known_ids=None if known_ids is None else frozenset(map(VenueOrderId, known_ids)),
            since=None if since is None else instant_of(since),
        )
    except ValueError as error:
        raise JournalDamaged(
            f"a report on {client_order_id} in the journal cannot be read ({type(error).__name__}); "
            "keep the file as it is and look at it before anything is sent"
        ) from error


def write_instructions(instructions: Instructions) -> str | None:
    """An order's further terms as one JSON object; None where it has none."""
    if instructions == PLAIN:
        return None
    facts: dict[str, Any] = {}
    for name in ("trigger_price", "trailing_offset", "asked_price"):
        number = getattr(instructions, name)
        if number is not None:
            facts[name] = str(number)
    if instructions.expires_at is not None:
        facts["expires_at"] = instructions.expires_at.isoformat()
    if instructions.role is not None:
        facts["role"] = instructions.role.value
    if instructions.parent_id is not None:
        facts["parent_id"] = instructions.parent_id
    if instructions.group is not None:
        facts["group"] = instructions.group
    return _text(facts)


def read_instructions(text: str | None) -> Instructions:
    """The further terms that `write_instructions` wrote.

    Raises:
        ValueError: They are none.
    """
    if text is None:
        return PLAIN
    facts = Facts(document(text))
    role, parent_id = facts.maybe_text("role"), facts.maybe_text("parent_id")
    return Instructions(
        trigger_price=facts.maybe_number("trigger_price"),
        trailing_offset=facts.maybe_number("trailing_offset"),
        expires_at=facts.maybe_instant("expires_at"),
        role=None if role is None else OrderRole(role),
        parent_id=None if parent_id is None else ClientOrderId(parent_id),
        group=facts.maybe_text("group"),
        asked_price=facts.maybe_number("asked_price"),
    )


def _text(facts: dict[str, Any]) -> str:
    try:
        return to_json(facts).decode("utf-8")
    except PydanticSerializationError:
        # A stranger's JSON can bring half of a surrogate pair, which no database takes as it is.
        return json.dumps(facts, separators=(",", ":"))


def _fill_facts(fill: Fill) -> dict[str, Any]:
    facts = {"trade_id": fill.trade_id, "last_qty": str(fill.last_qty), "last_px": str(fill.last_px)}
    if fill.fee is not None:
        facts["fee"] = str(fill.fee)
    return facts


def _read_fill(facts: Facts) -> Fill:
    return Fill(facts.text("trade_id"), facts.number("last_qty"), facts.number("last_px"), facts.maybe_number("fee"))


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
