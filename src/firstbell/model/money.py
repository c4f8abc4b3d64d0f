"""Exact numbers: how they are read, and how they are written."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST: Final = 40
"""Characters."""
_DIGITS: Final = 28
"""What `Decimal` carries through its arithmetic; a longer number would be rounded on its way, or refused by it."""
_WIDE: Final = Context(prec=200, rounding=ROUND_FLOOR)
"""Products of such numbers are exact in it."""
_LATIN_DIGITS: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")


def exact(value: object) -> Decimal:
    """Read a number exactly, from an `int`, a `Decimal` or a text.

    A `float` is refused: it has already lost what we would need. So is what has more than 28 digits, or stands further
    than that from the point: arithmetic with it would not be exact. In a text, Persian and Arabic digits are what they
    look like; those of other scripts are not expected, and no number.

    Raises:
        ValueError: It is not a finite number, or not one that can be read exactly.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(f"{type(value).__name__} is not an exact number")  # noqa: TRY004 - one error for bad numbers
    if isinstance(value, int) and abs(value) >= 10**_DIGITS:
        # Before it is written out: Python writes none of thousands of digits.
        raise ValueError("the number is out of all proportion")
    text = str(value).strip().translate(_LATIN_DIGITS)
    if len(text) > _LONGEST or "_" in text or not text.isascii():
        raise ValueError("the number is not written as one")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("that is not a number") from None
    if not number.is_finite():
        raise ValueError("the number is not finite")
    if abs(number.adjusted()) >= _DIGITS or len(number.as_tuple().digits) > _DIGITS:
        raise ValueError("the number is out of all proportion")
    return number


def plain(number: Decimal) -> int | str:
    """Write a number for JSON without loss: whole ones as integers, others as texts."""
    whole = number.to_integral_value()
    return int(whole) if whole == number else _without_trailing_zeros(format(number, "f"))


def divided(amount: Decimal, weights: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Divide an amount as some weights say: each part is cut to a whole number, and the last one has what is left.

    Args:
        amount: What is divided, in rials; not negative.
        weights: Positive numbers; at least one.

    Returns:
        As many parts, in the same order. Together they are the amount, exactly.
    """
    with localcontext(_WIDE):
        whole = sum(weights)
        cut = [(amount * weight / whole).to_integral_value(rounding=ROUND_FLOOR) for weight in weights[:-1]]
        return (*cut, amount - sum(cut))


def grouped(number: Decimal | int) -> str:
    """Write a number for people, in groups of three: ``1,000,003,827``."""
    return _without_trailing_zeros(f"{Decimal(number):,f}")


def _without_trailing_zeros(text: str) -> str:
    """Not `Decimal.normalize`, which rounds."""
    return text.rstrip("0").rstrip(".") if "." in text else text
