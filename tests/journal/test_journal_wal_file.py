"""The log beside a SQLite file, frame by frame: what a power cut may leave there, and what only damage can."""

from __future__ import annotations

import sqlite3
import struct

import pytest

from firstbell.journal import wal_file
from firstbell.journal.wal_file import is_damaged

PAGE = 512
FRAME = 24 + PAGE


@pytest.fixture
def database(tmp_path):
    """A database of pages of 512 bytes, whose log holds three transactions of two frames or more each."""
    live = tmp_path / "live.db"
    db = sqlite3.connect(live, isolation_level=None)
    db.execute(f"PRAGMA page_size = {PAGE}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (x)")
    for number in range(3):
        db.execute("INSERT INTO t VALUES (?)", ("x" * 600 + str(number),))
    path = tmp_path / "a.db"
    path.write_bytes(live.read_bytes())
    (tmp_path / "a.db-wal").write_bytes((tmp_path / "live.db-wal").read_bytes())
    db.close()
    return path


def log_of(database):
    return database.with_name("a.db-wal")


def rewritten(database, change):
    log = bytearray(log_of(database).read_bytes())
    change(log)
    log_of(database).write_bytes(bytes(log))
    return is_damaged(database)


def turned(at):
    def change(log):
        log[at] ^= 1

    return change


def frames(database):
    return (len(log_of(database).read_bytes()) - 32) // FRAME


def test_what_sqlite_wrote_is_whole(database):
    log = log_of(database).read_bytes()
    assert frames(database) > 4
    assert len(log) == 32 + frames(database) * FRAME
    assert not is_damaged(database)
    # Every page is followed by its own checksum, the smallest page is one, and there is no frame too many.
    assert struct.unpack_from(">I", log, 8) == (PAGE,)


def test_without_a_log_and_with_one_that_was_never_begun(database):
    log = log_of(database).read_bytes()
    for length in (0, 31):
        log_of(database).write_bytes(log[:length])
        assert not is_damaged(database)
    log_of(database).unlink()
    assert not is_damaged(database)


def test_a_log_of_nothing_but_its_head_is_checked(database):
    log = log_of(database).read_bytes()
    log_of(database).write_bytes(log[:32])
    assert not is_damaged(database)
    log_of(database).write_bytes(log[:31] + bytes([log[31] ^ 1]))
    assert is_damaged(database)


@pytest.mark.parametrize("at", [0, 3, 8, 10, 11, 12, 16, 23, 24, 31])
def test_a_bit_turned_in_its_head(database, at):
    assert rewritten(database, turned(at))


@pytest.mark.parametrize(("size", "damaged"), [(256, True), (0, True), (1000, True)])
def test_a_page_of_an_impossible_size(database, size, damaged):
    def change(log):
        struct.pack_into(">I", log, 8, size)
        sums = wal_file._sums(bytes(log[:24]), (0, 0), "<" if log[3] == 0x82 else ">")
        struct.pack_into(">2I", log, 24, *sums)

    assert rewritten(database, change) is damaged


@pytest.mark.parametrize("at", [0, 7, 8, 15, 16, 23, 24, FRAME - 1])
def test_a_bit_turned_in_a_frame_that_others_follow(database, at):
    assert rewritten(database, turned(32 + at))


@pytest.mark.parametrize("at", [8, 15, 16, 23, 24, FRAME - 1])
def test_a_bit_turned_in_the_last_frame_of_all_is_damage_too(database, at):
    """It ends a transaction that was told to be done, and still bears this log's mark."""
    last = 32 + (frames(database) - 1) * FRAME
    assert rewritten(database, turned(last + at))


def test_a_torn_end_is_none(database):
    log = log_of(database).read_bytes()
    for cut in (1, PAGE, FRAME - 1):
        log_of(database).write_bytes(log[:-cut])
        assert not is_damaged(database)


def test_a_torn_write_that_no_transaction_ends_behind_is_none(database):
    def change(log):
        last = 32 + (frames(database) - 1) * FRAME
        log[last + 24] ^= 1
        # Not the last of its transaction: it names no size.
        log[last + 4 : last + 8] = bytes(4)

    assert not rewritten(database, change)


@pytest.mark.parametrize(("salts", "damaged"), [((8, 12), True), ((12, 16), True), ((8, 16), False)])
def test_frames_of_an_earlier_log_are_no_part_of_this_one(database, salts, damaged):
    """A log is written over from its start; of what is left behind, both salts are others."""

    def change(log):
        last = 32 + (frames(database) - 1) * FRAME
        for at in range(*salts):
            log[last + at] ^= 0xFF

    assert rewritten(database, change) is damaged


def test_both_orders_of_bytes_are_read(database):
    def change(log):
        other = 0x377F0683 if log[3] == 0x82 else 0x377F0682
        words = ">" if other == 0x377F0683 else "<"
        struct.pack_into(">I", log, 0, other)
        sums = wal_file._sums(bytes(log[:24]), (0, 0), words)
        struct.pack_into(">2I", log, 24, *sums)
        for at in range(32, len(log), FRAME):
            sums = wal_file._sums(bytes(log[at : at + 8]), sums, words)
            sums = wal_file._sums(bytes(log[at + 24 : at + FRAME]), sums, words)
            struct.pack_into(">2I", log, at + 16, *sums)

    assert not rewritten(database, change)
    assert rewritten(database, turned(32 + 24))


@pytest.mark.parametrize(("size", "damaged"), [(0, True), (1, True), (511, True), (512, False)])
def test_a_file_shorter_than_a_page_beside_a_log(database, size, damaged):
    database.write_bytes(database.read_bytes()[:size])
    assert is_damaged(database) is damaged


def test_an_empty_file_without_a_log_is_a_new_one(database):
    database.write_bytes(b"")
    log = log_of(database).read_bytes()
    log_of(database).write_bytes(log[:31])
    assert not is_damaged(database)
    log_of(database).unlink()
    assert not is_damaged(database)


def test_what_looks_damaged_is_looked_at_three_times(database, monkeypatch):
    log = log_of(database).read_bytes()
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    assert rewritten(database, turned(40))
    assert pauses == [0.02, 0.02]
    # It was only being written: the second look finds it whole.
    monkeypatch.setattr("time.sleep", lambda _: log_of(database).write_bytes(log))
    assert not is_damaged(database)
