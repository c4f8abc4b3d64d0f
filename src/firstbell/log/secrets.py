"""The secrets that this process knows, in every form in which they could turn up in a text."""

from __future__ import annotations

import base64
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

_lock: Final = threading.Lock()
_known: Final[set[str]] = set()
_forms: tuple[str, ...] = ()
_patterns: tuple[re.Pattern[str], ...] = ()


def hide(secret: str) -> None:
    """Remember a secret of this process, so that `redact` removes it from whatever is written from now on.

    Args:
        secret: A password, a token, a captcha's answer. An empty one is ignored.
    """
    global _forms, _patterns  # noqa: PLW0603 - one memory a process, replaced whole so that readers need no lock
    if not secret or secret in _known:
        return
    with _lock:
        _known.add(secret)
        plain = {form for known in _known if not _needs_bounds(known) for form in _forms_of(known)}
        _forms = tuple(sorted(plain, key=lambda form: (-len(form), form)))
        _patterns = tuple(_bounded(known) for known in sorted(_known) if _needs_bounds(known))


def known_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where remembered secrets stand in `text`: (start, end), in no order, perhaps overlapping."""
    for form in _forms:
        start = text.find(form)
        while start >= 0:
            yield start, start + len(form)
            start = text.find(form, start + 1)
    for pattern in _patterns:
        for match in pattern.finditer(text):
            yield match.span(1)


def _needs_bounds(secret: str) -> bool:
    return len(secret) < SHORTEST or (secret.isdecimal() and len(secret) <= _LONGEST_NUMBER)


def _bounded(secret: str) -> re.Pattern[str]:
    if len(secret) < SHORTEST:
        return re.compile(rf"""(?<=["'])({re.escape(secret)})(?=["'])""")
    return re.compile(rf"(?<!\d)({re.escape(secret)})(?!\d)")


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
        base64.b64encode(encoded).decode().rstrip("="),
        base64.urlsafe_b64encode(encoded).decode().rstrip("="),
    }
    return {form for form in forms if len(form) >= SHORTEST}


def _lower_percents(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), text)


def _upper_escapes(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: f"\\u{match.group(1).upper()}", text)
