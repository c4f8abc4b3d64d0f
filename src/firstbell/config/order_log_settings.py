"""How the order log is kept: one section of the config."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from firstbell.config import values
from firstbell.config.section import Section

_SIZE: Final = re.compile(r"([0-9]{1,12}) ?([KMG]?)B?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SMALLEST: Final = 1 << 10
_LARGEST: Final = 1 << 32
_MOST_PARTS: Final = 1_000
_LONGEST_DAYS: Final = 36_500
_DAYS: Final = re.compile(r"([0-9]{1,5})(?: ?d(?:ays?)?)?", re.IGNORECASE)


def _size(value: object) -> int:
    """A number of bytes: ``5M``, ``500K``, ``1048576``."""
    text = values.latin_digits(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text)
    size = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if not _SMALLEST <= size <= _LARGEST:
        raise ValueError("write a size from 1K to 4G, such as 5M or 500K")
    return size


def _parts(value: object) -> int:
    number = values.whole_int(value)
    if number > _MOST_PARTS:
        raise ValueError(f"write a number of files from 1 to {_MOST_PARTS}")
    return number


def _days(value: object) -> int:
    """A number of days: ``90`` or ``90d``."""
    text = values.latin_digits(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _DAYS.fullmatch(text)
    if match is None or not 0 < int(match[1]) <= _LONGEST_DAYS:
        raise ValueError("write a number of days, such as 90 or 90d")
    return int(match[1])


class OrderLogSettings(Section):
    """``[order_log]``: the files orders.log and trading_orders.log in the logs folder."""

    max_size: Annotated[int, BeforeValidator(_size)] = Field(
        default=5 << 20,
        description="A file that has become so large is put aside: 5M, 500K.",
        json_schema_extra={"shown": "5M"},
    )
    keep: Annotated[int, BeforeValidator(_parts)] = Field(
        default=20, description="So many that were put aside are kept of each."
    )
    max_age: Annotated[int, BeforeValidator(_days)] | None = Field(
        default=None, description="One that was put aside is removed after so many days; empty: not for its age."
    )
    compress: Annotated[bool, BeforeValidator(values.yes_or_no)] = Field(
        default=True, description="Whether what is put aside is compressed, with gzip."
    )
