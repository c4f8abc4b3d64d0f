"""An instrument as a cache entry: every number an exact text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument, PriceBand
from firstbell.model.money import exact

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.cache import JsonValue


def written(instrument: Instrument) -> JsonValue:
    """Write an instrument for the cache."""
    return {
        "id": instrument.id,
        "symbol": instrument.symbol,
        "name": instrument.name,
        "low": str(instrument.band.low),
        "high": str(instrument.band.high),
        "min": str(instrument.min_quantity),
        "max": str(instrument.max_quantity),
        "lot": str(instrument.lot_size),
        "reference": None if instrument.reference_price is None else str(instrument.reference_price),
        "last": None if instrument.last_price is None else str(instrument.last_price),
        "state": instrument.state,
    }


def read(entry: JsonValue | None) -> Instrument | None:
    """Read an instrument back; None where the entry is none."""
    if not isinstance(entry, dict):
        return None
    try:
        return Instrument(
            id=InstrumentId(_text(entry, "id")),
            symbol=_text(entry, "symbol"),
            name=_text(entry, "name"),
            band=PriceBand(_number(entry, "low"), _number(entry, "high")),
            min_quantity=_number(entry, "min"),
            max_quantity=_number(entry, "max"),
            lot_size=_number(entry, "lot"),
            reference_price=_maybe(entry, "reference"),
            last_price=_maybe(entry, "last"),
            state=_text(entry, "state"),
        )
    except (KeyError, ValueError):
        return None


def _text(entry: dict[str, JsonValue], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise ValueError(name)  # noqa: TRY004 - one error for bad entries
    return value


def _number(entry: dict[str, JsonValue], name: str) -> Decimal:
    number = exact(_text(entry, name))
    if number <= 0:
        raise ValueError(name)
    return number


def _maybe(entry: dict[str, JsonValue], name: str) -> Decimal | None:
    return None if entry[name] is None else _number(entry, name)
