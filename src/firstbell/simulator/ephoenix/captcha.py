"""Captchas: pictures of five digits, and their check, which keeps nothing.

The picture travels with a salt and a hash of salt and answer; whoever sends all three back with the right answer has
passed. Only the answer key for rehearsals (`CaptchaDesk.answer_to`) remembers anything, and that is bounded.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import random
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

DIGITS: Final = 5
_REMEMBERED: Final = 10_000
_WIDTH, _HEIGHT, _TILE = 150, 50, 44
_FONT_SIZE: Final = 34
_SLANT: Final = 18
_LINES: Final = 4
_SPECKS: Final = 120
_WHITE: Final = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Captcha:
    """One captcha.

    Attributes:
        picture: A PNG file's bytes.
        salt: Chance, in hexadecimal.
        hashed: The keyed hash of salt and answer, in hexadecimal.
    """

    picture: bytes
    salt: str
    hashed: str


class CaptchaDesk:
    """Draws captchas and checks their answers.

    Args:
        chance: Where digits, salts and noise come from; None for the machine's own.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.SystemRandom()
        self._key = self._chance.randbytes(32)
        self._answers: OrderedDict[bytes, str] = OrderedDict()

    def draw(self) -> Captcha:
        """Make a new captcha."""
        digits = f"{self._chance.randrange(10**DIGITS):0{DIGITS}}"
        picture = draw_digits(digits, random.Random(self._chance.getrandbits(64)))  # noqa: S311 - it places the noise  # nosec B311
        salt = self._chance.randbytes(16).hex()
        self._answers[_fingerprint(picture)] = digits
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return Captcha(picture, salt, self._hash(salt, digits))

    def is_right(self, salt: str, hashed: str, answer: str) -> bool:
        """Whether an answer is that of the captcha that came with this salt and hash."""
        return hmac.compare_digest(self._hash(salt, answer).encode(), hashed.encode())

    def answer_to(self, picture: bytes) -> str | None:
        """The answer to a picture that was drawn here, or None for any other: this looks up, it does not read."""
        return self._answers.get(_fingerprint(picture))

    def _hash(self, salt: str, answer: str) -> str:
        return hmac.new(self._key, f"{salt}|{answer}".encode(), hashlib.sha256).hexdigest()


def draw_digits(digits: str, chance: random.Random) -> bytes:
    """Draw digits, slanted and among lines and specks, so that a person reads them easily.

    Args:
        digits: What to draw.
        chance: Where slants, lines and specks come from.

    Returns:
        A PNG file's bytes.
    """
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _WHITE)
    pen = ImageDraw.Draw(picture)
    for _ in range(_LINES):
        ends = [(chance.randrange(_WIDTH), chance.randrange(_HEIGHT)) for _ in range(2)]
        pen.line(ends, fill=_shade(chance, 140, 200), width=1)
    for _ in range(_SPECKS):
        pen.point((chance.randrange(_WIDTH), chance.randrange(_HEIGHT)), fill=_shade(chance, 90, 190))
    font = ImageFont.load_default(size=_FONT_SIZE)
    step = (_WIDTH - 10) / len(digits)
    for index, digit in enumerate(digits):
        mask = Image.new("L", (_TILE, _TILE), 0)
        ImageDraw.Draw(mask).text((_TILE / 2, _TILE / 2), digit, fill=255, font=font, anchor="mm")
        mask = mask.rotate(chance.uniform(-_SLANT, _SLANT), resample=Image.Resampling.BICUBIC)
        middle = 5 + step * (index + 0.5)
        place = (round(middle - _TILE / 2), (_HEIGHT - _TILE) // 2 + chance.randrange(-3, 4))
        picture.paste(_shade(chance, 0, 100), place, mask)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _shade(chance: random.Random, darkest: int, lightest: int) -> tuple[int, int, int]:
    red, green, blue = (chance.randrange(darkest, lightest) for _ in range(3))
    return red, green, blue


def _fingerprint(picture: bytes) -> bytes:
    return hashlib.sha256(picture).digest()
