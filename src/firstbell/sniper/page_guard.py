"""The wall around the page: requests that another site has brought about go no further, and answers bear their rules.

It stands outside of Flask, so that nothing that Flask, its extensions or Locust add later gets past it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from firstbell.sniper.here import is_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_OUR_HEADERS: Final = {
    # Nothing is fetched from or sent to another host, and nobody may frame the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" browsers would say "Origin: null" of the page's own forms too, and the log-in be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OPENING: Final = "Access-Control-"
"""Locust opens its page to every site's scripts; nobody needs that here."""
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
_OWN_SITE: Final = "none"


class Guard:
    """A WSGI application around another one.

    Args:
        inner: The page.
        host: Where it listens; empty for everywhere.
        names: Further names that it goes by.
    """

    def __init__(self, inner: WSGIApplication, host: str, names: Iterable[str | None] = ()) -> None:
        self._inner = inner
        self._here_alone = is_this_machine(host)
        known = {host, *names} if self._here_alone else {host, socket.gethostname(), *names}
        self._names = {name.strip("[]").lower() for name in known if name}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""

        def started(
            status: str, headers: list[tuple[str, str]], exc_info: object = None, /
        ) -> Callable[[bytes], object]:
            return start_response(status, _hardened(headers), exc_info)  # type: ignore[arg-type]  # as it came

        why = self._why_not(environ)
        if why is not None:
            refusal = Response(f"Refused: {why}.\n", 403, mimetype="text/plain")
            return refusal(environ, started)
        return self._inner(environ, started)

    def _why_not(self, environ: WSGIEnvironment) -> str | None:
        host = str(environ.get("HTTP_HOST", ""))
        if not self._is_our_name(host):
            # A site whose name leads to this machine: its scripts would count as our own (DNS rebinding).
            return "this page does not go by that name"
        origin = environ.get("HTTP_ORIGIN")
        foreign = origin is not None and urlsplit(str(origin)).netloc.lower() != host.lower()
        if foreign or environ.get("HTTP_SEC_FETCH_SITE", _OWN_SITE) in _FOREIGN:
            return "this page takes no requests from other sites"
        return None

    def _is_our_name(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        if is_this_machine(name) or name in self._names:
            return True
        return not self._here_alone and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _hardened(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    kept = Headers([(name, value) for name, value in headers if not name.title().startswith(_OPENING)])
    for name, value in _OUR_HEADERS.items():
        kept.set(name, value)
    return kept.to_wsgi_list()
