"""HTTP as bytes: the lane's reader, and the shared transport with a real server on loopback."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import zlib
from random import Random
from typing import Final

from firstbell.brokers.http1 import AnswerReader
from firstbell.brokers.retry_after import retry_after_s
from firstbell.brokers.transport import Transport
from firstbell.clock.offset import date_header_s
from firstbell.errors import BrokerError, NoAnswer, NotSent
from fuzzing import junk, spoiling
from fuzzing.targets.base import Plain, Wrong, expect

_BODY: Final = b'{"isSuccess":true,"serialNumber":4711}'
_LARGEST: Final = 1 << 16
_HEADERS: Final = (
    b"Content-Length: 38",
    b"Content-Length: 38",
    b"Content-Length: 37",
    b"Content-Length: 39",
    b"Content-Length: 0",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 3_8",
    b"content-length:38",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip",
    b"Content-Encoding: gzip",
    b"Content-Encoding: deflate",
    b"Content-Encoding: br",
    b"Content-Encoding: gzip, gzip",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: upgrade",
    b"Upgrade: websocket",
    b"Set-Cookie: a=b; expires=Thu, 99 Foo 99999 25:61:61 GMT",
    b"Location: http://127.0.0.1:9/",
    b"Retry-After: 1",
    b"Date: Sat, 21 Nov 2026 08:45:00 GMT",
    b"Content-Type: application/json; charset=\xff",
    b"X: " + b"x" * 9_000,
    b": empty",
    b"No colon",
    b" folded",
    b"A\x00B: c",
)
_PACKED: Final = gzip.compress(_BODY, mtime=0)
_BODIES: Final = (
    *[_BODY] * 10,
    *[_PACKED] * 3,
    zlib.compress(_BODY),
    _PACKED * 2,
    b"",
    b"x" * 70_000,
    gzip.compress(bytes(1 << 22), mtime=0),
)
_FIRST: Final = (
    *[b"HTTP/1.1 200 OK"] * 8,
    b"HTTP/1.1 400 Bad Request",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 103 Early Hints",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 1000 X",
    b"HTTP/2 200",
    b"HTTP/1.1 20_0 OK",
    b"ICY 200 OK",
    b"GET / HTTP/1.1",
    b"",
)


def stream(rng: Random) -> bytes:
    """What a server may send: one answer or several, more or less whole."""
    data = b"".join(_answer(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    if rng.randrange(100) == 0:
        data = _answer(rng)[:2000] * rng.choice((50, 500))
    return (spoiling.some_bytes(data, rng) if rng.randrange(3) == 0 else data)[: 1 << 20]


def _answer(rng: Random) -> bytes:
    body = rng.choice(_BODIES)
    headers = [rng.choice(_HEADERS) for _ in range(rng.randrange(5))]
    if rng.randrange(3):
        headers.append(b"Content-Length: %d" % len(body))
    elif rng.randrange(2):
        headers.append(b"Transfer-Encoding: chunked")
        body = _chunked(body, rng)
    end = b"\n" if rng.randrange(20) == 0 else b"\r\n"
    return end.join((rng.choice(_FIRST), *headers, b"", b"")) + body


def _chunked(body: bytes, rng: Random) -> bytes:
    size = rng.choice((1, 7, 100, 100_000)) if len(body) < 1000 else 50_000
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    sizes = (b"%x", b"%X", b"0%x", b"%x;a=b", b"%x ", b"+%x", b"-%x", b"0x%x")
    form = rng.choice(sizes) if rng.randrange(4) == 0 else b"%x"
    return b"".join(form % len(piece) + b"\r\n" + piece + b"\r\n" for piece in pieces) + rng.choice(
        (b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0\r\n" + b"A: b\r\n" * 500, b"", b"-1\r\n", b"0;x\r\n\r\n")
    )


class LaneReader(Plain):
    """`firstbell.brokers.http1.AnswerReader`, and what reads its headers."""

    name = "http"

    def make(self, rng: Random) -> bytes:
        """Some bytes from a server."""
        return stream(rng)

    def attempt(self, data: bytes) -> None:
        """Read them whole and in pieces: it must come to the same."""
        whole = self._read([data])
        rng = Random(len(data))  # repeatable  # nosec B311
        pieces, at = [], 0
        while at < len(data):
            size = rng.choice((1, 2, 3, 50, 1000, 16_384)) if len(data) < 5000 else 16_384
            pieces.append(data[at : at + size])
            at += size
        parts = self._read(pieces)
        # In one piece, a head may be longer than one that comes bit by bit.
        if len(data) < _LARGEST:
            expect(whole == parts, f"in one piece {whole!r:.200}, in several {parts!r:.200}")

    @staticmethod
    def _read(pieces: list[bytes]) -> tuple[int, dict[str, str], bytes] | None:
        reader = AnswerReader("h", _LARGEST)
        try:
            for piece in pieces:
                if reader.feed(piece):
                    break
            reader.end()
            body = reader.body()
        except NoAnswer:
            return None
        expect(len(body) <= _LARGEST, "a body beyond its bound")
        expect(200 <= reader.status <= 999 or reader.status < 100, "an interim answer taken for the answer")
        headers = dict(reader.headers)
        check_dates(headers)
        return reader.status, headers, body


def check_dates(headers: dict[str, str]) -> None:
    """Read what an answer's headers say about time."""
    pause = retry_after_s(headers)
    expect(pause is None or 0 <= pause <= 86_400, "a pause beyond measure")
    second = date_header_s(headers.get("date", ""))
    expect(second is None or abs(second) < 10**12, "a date beyond measure")


