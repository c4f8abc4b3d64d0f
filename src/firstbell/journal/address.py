"""Where a PostgreSQL journal is, as ``postgresql://user:password@host:port/database`` says it."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from firstbell.log import hide

_SCHEMES: Final = {"postgresql", "postgres"}
_PORT: Final = 5432
_SHAPE: Final = (
    "write postgresql://user:password@host:port/database; in user name and password, write the characters "
    ": / ? # [ ] @ and % as %3A %2F %3F %23 %5B %5D %40 and %25"
)
_KEYS: Final = "behind the ? stand only sslmode (disable, require or verify-full) and sslrootcert (a file), each once"


class Tls(StrEnum):
    """How the connection is protected, in libpq's words."""

    DISABLE = "disable"
    """Not at all."""
    REQUIRE = "require"
    """Encrypted, but whoever answers is believed."""
    VERIFY_FULL = "verify-full"
    """Encrypted, with a certificate for this very host."""


@dataclass(frozen=True, slots=True)
class Address:
    """One database on one server.

    Attributes:
        host: The server's name or address.
        port: Its port.
        database: The database.
        user: Who logs in.
        password: His password; an empty text where he has none. Never shown.
        tls: How the connection is protected.
        ca_file: The certificates that are trusted; None for the system's.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    tls: Tls
    ca_file: str | None = None

    @classmethod
    def of(cls, url: str) -> Address:
        """Read an address. Its password is hidden from everything that is written from now on.

        Where the address does not say how the connection is protected, it is encrypted and verified; to this machine
        itself it is not encrypted.

        Raises:
            ValueError: It cannot be used; the text says why and never shows it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(_SHAPE) from None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        database = unquote(parts.path.removeprefix("/"))
        hide(password)
        if parts.scheme not in _SCHEMES:
            raise ValueError(f"{_SHAPE}, or nothing for SQLite in state_dir")
        # "#" begins a fragment and "/" the path, so whoever left one of them in a password comes by here.
        if not (host and user and database) or "/" in database or "," in host or port == 0 or parts.fragment:
            raise ValueError(_SHAPE)
        if "\0" in user + password + database:
            raise ValueError(_SHAPE)
        tls, ca_file = _protection(asked, host)
        return cls(host, _PORT if port is None else port, database, user, password, tls, ca_file)

    @property
    def place(self) -> str:
        """Which database where, without who."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.database} at {host}:{self.port}"

    def __str__(self) -> str:
        return f"the journal {self.place}"

    def tls_context(self) -> ssl.SSLContext:
        """What the connection is encrypted with.

        Raises:
            OSError: The certificates cannot be read, or are none.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.tls is Tls.REQUIRE:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _protection(asked: list[tuple[str, str]], host: str) -> tuple[Tls, str | None]:
    given = dict(asked)
    if len(given) < len(asked) or not given.keys() <= {"sslmode", "sslrootcert"} or "" in given.values():
        # The key itself is not shown: it may be a piece of a password with an unwritten "?" in it.
        raise ValueError(_KEYS)
    ca_file = given.get("sslrootcert")
    mode = given.get("sslmode")
    if mode is None:
        tls = Tls.DISABLE if _is_loopback(host) and ca_file is None else Tls.VERIFY_FULL
    elif mode in {kind.value for kind in Tls}:
        tls = Tls(mode)
    else:
        raise ValueError(_KEYS)
    if ca_file is not None and tls is not Tls.VERIFY_FULL:
        raise ValueError("sslrootcert is for sslmode=verify-full: no other mode looks at certificates")
    return tls, ca_file


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
