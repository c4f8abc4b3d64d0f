"""One event, one line: what could break a line, forge one or reorder its letters is written as an escape."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_NOT_ASCII_TEXT: Final = re.compile(r"[^ -~]")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters, format characters (the marks that turn the writing direction among them), lone halves of pairs,
line and paragraph separators."""
_JOINERS: Final = "\u200c\u200d"
"""Format characters too, but Persian is spelt with them, and they move nothing."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ONE_BYTE: Final = 0x100
_TWO_BYTES: Final = 0x10000


def one_line(text: str) -> str:
    r"""Write `text` as one line: a newline becomes ``\n``, a right-to-left override ``\u202e``; Persian stays."""
    return _NOT_ASCII_TEXT.sub(_for_people, text)


def lines(text: str) -> str:
    """The same for a text of several lines, which they stay: for tables and errors that a person reads."""
    return "\n".join(map(one_line, text.split("\n")))


def json_lines(text: str) -> str:
    """`json_line` for a document that is written over several lines."""
    return "\n".join(map(json_line, text.split("\n")))


def json_line(text: str) -> str:
    r"""The same inside a JSON document, whose strings know ``\u202e`` but neither ``\x9b`` nor ``\U000e0041``."""
    return _NOT_ASCII_TEXT.sub(_for_json, text)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN and char not in _JOINERS


def _for_people(match: re.Match[str]) -> str:
    char = match.group()
    if not _is_unseen(char):
        return char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code < _ONE_BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _TWO_BYTES else f"\\U{code:08x}"


def _for_json(match: re.Match[str]) -> str:
    char = match.group()
    if not _is_unseen(char):
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
