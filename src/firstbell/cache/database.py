"""The SQLite database beneath the cache, trusted no further than it can be checked.

`diskcache.Cache` believes its own database: rows of the ``Settings`` table become attributes of the cache object and
SQL of ``PRAGMA`` statements, and triggers run whatever they say. So each connection first compares the schema with the
one that diskcache itself would make, and no setting is ever taken from the database.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, Final

import diskcache
from diskcache.core import DBNAME, DEFAULT_SETTINGS, ENOVAL, METADATA

from firstbell.cache.disk import TextDisk

SETTINGS: Final = {
    **DEFAULT_SETTINGS,
    # Nothing is evicted, neither before its time nor, by the way, after it: there are never more than a few hundred
    # short rows, and `cache clean` is to find what it says it removes.
    "eviction_policy": "none",
    "cull_limit": 0,
    # A mapped file that another process cuts short ends this process with SIGBUS.
    "sqlite_mmap_size": 0,
    "sqlite_cache_size": 256,
}
"""Every setting, ours: what the database says about itself is ignored."""

BUSY_S: Final = 10.0
"""Seconds to wait for another process's write; each takes well under a millisecond."""

_DAMAGE: Final = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH}
)
"""Primary result codes that speak of the database itself. SQLITE_ERROR among them: our SQL is right for our schema."""

_INHERITED: Final[list[sqlite3.Connection]] = []
"""Connections of a parent process. SQLite forbids even closing them after a fork, so they are kept, unused."""


class DamagedDatabase(Exception):  # noqa: N818 - a finding; it never leaves this room
    """The database is not one that this room made."""


class GuardedCache(diskcache.Cache):  # type: ignore[misc] # diskcache has no types
    """A `diskcache.Cache` on one checked connection; whoever uses it lets in one caller at a time.

    Args:
        directory: The cache's folder, which exists.

    Raises:
        DamagedDatabase: The database is not one that this room made.
        sqlite3.Error: SQLite cannot use it.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / DBNAME
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        super().__init__(str(directory), disk=TextDisk, **SETTINGS)

    @property
    def _con(self) -> sqlite3.Connection:
        """The connection of this process, opened and checked when first asked for."""
        if self._connection is not None and self._pid != os.getpid():
            _INHERITED.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._pid = os.getpid()
            self._connection = self._connect()
            for key in SETTINGS:
                if key.startswith("sqlite_"):
                    # Some of them hold for one connection only.
                    self.reset(key, SETTINGS[key], update=False)
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        # diskcache keeps a connection for each thread, which nobody can close later. One for all, behind the lock of
        # `TtlCache`, can be closed, and a thousand greenlets need one file handle instead of a thousand.
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = _text_or_bytes
            connection.execute("PRAGMA trusted_schema = OFF")
            # What is removed from the cache, tokens above all, is gone from the file.
            connection.execute("PRAGMA secure_delete = ON")
            _examine(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def reset(self, key: str, value: Any = ENOVAL, update: bool = True) -> Any:
        """Set a setting to our value for it, or read one of diskcache's own counters; nothing else can be set."""
        if key in SETTINGS:
            return super().reset(key, SETTINGS[key], update)
        if key in METADATA:
            return super().reset(key, value, update)
        raise DamagedDatabase(f"an unknown setting of {len(key)} characters")

    def close(self) -> None:
        """Close the connection; it is opened again when needed."""
        connection, self._connection = self._connection, None
        if connection is not None and self._pid == os.getpid():
            connection.close()

    def rows(self) -> list[tuple[object, ...]]:
        """Key, raw flag, store time, expiry time, mode, file name and value of every row, unchecked."""
        select = "SELECT key, raw, store_time, expire_time, mode, filename, value FROM Cache"
        rows: list[tuple[object, ...]] = self._sql(select).fetchall()
        return rows

    def drop(self, key: object) -> None:
        """Remove the rows of a key, living or not, whatever they hold."""
        self._sql("DELETE FROM Cache WHERE key IS ?", (key,))


class _Template(GuardedCache):
    """A cache in memory, for its schema."""

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None)

    def close(self) -> None:
        """Keep it: a database in memory ends with its connection."""


@functools.cache
def _pristine_schema() -> frozenset[tuple[object, ...]]:
    """Everything that the installed diskcache puts into a database's schema."""
    # diskcache wants a folder that exists; the template writes nothing into it.
    template = _Template(Path(tempfile.gettempdir()))
    try:
        return frozenset(_schema(template._con))  # noqa: SLF001 - our own subclass
    finally:
        GuardedCache.close(template)


def _schema(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()


def _examine(connection: sqlite3.Connection) -> None:
    """Look at a database before anything in it is believed.

    Raises:
        DamagedDatabase: It has a table, index, trigger, view or setting that diskcache would not have made, or SQLite
            finds it damaged.
    """
    schema = _schema(connection)
    # A part of it is fine: the process that was making it may have been stopped.
    if not _pristine_schema().issuperset(schema):
        raise DamagedDatabase("its schema is not ours")
    if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
        raise DamagedDatabase("SQLite finds it damaged")
    if not any(kind == "table" and name == "Settings" for kind, name, *_ in schema):
        return
    for key, value in connection.execute("SELECT key, value FROM Settings").fetchall():
        if type(key) is not str or not (key in SETTINGS or (key in METADATA and type(value) is int)):
            raise DamagedDatabase("its settings are not ours")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite complains of the database, not of the disk, of its permissions or of other users."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and isinstance(code, int) and code & 0xFF in _DAMAGE


def _text_or_bytes(stored: bytes) -> str | bytes:
    """Texts that are not UTF-8 stay bytes, and are then recognized as not ours."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored
