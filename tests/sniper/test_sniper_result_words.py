"""What a run's rows say in the cases that are told apart by their words, and how they are written."""

from __future__ import annotations

import errno
import json
import os
import stat
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from firstbell.errors import RunError
from firstbell.journal.base import Intent, Note, RunLine, RunRecord
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.log import hide
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.sniper import results

TEHRAN = timezone(timedelta(hours=3, minutes=30))
BELL = datetime(2026, 11, 21, 8, 45, tzinfo=TEHRAN)
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
SENT, ACCEPTED, REJECTED = ReportKind.SUBMITTED, ReportKind.ACCEPTED, ReportKind.REJECTED


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


def begin(journal, name="run", accounts=("A",)):
    lines = tuple(RunLine(account, "shahr", "IRO1MHRN0001", Side.BUY) for account in accounts)
    record = RunRecord(name, BELL, lines, "results")
    journal.begin_run(record)
    return record


def claim(journal, name, *kinds, run="run", account="A", attempts=(), **last):
    order = Order(
        name, account, "shahr", "IRO1MHRN0001", Side.BUY, Decimal("5860.5"), Decimal(10), date(2026, 11, 21)
    )  # fmt: skip
    journal.claim(Intent(order, account, name, 1000, None), run, this_process())
    for attempt in attempts:
        journal.append([ExecutionReport(name, run, SENT, AT)])
        journal.append([ExecutionReport(name, run, ReportKind.REFUSED, AT, attempt=attempt)])
    for kind in kinds:
        journal.append([ExecutionReport(name, run, kind, AT, **(last if kind is kinds[-1] else {}))])


def rows(journal, record, *, ended=True, now_ns=0):
    return results.document(results.view(journal, record, ended=ended, now_ns=now_ns), TEHRAN)["orders"]


def test_a_line_that_nothing_is_known_of_is_empty_but_for_its_account(journal):
    record = begin(journal)
    empty = dict.fromkeys(("price", "quantity", "client_order_id", "venue_order_id", "status"))
    told = {"account": "A", "broker_code": "shahr", "instrument": "IRO1MHRN0001", "side": "buy", **empty}
    told |= {"outcome": "not_sent", "attempts": []}
    assert rows(journal, record) == [{**told, "reason": "never reached"}]
    assert rows(journal, record, ended=False) == [{**told, "reason": "not reached yet"}]


def test_the_last_reason_counts_and_only_the_accounts_own(journal):
    record = begin(journal, accounts=("A", "B"))
    journal.note("run", [Note("A", "not_sent", "first"), Note("B", "not_sent", "of B"), Note("A", "warning", "w")])
    journal.note("run", [Note("A", "not_sent", "last")])
    assert [row["reason"] for row in rows(journal, record)] == ["last", "of B"]


def test_what_waits_and_what_may_have_left(journal):
    record = begin(journal)
    claim(journal, "a")
    for ended, now_ns, outcome, reason in (
        (False, 999, "not_sent", "armed; waiting for the bell"),
        (False, 1000, "unresolved", "armed; it may have left, and nothing is known yet"),
        (True, 0, "unresolved", "armed; it may have left, and nothing is known yet"),
    ):
        (row,) = rows(journal, record, ended=ended, now_ns=now_ns)
        assert (row["outcome"], row["reason"], row["price"], row["quantity"]) == (outcome, reason, "5860.5", 10)


def test_an_accept_without_a_name_says_so_and_with_one_says_nothing(journal):
    record = begin(journal, accounts=("A", "B"))
    claim(journal, "a", SENT, ACCEPTED)
    claim(journal, "b", SENT, ACCEPTED, account="B", venue_order_id="7")
    words = "accepted by an answer that named no id; the broker's list has not shown it yet"
    assert [row["reason"] for row in rows(journal, record)] == [words, None]


def test_of_two_rounds_of_a_plan_the_newer_one_is_told(journal):
    record = begin(journal)
    claim(journal, "a", SENT, REJECTED)
    claim(journal, "a")
    for kind in (SENT, ACCEPTED):
        journal.append([ExecutionReport("a-r2", "run", kind, AT)])
    assert [(row["client_order_id"], row["outcome"]) for row in rows(journal, record)] == [("a-r2", "accepted")]


