"""One connection to a PostgreSQL server: dialed, encrypted, made ready for a journal, and spoken over."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from pg8000.native import Connection, DatabaseError, InterfaceError, PreparedStatement
from scramp import ScramException

from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal.address import Tls
from firstbell.journal.postgres_schema import IS_THERE, OLDEST, SCHEMA, SCHEMA_SCRIPT, SCRIPT, VERSION, bringing_up
from firstbell.log import redact

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence

    from firstbell.journal.address import Address

CONNECT_S: Final = 5.0
"""How long a server may take to answer a call and again to let us in, in seconds."""
STATEMENT_S: Final = 10
"""How long a statement may take, waiting for others included, in seconds; the server ends it then."""
_IDLE_S: Final = 5
"""After so many seconds the server gives up a transaction in which nothing happens, and its locks with it."""
_ANSWER_S: Final = STATEMENT_S + 5.0
"""After so many seconds without an answer a connection is lost."""

_ASK_FOR_TLS: Final = struct.pack("!ii", 8, 80877103)
"""SSLRequest of PostgreSQL's frontend/backend protocol."""
_GONE: Final = ("08", "57P")
"""Classes of SQLSTATE that end a connection: connection exceptions, operator intervention."""
_DAMAGE: Final = frozenset({"XX001", "XX002", "42P01", "42703"})
"""Damaged data, damaged index, no such table, no such column."""
_MAKING: Final = 0x66697273745F6265
"""The advisory lock under which tables are made."""
_PARAMETER: Final = re.compile(r"\?")
_ROWS_AT_ONCE: Final = 500

_SETTINGS: Final = f"""
SET search_path = {SCHEMA}, pg_temp;
SET client_encoding = 'UTF8';
SET extra_float_digits = 3;
SET statement_timeout = '{STATEMENT_S}s';
SET idle_in_transaction_session_timeout = '{_IDLE_S}s';
SET tcp_keepalives_idle = 5;
SET tcp_keepalives_interval = 2;
SET tcp_keepalives_count = 3;
SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
"""
# The keepalives let the server find out within a dozen seconds that a machine is gone, and with it its locks.


class ConnectionLost(JournalError):  # noqa: N818 - a connection, and a lost one
    """The connection broke in the middle of an exchange. The next one may do."""


