"""The life of a login's token: taken from memory or the cache, or made by one log-in however many ask at once."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import Token
from firstbell.brokers.courtesy import held
from firstbell.cache import Kind
from firstbell.errors import CaptchaError, NotSent, WrongCaptcha, WrongPassword
from firstbell.log import hide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firstbell.brokers.refused_logins import RefusedLogins
    from firstbell.brokers.shelf import Shelf
    from firstbell.cache import JsonValue
    from firstbell.clock import Clock

_TOKEN_TEXT: Final = re.compile(r"[\x21-\x7e]{1,16384}")
"""What can stand in a header."""
_NS: Final = 1_000_000_000
_FIRST_PAUSE_S: Final = 2
_DOUBLINGS: Final = 8
_LONGEST_PAUSE_S: Final = 60
"""After the second log-in in a row that failed for its captchas so long a pause is made, in s, then twice as long."""
_WAITED_OUT_S: Final = 10
"""A pause with so many seconds left is waited out."""


class Session:
    """The token of one login.

    Args:
        key: The login's name in the cache: broker, hosts and user name, so that no host is sent another one's token.
        host: The identity host, for messages.
        password: Its password.
        log_in: Makes one log-in.
        shelf: The cache.
        refused: Remembers refused passwords.
        locks: The folder of locks.
        clock: Both clocks, and how to wait.
    """

    def __init__(
        self,
        key: str,
        host: str,
        password: str,
        *,
        log_in: Callable[[], Token],
        shelf: Shelf,
        refused: RefusedLogins,
        locks: Path,
        clock: Clock,
    ) -> None:
        self._key = key
        self._host = host
        self._password = password
        self._log_in = log_in
        self._shelf = shelf
        self._refused = refused
        self._lock = locks / f"login-{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}.lock"
        self._clock = clock
        self._current: Token | None = None
        self._ended: set[str] = set()
        self._in_vain = 0
        self._not_before_ns = 0
        hide(password)

    @property
    def current(self) -> Token | None:
        """The token of the last `token`, if it still lives. No disk, no network."""
        token = self._current
        return token if token is not None and self._lives(token) else None

    @property
    def is_at_hand(self) -> bool:
        """Whether a living token is in memory or in the cache. No network."""
        return (self.current or self._usable(self._shelf.peek(Kind.TOKEN, self._key))) is not None

    def token(self, lasting_until: datetime | None = None) -> Token:
        """A living token.

        Args:
            lasting_until: One that ends before this is replaced by a new one; where the log-in fails it goes on living.

        Raises:
            WrongPassword: The password was refused, now or a short while ago.
            BrokerError: The log-in failed; see its kind.
            CaptchaError: Nobody solved the captcha; or that, or wrong answers, ended the last log-in just now, and the
                host is spared another one for a while.
        """
        token = self.current or self._usable(self._shelf.get(Kind.TOKEN, self._key))
        if not _lasts(token, lasting_until):
            with held(self._lock, self._host, self._clock):
                # Whoever held the lock has probably logged in for us too.
                token = self._usable(self._shelf.peek(Kind.TOKEN, self._key))
                if not _lasts(token, lasting_until):
                    token = self._new()
        if token is None:
            raise NotSent(f"{self._host}: no token", host=self._host)
        self._current = token
        return token

    def forget(self, refused: str | None = None) -> None:
        """The broker has refused the token.

        Args:
            refused: The token's text, where it is known which one was refused; by default the one last given. Another
                one that has taken its place in the meantime is kept.
        """
        current = self._current
        text = refused if refused is not None else None if current is None else current.text
        if text is None:
            return
        # Remembered, because another thread may be about to take it out of the cache, or to put it back into `current`.
        self._ended.add(text)
        with held(self._lock, self._host, self._clock):
            cached = _read(self._shelf.peek(Kind.TOKEN, self._key))
            if cached is not None and cached.text == text:
                self._shelf.forget(Kind.TOKEN, self._key)

    def _lives(self, token: Token) -> bool:
        return token.text not in self._ended and token.ends_at.timestamp() * _NS > self._clock.wall_ns()

    def _usable(self, entry: JsonValue | None) -> Token | None:
        token = _read(entry)
        if token is None or not self._lives(token):
            return None
        hide(token.text)
        return token

    def _new(self) -> Token:
        if self._refused.holds(self._password):
            raise WrongPassword(
                f"{self._host} refused this password a short while ago, and it has not been changed since: it is not "
                "tried again, for that may lock the account",
                host=self._host,
            )
        left_ns = self._not_before_ns - self._clock.monotonic_ns()
        if 0 < left_ns <= _WAITED_OUT_S * _NS:
            # Without a token nothing else of the login gets on, and a bell may be near.
            self._clock.sleep(left_ns / _NS)
        elif left_ns > 0:
            raise CaptchaError(
                f"{self._host}: the last log-in failed for its captcha; another one is made in {left_ns // _NS + 1} s"
            )
        try:
            token = self._log_in()
        except WrongPassword:
            self._refused.add(self._password)
            raise
        except (WrongCaptcha, CaptchaError):
            # Whoever watches orders asks for a token every other second, and each log-in takes a few captchas.
            if self._in_vain:
                pause_s = min(_FIRST_PAUSE_S << min(self._in_vain - 1, _DOUBLINGS), _LONGEST_PAUSE_S)
                self._not_before_ns = self._clock.monotonic_ns() + pause_s * _NS
            self._in_vain += 1
            raise
        self._in_vain = 0
        # A broker may give the same one again.
        self._ended.discard(token.text)
        hide(token.text)
        left_s = token.ends_at.timestamp() - self._clock.wall_ns() / _NS
        self._shelf.put(Kind.TOKEN, self._key, _written(token), ttl_s=left_s)
        return token


def _lasts(token: Token | None, until: datetime | None) -> bool:
    return token is not None and (until is None or token.ends_at >= until)


def is_token(text: str) -> bool:
    """Whether a text can be a token: something that a header can carry."""
    return _TOKEN_TEXT.fullmatch(text) is not None


def _written(token: Token) -> JsonValue:
    return {"token": token.text, "ends_at_ms": int(token.ends_at.timestamp() * 1000)}


def _read(value: JsonValue | None) -> Token | None:
    if not isinstance(value, dict):
        return None
    text, ends_at_ms = value.get("token"), value.get("ends_at_ms")
    if not isinstance(text, str) or not is_token(text) or not isinstance(ends_at_ms, int):
        return None
    try:
        return Token(text, datetime.fromtimestamp(ends_at_ms / 1000, UTC))
    except (OverflowError, ValueError, OSError):
        return None
