"""Where a lane leads, and what is needed to get there; all of it found out before the bell."""

from __future__ import annotations

import functools
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from firstbell.brokers.transport import checked_host, tls_context
from firstbell.errors import NotSent

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LaneAddress:
    """Where a lane leads.

    Attributes:
        hostname: The host's name or address.
        port: Its port.
        tls: Whether TLS is spoken there.
        host: Host and port as people read them.
    """

    hostname: str
    port: int
    tls: bool
    host: str

    @classmethod
    def of(cls, base_url: str) -> LaneAddress:
        """The address in a URL: scheme, host and port.

        Raises:
            NotSent: It is not one that anything may be sent to.
        """
        host = checked_host(base_url)
        parts = urlsplit(base_url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if tls else 80), tls, host)

    def context(self, ca_file: Path | None) -> ssl.SSLContext | None:
        """The TLS context to speak there, shared and verifying; None where no TLS is spoken.

        Args:
            ca_file: A private certificate authority, or None for the public ones.

        Raises:
            NotSent: The authority's file cannot be used.
        """
        try:
            return tls_context(ca_file) if self.tls else None
        except OSError as error:
            words = f"the ca_file {ca_file} cannot be used: {error.strerror or error}"
            raise NotSent(f"{self.host}: {words}; nothing was sent", host=self.host) from None


@functools.lru_cache(maxsize=256)
def looked_up(hostname: str, port: int) -> tuple[tuple[Any, ...], ...]:
    """A host's addresses, asked for once per process: a name is not looked up a second time just before the bell.

    Raises:
        OSError: The name was not found.
    """
    return tuple(socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM))
