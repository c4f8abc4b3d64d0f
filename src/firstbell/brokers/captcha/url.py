"""The user's own server as a captcha solver."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from firstbell.brokers.captcha.solver import taken
from firstbell.brokers.transport import Transport, shared_transport
from firstbell.errors import BrokerError, CaptchaError

TIMEOUT_S: Final = 60.0
"""Seconds that the server may take."""
_LARGEST: Final = 1024
_OK: Final = 200


class UrlSolver:
    """Posts ``{"base64": …}`` to an address; its answer is plain text.

    Args:
        url: The whole address; ``http://`` for loopback only. It may hold a key, so messages show only its host.
        transport: How to reach it.
        timeout_s: Seconds that it may take.

    Raises:
        CaptchaError: It is not such an address.
    """

    def __init__(self, url: str, *, transport: Transport | None = None, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise CaptchaError("[captcha] url: write https://host/path, without a user name in it")
        self._host = parts.netloc
        self._base_url = f"{parts.scheme}://{parts.netloc}"
        self._path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._transport = transport or shared_transport()
        self._timeout_s = timeout_s

    def solve(self, picture: bytes, *, account: str) -> str:
        """Have the server read a captcha.

        Raises:
            CaptchaError: It gave no answer.
        """
        del account
        document = {"base64": base64.b64encode(picture).decode()}
        try:
            answer = self._transport.send_json(
                "POST",
                self._base_url,
                self._path,
                {"Accept": "text/plain"},
                document,
                timeout=self._timeout_s,
                max_bytes=_LARGEST,
            )
        except BrokerError as error:
            raise CaptchaError(f"the captcha solver of [captcha] url gave no answer: {error}") from None
        if answer.status != _OK:
            raise CaptchaError(f"the captcha solver at {self._host} answered HTTP {answer.status}")
        try:
            return taken(answer.body.decode())
        except (UnicodeDecodeError, CaptchaError):
            raise CaptchaError(
                f"the captcha solver at {self._host} answered something else than 1 to 10 letters and digits"
            ) from None
