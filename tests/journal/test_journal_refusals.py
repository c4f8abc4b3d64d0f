"""Whom a journal believes to live, what it makes of a server's words, and of files it cannot use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import namedtuple
from dataclasses import replace

import psutil
import pytest
from journal_orders import DAY, FAR, PLAN, accepted, intent, report
from pg8000.native import DatabaseError, InterfaceError

from firstbell.clock import SystemClock
from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal import owner, postgres_wire, sqlite_file
from firstbell.journal.address import Address
from firstbell.journal.base import RunLine, RunRecord
from firstbell.journal.digest import with_digest
from firstbell.journal.owner import is_alive, this_process
from firstbell.journal.postgres_wire import ConnectionLost, _judged, _reason, _refusal, _words
from firstbell.journal.rows import read_run, run_row
from firstbell.journal.sqlite import SqliteJournal
from firstbell.log import hide
from firstbell.model.order_status import ReportKind
from firstbell.model.terms import Side

ADDRESS = Address.of("postgresql://me:pw@127.0.0.1:5/journal")


def error(**fields):
    return DatabaseError(fields)


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"C": "08006", "M": "gone", "V": "ERROR"}, ConnectionLost, "the server ended the connection: gone"),
        ({"C": "57P01", "M": "shutting down"}, ConnectionLost, "the server ended the connection: shutting down"),
        ({"C": "42501", "M": "no", "V": "FATAL"}, ConnectionLost, "the server ended the connection: no"),
        ({"C": "42501", "M": "no", "S": "PANIC"}, ConnectionLost, "the server ended the connection: no"),
        ({"C": "42501", "M": "no", "V": "ERROR", "S": "FATAL"}, JournalError, "cannot be used: no"),
        ({"C": "XX001", "M": "page"}, JournalDamaged, r"is damaged \(page\); nothing is sent until a person"),
        ({"C": "XX002", "M": "index"}, JournalDamaged, r"is damaged \(index\)"),
        ({"C": "42P01", "M": "table"}, JournalDamaged, r"is damaged \(table\)"),
        ({"C": "42703", "M": "column"}, JournalDamaged, r"is damaged \(column\)"),
        ({"C": "57014", "M": "too slow"}, JournalError, "cannot be used: too slow"),
        ({"M": "nothing said"}, JournalError, "cannot be used: nothing said"),
    ],
)
def test_what_a_servers_words_mean(fields, kind, words):
    judged = _judged(ADDRESS, error(**fields))
    assert type(judged) is kind
    with pytest.raises(kind, match=words):
        raise judged


def test_a_servers_words_are_told_without_secrets_and_from_behind_what_stumbled_over_them():
    hide("pl4nted-pw")
    told = error(C="28P01", M="no pl4nted-pw", V="FATAL")
    assert "pl4nted" not in _words(told)[1]
    assert _words(DatabaseError("odd")) == ("", "odd", "")
    stumbled = InterfaceError("closed")
    stumbled.__context__ = ValueError("between")
    stumbled.__context__.__context__ = told
    assert _refusal(stumbled).startswith("no ")
    assert _refusal(InterfaceError("closed")) == "closed"
    assert _reason(TimeoutError()) == "no answer within 5 s"
    assert _reason(ConnectionRefusedError(111, "Connection refused")) == "Connection refused"
    assert _reason(InterfaceError()) == "InterfaceError"


def test_how_long_a_server_is_waited_for():
    assert (postgres_wire.CONNECT_S, postgres_wire.STATEMENT_S, postgres_wire._IDLE_S) == (5.0, 10, 5)
    assert postgres_wire._ANSWER_S == 15
    assert "idle_in_transaction_session_timeout = '5s'" in postgres_wire._SETTINGS
    assert "statement_timeout = '10s'" in postgres_wire._SETTINGS


def test_who_may_not_be_looked_at_lives(monkeypatch):
    def refuse(_):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", refuse)
    assert is_alive(this_process())


def test_who_lived_before_the_machine_was_started_is_dead():
    name, _, boot = this_process().host.partition("#")
    assert len(boot) == 36
    assert not is_alive(replace(this_process(), host=f"{name}#another-start"))
    assert is_alive(replace(this_process(), host=f"not-{name}#another-start"))
    assert not is_alive(replace(this_process(), started=this_process().started + 1))


def test_where_the_system_has_no_proc(monkeypatch):
    monkeypatch.setattr(owner.Path, "exists", lambda _: False)
    assert owner._started(os.getpid()) == psutil.Process().create_time()

    def unreadable(*_args, **_more):
        raise OSError

    monkeypatch.setattr(owner.Path, "read_text", unreadable)
    owner._boot.cache_clear()
    try:
        assert owner._boot() == ""
    finally:
        owner._boot.cache_clear()


def test_a_child_is_another_owner():
    ours, theirs = os.pipe()
    here = this_process()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, str(this_process().pid).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(ours, 99)) == pid != here.pid
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def journal(tmp_path):
    journal = SqliteJournal(tmp_path / "not" / "there" / "journal.db", SystemClock())
    yield journal
    journal.close()


ENDS = {
    "DENIED": [ReportKind.DENIED],
    **{
        kind: [ReportKind.SUBMITTED, ReportKind(kind)]
        for kind in ("REJECTED", "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED")
    },
}


@pytest.mark.parametrize("end", ENDS)
def test_what_has_ended_or_is_at_the_broker_is_not_open(journal, end):
    journal.claim(intent("open"), "run", this_process())
    journal.append([report(ReportKind.SUBMITTED, "open")])
    journal.claim(intent("ended"), "run", this_process())
    for kind in ENDS[end]:
        journal.append([report(kind, "ended")])
    assert [entry.intent.order.client_order_id for entry in journal.open_entries()] == ["open"]
    works = end in {"ACCEPTED", "PARTIALLY_FILLED"}
    names = [entry.intent.order.client_order_id for entry in journal.open_entries(placed=True)]
    assert names == (["open", "ended"] if works else ["open"])


def test_an_empty_journal_has_no_run(journal):
    assert journal.newest_run() is None
    assert journal.entries() == journal.open_entries() == ()


def test_an_order_without_a_list_from_before_its_bell_comes_back_without_one(journal):
    journal.claim(intent("none", known=None), "run", this_process())
    journal.claim(intent("empty", known=frozenset()), "run", this_process())
    journal.claim(intent("some", known=frozenset({"2", "1"})), "run", this_process())
    assert [entry.intent.known_ids for entry in journal.entries()] == [None, frozenset(), {"1", "2"}]
    assert [entry.intent.bell_ns for entry in journal.entries()] == [FAR] * 3
    assert {entry.intent.order.day for entry in journal.entries()} == {DAY}


@pytest.mark.parametrize("lines", ["{}", "5", "[5]", "[[1]]", '[["a", "b", "c", "sideways"]]', "nonsense"])
def test_a_run_whose_lines_are_none_is_damage(lines):
    record = RunRecord("run", report(ReportKind.ACCEPTED).at, (RunLine("A", "gs", "i", Side.BUY),), "results")
    row = {**run_row(record), "seq": 1}
    assert read_run(row) == record
    with pytest.raises(JournalDamaged, match="^the run run in the journal cannot be read"):
        read_run({**with_digest("runs", {**row, "lines": lines}), "seq": 1})


Usage = namedtuple("Usage", "free")  # noqa: PYI024 - as shutil's own


@pytest.mark.parametrize(("free", "words"), [(262_143, "; its disk is full$"), (262_144, "disk I/O error$")])
def test_a_full_disk_is_named_where_sqlite_only_says_that_it_failed(tmp_path, monkeypatch, free, words):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free))
    with pytest.raises(JournalError, match=words), sqlite_file.Translated(tmp_path / "journal.db"):
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize(
    "said", ["database disk image is malformed", "file is not a database", "CORRUPT", "could not decode"]
)
def test_what_sqlite_says_of_damage(tmp_path, said):
    with pytest.raises(JournalDamaged, match="nothing is sent until a person"), sqlite_file.Translated(tmp_path / "j"):
        raise sqlite3.DatabaseError(said)


def test_words_that_sqlite_quotes_from_a_damaged_file_and_nobody_can_read_are_damage(tmp_path):
    with pytest.raises(JournalDamaged, match="nothing is sent until a person"), sqlite_file.Translated(tmp_path / "j"):
        b"malformed database schema (\xf2)".decode()


def test_a_file_that_was_made_is_not_made_again(journal, tmp_path):
    journal.claim(intent(PLAN), "run", this_process())
    accepted(journal)
    journal.close()
    assert journal.entry(PLAN).state.venue_order_id == "77"
    with contextlib.closing(sqlite3.connect(tmp_path / "not" / "there" / "journal.db")) as db:
        assert sqlite_file._version(db) == 3


def test_what_cannot_be_written_is_taken_back_whole(journal):
    journal.claim(intent(PLAN), "run", this_process())
    for _ in range(2):
        with pytest.raises(JournalError):
            journal.append([report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED, "nobody")])
    assert [each.kind for each in journal.reports(PLAN)] == [ReportKind.INITIALIZED]
