"""The one way in which firstbell speaks HTTP to brokers: `requests`, with everything taken away that surprises.

No proxies, no ``.netrc``, nothing from the environment; no redirects (`requests` posts an order again when it is told
307); no retries; no cookies; TLS always verified; a deadline for the whole answer and a bound on its size. What fails
is told apart by one question only: whether a byte of the request has left.
"""

from __future__ import annotations

import functools
import http.client
import ipaddress
import json
import logging
import os
import socket
import ssl
import time
import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from firstbell.brokers.base import Answer
from firstbell.brokers.stamped import CALL, Call, StampedPool, StampedTLSPool
from firstbell.errors import NoAnswer, NotSent, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USER_AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
"""One full browser name, the same for log-ins and orders."""

TIMEOUT_S: Final = 10.0
"""Seconds for a whole call, where the caller names none."""
CONNECT_S: Final = 5.0
"""Seconds for the TCP connection to one address, and again for the TLS handshake."""
LARGEST_BODY: Final = 1 << 20
"""Bytes of an answer's body, where the caller names no other bound."""

_POOLS: Final = 64
"""Hosts, and kept connections to each."""
_BLOCK: Final = 1 << 14
_FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
UNSHARED: Final = frozenset({"set-cookie", "set-cookie2"})
"""Headers that are nobody's business: no cookie is kept, shown or written down."""


class Transport:
    """Kept connections to brokers' hosts; for any number of threads and greenlets.

    Args:
        ca_file: A private certificate authority, trusted in place of the public ones; None for the public ones.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._adapter: _Adapter | None = None
        self._pid = os.getpid()
        # Its messages hold whole addresses, and ours must never hold their queries.
        logging.getLogger("urllib3").setLevel(logging.ERROR)

    def send(
        self,
        method: str,
        base_url: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: float = TIMEOUT_S,
        max_bytes: int = LARGEST_BODY,
    ) -> Answer:
        """Send one request, once, and read the whole answer, whatever its status.

        Args:
            method: ``GET``, ``POST`` …
            base_url: Scheme, host and port.
            path: Path and query.
            headers: The request's own headers; a browser's name is added where it is missing.
            body: The body, encoded, or None.
            timeout: Seconds for everything after the host's name has been looked up.
            max_bytes: The largest body that is read.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, and no whole answer came back.
            Unreadable: The answer is larger than `max_bytes`, or packed in a way that was not asked for.
        """
        host = checked_host(base_url)
        adapter = self._opened(host)
        call = Call(time.monotonic_ns() + int(timeout * 1e9))
        before = CALL.set(call)
        failure = ""
        try:
            request = requests.Request(method, base_url + path, with_defaults(headers), data=body).prepare()
            response = adapter.send(request, stream=True, timeout=(min(CONNECT_S, timeout), timeout), proxies={})
            try:
                return _answer(response, call, host, max_bytes)
            finally:
                # A connection whose answer was read to its end is back in the pool by now; any other is closed.
                response.close()
        except _FAILURES as error:
            failure = in_words(error, timeout)
        finally:
            CALL.reset(before)
        # Raised out here, so that no message of requests, which holds the whole address, hangs on to ours.
        if call.sent_ns is None:
            raise NotSent(f"{host}: {failure}; nothing was sent", host=host)
        raise NoAnswer(f"{host}: {failure}; the request had left", host=host)

    def send_json(
        self,
        method: str,
        base_url: str,
        path: str,
        headers: Mapping[str, str],
        document: Any,
        *,
        timeout: float = TIMEOUT_S,
        max_bytes: int = LARGEST_BODY,
    ) -> Answer:
        """The same with a JSON document for a body."""
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        typed = {"Content-Type": "application/json", **headers}
        return self.send(method, base_url, path, typed, body, timeout=timeout, max_bytes=max_bytes)

    def close(self) -> None:
        """Close all kept connections; new ones are opened when needed."""
        if self._adapter is not None:
            self._adapter.close()
            self._adapter = None

    def _opened(self, host: str) -> _Adapter:
        if self._pid != os.getpid():
            # After a fork the parent goes on using its connections; sharing them would mix up the answers.
            self._pid = os.getpid()
            self._adapter = None
        if self._adapter is None:
            try:
                self._adapter = _Adapter(tls_context(self._ca_file))
            except OSError as error:
                raise NotSent(
                    f"{host}: the ca_file {self._ca_file} cannot be used: {error.strerror or error}", host=host
                ) from None
        return self._adapter


@functools.lru_cache(maxsize=64)
def shared_transport(ca_file: Path | None = None) -> Transport:
    """The transport that all logins with this certificate authority share in this process."""
    return Transport(ca_file)


@functools.lru_cache(maxsize=64)
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A verifying TLS context. Making one takes some 27 ms, so all connections share it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH if ca_file is None else ca_file)
    return context


class _Adapter(HTTPAdapter):
    """`requests` on our own connections and TLS context.

    Used without a `requests.Session`: it is the session that reads the environment, keeps cookies and follows redirects
    (and that reads the whole body of a redirect even when told not to follow it).
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=_POOLS, pool_maxsize=_POOLS)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Pool our own kind of connections."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": StampedPool, "https": StampedTLSPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the context alone: it verifies already, and `requests` would add its own authorities to it."""


def checked_host(base_url: str) -> str:
    """The host and port of an address, for messages.

    Raises:
        NotSent: It is not an address that anything may be sent to.
    """
    parts = urlsplit(base_url)
    host = parts.netloc
    if "@" in host or not parts.hostname:
        raise NotSent("a broker's address is https://host or https://host:port; nothing was sent")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise NotSent(
            f"{parts.netloc}: only https:// is spoken beyond this machine; nothing was sent", host=parts.netloc
        )
    return parts.netloc


def is_loopback(hostname: str) -> bool:
    """Whether a host is this machine, by its name or address."""
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def with_defaults(headers: Mapping[str, str]) -> dict[str, str]:
    """A request's headers with those that every request of ours bears."""
    return {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity", **headers}


def _answer(response: requests.Response, call: Call, host: str, max_bytes: int) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items() if name.lower() not in UNSHARED}
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise Unreadable(f"{host}: an answer of {int(declared[:20]):,} bytes is too large to be one", host=host)
    packed = bytearray()
    while block := response.raw.read(_BLOCK, decode_content=False):
        packed += block
        if len(packed) > max_bytes:
            raise Unreadable(f"{host}: an answer of more than {max_bytes:,} bytes is too large to be one", host=host)
    answered_ns, ended_ns = time.time_ns(), time.monotonic_ns()
    return Answer(
        status=response.status_code,
        headers=MappingProxyType(headers),
        body=unpacked(bytes(packed), headers.get("content-encoding", ""), host, max_bytes),
        sent_ns=call.sent_ns or answered_ns,
        sent_monotonic_ns=call.sent_monotonic_ns,
        answered_ns=answered_ns,
        round_trip_ns=ended_ns - call.sent_monotonic_ns,
    )


