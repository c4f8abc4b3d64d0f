"""What is written down of what brokers say: secrets removed, one line, and in no more time than its length wants."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from firstbell.log import hide, one_line, redact
from fuzzing import junk
from fuzzing.targets.base import Plain, expect

if TYPE_CHECKING:
    from random import Random

_SECRET: Final = "pl4nted-S3cret"  # noqa: S105 - planted to be looked for
_PIECES: Final = (
    "password",
    "token",
    "captcha",
    "Authorization",
    "Set-Cookie",
    "cookies",
    "bearer ",
    "basic+",
    "eyJ",
    "eyJhbGciOiJub25lIn0",
    "-eyJaaaaaa",
    ".",
    "-",
    "/bot",
    "123456789:",
    "%3a",
    "%20",
    "https://",
    "user:",
    "@",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    '"',
    "'",
    "\\",
    '\\"',
    ":",
    "=",
    "{",
    "}",
    "[",
    "]",
    " ",
    "\n",
    "a",
    "1",
    _SECRET,
)


class Written(Plain):
    """`firstbell.log.redact` and `firstbell.log.one_line`."""

    name = "redaction"

    def make(self, rng: Random) -> bytes:
        """Pieces of what secrets stand in, a few times or until they fill an answer."""
        few = [rng.choice(_PIECES) if rng.randrange(8) else junk.text(rng)[:300] for _ in range(rng.randrange(1, 9))]
        text = "".join(few) * rng.choice((1, 1, 1, 3, 3, 50, 1000)) + "".join(rng.choice(_PIECES) for _ in range(3))
        size = 1 << (18 if rng.randrange(50) == 0 else 12)
        if size > len(text) > 0 and rng.randrange(4) == 0:
            text *= size // len(text)
        return text[:size].encode("utf-8", "surrogatepass")

    def attempt(self, data: bytes) -> None:
        """Write it down."""
        text = data.decode("utf-8", "replace")
        hide(_SECRET)
        clean = redact(text)
        expect(_SECRET not in clean, "a known secret is left")
        # Where a secret stood right before a word, the word begins only once it is gone.
        again = redact(clean) if len(text) < 10_000 else clean
        expect(len(text) >= 10_000 or redact(again) == again, "redacting it never settles")
        line = one_line(clean)
        expect(not any(unicodedata.category(char) in {"Cc", "Zl", "Zp"} for char in line), "a line is no line")
