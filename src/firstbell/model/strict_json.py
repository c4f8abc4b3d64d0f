"""JSON that somebody else wrote, read strictly and within bounds. Pure.

Python's own reader takes duplicate keys (the last one wins), NaN, numbers of a million digits and halves of characters,
and gives up on deep nesting with an error of its own. Each of those turns a document about money into a guess, so here
they make the whole of it unreadable. Numbers with a fraction come out as `Decimal`; a `float` never appears.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

DEEPEST: Final = 32
"""Objects and arrays inside one another; brokers' answers have six at most."""
_LONGEST_NUMBER: Final = 40
"""Characters, and places on either side of the point."""

_STRINGS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Texts, the last one with or without its end: never trying anything twice keeps this linear, whatever is sent."""
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str, *, halves: bool = False) -> Any:
    """Read a document. How long it may be is the caller's business; the time is in proportion to it.

    Args:
        text: The document.
        halves: Whether halves of surrogate pairs may stand in its texts, which nothing can write down as they are.

    Returns:
        None, `bool`, `int`, `Decimal`, `str`, and lists and dictionaries of them.

    Raises:
        ValueError: It is not JSON, or not JSON that can be trusted; the message says why, and quotes nothing.
    """
    _check_depth(text)
    try:
        value = json.loads(
            text, parse_int=_integer, parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not halves and _SURROGATE.search(text):
        _check_characters(value)
    return value


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST}")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("it has a number that is too long to be one")
    return int(digits)


def _decimal(digits: str) -> Decimal:
    try:
        number = Decimal(digits) if len(digits) <= _LONGEST_NUMBER else Decimal("NaN")
    except InvalidOperation:
        # Its exponent is beyond what even a Decimal can say.
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST_NUMBER:
        # 1e999999999 is a few bytes more than 1 and a gigabyte as an integer.
        raise ValueError("it has a number that is too long to be one")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it says {name} in place of a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice in one object")
    return found


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("it has half a character") from None
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_characters(key)
            _check_characters(item)