class Wire:
    """One connection, with the journal's tables at its other end.

    Args:
        address: Where to.
        context: What to encrypt with; None to speak openly.
        alive_key: The advisory lock that shows this process alive for as long as the connection stands.

    Raises:
        JournalError: The server cannot be reached or does not let us in, or its database cannot be a journal.

    Attributes:
        broken: Whether an exchange was left in its middle: nothing more can be said here.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None, alive_key: int) -> None:
        self._address = address
        self._statements: dict[str, PreparedStatement] = {}
        self.broken = False
        self._socket = _dial(address)
        try:
            if context is not None:
                self._socket = _encrypt(self._socket, address, context)
            self._connection = _log_in(self._socket, address)
        except BaseException:
            # pg8000 has a file of it by now, which would keep it open until somebody collects the garbage.
            with contextlib.suppress(OSError):
                os.close(self._socket.detach())
            raise
        try:
            self._socket.settimeout(_ANSWER_S)
            self.script(f"{_SETTINGS}SELECT pg_advisory_lock_shared({alive_key})")
            self._prepare_tables()
        except BaseException:
            self.close()
            raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What a query finds; a question mark stands for each of `values`.

        Raises:
            ConnectionLost: Nobody knows whether it was done.
            JournalError: The server refused.
        """
        with self._exchange():
            statement = self._statements.get(query)
            if statement is None:
                statement = self._statements[query] = self._connection.prepare(_with_names(query))
            found = statement.run(**_named(values))
            names = [column["name"] for column in statement.columns or ()]
            return [dict(zip(names, row, strict=True)) for row in found or ()]

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, which have the same columns, in their order.

        Raises:
            ConnectionLost: Nobody knows whether it was done.
            JournalError: The server refused.
        """
        columns, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
        query = f"INSERT INTO {table} ({columns}) VALUES "  # noqa: S608 - our own names  # nosec B608
        if len(rows) == 1:
            self.rows(f"{query}({marks})", tuple(rows[0].values()))
            return
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[first : first + _ROWS_AT_ONCE]
            values = [value for row in some for value in row.values()]
            with self._exchange():
                self._connection.run(_with_names(query + ", ".join([f"({marks})"] * len(some))), **_named(values))

    def script(self, text: str) -> None:
        """Have statements without values carried out.

        Raises:
            ConnectionLost: Nobody knows whether it was done.
            JournalError: The server refused.
        """
        with self._exchange():
            self._connection.run(text)

    def close(self) -> None:
        """Hang up, politely where that is still possible."""
        # pg8000 leaves its buffered file to the garbage collector, which would complain of what cannot be sent.
        file = self._connection._sock  # noqa: SLF001 - it has no name of its own in pg8000's interface
        with contextlib.suppress(InterfaceError, OSError, ValueError):
            self._connection.close()
        with contextlib.suppress(OSError, ValueError):
            file.close()
        self._socket.close()

    def forget(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the server.

        The child must not keep it open either, or the parent would seem to live for as long as the child does.
        """
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(nowhere, self._socket.fileno(), inheritable=False)
        finally:
            os.close(nowhere)

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[None]:
        # Broken until the opposite is known: a greenlet may be killed between a question and its answer.
        self.broken = True
        try:
            yield
        except DatabaseError as error:
            failure = _judged(self._address, error)
            self.broken = isinstance(failure, ConnectionLost)
            raise failure from error
        except (InterfaceError, OSError) as error:
            raise ConnectionLost(f"{self._address}: the connection was lost") from error
        self.broken = False

    def _prepare_tables(self) -> None:
        encoding = self._connection.parameter_statuses.get("server_encoding")
        if encoding != "UTF8":
            raise JournalError(f"{self._address} keeps texts as {encoding}; make a database with ENCODING 'UTF8'")
        if not self.rows(IS_THERE)[0]["tables"]:
            self._make_tables()
        version = self._version()
        if OLDEST <= version < VERSION:
            self._bring_up()
            version = self._version()
        if version != VERSION:
            found = version or "none"
            raise JournalError(f"{self._address} is of version {found}, and this firstbell reads version {VERSION}")

    def _version(self) -> int:
        return int(self.rows("SELECT coalesce(max(version), 0) AS version FROM version")[0]["version"])

    def _bring_up(self) -> None:
        """Make an older journal into one of this version; several processes may come to it at once, and one does it."""
        try:
            self.script(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({_MAKING})")
            # Whoever was quicker has done it all.
            if steps := bringing_up(self._version()):
                self.script(steps)
            self.script("COMMIT")
        except ConnectionLost:
            raise
        except JournalError as error:
            remedy = "let their owner open the journal once"
            raise JournalError(f"{error}; the tables could not be brought up to version {VERSION}; {remedy}") from error

    def _make_tables(self) -> None:
        """Several processes may come to an empty database at once: one makes the tables, the others find them made."""
        try:
            self.script(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({_MAKING})")
            found = self.rows(IS_THERE)[0]
            if not found["schema"]:
                self.script(SCHEMA_SCRIPT)
            if not found["tables"]:
                self.script(SCRIPT)
            self.script("COMMIT")
        except ConnectionLost:
            raise
        except JournalError as error:
            remedy = f"where {self._address.user} may not make it, its administrator can: CREATE SCHEMA {SCHEMA} "
            remedy += f'AUTHORIZATION "{self._address.user}"'
            raise JournalError(f"{error}; the tables could not be made in the schema {SCHEMA}; {remedy}") from error


def _with_names(query: str) -> str:
    numbers = iter(range(query.count("?")))
    return _PARAMETER.sub(lambda _: f":v{next(numbers)}", query)


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {f"v{number}": value for number, value in enumerate(values)}


def _dial(address: Address) -> socket.socket:
    try:
        connection = socket.create_connection((address.host, address.port), CONNECT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError as error:
        raise JournalError(f"{address} cannot be reached: {_reason(error)}") from None
    return connection


def _encrypt(plain: socket.socket, address: Address, context: ssl.SSLContext) -> socket.socket:
    try:
        plain.sendall(_ASK_FOR_TLS)
        if plain.recv(1) != b"S":
            raise JournalError(
                f"{address}: the server does not encrypt, and its address asks for {address.tls}; switch its TLS on, "
                "or write ?sslmode=disable where nobody can listen in between"
            )
        return context.wrap_socket(plain, server_hostname=address.host)
    except OSError as error:
        remedy = ""
        if address.tls is Tls.VERIFY_FULL and "CERTIFICATE" in str(error):
            remedy = "; ?sslrootcert=FILE names the certificates to trust"
        raise JournalError(f"{address} cannot be encrypted: {_reason(error)}{remedy}") from None


_CUT_OFF: Final = "network error"
"""What pg8000 says where the connection ends."""


def _log_in(connection: socket.socket, address: Address) -> Connection:
    try:
        return Connection(
            address.user,
            host=address.host,
            port=address.port,
            database=address.database,
            password=address.password,
            application_name="firstbell",
            ssl_context=False,
            sock=connection,
        )
    except (DatabaseError, InterfaceError, ScramException, OSError) as error:
        if isinstance(error, OSError) or str(error) == _CUT_OFF:
            words = f"{address} could not be logged in to as {address.user}: {_reason(error)}"
            raise JournalError(f"{words}: it went away, or is no PostgreSQL server") from None
        raise JournalError(f"{address} does not let {address.user} in: {_refusal(error)}") from None


def _refusal(error: BaseException) -> str:
    """The server's own words; pg8000 may stumble over its hanging up while it reports them."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DatabaseError):
            return _words(seen)[1]
        seen = seen.__context__
    return _reason(error)


def _judged(address: Address, error: DatabaseError) -> JournalError:
    code, words, severity = _words(error)
    if severity in {"FATAL", "PANIC"} or code.startswith(_GONE):
        return ConnectionLost(f"{address}: the server ended the connection: {words}")
    if code in _DAMAGE:
        return JournalDamaged(
            f"{address} is damaged ({words}); nothing is sent until a person has looked at it and at the broker"
        )
    return JournalError(f"{address} cannot be used: {words}")


def _words(error: DatabaseError) -> tuple[str, str, str]:
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    severity = fields.get("V") or fields.get("S") or ""
    return fields.get("C", ""), redact(str(fields.get("M", error))), severity


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_S:.0f} s"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return redact(text or type(error).__name__)
