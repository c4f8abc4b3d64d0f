"""The page's password: made anew for each run, or the user's own; and patience with those who guess."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from argparse import ArgumentError, ArgumentParser
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from firstbell.errors import RunError
from firstbell.log import hide
from firstbell.sniper.here import is_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstbell.clock import Clock

PASSWORD: Final = "FIRSTBELL_WEB_PASSWORD"  # noqa: S105 - the name of a place
"""The environment variable that holds the user's own password for the page."""
SHORTEST: Final = 12
"""Characters of a password of the user's own."""
FREE_TRIES: Final = 5
"""So many wrong passwords from one address cost nothing; each further one doubles the wait, from a second on."""
LONGEST_WAIT_S: Final = 300.0
_MOST_ADDRESSES: Final = 1000
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PagePassword:
    """What opens the page.

    Attributes:
        text: The password.
        chosen: Whether the user chose it; then it is never printed.
    """

    text: str = field(repr=False)
    chosen: bool

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The user's own password where the environment has one, else a fresh one; hidden from all that is written.

        Raises:
            RunError: The user's own is too short.
        """
        own = environ.get(PASSWORD, "")
        if own and len(own) < SHORTEST:
            raise RunError(f"{PASSWORD} is shorter than {SHORTEST} characters: choose a longer one")
        text = own or secrets.token_urlsafe(12)
        hide(text)
        return cls(text, chosen=bool(own))

    def is_same(self, given: str | None) -> bool:
        """Whether somebody gave this very password; how long that takes does not tell how near he came."""
        return given is not None and hmac.compare_digest(given.encode(errors="replace"), self.text.encode())


def refuse_open_page(host: str, *, encrypted: bool, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to show the page beyond this machine without a password of the user's own, or in clear.

    Args:
        host: Where the page is to listen; empty for everywhere.
        encrypted: Whether it is told a certificate and its key.
        environ: The environment.

    Raises:
        RunError: Why, and what to do.
    """
    if is_this_machine(host):
        return
    where = f"--web-host {host or '*'}"
    if not environ.get(PASSWORD):
        raise RunError(
            f"{where}: beyond this machine the page wants a password of your own: set {PASSWORD}, or leave it on "
            "127.0.0.1 and come by `ssh -L`"
        )
    if not encrypted:
        raise RunError(
            f"{where}: beyond this machine the password would travel in clear: add --tls-cert and --tls-key, or leave "
            "the page on 127.0.0.1 and come by `ssh -L`"
        )
    PagePassword.of(environ)


def refuse_told_open(options: Sequence[str]) -> None:
    """The same for Locust's options as they are typed, before anything is begun; the page itself asks again.

    Raises:
        RunError: Why, and what to do.
    """
    parser = ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--web-host", default="127.0.0.1")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    try:
        told, _ = parser.parse_known_args(options)
    except ArgumentError:
        # Locust will say what is wrong with them.
        return
    refuse_open_page(told.web_host, encrypted=bool(told.tls_cert and told.tls_key))


class Patience:
    """Lets those who guess wait, address by address.

    Args:
        clock: The clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def wait_s(self, address: str | None) -> float:
        """How long nobody at this address may try, in seconds; 0 where he may."""
        _, until_ns = self._wrong.get(_neighborhood(address), (0, 0))
        return max(0.0, (until_ns - self._clock.monotonic_ns()) / _NS)

    def was_wrong(self, address: str | None) -> None:
        """Somebody at this address gave a wrong password."""
        name = _neighborhood(address)
        count = self._wrong.pop(name, (0, 0))[0] + 1
        wait_s = 0.0 if count <= FREE_TRIES else min(2.0 ** min(count - FREE_TRIES - 1, 30), LONGEST_WAIT_S)
        self._wrong[name] = (count, self._clock.monotonic_ns() + int(wait_s * _NS))
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def was_right(self, address: str | None) -> None:
        """Somebody at this address knows the password."""
        self._wrong.pop(_neighborhood(address), None)


def _neighborhood(address: str | None) -> str:
    """An address, or of IPv6 the 64 bits that one household has: he who has one of them has all."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if found.version == 6:  # noqa: PLR2004 - IPv6
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
