"""The market data service: instruments with their bands and best limits."""

from __future__ import annotations

from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, Final

from firstbell.model.terms import Side
from firstbell.simulator.ephoenix.api import refused
from firstbell.simulator.ephoenix.codes import MALFORMED
from firstbell.simulator.ephoenix.wire import as_price, as_whole, read_object, reply

if TYPE_CHECKING:
    from firstbell.simulator.book import Level
    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.ephoenix.wire import Reply
    from firstbell.simulator.instrument_day import Listing

_DEPTH: Final = 5


def get_full(visit: Visit) -> Reply:
    """``POST /api/v2/instruments/full``: every known one of the ISINs asked for; unknown ones are left out."""
    visit.desk.exchange.advance(visit.arrived)
    try:
        wanted = read_object(visit.body)["isinList"]
        if not isinstance(wanted, list):
            raise TypeError("isinList")  # noqa: TRY301 - all that is wrong with a body ends in one place
        listings = [visit.desk.exchange.listings[isin] for isin in wanted if isin in visit.desk.exchange.listings]
    except (ValueError, KeyError, TypeError):
        return refused(*MALFORMED)
    return reply([_row(listing) for listing in listings])


def _row(listing: Listing) -> dict[str, Any]:
    instrument = listing.instrument
    last = listing.reference if listing.last_price is None else listing.last_price
    bids = islice(listing.book.levels(Side.BUY), _DEPTH)
    asks = islice(listing.book.levels(Side.SELL), _DEPTH)
    return {
        "i": {
            "isin": instrument.id,
            "s": instrument.symbol,
            "t": instrument.name,
            "maxeq": as_whole(instrument.max_quantity),
            "mineq": as_whole(instrument.min_quantity),
            "ls": as_whole(instrument.lot_size),
            "ncst": instrument.state,
            "lcp": as_price(listing.reference),
        },
        "t": {
            "maxap": as_price(instrument.band.high),
            "minap": as_price(instrument.band.low),
            "cup": as_price(last),
        },
        "bl": [_limit(bid, ask) for bid, ask in zip_longest(bids, asks)],
    }


def _limit(bid: Level | None, ask: Level | None) -> dict[str, Any]:
    return {
        "bv": as_whole(bid.quantity) if bid else 0,
        "boc": len(bid.orders) if bid else 0,
        "bp": as_price(bid.price) if bid else 0.0,
        "sv": as_whole(ask.quantity) if ask else 0,
        "soc": len(ask.orders) if ask else 0,
        "sp": as_price(ask.price) if ask else 0.0,
    }