def unpacked(body: bytes, encoding: str, host: str, max_bytes: int) -> bytes:
    """Undo a compression that was not asked for, and never beyond the bound.

    Raises:
        Unreadable: It is damaged, unknown or too large.
    """
    if encoding.strip().lower() in {"", "identity"}:
        return body
    if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        raise Unreadable(f"{host}: an answer in an encoding that was not asked for", host=host)
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = unpacker.decompress(body, max_bytes + 1)
    except zlib.error:
        raise Unreadable(f"{host}: an answer whose compression is damaged", host=host) from None
    if len(plain) > max_bytes or not unpacker.eof or unpacker.unused_data:
        # What is packed behind the first piece would be left out, and the rest be a part.
        raise Unreadable(f"{host}: an answer that unpacks to more than {max_bytes:,} bytes, or not whole", host=host)
    return plain


def in_words(error: BaseException, timeout: float) -> str:
    """What went wrong, in our own words: those of `requests` hold addresses, queries and all."""
    causes = list(_causes(error))
    for kind, words in _KINDS:
        for cause in causes:
            if isinstance(cause, kind):
                detail = getattr(cause, "verify_message", "")
                return words.format(timeout=timeout, detail=detail)
    return f"the call failed ({type(causes[-1]).__name__})"


_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (
        ssl.SSLCertVerificationError,
        "its certificate is not trusted ({detail}); a private authority is named by ca_file in [broker.*]",
    ),
    (ssl.SSLError, "TLS failed"),
    (socket.gaierror, "the host's name was not found"),
    (ConnectionRefusedError, "connection refused"),
    (TimeoutError, "nothing came within {timeout:g} s"),
    (urllib3.exceptions.TimeoutError, "nothing came within {timeout:g} s"),
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    (ConnectionError, "the connection broke"),
    (http.client.IncompleteRead, "the answer ended half way"),
    (urllib3.exceptions.IncompleteRead, "the answer ended half way"),
    (http.client.HTTPException, "what came back is not HTTP"),
)
"""Found anywhere in an error, the first that fits, and how we say it."""


def _causes(error: BaseException, depth: int = 8) -> Iterator[BaseException]:
    """An error and everything that it was made of."""
    yield error
    if depth:
        for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
            if isinstance(inner, BaseException):
                yield from _causes(inner, depth - 1)
