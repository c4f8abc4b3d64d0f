"""How the paper market is: one section of the config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from firstbell.config import values
from firstbell.config.section import FilePath, Section
from firstbell.model.identifiers import InstrumentId

_AROUND: Final = re.compile(r"\s*(?:±|\+/?-)\s*")
_SHARES: Final = "write instruments and shares, such as IRO1MHRN0001: 5000, IRO1FOLD0001: 1200"
_LONGEST: Final = timedelta(seconds=10)


class PaperHours(StrEnum):
    """When the paper market trades."""

    ALWAYS = "always"
    """Around the clock, every day."""
    MARKET = "market"
    """At the hours of ``[firstbell] market``, its phases among them."""


@dataclass(frozen=True, slots=True)
class Around:
    """A length of time that varies.

    Attributes:
        mean: Its average.
        spread: By how much it may be longer or shorter.
    """

    mean: timedelta
    spread: timedelta

    def __str__(self) -> str:
        return f"{_ms(self.mean)} ± {_ms(self.spread)}"


def _ms(span: timedelta) -> str:
    return f"{span // timedelta(milliseconds=1)}ms"


def _around(value: object) -> Around:
    """A length of time, perhaps with how much it varies: ``5ms ± 2ms``, ``5ms +- 2ms``, ``0``."""
    if isinstance(value, Around):
        return value
    mean, _, spread = _AROUND.sub("±", value, count=1).partition("±") if isinstance(value, str) else ("", "", "")
    found = Around(_span(mean), _span(spread or "0"))
    if not found.spread <= found.mean <= _LONGEST:
        raise ValueError("write a time of at most 10s and by how much less it varies, such as 5ms ± 2ms")
    return found


def _span(text: str) -> timedelta:
    return timedelta() if text in {"0", "0ms", "0s"} else values.duration(text)


def _holdings(value: object) -> Mapping[InstrumentId, Decimal]:
    """Shares by instrument: ``IRO1MHRN0001: 5000, IRO1FOLD0001: 1,200``; a comma between digits is within a number."""
    if not isinstance(value, str):
        if isinstance(value, Mapping):
            return value
        raise ValueError(_SHARES)
    found: dict[InstrumentId, Decimal] = {}
    for entry in re.split(r",(?![0-9]{3}(?![0-9]))|;", value):
        isin, _, shares = entry.partition(":")
        try:
            found[InstrumentId(isin.strip())] = values.whole(shares.strip())
        except ValueError as error:
            raise ValueError(_SHARES) from error
        if not isin.strip():
            raise ValueError(_SHARES)
    return found


def _none_or_whole(value: object) -> Decimal:
    try:
        return Decimal(0) if values.latin_digits(str(value)) == "0" else values.whole(value)
    except ValueError as error:
        raise ValueError("write a whole number, such as 10,000, or 0") from error


def _seed(value: object) -> int:
    return int(_none_or_whole(value))


class PaperSettings(Section):
    """``[paper]``: the market of broker_code = paper."""

    money: Annotated[Decimal, BeforeValidator(values.whole)] = Field(
        default=Decimal(1_000_000_000), description="What a new paper account begins with, in rials."
    )
    holdings: Annotated[Mapping[InstrumentId, Decimal], BeforeValidator(_holdings)] | None = Field(
        default=None,
        description="What it begins with in shares: IRO1MHRN0001: 5000, IRO1FOLD0001: 1200",
    )
    latency: Annotated[Around, BeforeValidator(_around)] = Field(
        default=Around(timedelta(milliseconds=5), timedelta(milliseconds=2)),
        description="How long a call takes, and by how much that varies; 0: no time.",
    )
    liquidity: Annotated[Decimal, BeforeValidator(_none_or_whole)] = Field(
        default=Decimal(10_000),
        description="Shares that the simulated market shows at a price, on average; 0: nobody but you is there.",
    )
    seed: Annotated[int, BeforeValidator(_seed)] = Field(
        default=1, description="The same number makes the same simulated market again."
    )
    hours: Annotated[PaperHours, BeforeValidator(partial(values.word, kinds=PaperHours))] = Field(
        default=PaperHours.ALWAYS, description="always, or market: at the hours of the exchange."
    )
    instruments: FilePath | None = Field(
        default=None, description="A table (CSV) of more instruments than the Tehran ones that are built in."
    )
