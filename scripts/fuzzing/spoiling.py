"""Spoils what was whole: documents in their structure, and bytes as bytes."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any, Final

from fuzzing import junk
from fuzzing.junk import Pairs, Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    Change = Callable[[Any, Random], Any]

_LARGEST: Final = 3 << 19
"""Bytes: half as many again as any reader takes."""
_BYTES: Final = (
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\n",
    b"\r\n",
    b'"',
    b"\\",
    b"{",
    b"]",
    b"=",
)
_TOKENS: Final = (
    *(text.encode("utf-8", "surrogatepass") for text in junk.TEXTS),
    *(raw.encode() for raw in junk.RAW),
    *(name.encode() for name in junk.NAMES),
)
_DIGITS: Final = bytes.maketrans(b"0123456789", b"9876543210")


def document(wholes: Sequence[Any], rng: Random) -> bytes:
    """A document as bytes: one of some whole ones, spoiled in a few places, or one made of nothing but junk."""
    if rng.randrange(8) == 0:
        made = junk.value(rng)
    else:
        made = as_pairs(rng.choice(wholes))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
            made = spoiled(made, rng, wholes)
    data = written(made, rng)[:_LARGEST]
    return some_bytes(data, rng) if rng.randrange(5) == 0 else data


def as_pairs(value: Any) -> Any:
    """A document of Python's with its objects as pairs."""
    if isinstance(value, dict):
        return Pairs([(name, as_pairs(item)) for name, item in value.items()])
    if isinstance(value, list):
        return [as_pairs(item) for item in value]
    return value


def spoiled(value: Any, rng: Random, wholes: Sequence[Any]) -> Any:
    """A document with one place in it spoiled."""
    if isinstance(value, Pairs) and value and rng.randrange(4):
        number = rng.randrange(len(value))
        name, item = value[number]
        changed = Pairs(value)
        changed[number] = (name, spoiled(item, rng, wholes))
        return changed
    if isinstance(value, list) and not isinstance(value, Pairs) and value and rng.randrange(4):
        number = rng.randrange(len(value))
        return [*value[:number], spoiled(value[number], rng, wholes), *value[number + 1 :]]
    if isinstance(value, Pairs):
        return rng.choice(_OF_OBJECTS)(value, rng)
    return _replaced(value, rng, wholes)


def _replaced(value: Any, rng: Random, wholes: Sequence[Any]) -> Any:
    kind = rng.randrange(10)
    if kind == 0:
        return as_pairs(rng.choice(wholes))
    if kind == 1:
        return [value] * rng.choice((0, 1, 2, 50))
    if kind == 2:
        return Pairs([(rng.choice(("result", "data", "error", "x")), value)])
    if kind == 3 and isinstance(value, int):
        return str(value).translate(str.maketrans("0123456789", rng.choice(("۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९"))))
    if kind == 4 and isinstance(value, int):
        return rng.choice(
            (-value, value + 1, value * 10**20, Raw(f"{value}.5"), Raw(f"{value}.0"), str(value), not value)
        )
    if kind == 5:
        return junk.value(rng)
    return junk.atom(rng)


def _without(value: Pairs, rng: Random) -> Pairs:
    gone = rng.randrange(len(value) + 1)
    return Pairs(pair for number, pair in enumerate(value) if number != gone)


def _twice(value: Pairs, rng: Random) -> Pairs:
    if not value:
        return value
    name, item = rng.choice(value)
    other = rng.choice((name, name.upper(), name.swapcase(), name.replace("s", "ſ")))
    return Pairs([*value, (other, rng.choice((item, junk.atom(rng))))])


def _with_more(value: Pairs, rng: Random) -> Pairs:
    number = rng.randrange(len(value) + 1)
    return Pairs([*value[:number], (rng.choice(junk.NAMES), junk.value(rng, 2)), *value[number:]])


def _renamed(value: Pairs, rng: Random) -> Pairs:
    if not value:
        return value
    number = rng.randrange(len(value))
    name, item = value[number]
    changed = Pairs(value)
    changed[number] = (rng.choice((name.upper(), name.lower(), f" {name}", rng.choice(junk.NAMES))), item)
    return changed


def _wrapped(value: Pairs, rng: Random) -> Any:
    depth = rng.choice((1, 1, 2, 3, 40))
    wrapped: Any = value
    for _ in range(depth):
        wrapped = rng.choice(([wrapped], Pairs([(rng.choice(junk.NAMES), wrapped)])))
    return wrapped


def _shuffled(value: Pairs, rng: Random) -> Pairs:
    items = [item for _, item in value]
    rng.shuffle(items)
    return Pairs(zip((name for name, _ in value), items, strict=True))


_OF_OBJECTS: Final[tuple[Change, ...]] = (_without, _twice, _with_more, _renamed, _wrapped, _shuffled)


def written(value: Any, rng: Random) -> bytes:
    """A document as bytes, in one of the ways in which people write them."""
    text = _json(value, ascii_only=rng.randrange(3) == 0)
    kind = rng.randrange(30)
    if kind == 0:
        return codecs.BOM_UTF8 + text.encode("utf-8", "surrogatepass")
    if kind == 1:
        return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32")), "surrogatepass")
    if kind == 2:
        return (" " * rng.choice((1, 1000)) + text + "\n").encode("utf-8", "surrogatepass")
    if kind == 3:
        return (text * 2).encode("utf-8", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


def _json(value: Any, *, ascii_only: bool) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Pairs):
        inner = (f"{json.dumps(name)}:{_json(item, ascii_only=ascii_only)}" for name, item in value)
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_json(item, ascii_only=ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def some_bytes(data: bytes, rng: Random) -> bytes:
    """Bytes with a few of them changed, gone, doubled or joined by others."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        data = _changed(data, rng)[:_LARGEST]
    return data


def _changed(data: bytes, rng: Random) -> bytes:  # noqa: PLR0911 - one way of damage a line
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.choice((1, 1, 2, 4, 16, 64, 1024)))
    kind = rng.randrange(9)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[to:]
    if kind == 2:
        return data[:at] + bytes(byte ^ (1 << rng.randrange(8)) for byte in data[at:to]) + data[to:]
    if kind == 3:
        return data[:to] + data[at:to] * rng.choice((1, 2, 100)) + data[to:]
    if kind == 4:
        return data[:at] + rng.choice(_TOKENS) + data[to:]
    if kind == 5:
        return data[:at] + rng.choice(_TOKENS) + data[at:]
    if kind == 6:
        return data[:at] + rng.choice(_BYTES) * rng.choice((1, 1, 3, 2000)) + data[at:]
    if kind == 7:
        return data[:at] + data[at:to].translate(_DIGITS) + data[to:]
    return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[to:]
