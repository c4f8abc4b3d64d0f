"""The JSON of cache entries: written without floats, read back with suspicion."""

from __future__ import annotations

import json
from typing import Final, NoReturn, TypeAlias

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What an entry may hold. No floats: money and quantities are texts or integers, exact."""

_DEEPEST: Final = 16
_LONGEST_NUMBER: Final = 40
"""Digits."""


def write(value: JsonValue) -> str:
    """Write a value as JSON text.

    Raises:
        TypeError: It is None, holds a float or anything else that JSON text cannot carry exactly, or nests too deep.
    """
    if value is None:
        raise TypeError("None means that nothing is cached, and cannot be cached itself")
    _check(value, _DEEPEST)
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _check(value: object, depth: int) -> None:
    if depth == 0:
        raise TypeError("too deep for the cache")
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for item in value.values():
            _check(item, depth - 1)
    else:
        raise TypeError(f"the cache holds no {type(value).__name__}: numbers with fractions are written as texts")


def read(text: str) -> JsonValue:
    """Read back what `write` wrote.

    Raises:
        ValueError: This is not what `write` writes.
    """
    try:
        value = json.loads(
            text, parse_float=_refuse, parse_constant=_refuse, parse_int=_integer, object_pairs_hook=_object
        )
        _check(value, _DEEPEST)
    except (RecursionError, TypeError):
        raise ValueError("not what the cache writes") from None
    if value is None:
        raise ValueError("not what the cache writes")
    checked: JsonValue = value
    return checked


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"no number of ours: {text[:_LONGEST_NUMBER]}")


def _integer(text: str) -> int:
    return int(text) if len(text) <= _LONGEST_NUMBER else _refuse(text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that comes twice")
    return found
