"""The secrets that this process knows, in every form in which they could turn up in a text."""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST: Final = 4
"""Characters. A shorter secret is looked for as a whole quoted value only: "no" would be everywhere."""
_LONGEST_NUMBER: Final = 8
"""Digits. A secret number up to this length is looked for as a whole number, or it would be found inside others."""

_FEW: Final = 400
"""Up to so many forms each is looked for by itself; more of them, as with a thousand accounts, are looked up."""
_LONG_ENOUGH: Final = 7
"""Bytes. What is left of a shorter one within base64 may stand anywhere."""
_URL_SAFE: Final = str.maketrans("+/", "-_")
_NUMBERS: Final = itertools.count()
_NUMBER: Final = re.compile(r"(?<!\d)\d{1,8}(?!\d)")


class Memory:
    """Secrets, and where they stand in texts."""

    def __init__(self) -> None:
        self.until = next(_NUMBERS)
        """Another number after each secret."""
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._numbers: set[str] = set()
        self._quoted: list[re.Pattern[str]] = []
        self._forms: list[str] = []
        self._by_beginning: dict[str, tuple[str, ...]] = {}

    def add(self, secret: str) -> None:
        """Remember a secret; see `hide`."""
        with self._lock:
            if not secret or secret in self._known:
                return
            self._known.add(secret)
            if len(secret) < SHORTEST:
                self._quoted.append(re.compile(rf"""(?<=["'])({re.escape(secret)})(?=["'])"""))
            elif secret.isdecimal() and len(secret) <= _LONGEST_NUMBER:
                self._numbers.add(secret)
            else:
                for form in _forms_of(secret):
                    self._add_form(form)
            self.until = next(_NUMBERS)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they stand; see `known_spans`. Readers need no lock: what is added is whole when they meet it."""
        yield from self._searched(text) if len(self._forms) <= _FEW else self._looked_up(text)
        if self._numbers:
            for match in _NUMBER.finditer(text):
                if match.group() in self._numbers:
                    yield match.span()
        for pattern in self._quoted:
            for match in pattern.finditer(text):
                yield match.span(1)

    def _searched(self, text: str) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                yield start, start + len(form)
                start = text.find(form, start + 1)

    def _looked_up(self, text: str) -> Iterator[tuple[int, int]]:
        for start in range(len(text) - SHORTEST + 1):
            for form in self._by_beginning.get(text[start : start + SHORTEST], ()):
                if text.startswith(form, start):
                    yield start, start + len(form)

    def _add_form(self, form: str) -> None:
        beginning = form[:SHORTEST]
        alike = self._by_beginning.get(beginning, ())
        if form not in alike:
            self._by_beginning[beginning] = (*alike, form)
            self._forms.append(form)


_memory = Memory()


def hide(secret: str) -> None:
    """Remember a secret of this process, so that `redact` removes it from whatever is written from now on.

    Args:
        secret: A password, a token, a captcha's answer. An empty one is ignored.
    """
    _memory.add(secret)


def known_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where remembered secrets stand in `text`: (start, end), in no order, perhaps overlapping."""
    return _memory.spans(text)


def known_until() -> int:
    """A number that is another one after each secret that is remembered."""
    return _memory.until


def _forms_of(secret: str) -> set[str]:
    encoded = secret.encode("utf-8", "surrogatepass")
    escaped = json.dumps(secret)[1:-1]
    percent = quote(encoded, safe="")
    forms = {
        secret,
        percent,
        _lower_percents(percent),
        quote(encoded),
        quote_plus(encoded),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        escaped,
        _upper_escapes(escaped),
        # A JSON text inside a JSON text.
        json.dumps(escaped)[1:-1],
        repr(secret)[1:-1],
        repr(encoded)[2:-1],
        html.escape(secret),
        base64.b64encode(encoded).decode().rstrip("="),
        base64.urlsafe_b64encode(encoded).decode().rstrip("="),
    }
    if len(encoded) >= _LONG_ENOUGH:
        forms |= {encoded.hex(), encoded.hex().upper(), *_within_base64(encoded)}
    return {form for form in forms if len(form) >= SHORTEST}


def _within_base64(data: bytes) -> Iterator[str]:
    """What is always the same in base64 of something that has `data` in it, at each of the three places in a group."""
    for before in range(3):
        packed = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        # The first characters and the last one depend on what stands beside it.
        first, last = (before * 8 + 5) // 6, len(packed) - ((before + len(data)) % 3 != 0)
        yield packed[first:last]
        yield packed[first:last].translate(_URL_SAFE)


def _lower_percents(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), text)


def _upper_escapes(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: f"\\u{match.group(1).upper()}", text)
