"""The last known prices, written down: what positions are shown at while no broker is asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.model.facts import Facts, instant_of, number_of
from firstbell.model.identifiers import InstrumentId
from firstbell.oms import small_file
from firstbell.oms.positions.prices import MarketPrice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstbell.oms.positions.prices import Market

_log = logging.getLogger(__name__)

FILE: Final = "last_prices.json"


def load(state_dir: Path) -> dict[Market, MarketPrice]:
    """Every last price that was written down; none where they cannot be read: each can be asked for again."""
    try:
        written = small_file.read(state_dir / FILE)
        rows = [] if written is None else Facts(written).list("prices")
        return dict(map(_read, rows))
    except ValueError as error:
        _log.warning("%s: the last prices are not known", error)
        return {}


def save(state_dir: Path, prices: Mapping[Market, MarketPrice]) -> None:
    """Write them down.

    Raises:
        RunError: They cannot be written.
    """
    rows = [
        {
            "broker_code": code,
            "instrument": instrument,
            "price": str(price.price),
            "at": price.at.isoformat(),
            "reference": None if price.reference is None else str(price.reference),
        }
        for (code, instrument), price in sorted(prices.items())
    ]
    small_file.write(state_dir / FILE, {"prices": rows})


def _read(row: object) -> tuple[Market, MarketPrice]:
    facts = Facts(row)
    market = (facts.text("broker_code"), InstrumentId(facts.text("instrument")))
    at = instant_of(facts.text("at"))
    return market, MarketPrice(number_of(facts.text("price")), at, facts.maybe_number("reference"))
