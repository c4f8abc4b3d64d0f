from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import psutil
import pytest

from firstbell.clock import SystemClock
from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal.base import AlreadyPlaced, Claimed, Held, Intent, Note, Owner, RunLine, RunRecord
from firstbell.journal.owner import _started, is_alive, this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderOutcome, Side

AT = datetime(2026, 11, 21, 5, 15, 0, 123456, tzinfo=UTC)
DAY = date(2026, 11, 21)
FAR = 2**62
KNOWN = frozenset({VenueOrderId("1")})
DEAD = Owner(this_process().host, 2**22 + 1, 0.0)


def order(name="fb-20261121-0011aabbccdd-0"):
    return Order(name, "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(170018), DAY)


def intent(name="fb-20261121-0011aabbccdd-0", bell_ns=FAR, known=KNOWN):
    return Intent(order(name), "login", name, bell_ns, known)


def report(kind, name="fb-20261121-0011aabbccdd-0", **facts):
    return ExecutionReport(name, "run", kind, AT, **facts)


@pytest.fixture
def journal(tmp_path):
    journal = SqliteJournal(tmp_path / "state" / "journal.db", SystemClock())
    yield journal
    journal.close()


def accepted(journal, name="fb-20261121-0011aabbccdd-0", venue="77"):
    attempt = Attempt(1, AT, 412, AT, 8120, 200, None, "ok", AttemptOutcome.ACCEPTED, '{"serialNumber": 77}')
    journal.append(
        [report(ReportKind.SUBMITTED, name), report(ReportKind.ACCEPTED, name, venue_order_id=venue, attempt=attempt)]
    )


def test_a_claim_is_granted_once_and_survives_a_restart(journal, tmp_path):
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order == order()
    again = journal.claim(intent(), "run", this_process())
    assert isinstance(again, Held)
    assert again.ours
    journal.close()
    other = SqliteJournal(tmp_path / "state" / "journal.db", SystemClock())
    entry = other.entry(order().client_order_id)
    other.close()
    assert entry.intent == intent()
    assert entry.state.status is OrderStatus.INITIALIZED
    assert entry.run_id == "run"


def test_a_living_owner_keeps_its_claim(journal):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = Owner(this_process().host, child.pid, _started(child.pid))
        assert isinstance(journal.claim(intent(), "other", owner), Claimed)
        answer = journal.claim(intent(), "run", this_process())
        assert isinstance(answer, Held)
        assert not answer.ours
        assert answer.entry.owner == owner
        assert not answer.entry.state.unresolved
    finally:
        child.communicate()


def test_a_dead_owners_claim_is_taken_over_before_its_bell(journal):
    journal.claim(intent(), "other", DEAD)
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order.client_order_id == order().client_order_id + "-r2"
    first = journal.entry(order().client_order_id)
    assert first.state.status is OrderStatus.DENIED
    assert "before the bell" in first.state.reason


def test_a_dead_owners_claim_is_unresolved_after_its_bell(journal):
    journal.claim(intent(bell_ns=1), "other", DEAD)
    answer = journal.claim(intent(bell_ns=1), "run", this_process())
    assert isinstance(answer, Held)
    assert answer.entry.state.unresolved
    assert answer.entry.state.outcome is OrderOutcome.UNRESOLVED
    assert [e.intent.order.client_order_id for e in journal.open_entries()] == [order().client_order_id]


def test_a_placed_plan_is_never_claimed_again(journal):
    journal.claim(intent(), "run", this_process())
    accepted(journal)
    answer = journal.claim(intent(), "later", this_process())
    assert isinstance(answer, AlreadyPlaced)
    assert answer.entry.state.venue_order_id == "77"


def test_a_certainly_refused_plan_may_be_claimed_again_under_a_new_name(journal):
    journal.claim(intent(), "run", this_process())
    journal.append([report(ReportKind.SUBMITTED), report(ReportKind.REJECTED, reason="1011")])
    answer = journal.claim(intent(), "later", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order.client_order_id.endswith("-r2")
    journal.append([report(ReportKind.DENIED, answer.order.client_order_id, reason="stopped")])
    assert journal.claim(intent(), "third", this_process()).order.client_order_id.endswith("-r3")


def test_an_unresolved_plan_is_held(journal):
    journal.claim(intent(), "run", this_process())
    journal.append([report(ReportKind.SUBMITTED), report(ReportKind.UNRESOLVED, reason="no answer")])
    answer = journal.claim(intent(), "later", this_process())
    assert isinstance(answer, Held)
    assert answer.entry.state.unresolved


def test_reports_come_back_as_they_went_in(journal):
    journal.claim(intent(), "run", this_process())
    accepted(journal)
    fill = report(
        ReportKind.PARTIALLY_FILLED,
        fill=Fill("t۱", Decimal("10.5"), Decimal("5859.5")),
        cum_qty=Decimal("10.5"),
        reason="بازار",
    )
    journal.append([fill])
    reports = journal.reports(order().client_order_id)
    assert [r.kind for r in reports] == [
        ReportKind.INITIALIZED,
        ReportKind.SUBMITTED,
        ReportKind.ACCEPTED,
        ReportKind.PARTIALLY_FILLED,
    ]
    assert reports[3] == fill
    assert reports[2].attempt.raw == '{"serialNumber": 77}'
    assert reports[2].attempt.sent_at == AT


def test_an_illegal_report_writes_nothing_at_all(journal):
    journal.claim(intent(), "run", this_process())
    with pytest.raises(JournalError, match="does not fit"):
        journal.append([report(ReportKind.SUBMITTED), report(ReportKind.CANCEL_REJECTED)])
    assert len(journal.reports(order().client_order_id)) == 1


def test_a_report_on_an_unknown_order_is_an_error(journal):
    with pytest.raises(JournalError, match="does not know"):
        journal.append([report(ReportKind.SUBMITTED, "nobody")])


@pytest.mark.parametrize("table", ["runs", "orders", "reports", "notes"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET run_id = 'x'"])
def test_nothing_can_be_changed_or_removed(journal, tmp_path, table, statement):
    journal.begin_run(RunRecord("run", AT, (), "results"))
    journal.claim(intent(), "run", this_process())
    journal.note("run", [Note("Order_A", "finished")])
    with sqlite3.connect(tmp_path / "state" / "journal.db") as db, pytest.raises(sqlite3.DatabaseError, match="append"):
        db.execute(statement.format(table))
    db.close()


def test_runs_and_notes(journal):
    record = RunRecord("run", AT, (RunLine("Order_A", "gs", "IRO1MHRN0001", Side.SELL),), "/results")
    journal.begin_run(record)
    journal.begin_run(RunRecord("run2", AT, (), "/results"))
    assert journal.run("run") == record
    assert journal.newest_run().run_id == "run2"
    assert journal.run("nobody") is None
    notes = (Note("Order_A", "not_sent", "چرا"), Note("Order_A", "stands_for", None, "x"))
    journal.note("run", notes)
    assert journal.notes("run") == notes


def test_files_are_for_their_owner_alone(journal, tmp_path):
    journal.claim(intent(), "run", this_process())
    folder = tmp_path / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_damaged_journal_refuses_to_start(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database" * 100)
    journal = SqliteJournal(path, SystemClock())
    with pytest.raises(JournalDamaged, match="damaged"):
        journal.entries()


def test_a_journal_of_another_version_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="version 99"):
        SqliteJournal(path, SystemClock()).entries()


def test_a_linked_journal_is_refused(tmp_path):
    (tmp_path / "elsewhere.db").touch()
    (tmp_path / "journal.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(tmp_path / "journal.db", SystemClock()).entries()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(tmp_path / "file" / "journal.db", SystemClock()).entries()


def test_subscribers_hear_of_durable_reports_only(journal):
    heard = []
    journal.subscribe(lambda report, order: heard.append((report.kind, order.account)))
    journal.claim(intent(), "run", this_process())
    with pytest.raises(JournalError):
        journal.append([report(ReportKind.SUBMITTED), report(ReportKind.CANCEL_REJECTED)])
    assert heard == [(ReportKind.INITIALIZED, "Order_A")]


def _race(path, barrier, results):
    journal = SqliteJournal(path, SystemClock())
    barrier.wait()
    answers = [journal.claim(intent(f"fb-20261121-0011aabbccdd-{n}"), "run", this_process()) for n in range(20)]
    results.put(sum(isinstance(answer, Claimed) for answer in answers))
    journal.close()


def test_of_many_processes_exactly_one_gets_each_claim(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    children = [
        context.Process(target=_race, args=(tmp_path / "state" / "journal.db", barrier, results)) for _ in range(4)
    ]
    for child in children:
        child.start()
    granted = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert sum(granted) == 20


def test_a_fork_opens_the_file_for_itself(journal):
    journal.claim(intent(), "run", this_process())
    child = os.fork()
    if child == 0:
        try:
            journal.append([report(ReportKind.SUBMITTED)])
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert journal.entry(order().client_order_id).state.status is OrderStatus.SUBMITTED


def test_owners():
    assert is_alive(this_process())
    assert not is_alive(DEAD)
    assert not is_alive(Owner(this_process().host, this_process().pid, 5.0))
    assert is_alive(Owner("another-machine", 1, 0.0))
    name, _, boot = this_process().host.partition("#")
    assert boot
    assert not is_alive(Owner(f"{name}#another-start", this_process().pid, this_process().started))


def test_setting_the_clock_kills_nobody(monkeypatch):
    owner = this_process()
    boot_time = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time + 3600)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 3600)
    assert is_alive(owner)
    assert this_process() == owner


def test_a_busy_file_is_waited_for_outside_of_sqlite(journal, tmp_path):
    journal.claim(intent(), "run", this_process())
    other = sqlite3.connect(tmp_path / "state" / "journal.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    worked = []

    def work():
        worked.append("others go on")
        other.execute("COMMIT")

    timer = threading.Timer(0.05, work)
    timer.start()
    journal.append([report(ReportKind.SUBMITTED)])
    timer.join()
    other.close()
    assert worked
    assert journal.entry(order().client_order_id).state.status is OrderStatus.SUBMITTED
