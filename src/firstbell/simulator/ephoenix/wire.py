"""How this platform writes numbers and times, and how bodies are read and answers made."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from firstbell.market import calendar
from firstbell.model import strict_json
from firstbell.simulator.exchange_clock import instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
    from decimal import Decimal

_DAY: Final = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}")


def zone(market: str) -> tzinfo:
    """The market's time zone."""
    return calendar(market).tz


def mislabeled(ns: int, tz: tzinfo) -> str:
    """An instant as this platform writes it: the exchange's wall clock, labelled as if it were UTC."""
    return instant(ns, tz).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def day_of(text: object) -> date:
    """Read a Gregorian ``YYYY/MM/DD``.

    Raises:
        ValueError: It is not one.
    """
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        raise ValueError("a day is written YYYY/MM/DD")
    return date.fromisoformat(text.replace("/", "-"))


def as_price(price: Decimal) -> float:
    """A price as market data writes it, ``5860.0``. Every price on this exchange is exact as a float."""
    return float(price)


def as_whole(number: Decimal) -> int:
    """Rials or shares as a whole number, the part behind the point cut off."""
    return int(number)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it becomes HTTP.

    Attributes:
        body: JSON.
        status: The HTTP status.
        headers: Headers besides the usual ones.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def reply(payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Write an answer as JSON, Persian text as it is."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(body, status, headers or {})


def read_object(body: bytes) -> dict[str, Any]:
    """Read a body as a JSON object, strictly; numbers with a point come as `Decimal`.

    Raises:
        ValueError: It is not one.
    """
    read = strict_json.parse(body.decode("utf-8-sig"))
    if not isinstance(read, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004 - one error for bad bodies
    return read


def whole_number(body: Mapping[str, Any], key: str) -> int:
    """The whole number under a name: not a text, and not true, which is 1 to Python.

    Raises:
        KeyError: There is none.
        TypeError: Something else stands there.
    """
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(key)
    return value
