"""A journal of version 2 is brought up in place: everything in it stays as it was, and what is damaged is refused."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import journal_version2
import pytest
from journal_orders import PLAN, Place, intent, report

from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal import schema
from firstbell.journal.base import Claimed, Held
from firstbell.journal.owner import this_process
from firstbell.model.identifiers import ClientOrderId
from firstbell.model.instructions import PLAIN, Instructions
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.terms import OrderRole

OTHER_PLAN = PLAN.replace("0011", "2233")
THIRD_PLAN = PLAN.replace("0011", "4455")
FURTHER = Instructions(
    trigger_price=Decimal("5900.0"),
    trailing_offset=Decimal(10),
    expires_at=datetime(2026, 11, 21, 12, 30, tzinfo=UTC),
    role=OrderRole.STOP_LOSS,
    parent_id=ClientOrderId(PLAN),
    group="گروه",
)


@pytest.fixture
def old(place):
    journal_version2.make(place)
    return place


@pytest.fixture
def old_file(tmp_path):
    place = Place(tmp_path / "state" / "journal.db", None)
    journal_version2.make(place)
    yield place
    place.close()


def with_instructions(name, instructions=FURTHER):
    asked = intent(name)
    return replace(asked, login="another", order=replace(asked.order, instructions=instructions))


def version_of(place):
    if place.server is None:
        return place.run("PRAGMA user_version")[0][0]
    return place.run("SELECT max(version) FROM version")[0][0]


def test_what_an_older_firstbell_wrote_is_read_as_it_was(old):
    journal = old.open()
    journal.verify()
    first, second = journal.entries()
    assert version_of(old) == 3
    assert (first.state.status, first.state.filled_qty) == (OrderStatus.PARTIALLY_FILLED, Decimal(18))
    assert (second.state.unresolved, second.state.reason) == (True, "بی‌پاسخ")
    assert {entry.intent.order.instructions for entry in (first, second)} == {PLAIN}
    assert journal.notes("run")[0].text == "words"


def test_an_unresolved_order_of_before_still_holds_its_login(old):
    answer = old.open().claim(intent(THIRD_PLAN), "run", this_process())
    assert isinstance(answer, Held)
    assert answer.entry.intent.order.client_order_id == OTHER_PLAN


def test_further_terms_are_written_and_come_back(old):
    journal = old.open()
    assert isinstance(journal.claim(with_instructions(THIRD_PLAN), "run", this_process()), Claimed)
    journal.append([report(ReportKind.REPLACED, THIRD_PLAN, trigger_price=Decimal(5910))])
    journal.verify()
    entry = old.open().entry(ClientOrderId(THIRD_PLAN))
    assert entry.intent.order.instructions == FURTHER
    assert entry.state.trigger_price == Decimal(5910)


def test_no_terms_are_written_as_none_at_all(old):
    old.open().claim(with_instructions(THIRD_PLAN, PLAIN), "run", this_process())
    assert [tuple(row) for row in old.run("SELECT DISTINCT instructions FROM orders")] == [(None,)]


def test_terms_that_have_changed_are_damage(place):
    journal = place.open()
    journal.claim(with_instructions(THIRD_PLAN), "run", this_process())
    if place.server is None:
        place.run("DROP TRIGGER orders_never_update")
    else:
        place.run("ALTER TABLE orders DISABLE TRIGGER never")
    for changed in ("NULL", "'{}'"):
        place.run(f"UPDATE orders SET instructions = {changed}")  # noqa: S608 - our own words
        for read in (journal.verify, journal.entries):
            with pytest.raises(JournalDamaged, match="not as it was written"):
                read()


def test_nothing_can_be_changed_afterwards_either(old):
    old.open().entries()
    with pytest.raises(Exception, match="append-only"):
        old.run("UPDATE orders SET instructions = '{}'")


def test_one_that_was_brought_up_looks_to_the_letter_like_a_new_one(old_file, tmp_path):
    described = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    old_file.open().entries()
    new = Place(tmp_path / "new" / "journal.db", None)
    new.open().entries()
    assert old_file.run(described) == new.run(described)
    assert old_file.run("PRAGMA user_version") == new.run("PRAGMA user_version") == [(schema.VERSION,)]
    new.close()


def test_in_postgresql_both_have_the_same_columns(postgres_place):
    query = (
        "SELECT table_name, column_name, data_type, is_nullable, ordinal_position FROM information_schema.columns"
        " WHERE table_schema = 'firstbell' ORDER BY table_name, ordinal_position"
    )
    journal_version2.make(postgres_place)
    postgres_place.open().entries()
    new = Place(postgres_place.where.path, postgres_place.server)
    new.open().entries()
    assert postgres_place.run(query) == new.run(query)
    assert [row[0] for row in postgres_place.run("SELECT version FROM version ORDER BY 1")] == [2, 3]
    new.close()


def _open(where, barrier, results):
    journal = where.open()
    barrier.wait()
    try:
        results.put(len(journal.entries()))
    except JournalError as error:
        results.put(str(error))
    journal.close()


def test_several_processes_that_come_at_once_bring_it_up_once(old):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    children = [context.Process(target=_open, args=(old.where, barrier, results), daemon=True) for _ in range(4)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [2, 2, 2, 2]
    for child in children:
        child.join()
    journal = old.open()
    journal.verify()
    assert version_of(old) == 3


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER planted AFTER INSERT ON reports BEGIN INSERT INTO notes (run_id) VALUES ('x'); END",
        "CREATE TABLE planted (x)",
        "DROP TRIGGER orders_never_update",
        "DROP INDEX orders_by_day",
        "ALTER TABLE orders ADD COLUMN instructions TEXT",
        "ALTER TABLE orders ADD COLUMN more TEXT",
    ],
)
def test_an_old_one_whose_tables_are_not_as_they_were_made_is_refused_and_left_alone(old_file, planted):
    old_file.run(planted)
    with pytest.raises(JournalDamaged, match="is damaged"):
        old_file.open().entries()
    assert old_file.run("PRAGMA user_version") == [(2,)]


@pytest.mark.parametrize("table", ["orders", "reports", "notes", "runs"])
def test_a_row_that_has_changed_before_is_found_afterwards(old_file, table):
    column = {"orders": "price", "reports": "kind", "notes": "text", "runs": "results_dir"}[table]
    (made,) = old_file.run(f"SELECT sql FROM sqlite_schema WHERE name = '{table}_never_update'")[0]  # noqa: S608
    old_file.run(f"DROP TRIGGER {table}_never_update")
    old_file.run(f"UPDATE {table} SET {column} = 'CANCELED' WHERE seq = 1")  # noqa: S608 - our own names
    old_file.run(made)
    journal = old_file.open()
    with pytest.raises(JournalDamaged, match=f"row 1 of the journal's {table} .* not as it was written"):
        journal.verify()


def test_a_report_on_no_order_is_damage_in_an_old_one_too(old_file):
    old_file.run("DROP TRIGGER reports_never_update")
    old_file.run("UPDATE reports SET client_order_id = 'another' WHERE kind = 'ACCEPTED'")
    old_file.run(
        "CREATE TRIGGER reports_never_update BEFORE UPDATE ON reports "
        "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    )
    with pytest.raises(JournalDamaged, match="is damaged"):
        old_file.open().entries()
    assert old_file.run("PRAGMA user_version") == [(2,)]


def test_what_cannot_be_brought_up_stays_as_it_was(old_file, monkeypatch):
    before = old_file.run("SELECT sql FROM sqlite_schema")
    monkeypatch.setattr(
        schema, "bringing_up", lambda _: "ALTER TABLE orders ADD COLUMN instructions TEXT;\nNONSENSE;\n"
    )
    with pytest.raises(JournalError, match="cannot be used"):
        old_file.open().entries()
    monkeypatch.undo()
    assert old_file.run("SELECT sql FROM sqlite_schema") == before
    assert len(old_file.open().entries()) == 2


def test_one_that_does_not_look_afterwards_as_it_should_is_damaged(old_file, monkeypatch):
    monkeypatch.setattr(schema, "bringing_up", lambda _: "PRAGMA user_version = 3;\n")
    with pytest.raises(JournalDamaged):
        old_file.open().entries()


@pytest.mark.parametrize("version", [1, 4, 99])
def test_one_of_another_version_is_refused_by_its_number(old_file, version):
    old_file.run(f"PRAGMA user_version = {version}")
    with pytest.raises(JournalError, match=f"is of version {version}, and this firstbell reads version 3"):
        old_file.open().entries()


def test_a_user_who_does_not_own_the_tables_is_told_who_may(postgres_place):
    journal_version2.make(postgres_place)
    server = postgres_place.server
    for statement in (
        "CREATE USER guest PASSWORD 'guests-own'",
        "GRANT USAGE ON SCHEMA firstbell TO guest",
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA firstbell TO guest",
    ):
        server.run(statement, postgres_place.database)
    guest = replace(postgres_place.where, url=server.url(postgres_place.database, user="guest", password="guests-own"))
    journal = guest.open()
    try:
        with pytest.raises(JournalError, match="could not be brought up to version 3; let their owner open"):
            journal.entries()
        postgres_place.open().entries()
        assert len(journal.entries()) == 2
    finally:
        journal.close()
        server.run("DROP OWNED BY guest; DROP USER guest", postgres_place.database)


def test_one_that_another_process_is_just_bringing_up_is_waited_for(old_file):
    other = sqlite3.connect(old_file.where.path, isolation_level=None, check_same_thread=False)
    with contextlib.closing(other):
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        for statement in schema.bringing_up(2).splitlines():
            other.execute(statement)
        timer = threading.Timer(0.05, other.execute, ["COMMIT"])
        timer.start()
        assert len(old_file.open().entries()) == 2
        timer.join()
