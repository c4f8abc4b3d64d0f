"""A journal whose bytes have changed on disk: it says what was written, or refuses; it never says something else."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from typing import TYPE_CHECKING

import pytest
from journal_orders import AT, PLAN, SQL_ERRORS, Place, accepted, intent, report

from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal.base import Note, RunLine, RunRecord
from firstbell.journal.owner import this_process
from firstbell.journal.wal_file import is_damaged
from firstbell.model.order_status import ReportKind
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from pathlib import Path

LINES = (RunLine("Order_A", "gs", "IRO1MHRN0001", Side.BUY),)
FRAME = 24 + 4096


def write(journal):
    """A day's orders: placed ones, an unresolved one, and last a claim."""
    journal.begin_run(RunRecord("run", AT, LINES, "/results"))
    for number in range(12):
        journal.claim(intent(f"{PLAN}{number}"), "run", this_process())
        accepted(journal, f"{PLAN}{number}", venue=str(number))
        journal.note("run", [Note("Order_A", "warning", f"note {number} " + "x" * 200)])
    journal.claim(intent(f"{PLAN}-unresolved"), "run", this_process())
    journal.append([report(ReportKind.SUBMITTED, f"{PLAN}-unresolved")])
    journal.append([report(ReportKind.UNRESOLVED, f"{PLAN}-unresolved", reason="no answer")])
    journal.claim(intent(f"{PLAN}-last"), "run", this_process())


def contents(journal):
    entries = journal.entries()
    names = [entry.intent.order.client_order_id for entry in entries]
    # Each one by the indexes as well, by which a claim looks for it.
    assert [journal.entry(name) for name in names] == list(entries)
    return (
        journal.newest_run(),
        journal.run("run"),
        journal.notes("run"),
        entries,
        journal.open_entries(),
        [journal.reports(name) for name in names],
    )


def held(journal):
    """What a claim on each plan comes to; nothing that is written may ever be granted again."""
    plans = [*(f"{PLAN}{number}" for number in range(12)), f"{PLAN}-unresolved", f"{PLAN}-last"]
    return [type(journal.claim(intent(plan), "later", this_process())).__name__ for plan in plans]


class Copy:
    """The files of a journal, to be damaged again and again."""

    def __init__(self, folder: Path, *, logged: bool) -> None:
        self.place = Place(folder / "written" / "journal.db", None)
        journal = self.place.open()
        write(journal)
        if not logged:
            journal.close()
        path = self.place.where.path
        self.files = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
        self.expected = contents(journal), held(journal)
        self.place.close()
        self.path = folder / "damaged" / "journal.db"
        self.path.parent.mkdir()

    @contextlib.contextmanager
    def with_file(self, name: str, data: bytes):
        for file in self.path.parent.iterdir():
            file.unlink()
        for each, written in {**self.files, name: data}.items():
            (self.path.parent / each).write_bytes(written)
        place = Place(self.path, None)
        try:
            yield place.open()
        finally:
            place.close()

    def survives(self, name: str, data: bytes) -> bool:
        """Whether the journal can still be read; then it says what was written. Else it refuses."""
        with self.with_file(name, data) as journal:
            try:
                found = contents(journal), held(journal)
            except JournalError:
                return False
            assert found == self.expected
            return True


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def chance_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - damage is to be repeatable, not unguessable


def places(data: bytes, chance: random.Random, each: int, every: int = 1):
    """So many places in each page, or in every so many-th."""
    for page in range(0, len(data), 4096 * every):
        for _ in range(each):
            yield min(page + chance.randrange(4096), len(data) - 1), chance.randrange(8)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bit_turned_in_the_file(tmp_path, seed):
    copy = Copy(tmp_path, logged=False)
    assert list(copy.files) == ["journal.db"]
    data = copy.files["journal.db"]
    refused = [
        (at, bit)
        for at, bit in places(data, chance_of(seed), 12)
        if not copy.survives("journal.db", flipped(data, at, bit))
    ]
    assert refused


def test_a_bit_turned_in_any_row_is_found(tmp_path):
    copy = Copy(tmp_path, logged=False)
    data = copy.files["journal.db"]
    for text in (b"5860", b"UNRESOLVED", b"no answer", b"Order_A", b"note 7", b"/results", b'"serialNumber'):
        at = data.index(text)
        assert not copy.survives("journal.db", flipped(data, at + len(text) - 1, 0)), text


