"""The journal's database in memory: the product's own tables and transactions, and a disk that can be full."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from firstbell.errors import JournalError
from firstbell.journal import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstbell.journal.base import Owner
    from firstbell.journal.store import Session, T
    from simulation.process import Process
    from simulation.world import World


class Database:
    """One journal's tables, which all processes of the machine share."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.executescript(schema.SCRIPT)

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()

    def everything(self) -> list[str]:
        """Every row of every table as text."""
        return [
            str(tuple(row))
            for table in ("runs", "orders", "reports", "notes")
            for row in self.connection.execute(f"SELECT * FROM {table} ORDER BY seq")  # noqa: S608 - our own names  # nosec B608
        ]


class SimulatedStore:
    """A `firstbell.journal.store.Store` of one process.

    Args:
        process: Whose it is.
        database: The tables.
    """

    is_local = True
    out_of_sight_ns = 0

    def __init__(self, process: Process, database: Database) -> None:
        self._process = process
        self._database = database

    def read(self, work: Callable[[Session], T]) -> T:
        """Do a piece of work that only reads."""
        self._process.step("journal read")
        self._fail_if_told("reading", self._process.world.weather.journal_read_fails)
        return work(DatabaseSession(self._process.world, self._database.connection))

    def write(self, work: Callable[[Session], T], plans: Sequence[str] = ()) -> T:
        """Do a piece of work and keep what it added, all or nothing."""
        del plans
        process, db = self._process, self._database.connection
        process.step("journal write")
        process.pause(process.world.weather.disk_ns(process.world.chance))
        self._fail_if_told("writing", process.world.weather.journal_write_fails)
        db.execute("BEGIN IMMEDIATE")
        try:
            result = work(DatabaseSession(process.world, db))
            process.step("before commit")
        except BaseException:
            db.rollback()
            raise
        db.commit()
        process.step("after commit")
        return result

    def close(self) -> None:
        """Nothing is held."""

    def _fail_if_told(self, what: str, told: Callable[[int], bool]) -> None:
        world = self._process.world
        if told(world.since_bell_ns()):
            self._process.failures += 1
            world.count(f"journal fails {what}")
            world.say(self._process.name, f"the journal fails {what}")
            raise JournalError(f"the journal cannot be used: disk I/O error while {what}")


class DatabaseSession:
    """A `firstbell.journal.store.Session`.

    Args:
        world: Knows who lives.
        db: The tables.
    """

    def __init__(self, world: World, db: sqlite3.Connection) -> None:
        self._world = world
        self._db = db

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        return self._db.execute(query, values).fetchall()

    def reports_of(self, client_order_ids: Sequence[str]) -> list[sqlite3.Row]:
        """The rows of all reports on some orders."""
        query = "SELECT * FROM reports WHERE client_order_id = ? ORDER BY seq"
        return [row for name in client_order_ids for row in self._db.execute(query, (name,))]

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows."""
        columns, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
        query = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names  # nosec B608
        for row in rows:
            self._db.execute(query, tuple(row.values()))

    def alive(self, owner: Owner) -> bool:
        """Whether the owner's process still lives."""
        return self._world.is_alive(owner)

    def is_settled(self) -> bool:
        """Whether nobody is writing just now: one at a time does."""
        return True


class TrueStore:
    """A `firstbell.journal.store.Store` that nothing befalls, only for reading.

    Args:
        world: Knows who lives.
        database: The tables.
    """

    is_local = True
    out_of_sight_ns = 0

    def __init__(self, world: World, database: Database) -> None:
        self._session = DatabaseSession(world, database.connection)

    def read(self, work: Callable[[Session], T]) -> T:
        """Do a piece of work that only reads."""
        return work(self._session)

    def write(self, work: Callable[[Session], T], plans: Sequence[str] = ()) -> T:
        """Refuse: what is true is not written here."""
        raise NotImplementedError(f"the truth is only read: {work}, {plans}")

    def close(self) -> None:
        """Nothing is held."""
