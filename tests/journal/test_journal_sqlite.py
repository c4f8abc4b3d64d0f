from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading

import pytest
from journal_orders import accepted, intent, order, report

from firstbell.clock import SystemClock
from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order_status import OrderStatus, ReportKind


@pytest.fixture
def journal(tmp_path):
    journal = SqliteJournal(tmp_path / "state" / "journal.db", SystemClock())
    yield journal
    journal.close()


def test_it_is_of_one_machine(journal):
    assert journal.is_local


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


@pytest.mark.parametrize("companion", ["-wal", "-shm", "-journal"])
def test_a_link_beside_the_journal_is_refused_and_not_followed(tmp_path, companion):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"journal.db{companion}").symlink_to(victim)
    with pytest.raises(JournalError, match=f"journal.db{companion} is a symbolic link"):
        SqliteJournal(tmp_path / "journal.db", SystemClock()).entries()
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER planted AFTER INSERT ON reports BEGIN INSERT INTO notes (run_id) VALUES ('x'); END",
        "CREATE TEMP TRIGGER planted AFTER INSERT ON main.reports BEGIN SELECT 1; END",
        "CREATE VIEW planted AS SELECT * FROM orders",
        "CREATE TABLE planted (x)",
        "CREATE INDEX planted ON orders (account)",
        "DROP TRIGGER orders_never_update",
        "DROP INDEX orders_by_day",
    ],
)
def test_whatever_is_planted_in_the_journals_schema_is_refused(tmp_path, planted):
    path = tmp_path / "journal.db"
    SqliteJournal(path, SystemClock()).entries()
    with sqlite3.connect(path) as db:
        db.execute(planted)
    db.close()
    journal = SqliteJournal(path, SystemClock())
    if "TEMP" in planted:
        # It lives and dies with the connection that made it.
        assert journal.entries() == ()
        journal.close()
    else:
        with pytest.raises(JournalDamaged):
            journal.entries()


def test_a_report_on_an_order_that_is_not_there_is_damage(tmp_path):
    """Nobody asks for it, so nobody would see that its digest fits no more."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, SystemClock())
    journal.claim(intent(), "run", this_process())
    accepted(journal)
    journal.close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        (made,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'reports_never_update'").fetchone()
        db.execute("DROP TRIGGER reports_never_update")
        db.execute("UPDATE reports SET client_order_id = 'another' WHERE kind = 'ACCEPTED'")
        db.execute(made)
    with pytest.raises(JournalDamaged, match="damaged"):
        journal.entries()
