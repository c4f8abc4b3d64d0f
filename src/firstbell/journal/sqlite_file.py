"""The journal's SQLite file: opened, checked, made where it is missing, and waited for where others can go on."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING

from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal import schema, wal_file

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_S = 10.0
"""How long another process may hold the file before we give up, in seconds."""
_POLL_S = 0.01
_LEAST_FREE = 1 << 18
"""With fewer bytes free than this the disk is as good as full: a few pages and what SQLite keeps beside the file."""
_PAGES = 2_000
"""So many pages, 8 MiB, come together in the write-ahead log."""
_DAMAGE = ("malformed", "not a database", "corrupt", "could not decode")


def open_file(path: Path) -> sqlite3.Connection:
    """Open the journal's file; it and its folder are made, for their owner alone, where they are missing.

    Raises:
        JournalDamaged: Its contents cannot be trusted.
        JournalError: It is of another version.
        sqlite3.Error: SQLite cannot use it.
        OSError: The system does not let us have it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here, not by SQLite, so that it is never for a moment readable by others; SQLite copies the mode to -wal.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    for companion in ("-wal", "-shm", "-journal"):
        # SQLite itself would follow one, and write where it leads.
        if path.with_name(path.name + companion).is_symlink():
            raise JournalError(f"{path}{companion} is a symbolic link: remove it")
    if wal_file.is_damaged(path):
        raise JournalDamaged(_damaged(path))
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def begin(db: sqlite3.Connection) -> None:
    """Begin to write. SQLite itself would wait in C and stop every greenlet; we wait where others can go on."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(_POLL_S)
        else:
            return


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    _into_wal_mode(db)
    # A claim must survive the machine losing its power, not only the process dying.
    db.execute("PRAGMA synchronous = FULL")
    # What has come together is moved into the file less often than SQLite would: the order during which that happens
    # waits for it. Not much less often, for whoever opens the file reads all of it.
    db.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA trusted_schema = OFF")
    if _version(db) == 0:
        _make_tables(db)
    # At one instant: another process may be bringing it up.
    db.execute("BEGIN")
    version, tables = _version(db), _tables(db)
    db.rollback()
    if not schema.OLDEST <= version <= schema.VERSION:
        raise JournalError(
            f"the journal {path} is of version {version}, and this firstbell reads version {schema.VERSION}: move "
            "it aside when none of its orders is open"
        )
    _check(db, path, as_written=tables == _written_tables(version))
    if version < schema.VERSION:
        _bring_up(db)
        _check(db, path, as_written=_tables(db) == _written_tables(schema.VERSION))


def _check(db: sqlite3.Connection, path: Path, *, as_written: bool) -> None:
    """See that the file is what was written, as far as a database can tell.

    Raises:
        JournalDamaged: It is not.
    """
    if not as_written:
        raise JournalDamaged(_damaged(path))
    # Not the quick one: an order that an index does not show would be claimed again.
    verdict = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise JournalDamaged(_damaged(path))
    # Nobody would ever read, and so check, a report on an order that is not there.
    if db.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise JournalDamaged(_damaged(path))


def _tables(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """How the tables are described in the file: one turned letter there changes what is read and what is unique."""
    query = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
    return [tuple(row) for row in db.execute(query)]


@functools.cache
def _written_tables(version: int) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(schema.SCRIPT if version == schema.VERSION else schema.OLD_TABLES)
        return _tables(db)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _make_tables(db: sqlite3.Connection) -> None:
    """Several processes may come to an empty file at once: one makes the tables, the others find them made."""
    until = time.monotonic() + _BUSY_S
    while _version(db) == 0:
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] and _version(db) == 0:
            raise sqlite3.DatabaseError("corrupt: tables without a version")
        try:
            db.executescript(schema.SCRIPT)
        except sqlite3.OperationalError:
            db.rollback()
            if time.monotonic() >= until:
                raise
            time.sleep(_POLL_S)


def _bring_up(db: sqlite3.Connection) -> None:
    """Make an older journal into one of this version; several processes may come to it at once, and one does it."""
    begin(db)
    try:
        version = _version(db)
        if version < schema.VERSION:
            for statement in schema.bringing_up(version).splitlines():
                db.execute(statement)
    except BaseException:
        db.rollback()
        raise
    db.commit()


def _into_wal_mode(db: sqlite3.Connection) -> None:
    """Two processes that open a new file at once can meet here, and SQLite does not wait by itself for this one."""
    for pause_s in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(pause_s)
        else:
            return
    db.execute("PRAGMA journal_mode = WAL")


def _remark(path: Path) -> str:
    """SQLite says of some writes on a full disk only that they failed."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return ""
    return "; its disk is full" if free < _LEAST_FREE else ""


def _damaged(path: Path) -> str:
    return f"the journal {path} is damaged; nothing is sent until a person has moved it aside and checked the broker"


class Translated:
    """Turns what SQLite and the system raise within it into errors of our own; it can be entered again and again.

    Args:
        path: The file.

    Raises:
        JournalDamaged: The contents cannot be trusted.
        JournalError: The file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Raise what an error means."""
        if isinstance(error, sqlite3.DatabaseError):
            if any(word in str(error).lower() for word in _DAMAGE):
                raise JournalDamaged(_damaged(self._path)) from error
            raise JournalError(f"the journal {self._path} cannot be used: {error}{_remark(self._path)}") from error
        if isinstance(error, UnicodeDecodeError):
            # Python could not even read what SQLite says: it quotes what stands in the file.
            raise JournalDamaged(_damaged(self._path)) from error
        if isinstance(error, OSError):
            raise JournalError(f"the journal {self._path} cannot be opened: {error.strerror}") from error
