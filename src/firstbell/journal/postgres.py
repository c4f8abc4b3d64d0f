"""The journal in a PostgreSQL database, for processes on any number of machines."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any, Final, Generic

from firstbell.errors import JournalError
from firstbell.journal.address import Tls
from firstbell.journal.claims import OUT_OF_SIGHT_NS
from firstbell.journal.owner import is_alive, this_process
from firstbell.journal.postgres_wire import ConnectionLost, Wire
from firstbell.journal.sql_journal import SqlJournal
from firstbell.journal.store import T

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from firstbell.clock import Clock
    from firstbell.journal.address import Address
    from firstbell.journal.base import Owner
    from firstbell.journal.store import Row, Session

_LOCKS: Final = 256
"""So many locks stand for all plans: a transaction may write of very many, and a server has room for some thousands."""


class PostgresJournal(SqlJournal):
    """A `firstbell.journal.base.Journal` in a PostgreSQL database.

    Safe to use from several threads, greenlets, processes and machines, and after a fork: each process has one
    connection, made when first needed. What waits for the server lets other greenlets run where gevent has patched the
    sockets.

    Args:
        address: The database.
        clock: Tells when a report was written and whether a claim's bell has rung.
    """

    def __init__(self, address: Address, clock: Clock) -> None:
        super().__init__(PostgresStore(address), clock)


class PostgresStore:
    """A `firstbell.journal.store.Store` in a PostgreSQL database.

    A connection that breaks is made anew once in each call. If it broke while a transaction was being committed, a mark
    that was written with it tells whether it was kept, so that nothing is ever written twice.

    Args:
        address: The database.
    """

    is_local = False
    out_of_sight_ns = OUT_OF_SIGHT_NS

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()
        self._context: ssl.SSLContext | None = None
        self._wire: Wire | None = None
        _stores.add(self)

    def read(self, work: Callable[[Session], T]) -> T:
        """Do a piece of work that only reads."""
        with self._lock:
            try:
                return self._on_wire(lambda wire: work(_PostgresSession(wire)))
            except ConnectionLost:
                return self._on_wire(lambda wire: work(_PostgresSession(wire)))

    def write(self, work: Callable[[Session], T], plans: Sequence[str] = ()) -> T:
        """Do a piece of work and keep what it added; who writes of the same plans waits."""
        transaction = _Transaction(work, plans)
        with self._lock:
            try:
                return self._on_wire(transaction)
            except ConnectionLost:
                return self._again(transaction)

    def close(self) -> None:
        """Hang up; the next call connects again."""
        with self._lock:
            self._drop()

    def after_fork(self) -> None:
        """In a forked child: leave the connection to the parent, whose it is."""
        self._lock = threading.RLock()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.forget()

    def _again(self, transaction: _Transaction[T]) -> T:
        try:
            return self._on_wire(transaction)
        except JournalError as error:
            if not transaction.done:
                raise
            raise JournalError(f"{error}; it is not known whether the last thing was written") from error

    def _on_wire(self, work: Callable[[Wire], T]) -> T:
        if self._wire is None:
            if self._address.tls is not Tls.DISABLE and self._context is None:
                self._context = self._tls_context()
            self._wire = Wire(self._address, self._context, _alive_key(this_process()))
        wire = self._wire
        try:
            return work(wire)
        finally:
            if wire.broken:
                self._drop()

    def _tls_context(self) -> ssl.SSLContext:
        try:
            return self._address.tls_context()
        except OSError as error:
            what = self._address.ca_file or "the system's certificates"
            raise JournalError(f"{self._address}: {what} cannot be read: {error}") from None

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


class _Transaction(Generic[T]):
    """A piece of work that is carried out all or nothing, and that knows afterwards which of both.

    Args:
        work: What to do.
        plans: Whose orders it writes of.

    Attributes:
        done: The result of a try whose end nobody knows, or nothing.
    """

    def __init__(self, work: Callable[[Session], T], plans: Sequence[str]) -> None:
        self._work = work
        self._mark = uuid.uuid4().hex
        # In one order, so that no two wait for each other. The mark's own comes last: while it is held, the try lasts.
        locks = [*sorted({_key("plan", str(_key(plan) % _LOCKS)) for plan in plans}), _key("mark", self._mark)]
        self._begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE" + "".join(
            f"; SELECT pg_advisory_xact_lock({lock})" for lock in locks
        )
        self._begin += f"; SELECT pg_advisory_xact_lock_shared({_WRITING})"
        self.done: list[T] = []

    def __call__(self, wire: Wire) -> T:
        try:
            # Committing ends before its locks are given back: once we have them, an earlier try is over for certain.
            wire.script(self._begin)
            if self.done and wire.rows("SELECT mark FROM marks WHERE mark = ?", (self._mark,)):
                wire.script("ROLLBACK")
                return self.done[0]
            self.done = []
            result = self._work(_PostgresSession(wire))
            self.done = [result]
            wire.script(f"INSERT INTO marks (mark) VALUES ('{self._mark}'); COMMIT")  # noqa: S608 - hexadecimal digits  # nosec B608
        except BaseException:
            if not wire.broken:
                with contextlib.suppress(JournalError):
                    wire.script("ROLLBACK")
            raise
        return result


class _PostgresSession:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def rows(self, query: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        return self._wire.rows(query, values)

    def reports_of(self, client_order_ids: Sequence[str]) -> Sequence[Row]:
        if not client_order_ids:
            return []
        query = "SELECT * FROM reports WHERE client_order_id = ANY(?) ORDER BY seq"
        return self._wire.rows(query, (list(client_order_ids),))

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._wire.add(table, rows)

    def alive(self, owner: Owner) -> bool:
        """One of this machine is seen; one of another holds a lock for as long as its connection stands."""
        if owner.host == this_process().host and is_alive(owner):
            return True
        key = _alive_key(owner)
        return bool(self._wire.rows(_HOLDERS, (key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF)))

    def is_settled(self) -> bool:
        """Who writes holds a lock together with all who write; whoever can have it alone, for an instant, sees none."""
        return bool(self._wire.rows(_IS_SETTLED)[0]["settled"])


_HOLDERS: Final = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = ? AND objid = ?"
)
"""Who holds an advisory lock, by the upper and the lower half of its key."""


def _alive_key(owner: Owner) -> int:
    return _key("alive", owner.host, str(owner.pid), repr(owner.started))


def _key(*parts: str) -> int:
    """The advisory lock that stands for something: 64 bits, as PostgreSQL signs them."""
    digest = hashlib.blake2b("\x1f".join(("firstbell", *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


_WRITING: Final = _key("writing")
_IS_SETTLED: Final = (
    f"SELECT CASE WHEN pg_try_advisory_lock({_WRITING}) THEN pg_advisory_unlock({_WRITING}) ELSE false END AS settled"
)

_stores: Final[weakref.WeakSet[PostgresStore]] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store.after_fork()


os.register_at_fork(after_in_child=_after_fork)