class Dates(Plain):
    """``Retry-After`` and ``Date``."""

    name = "headers"

    def make(self, rng: Random) -> bytes:
        """Two headers."""
        dates = ["Sat, 21 Nov 2026 08:45:00 GMT", "Saturday, 21-Nov-26 08:45:00 GMT", "Sat Nov 21 08:45:00 2026", "120"]
        texts = [junk.text(rng) if rng.randrange(3) == 0 else rng.choice(dates) for _ in range(2)]
        return b"\n".join(spoiling.some_bytes(text.encode("utf-8", "surrogatepass"), rng) for text in texts)

    def attempt(self, data: bytes) -> None:
        """Read them."""
        first, _, second = data.decode("latin-1").partition("\n")
        check_dates({"retry-after": first, "date": second})
        check_dates({"retry-after": second, "date": first})


class RealTransport:
    """`firstbell.brokers.transport.Transport` with a server that says whatever the case says, and then the truth."""

    name = "transport"

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._transport = Transport()
        self._said = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def make(self, rng: Random) -> bytes:
        """Some bytes from a server."""
        return stream(rng)

    def attempt(self, data: bytes) -> None:
        """Ask twice: the second question must never get the first one's answer."""
        self._said = data
        self._transport.close()
        with contextlib.suppress(NoAnswer):
            answer = self._ask("/first")
            expect(not 100 <= answer < 200, "an interim answer taken for the answer")
        with contextlib.suppress(NoAnswer):
            expect(self._ask("/second") == 299, "the second question got what belongs to the first")

    def _ask(self, path: str) -> int:
        try:
            answer = self._transport.send("GET", self._url, path, {}, None, timeout=3, max_bytes=_LARGEST)
        except NotSent as error:
            raise Wrong(f"it says that nothing was sent: {error}") from None
        except BrokerError as error:
            if isinstance(error, NoAnswer):
                raise
            raise Wrong(f"{type(error).__name__} instead of an answer") from None
        expect(len(answer.body) <= _LARGEST, "a body beyond its bound")
        check_dates(dict(answer.headers))
        return answer.status

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(0.02)
                while request := self._request(connection):
                    right = b"HTTP/1.1 299 Right\r\nContent-Length: 2\r\n\r\n{}"
                    connection.settimeout(3)
                    connection.sendall(right if b"/second" in request else self._said)
                    connection.settimeout(0.02)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            piece = connection.recv(4096)
            if not piece:
                return b""
            request += piece
        return request

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._transport.close()
        self._thread.join(5)