def test_an_earlier_runs_order_is_told_without_its_attempts_and_with_its_run(journal):
    begin(journal, "before")
    attempt = Attempt(1, AT, 5, None, None, None, 1017, "m", AttemptOutcome.REJECTED)
    claim(journal, "a", SENT, ACCEPTED, run="before", attempts=(attempt,), venue_order_id="7")
    claim(journal, "b", SENT, ReportKind.UNRESOLVED, run="before", account="B", reason="cut")
    record = begin(journal, "run", ("A", "B"))
    journal.note("run", [Note("A", "stands_for", None, "a"), Note("B", "stands_for", None, "b")])
    first, second = rows(journal, record)
    assert (first["outcome"], first["reason"], first["attempts"]) == ("accepted", "placed earlier, in run before", [])
    assert (second["outcome"], second["reason"]) == ("unresolved", "cut")
    own = rows(journal, RunRecord("before", BELL, record.lines, "results"))
    assert [each["code"] for each in own[0]["attempts"]] == [1017]


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [((SENT, REJECTED), "not_sent"), ((SENT, ReportKind.UNRESOLVED), "unresolved"), ((SENT, ACCEPTED), "accepted")],
)
def test_what_another_run_had_claimed_counts_once_it_is_clear(journal, kinds, outcome):
    claim(journal, "a", *kinds, run="other")
    record = begin(journal)
    journal.note("run", [Note("A", "not_sent", "process 1 has it", "a")])
    (row,) = rows(journal, record)
    assert row["outcome"] == outcome
    if outcome == "not_sent":
        assert (row["reason"], row["client_order_id"]) == ("process 1 has it", None)


def test_a_note_of_another_kind_stands_for_no_order(journal):
    claim(journal, "a", SENT, ACCEPTED, run="other")
    record = begin(journal)
    journal.note("run", [Note("A", "warning", "look at it", "a"), Note("A", "stands_for", None, "gone")])
    assert rows(journal, record)[0]["outcome"] == "not_sent"


def test_an_attempt_that_never_left_has_no_times(journal):
    record = begin(journal)
    nothing = Attempt(1, None, None, None, None, None, None, None, AttemptOutcome.NOT_SENT)
    claim(journal, "a", attempts=(nothing,))
    (row,) = rows(journal, record)
    assert row["attempts"] == [
        {
            **dict.fromkeys(("sent_at", "sent_ns", "estimated_arrival_at", "lateness_us", "answered_at")),
            **dict.fromkeys(("round_trip_us", "http_status", "code", "message")),
            "too_early": False,
            "outcome": "NOT_SENT",
        }
    ]


def test_of_an_orders_attempts_the_last_that_left_tells_its_lateness(journal):
    record = begin(journal)
    late = [Attempt(n, AT, us, None, None, None, None, None, AttemptOutcome.REJECTED) for n, us in ((1, 9), (2, 70))]
    nothing = Attempt(3, None, None, None, None, None, None, None, AttemptOutcome.NOT_SENT)
    claim(journal, "a", attempts=(*late, nothing))
    document = results.document(results.view(journal, record, ended=True, now_ns=0), TEHRAN)
    assert document["lateness"] == {"first_us": 70, "median_us": 70, "last_us": 70, "early_attempts": 0}


def test_no_secret_is_told(journal):
    hide("t0ken-s3cret")
    record = begin(journal)
    attempt = Attempt(1, AT, 0, AT, 1, 200, None, "no t0ken-s3cret", AttemptOutcome.REJECTED)
    claim(journal, "a", SENT, REJECTED, attempts=(attempt,), reason="for t0ken-s3cret")
    text = json.dumps(rows(journal, record))
    assert "s3cret" not in text
    assert '"reason": "for ' in text


def test_it_is_finished_when_every_account_has_said_so(journal):
    record = begin(journal, accounts=("A", "B"))
    journal.note("run", [Note("A", "finished"), Note("B", "warning", "w")])
    assert not results.view(journal, record, ended=False, now_ns=0).finished
    journal.note("run", [Note("B", "finished")])
    assert results.view(journal, record, ended=False, now_ns=0).finished


def test_the_document_has_a_version_that_readers_know(journal):
    document = results.document(results.view(journal, begin(journal), ended=True, now_ns=0), TEHRAN)
    assert (document["schema"], document["run"]) == (1, "run")


def test_what_is_written_is_whole_durable_and_readable(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size) or fsync(file))
    before = os.umask(0)
    try:
        path = results.write(tmp_path / "not" / "there", {"run": "r", "reason": "قیمت"})
    finally:
        os.umask(before)
    text = path.read_text(encoding="utf-8")
    assert "قیمت" in text
    assert text.endswith("}\n")
    assert text.count("\n") > 2
    assert path == tmp_path / "not" / "there" / "r" / "orders.json"
    assert synced[0] == path.stat().st_size
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_cannot_be_put_in_place_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = results.write(tmp_path, {"run": "r", "n": 1})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=r"the results cannot be written to .*: No space left on device"):
        results.write(tmp_path, {"run": "r", "n": 2})
    assert json.loads(path.read_text())["n"] == 1
    assert [each.name for each in path.parent.iterdir()] == ["orders.json"]
