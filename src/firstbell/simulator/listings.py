"""The instruments that the simulated exchange lists, read from the table that comes with this room.

The table's columns are those of a market-data export. Its ``source`` says where a row's numbers are from; made-up ones
have a band of 3 % around the reference price, cut to ticks, and a largest order by price.
"""

from __future__ import annotations

import csv
import functools
from datetime import date
from importlib import resources
from typing import Final

from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.money import exact
from firstbell.model.price_band import PriceBand

_TABLE: Final = "tse_instruments.csv"


@functools.cache
def tehran_instruments() -> tuple[Instrument, ...]:
    """The listed instruments in the table's order. Read once, when first asked for.

    Raises:
        ValueError: The table cannot be read.
    """
    text = resources.files("firstbell.simulator").joinpath("data", _TABLE).read_text(encoding="utf-8")
    return read_instruments(text)


def read_instruments(text: str) -> tuple[Instrument, ...]:
    """Instruments from a table with the columns of the one that comes with this room.

    It may have two more, ``tick_size`` and ``expiry`` (``YYYY-MM-DD``); of a row, both may be empty.

    Raises:
        ValueError: A row cannot be read.
        KeyError: A column is missing.
    """
    return tuple(_instrument(row) for row in csv.DictReader(text.splitlines()))


def _instrument(row: dict[str, str]) -> Instrument:
    tick, expiry = row.get("tick_size"), row.get("expiry")
    return Instrument(
        id=InstrumentId(row["isin"]),
        symbol=row["symbol"],
        name=row["name"],
        band=PriceBand(exact(row["band_low"]), exact(row["band_high"])),
        min_quantity=exact(row["min_order"]),
        max_quantity=exact(row["max_order"]),
        lot_size=exact(row["lot_size"]),
        reference_price=exact(row["reference_price"]),
        state="A",
        expiry=date.fromisoformat(expiry) if expiry else None,
        tick_size=exact(tick) if tick else None,
    )
