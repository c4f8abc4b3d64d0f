"""The journal in one SQLite file, in WAL mode, for all processes of one machine."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from firstbell.journal.owner import is_alive
from firstbell.journal.sql_journal import SqlJournal
from firstbell.journal.sqlite_file import Translated, begin, open_file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from firstbell.clock import Clock
    from firstbell.journal.base import Owner
    from firstbell.journal.store import Session, T


class SqliteJournal(SqlJournal):
    """A `firstbell.journal.base.Journal` in one file.

    Safe to use from several threads, greenlets and processes, and after a fork: each process opens the file for itself.

    Args:
        path: The file; it and its folder are made, readable by their owner alone, when first needed.
        clock: Tells when a report was written and whether a claim's bell has rung.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(SqliteStore(path), clock)


class SqliteStore:
    """A `firstbell.journal.store.Store` in one file.

    Args:
        path: The file.
    """

    is_local = True
    out_of_sight_ns = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._translated = Translated(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened_by = 0

    def read(self, work: Callable[[Session], T]) -> T:
        """Do a piece of work that only reads."""
        with self._lock, self._translated:
            return work(_SqliteSession(self._open()))

    def write(self, work: Callable[[Session], T], plans: Sequence[str] = ()) -> T:  # noqa: ARG002 - the file has one writer
        """Do a piece of work and keep what it added; SQLite lets one process at a time write."""
        with self._lock, self._translated:
            db = self._open()
            begin(db)
            try:
                result = work(_SqliteSession(db))
            except BaseException:
                db.rollback()
                raise
            db.commit()
            return result

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._opened_by == os.getpid():
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._opened_by != os.getpid():
            self._connection, self._opened_by = open_file(self._path), os.getpid()
        return self._connection


class _SqliteSession:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._db.execute(query, values).fetchall()

    def reports_of(self, client_order_ids: Sequence[str]) -> list[sqlite3.Row]:
        query = "SELECT * FROM reports WHERE client_order_id = ? ORDER BY seq"
        return [row for name in client_order_ids for row in self._db.execute(query, (name,))]

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._db.executemany(_insertion(table, tuple(rows[0])), [tuple(row.values()) for row in rows])

    def alive(self, owner: Owner) -> bool:
        return is_alive(owner)

    def is_settled(self) -> bool:
        return True


@lru_cache(maxsize=16)
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names  # nosec B608
