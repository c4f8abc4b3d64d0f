"""HTTP/1.1 as bytes, for connections of our own: a request written as one object, an answer read as it comes.

The shared transport does both by itself. At the bell there is no time for it: the request has to exist, encrypted,
before the bell, and the answer is read from a plain socket. Answers are parsed by `httptools` (llhttp, the parser of
Node.js): chunked, `Connection: close`, interim answers and the rest are its business, and it refuses what is not HTTP.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import httptools

from firstbell.brokers.transport import LARGEST_BODY, UNSHARED, checked_host, unpacked, with_defaults
from firstbell.errors import NoAnswer, Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.brokers.base import PreparedOrder

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(r"/[!-~]*")
_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?|")
_LARGEST_HEAD: Final = 1 << 16
"""Bytes of an answer's head: what is longer is no answer to an order."""
_DEAREST: Final = 8
"""Bytes that a chunked body may spend for each of its own: one of chunks of a single byte spends five."""
_INTERIM: Final = range(100, 200)


def request_bytes(method: str, base_url: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Write a request, head and body in one object: in two writes it would wait 40 ms for Nagle and delayed ACKs.

    Args:
        method: ``GET``, ``POST`` …
        base_url: Scheme, host and port.
        path: Path and query.
        headers: The request's own headers; those that every request of ours bears are added.
        body: The body, or None.

    Raises:
        NotSent: The address is not one that anything may be sent to.
        ValueError: A name or value would not stay one header. The message holds no value: it may be a token.
    """
    lines = {"Host": checked_host(base_url), "Connection": "keep-alive"}
    for name, value in with_defaults(headers).items():
        # Two headers whose names differ by their case alone are one to the host, and which one is up to it.
        lines = {kept: text for kept, text in lines.items() if kept.lower() != name.lower()} | {name: value}
    if body is not None:
        lines = {kept: text for kept, text in lines.items() if kept.lower() != "content-length"}
        lines["Content-Length"] = str(len(body))
    if not _NAME.fullmatch(method) or not _TARGET.fullmatch(path):
        raise ValueError("a request's method or path is not one")
    for name, value in lines.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} cannot be written")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + (body or b"")


def order_bytes(prepared: PreparedOrder) -> bytes:
    """Write a prepared order as the bytes of its request; raises what `request_bytes` raises."""
    return request_bytes(prepared.method, prepared.base_url, prepared.path, prepared.headers, prepared.body)


class AnswerReader:
    """One answer, as its bytes come.

    Attributes:
        complete: Whether all of it is there.
        reusable: Whether the connection may carry another request; only once it is complete.

    Args:
        host: Who answers, for messages.
        max_bytes: The largest body that is read.
    """

    def __init__(self, host: str, max_bytes: int = LARGEST_BODY) -> None:
        self.complete = False
        self.reusable = False
        self._host = host
        self._max_bytes = max_bytes
        self._parser = httptools.HttpResponseParser(self)
        # A bare line feed is an end of line to every browser; on a connection that one side only writes answers to,
        # nobody can smuggle anything through it.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._fed_bytes = 0
        self._head_done = False
        self._status = 0

    @property
    def status(self) -> int:
        """The answer's HTTP status."""
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, names in lower case, cookies left out."""
        merged: dict[str, str] = {}
        for name, value in self._headers:
            if name not in UNSHARED:
                merged[name] = f"{merged[name]}, {value}" if name in merged else value
        return MappingProxyType(merged)

    def body(self) -> bytes:
        """Its body, unpacked.

        Raises:
            Unreadable: It is packed in a way that was not asked for, damaged, or too large.
        """
        encoding = self.headers.get("content-encoding", "")
        return unpacked(b"".join(self._body), encoding, self._host, self._max_bytes)

    def feed(self, data: bytes) -> bool:
        """Read what has come; whether the answer is complete now.

        Raises:
            Unreadable: It is not HTTP, or too large to be an answer.
        """
        if not self.complete:
            self._fed_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Unreadable):
                raise error.__context__ from None
            raise
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                upgrade = isinstance(error, httptools.HttpParserUpgrade)
                words = "it wants to speak another protocol" if upgrade else "what came back is not HTTP"
                raise Unreadable(f"{self._host}: {words}", host=self._host) from None
            self.reusable = False
        # Interim answers, the ends of chunks and what follows the last one are of no use, and could go on for ever.
        if not self.complete and self._fed_bytes > _LARGEST_HEAD + (1 + _DEAREST) * self._body_bytes:
            words = "an answer whose body does not end" if self._head_done else "an answer whose head does not end"
            raise Unreadable(f"{self._host}: {words}", host=self._host)
        return self.complete

    def end(self) -> None:
        """The connection has ended.

        Raises:
            NoAnswer: Before the whole answer was there.
        """
        self.reusable = False
        if self.complete:
            return
        names = {name for name, _ in self._headers}
        if not self._head_done or names & {"content-length", "transfer-encoding"}:
            words = "the answer ended half way" if self._fed_bytes else "the connection was closed without an answer"
            raise NoAnswer(f"{self._host}: {words}; the request had left", host=self._host)
        # An answer that does not say how long it is ends with its connection.
        self.complete = True

    def on_message_begin(self) -> None:
        """Called by the parser: an answer begins; a second one has not been asked for."""
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser: a header; those behind a chunked body are left out."""
        if not self._head_done:
            self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        """Called by the parser: the head is there."""
        if self.complete:
            return
        # Kept: the parser forgets it as soon as another answer begins behind this one.
        self._status = int(self._parser.get_status_code())
        self._head_done = self._status not in _INTERIM

    def on_body(self, body: bytes) -> None:
        """Called by the parser: a part of the body.

        Raises:
            Unreadable: It is larger than it may be.
        """
        if self.complete:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._max_bytes:
            words = f"an answer of more than {self._max_bytes:,} bytes is too large to be one"
            raise Unreadable(f"{self._host}: {words}", host=self._host)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser: an answer is whole; an interim one only says that the real one is to come."""
        if self.complete:
            return
        if self.status in _INTERIM:
            self._headers.clear()
            return
        self.complete = True
        self.reusable = bool(self._parser.should_keep_alive())
