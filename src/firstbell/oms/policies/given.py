"""Numbers that a program gives to a policy's config: read as they are meant, or refused by their name.

What passes here and cannot be used would fail later, in the middle of an order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firstbell.model.money import exact

if TYPE_CHECKING:
    from decimal import Decimal


def whole(name: str, value: object) -> int:
    """A whole number from one up.

    Raises:
        ValueError: It is none; the message has its name.
    """
    number = positive(name, value)
    if number != number.to_integral_value():
        raise ValueError(f"{name} is a whole number, not {number}")
    return int(number)


def positive(name: str, value: object) -> Decimal:
    """A number above zero, exactly.

    Raises:
        ValueError: It is none; the message has its name.
    """
    if (number := number_of(name, value)) <= 0:
        raise ValueError(f"{name} is a positive number, not {number}")
    return number


def number_of(name: str, value: object) -> Decimal:
    """A number, exactly.

    Raises:
        ValueError: It is none; the message has its name.
    """
    try:
        return exact(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def real(name: str, value: object) -> float:
    """A number that need not be exact, as of seconds.

    Raises:
        ValueError: It is none; the message has its name.
    """
    number = value if isinstance(value, float) else float(number_of(name, value))
    if not math.isfinite(number):
        raise ValueError(f"{name} cannot be {number}")
    return number


def yes_or_no(name: str, value: object) -> bool:
    """True or False, and nothing that only passes for it.

    Raises:
        ValueError: It is neither; the message has its name.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} is True or False, not {value!r}")  # noqa: TRY004 - one error for what is wrong
    return value
