"""Exact numbers: how they are read, and how they are written."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

_LONGEST = 40


def exact(value: object) -> Decimal:
    """Read a number exactly, from an `int`, a `Decimal` or a text.

    A `float` is refused: it has already lost what we would need.

    Raises:
        ValueError: It is not a finite number, or not one that can be read exactly.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(f"{type(value).__name__} is not an exact number")  # noqa: TRY004 - one error for bad numbers
    text = str(value).strip()
    if len(text) > _LONGEST or "_" in text:
        raise ValueError("the number is not written as one")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("that is not a number") from None
    if not number.is_finite():
        raise ValueError("the number is not finite")
    if abs(number.adjusted()) > _LONGEST:
        raise ValueError("the number is out of all proportion")
    return number


def plain(number: Decimal) -> int | str:
    """Write a number for JSON without loss: whole ones as integers, others as texts."""
    whole = number.to_integral_value()
    return int(whole) if whole == number else format(number.normalize(), "f")


def grouped(number: Decimal | int) -> str:
    """Write a number for people, in groups of three: ``1,000,003,827``."""
    return f"{Decimal(number).normalize():,f}"
