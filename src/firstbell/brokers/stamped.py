"""Connections that know when the first byte of a request left, and that keep a deadline for the whole answer.

Everything that money depends on hangs on one question: did a byte leave? `requests` cannot answer it; a time-out looks
alike before and after. So the connection itself stamps the moment: after the TCP connection and the TLS handshake, just
before the first write. Without a stamp nothing has left; with one, anything may have.

A socket's own time-out starts anew with each byte that comes, so a host that sends one byte a second would hold us for
hours. Reading therefore goes through a reader that hands the socket only the time that is left.
"""

from __future__ import annotations

import http.client
import io
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from firstbell.errors import NotSent

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


_INTERIM: Final = range(100, 200)
_SWITCHING: Final = 101
_MOST_INTERIM: Final = 32
"""Interim answers before the real one; none is asked for."""
_LONGEST_LINE: Final = 1 << 16
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")


@dataclass(slots=True)
class Call:
    """One request under way.

    Attributes:
        deadline_ns: When the whole answer must be there, on the monotonic clock.
        sent_ns: When the first byte left, nanoseconds since the epoch; None before.
        sent_monotonic_ns: The same on the monotonic clock.
    """

    deadline_ns: int
    sent_ns: int | None = None
    sent_monotonic_ns: int = 0

    def stamp(self) -> None:
        """The first byte leaves now."""
        if self.sent_ns is None:
            self.sent_monotonic_ns = time.monotonic_ns()
            self.sent_ns = time.time_ns()

    def left_s(self) -> float:
        """Seconds left until the deadline.

        Raises:
            TimeoutError: None are left.
        """
        left = self.deadline_ns - time.monotonic_ns()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        return left / 1e9


CALL: ContextVar[Call] = ContextVar("firstbell_call")
"""The request that this thread or greenlet is sending."""

FIRST_BYTE: ContextVar[Callable[[], None] | None] = ContextVar("firstbell_first_byte", default=None)
"""Called right before the first byte of each request, once it is connected; what it raises keeps that from leaving."""


_ENOUGH_NS: Final = 1_000_000_000
"""With less time left for the answer, in ns, nothing is sent any more by whoever had to wait right before."""


def _stamped() -> None:
    call, called = CALL.get(), FIRST_BYTE.get()
    if called is not None and call.sent_ns is None:
        called()
        if call.deadline_ns - time.monotonic_ns() < _ENOUGH_NS:
            raise NotSent("there was no time left to wait for the answer; nothing was sent")
    call.stamp()


class _PunctualReader(io.RawIOBase):
    """A socket's bytes, until the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        # The socket counts its readers, and stays open for the answer after the connection has let go of it.
        self._bytes = sock.makefile("rb", buffering=0)
        self._call = CALL.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._call.left_s())
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._bytes.close()
        super().close()


class _WholeLines(io.BufferedReader):
    """Lines that have an end.

    `http.client` takes the end of the connection for the end of the headers, and so half a head for an answer.
    """

    _begun = False

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size and (line or self._begun):
            raise http.client.IncompleteRead(line)
        self._begun = True
        return line


class _Readable:
    """What `http.client` wants of a socket: a file to read from."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        """A buffered reader that keeps the deadline."""
        del mode
        return _WholeLines(_PunctualReader(self._sock))


class _PunctualResponse(http.client.HTTPResponse):
    """An answer whose head and body are read until the deadline, and no more freely than HTTP allows."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(_Readable(sock), *args, **options)  # type: ignore[arg-type] # it only makes a file of it

    def _read_status(self) -> tuple[str, int, str]:
        """Pass over interim answers.

        `http.client` passes over ``100 Continue`` alone, and takes ``103 Early Hints`` for the whole answer: the real
        one would then be read as that of the next request on this connection.
        """
        for _ in range(_MOST_INTERIM):
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc] # not in its public face
            if status[1] == _SWITCHING:
                raise http.client.HTTPException("it wants to speak another protocol")
            if status[1] not in _INTERIM:
                return status
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("interim answers without an end")

    def _read_next_chunk_size(self) -> int:
        """Read the size of the next chunk. `http.client` takes -1 for one, and then all that ever comes."""
        line = self.fp.readline(_LONGEST_LINE)
        size = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") or not _CHUNK_SIZE.fullmatch(size):
            raise http.client.HTTPException("the size of a chunk is none")
        return int(size, 16)


class StampedConnection(HTTPConnection):
    """A connection over TCP that stamps the first byte."""

    response_class = _PunctualResponse

    def send(self, data: Any) -> None:
        """Send a part of a request, connected first where it is not."""
        if self.sock is None:
            self.connect()
        _stamped()
        super().send(data)


class StampedTLSConnection(HTTPSConnection):
    """The same over TLS."""

    response_class = _PunctualResponse

    def send(self, data: Any) -> None:
        """Send a part of a request, connected first where it is not."""
        if self.sock is None:
            self.connect()
        _stamped()
        super().send(data)


class StampedPool(HTTPConnectionPool):
    """The kept connections of one host."""

    ConnectionCls = StampedConnection


class StampedTLSPool(HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = StampedTLSConnection
