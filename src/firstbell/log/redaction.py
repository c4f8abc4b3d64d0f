"""The one boundary: secrets are removed here, whether this process knows them or they only look like secrets.

Everything is searched for in the text as it came, then all finds are blotted out at once; so no removal can hide or
uncover another. What is removed leaves `MARK`, and redacting twice changes nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from firstbell.log.secrets import known_spans, known_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARK: Final = "***"
"""What stands where a secret stood."""

_FIELD: Final = (
    r"(?:pass(?:word|wd|phrase)|pwd|token|secret|api[_-]?key|session[_-]?id|captcha(?:[_-]?(?:value|answer|code|text|hash|salt|bytedata))?|set-cookie|cookies?"
    r"|authorization)"
)
"""Names of fields that hold secrets, as the ends of longer names too: ``bot_token``, ``hashedCaptcha``."""

_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # "password": "…" and 'password': '…', as JSON, as Python prints it, and cut short.
        rf'{_FIELD}"\s{{0,9}}:\s{{0,9}}"(?P<a>(?:[^"\\]|\\.)*)',
        rf"{_FIELD}'\s{{0,9}}:\s{{0,9}}[br]?'(?P<a>(?:[^'\\]|\\.)*)",
        rf"{_FIELD}'\s{{0,9}}:\s{{0,9}}[br]?\"(?P<a>(?:[^\"\\]|\\.)*)",
        # \"password\": \"…\": a JSON text inside another text.
        rf"""{_FIELD}\\+"\s{{0,9}}:\s{{0,9}}\\{{1,8}}"(?P<a>(?:(?!\\{{1,8}}").)*)""",
        # "captcha": {…}, "cookies": […], "token": 12345.
        rf"""{_FIELD}\\*["']\s{{0,9}}:\s{{0,9}}(?P<b>\{{[^{{}}]*\}}?|\[[^\[\]]*\]?)""",
        rf"""{_FIELD}\\*["']\s{{0,9}}:\s{{0,9}}(?P<b>(?!null\b|true\b|false\b|none\b)[\w.+-]+)""",
        # password=…, in a query, a form or a message; password="…".
        rf"""{_FIELD}\s{{0,9}}(?:=|%3d)\s{{0,9}}(?P<a>"[^"]*"?|'[^']*'?|[^\s&;,"'<>)\]}}]+)""",
        # Header lines, and the like in prose; "WrongPassword: shahr …" is none.
        r"\b(?:set-)?cookie\s{0,9}:\s{0,9}(?P<a>[^\s\"'][^\r\n]*)",
        r"\b(?:proxy-)?authorization\s{0,9}:\s{0,9}(?P<a>[^\s\"'][^\r\n,]*)",
        r"(?<![a-z])(?:password|passwd|pwd|token|secret|api[_-]?key)\s{0,9}:\s{0,9}(?P<a>[^\s\"',;]+)",
        # Tokens by their looks.
        r"\b(?:bearer|basic)(?:\s|%20|\+){1,9}(?P<a>(?=\S{0,64}[\d=]|\S{16})[\w.~+/=-]{4,})",
        # Each word is looked through once, and only where it is the first part of something: in time with its length.
        r"(?<![\w-])(?=[\w-]++\.[\w-]{2})[\w-]*?(?P<a>\beyJ[\w-]{5,}\.[\w-]{2,}(?:\.[\w-]*)?)",
        r"(?P<a>(?<![\d:])\d{5,12}(?::|%3a)[\w-]{20,})",
        r"/bot(?P<a>\d+(?::|%3a)[^/\s\"'?]+)",
        # https://user:pa$$@host; "user:password@host", word for word, is how we say what an address looks like.
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/?#@:\"']*:(?!password@)(?P<a>[^\s/?#\"']*)@",
        r"(?P<a>-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z))",
    )
)

_SIGNS: Final = (
    *("pass", "pwd", "token", "secret", "apikey", "api-key", "api_key", "sessionid", "session-id", "session_id"),
    *("captcha", "cookie", "authorization", "eyj", "bearer", "basic", "/bot", "://", "-----begin"),
)
"""What every text has, in small letters, that any of them matches, but for those that begin with a number."""
_NUMBERED: Final = re.compile(r"\d{5}(?::|%3a)", re.IGNORECASE)
"""What the others have."""
_ODD_I: Final = ("\u0131", "\u0307")
"""What a pattern takes for an "i" and no text in small letters has as one: without a dot, or with another."""

_SECRET_KEY: Final = re.compile(rf"{_FIELD}\Z", re.IGNORECASE)


def redact(text: str) -> str:
    """Remove from `text` the secrets this process knows, and whatever looks like one.

    Those are the remembered ones (see `firstbell.log.secrets.hide`), also encoded for a URL, for JSON and in base64;
    the values of password, token, captcha, cookie and authorization fields in JSON, forms, queries and headers; bearer
    tokens, JWTs, Telegram bot tokens, private keys, and passwords in URLs.
    """
    found = sorted([*((start, end, MARK) for start, end in known_spans(text)), *_suspects(text)])
    if not found:
        return text
    parts: list[str] = []
    done = 0
    for start, end, mark in found:
        if start > done or (start == done and not parts):
            parts += [text[done:start], mark]
        done = max(done, end)
    return "".join(parts) + text[done:]


def redact_value(value: Any) -> Any:
    """Remove secrets from a JSON-like value: texts are redacted, secret fields blotted out, numbers left alone.

    A document stays a document this way, even when a password happens to look like one of its prices.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return redact_mapping(value)
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    return value


def redact_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """`redact_value` of an object's fields, whose names matter: a ``token`` is hidden whatever it holds."""
    redacted, known = {}, known_until()
    # Looked at together, most documents are found to hold nothing that could be a secret.
    clean = _is_clean("\0".join(value for value in mapping.values() if isinstance(value, str)))
    for name, value in mapping.items():
        key, is_secret = _read_key(str(name), known)
        if is_secret and _is_something(value):
            redacted[key] = MARK
        elif clean and isinstance(value, str):
            redacted[key] = value
        else:
            redacted[key] = redact_value(value)
    return redacted


def _is_clean(text: str) -> bool:
    """Whether there is nothing in a text that `redact` would even look at."""
    return not _may_match(text) and next(known_spans(text), None) is None


def _may_match(text: str) -> bool:
    """Whether any of the patterns may match; most of an event's fields have nothing of it, and cost next to nothing."""
    folded = text.casefold()
    # A loop: this is asked of every text that is written anywhere.
    for sign in _SIGNS:
        if sign in folded:
            return True
    return _NUMBERED.search(folded) is not None or (not text.isascii() and any(sign in folded for sign in _ODD_I))


def _is_something(value: object) -> bool:
    return value not in (None, "") and not isinstance(value, bool)


@lru_cache(maxsize=1024)
def _read_key(key: str, _until: int) -> tuple[str, bool]:
    """A field's name without secrets, and whether it holds one; the same until another secret is known."""
    return redact(key), _SECRET_KEY.search(key) is not None


def _suspects(text: str) -> Iterator[tuple[int, int, str]]:
    for pattern in _PATTERNS if _may_match(text) else ():
        for match in pattern.finditer(text):
            group = match.lastgroup
            if group is not None and match.group(group):
                yield (*match.span(group), MARK if group == "a" else f'"{MARK}"')