def test_a_bit_turned_in_the_log(tmp_path):
    copy = Copy(tmp_path, logged=True)
    log = copy.files["journal.db-wal"]
    chance = chance_of(3)
    survived = [
        at
        for at, bit in places(log, chance, 1, every=len(log) // 4096 // 24)
        if copy.survives("journal.db-wal", flipped(log, at, bit))
    ]
    assert survived == []


def test_a_torn_tail_is_dropped(tmp_path):
    copy = Copy(tmp_path, logged=True)
    log = copy.files["journal.db-wal"]
    commits = [at for at in range(32, len(log), FRAME) if log[at + 4 : at + 8] != bytes(4)]
    whole, last = commits[-2] + FRAME, commits[-1]
    chance = chance_of(4)
    for length in [whole, len(log) - 1, last, *(chance.randrange(whole, len(log)) for _ in range(10))]:
        with copy.with_file("journal.db-wal", log[:length]) as journal:
            names = [entry.intent.order.client_order_id for entry in journal.entries()]
            assert names == [name for name in names if name != f"{PLAN}-last"]
            assert len(names) == 13


def test_blocks_of_the_last_write_that_never_reached_the_disk(tmp_path):
    copy = Copy(tmp_path, logged=True)
    log = copy.files["journal.db-wal"]
    commits = [at for at in range(32, len(log), FRAME) if log[at + 4 : at + 8] != bytes(4)]
    zeros = log[: commits[-2] + FRAME] + bytes(len(log) - commits[-2] - FRAME)
    with copy.with_file("journal.db-wal", zeros) as journal:
        assert len(journal.entries()) == 13


@pytest.mark.parametrize("kept", [0, 1, 100, 4096, 3 * 4096, -4096, -1])
def test_a_file_cut_short_is_refused(tmp_path, kept):
    copy = Copy(tmp_path, logged=False)
    data = copy.files["journal.db"]
    with copy.with_file("journal.db", data[:kept]) as journal:
        if kept == 0:
            # Nothing tells an empty file from a new one.
            assert journal.entries() == ()
        else:
            with pytest.raises(JournalDamaged, match="damaged"):
                contents(journal)


def test_an_empty_file_with_a_log_is_refused(tmp_path):
    copy = Copy(tmp_path, logged=True)
    with copy.with_file("journal.db", b"") as journal, pytest.raises(JournalDamaged, match="damaged"):
        journal.entries()


def test_a_version_that_was_turned_to_none_is_refused(tmp_path):
    copy = Copy(tmp_path, logged=False)
    data = copy.files["journal.db"]
    with (
        copy.with_file("journal.db", data[:60] + bytes(4) + data[64:]) as journal,
        pytest.raises(JournalDamaged, match="damaged"),
    ):
        journal.entries()


def test_a_log_that_another_process_is_writing_is_no_damage(tmp_path):
    copy = Copy(tmp_path, logged=True)
    journal = copy.place.open()
    journal.claim(intent(f"{PLAN}-more"), "run", this_process())
    assert not is_damaged(copy.place.where.path)
    copy.place.close()


def test_a_log_begun_anew_over_an_old_one(tmp_path):
    place = Place(tmp_path / "journal.db", None)
    journal = place.open()
    write(journal)
    with contextlib.closing(sqlite3.connect(place.where.path)) as db:
        db.execute("PRAGMA wal_checkpoint(RESTART)")
    before = place.where.path.with_name("journal.db-wal").stat().st_size
    journal.note("run", [Note("Order_A", "warning", "after")])
    log = place.where.path.with_name("journal.db-wal").read_bytes()
    assert len(log) == before
    assert not is_damaged(place.where.path)
    place.where.path.with_name("journal.db-wal").write_bytes(flipped(log, 32 + 24 + 50, 3))
    assert is_damaged(place.where.path)
    place.close()


@pytest.mark.parametrize("table", ["runs", "orders", "reports", "notes"])
def test_a_row_that_has_changed_is_named(place, table):
    journal = place.open()
    write(journal)
    journal.verify()
    changes = {"runs": "lines", "orders": "price", "reports": "facts", "notes": "text"}
    if place.server is None:
        place.run(f"DROP TRIGGER {table}_never_update")
    else:
        place.run(f"ALTER TABLE {table} DISABLE TRIGGER never")
    place.run(f"UPDATE {table} SET {changes[table]} = '5861' WHERE seq = 1")  # noqa: S608 - our own names
    for read in (journal.verify, lambda: contents(journal)):
        with pytest.raises(JournalDamaged, match=f"row 1 of the journal's {table} .* not as it was written"):
            read()


def test_a_row_without_a_digest_cannot_be_written(place):
    place.open().begin_run(RunRecord("run", AT, LINES, "/results"))
    columns = "run_id, account, kind, text, client_order_id"
    with pytest.raises(SQL_ERRORS):
        place.run(f"INSERT INTO notes ({columns}) VALUES ('run', 'Order_A', 'finished', NULL, NULL)")  # noqa: S608
