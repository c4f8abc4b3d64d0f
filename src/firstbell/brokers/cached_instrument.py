"""An instrument as a cache entry: every number an exact text."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.money import exact
from firstbell.model.price_band import PriceBand

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.cache import JsonValue


def written(instrument: Instrument) -> JsonValue:
    """Write an instrument for the cache."""
    return {
        "id": instrument.id,
        "symbol": instrument.symbol,
        "name": instrument.name,
        "low": _plain(instrument.band.low),
        "high": _plain(instrument.band.high),
        "min": _plain(instrument.min_quantity),
        "max": _plain(instrument.max_quantity),
        "lot": _plain(instrument.lot_size),
        "reference": _plain(instrument.reference_price),
        "last": _plain(instrument.last_price),
        "state": instrument.state,
        "expiry": None if instrument.expiry is None else instrument.expiry.isoformat(),
        "tick": _plain(instrument.tick_size),
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
            expiry=None if entry["expiry"] is None else date.fromisoformat(_text(entry, "expiry")),
            tick_size=_maybe(entry, "tick"),
        )
    except (KeyError, ValueError):
        return None


def _plain(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def _text(entry: dict[str, JsonValue], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise ValueError(name)  # noqa: TRY004 - one error for bad entries
    return value


def _number(entry: dict[str, JsonValue], name: str) -> Decimal:
    text = _text(entry, name)
    number = exact(text)
    if number <= 0 or format(number, "f") != text:
        # Written in another way, it was not written here: 1E+999999 is a number, and too long a one for its plain form.
        raise ValueError(name)
    return number


def _maybe(entry: dict[str, JsonValue], name: str) -> Decimal | None:
    return None if entry[name] is None else _number(entry, name)
