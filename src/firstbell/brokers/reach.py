"""Whether a host can be reached from here, and how it answers TLS: for preflight only, never on the way of an order."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from firstbell.brokers.transport import tls_context

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_S = 5.0
"""Seconds for the connection, and again for the handshake."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What came of one connection.

    Attributes:
        problem: Why the host cannot be used, in words; None when it can.
        connect_ms: How long the TCP connection took, in ms: about one round trip.
        tls: The TLS version, or None over plain HTTP.
        certificate_ends_at: When the host's certificate ends, or None over plain HTTP.
    """

    problem: str | None
    connect_ms: float | None = None
    tls: str | None = None
    certificate_ends_at: datetime | None = None


def reach(base_url: str, ca_file: Path | None) -> Reach:
    """Connect to a host once, shake hands where it speaks TLS, and hang up."""
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        context = tls_context(ca_file) if parts.scheme == "https" else None
    except OSError as error:
        return Reach(f"the ca_file {ca_file} cannot be used: {error.strerror or error}")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return Reach("its name is not known (DNS)")
    family, kind, protocol, _, address = addresses[0]
    try:
        with socket.socket(family, kind, protocol) as plain:
            plain.settimeout(CONNECT_S)
            started = time.perf_counter()
            plain.connect(address)
            connect_ms = (time.perf_counter() - started) * 1000
            if context is None:
                return Reach(None, connect_ms)
            with context.wrap_socket(plain, server_hostname=host) as secured:
                return Reach(None, connect_ms, secured.version(), _end_of(secured))
    except ssl.SSLCertVerificationError as error:
        return Reach(f"its certificate is not trusted: {error.verify_message}")
    except ssl.SSLError as error:
        return Reach(f"TLS failed: {error.reason or 'no reason given'}")
    except TimeoutError:
        return Reach(f"no connection within {CONNECT_S:g} s")
    except OSError as error:
        return Reach(f"no connection: {error.strerror or type(error).__name__}")


def _end_of(secured: ssl.SSLSocket) -> datetime | None:
    ends = (secured.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
