"""The one file in which a paper market lives between processes, and its lock.

An SQLite database of rows: a kind, a name, a line of JSON. Each turn of the market is one transaction, which is also
what keeps processes apart; it is opened for the turn alone, so that nothing of it is left over in a fork.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from firstbell.errors import NotSent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

WAIT_S: Final = 5.0
"""Seconds to wait for another process's turn; each takes a few milliseconds."""
_POLL_S: Final = 0.002
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS paper (kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, "
    "PRIMARY KEY (kind, name)) WITHOUT ROWID"
)


class PaperFile:
    """A paper market's file.

    Args:
        path: Where it is; it is made where it is missing, for its owner alone. Its folder is made likewise.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def turn(self) -> Iterator[Rows]:
        """Hold the file. What is written is kept where the block ends well, and not at all where it does not.

        Raises:
            NotSent: It cannot be had, or not be written: then nothing has happened.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here, not by SQLite, so that it is never for a moment readable by others.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            with closing(sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)) as db:
                db.execute("PRAGMA trusted_schema = OFF")
                # It has to outlive this process, not the machine's losing its power: there is no money in it.
                # It reads the file for that, which may just be held.
                _patiently(db, "PRAGMA synchronous = OFF")
                _patiently(db, "BEGIN IMMEDIATE")
                db.execute(_TABLE)
                yield Rows(db)
                # Whoever is just about to begin reads for a moment, and a commit waits for readers.
                _patiently(db, "COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise NotSent(f"the paper market's file {self.path} cannot be used: {error}", host="paper") from error


class Rows:
    """The rows of a file that is held."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def one(self, kind: str, name: str = "") -> str | None:
        """The body of one row."""
        found = self._db.execute("SELECT body FROM paper WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return None if found is None else str(found[0])

    def all(self, kind: str) -> list[str]:
        """The bodies of all rows of a kind."""
        found = self._db.execute("SELECT body FROM paper WHERE kind = ?", (kind,))
        return [str(body) for (body,) in found]

    def write(self, kind: str, rows: Iterable[tuple[str, str]]) -> None:
        """Write rows of a kind, each a name and a body, over those that are there."""
        self._db.executemany("INSERT OR REPLACE INTO paper VALUES (?, ?, ?)", ((kind, *row) for row in rows))

    def drop(self, kind: str, names: Iterable[str]) -> None:
        """Take rows of a kind away, where they are there."""
        self._db.executemany("DELETE FROM paper WHERE kind = ? AND name = ?", ((kind, name) for name in names))


def _patiently(db: sqlite3.Connection, command: str) -> None:
    """Do what needs the file, once it is free. SQLite itself would wait in C and stop every greenlet."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            db.execute(command)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(_POLL_S)
        else:
            return
