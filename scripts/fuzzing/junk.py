"""What does not belong into any document: the values that have broken readers before, here and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, slots=True)
class Raw:
    """Characters that are written into a document as they are, whether they belong there or not."""

    text: str


TEXTS: Final = (
    "",
    " ",
    "0",
    "00",
    "-0",
    "+5",
    "1,000",
    "1_000",
    "1.",
    ".5",
    "5860.0",
    "0x10",
    "1e5",
    "1E999999999",
    "NaN",
    "Infinity",
    "sNaN",
    "۵۸۶۰",
    "٥٨٦٠",
    "۱۰۱۷",
    "१२",
    "１２",
    "۱۲٫۵",
    "²",
    "true",
    "False",
    "yes",
    "null",
    "None",
    "now",
    "2026-11-21T08:45:00Z",
    "2026-11-21",
    "20261121",
    "2026-W47-6",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-05:00",
    "1405/08/30",
    "1404/12/30",
    "9999/99/99",
    "Sat, 21 Nov 2026 08:45:10 GMT",
    "Sat, 99 Nov 99999999999 08:45:10 +9999999",
    "\x00",
    "a\x00b",
    "\x1b]0;owned\x07",
    "\u202egnol\u2066",
    "\u2028",
    "\ufeff",
    "\U0001f514",
    "ﷺ",
    "İ",
    "ſ",
    "ß",
    "IRO1MHRN0001",
    "../../planted",
    "file:///dev/zero",
    "env:PATH",
    "%(x)s",
    "${HOME}",
    "{0}",
    "a.b.c",
    "eyJhIjoxfQ==",
    "\\",
    '"',
    "'",
    "[",
    "{",
)
RAW: Final = (
    "NaN",
    "-Infinity",
    "1e999999999",
    "1e99999999999999999999",
    "-1E-99999999999999999999",
    "1" * 41,
    "9" * 5000,
    "0." + "1" * 60,
    "-",
    "01",
    "1.",
    "tru",
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\u0000"',
    '"\\x41"',
    '"\t"',
    '"',
    "'a'",
    "/**/1",
    "1//",
    "[" * 40 + "]" * 40,
    "[" * 3000,
    '{"a":' * 200,
    '{"a":1,"a":2}',
    "",
    ",",
    "\ufeff1",
    "undefined",
)
NUMBERS: Final = (
    0,
    1,
    -1,
    2,
    3,
    5,
    10,
    100,
    300,
    1006,
    1017,
    1018,
    3000,
    -1000,
    4711,
    5860,
    2**31 - 1,
    2**31,
    -(2**31),
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**18,
    10**27,
    10**28,
    10**29,
    10**39,
)
NAMES: Final = (
    "isSuccess",
    "IsSuccess",
    "isError",
    "errorCode",
    "Code",
    "code",
    "Message",
    "message",
    "result",
    "data",
    "error",
    "serialNumber",
    "serial",
    "trackingNumber",
    "token",
    "rows",
    "totalRecords",
    "price",
    "volume",
    "state",
    "isin",
    "i",
    "t",
    "",
    "\x00",
    "__class__",
    "ſtate",
)
_LONG: Final = (200, 600, 600, 600, 5_000, 5_000, 100_000)


def atom(rng: Random) -> Any:
    """A value without parts."""
    kind = rng.randrange(10)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 6:
        return text(rng)
    if kind < 8:
        return Raw(rng.choice(RAW))
    return rng.choice((None, True, False, rng.randrange(10**6), Raw(f"{rng.randrange(10**6)}.{rng.randrange(100)}")))


def text(rng: Random) -> str:
    """A text."""
    kind = rng.randrange(12)
    if kind == 0:
        return rng.choice(TEXTS) * rng.choice((2, 10, 300))
    if kind == 1:
        return chr(rng.choice((0x41, 0x627, 0x6F1, 0x1F514))) * rng.choice(_LONG)
    if kind == 2:
        return "".join(
            chr(rng.choice((rng.randrange(32), rng.randrange(128), rng.randrange(0xD7FF)))) for _ in range(8)
        )
    return rng.choice(TEXTS)


def value(rng: Random, depth: int = 3) -> Any:
    """Any value, with or without parts; objects are lists of pairs, so that a name may come twice."""
    kind = rng.randrange(4) if depth else 0
    if kind == 1:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 2:
        return Pairs([(rng.choice(NAMES), value(rng, depth - 1)) for _ in range(rng.randrange(5))])
    return atom(rng)


class Pairs(list[tuple[str, Any]]):
    """An object as its names and values, in their order."""
