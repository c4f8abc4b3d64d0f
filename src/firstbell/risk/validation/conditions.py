"""Whether the market is fit to be traded in: how wide, how busy, and how long ago that was seen.

While orders are only gathered for an auction nothing has traded yet, and the best limits may have crossed: then spread
and volume say nothing, and are not looked at.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from firstbell.market.phases import ONLY_GATHERS
from firstbell.risk.validation.known import NOT_KNOWN, shown
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.model.order_request import OrderRequest
    from firstbell.risk.validation.known import Known


def spread_narrow(request: OrderRequest, known: Known) -> Verdict | None:
    """The spread is at most a part of the price in its middle, and not crossed; while the market trades."""
    del request
    most, quote = known.bounds.max_spread, known.quote
    if most is None or known.phase in ONLY_GATHERS:
        return None
    bid, ask = (None, None) if quote is None else (quote.bid, quote.ask)
    if bid is None or ask is None or not (bid.is_finite() and ask.is_finite()):
        return Verdict(ErrorCode.PRICE_ERROR, "max_spread", NOT_KNOWN, f"at most {shown(most)}")
    spread, middle = ask - bid, (ask + bid) / 2
    if spread >= 0 and spread <= most * middle:
        return None
    found = f"{shown(bid)} to {shown(ask)}, {spread / middle:.3g} of the price in its middle"
    return Verdict(ErrorCode.PRICE_ERROR, "max_spread", found, f"0 to {shown(most)}")


def volume_enough(request: OrderRequest, known: Known) -> Verdict | None:
    """Enough has traded today; once the market trades."""
    del request
    if known.phase in ONLY_GATHERS:
        return None
    return _at_least("min_volume", None if known.quote is None else known.quote.volume, known.bounds.min_volume)


def interest_enough(request: OrderRequest, known: Known) -> Verdict | None:
    """Enough contracts are open, of an instrument that expires."""
    del request
    if known.instrument is None or not known.instrument.is_derivative:
        return None
    found = None if known.quote is None else known.quote.open_interest
    return _at_least("min_open_interest", found, known.bounds.min_open_interest)


def quote_fresh(request: OrderRequest, known: Known) -> Verdict | None:
    """An order without a limit price has a quote that is not too old."""
    longest, quote = known.bounds.max_quote_age, known.quote
    if longest is None or request.order_type.has_limit:
        return None
    allowed = f"at most {longest.total_seconds():g} s"
    if quote is None or quote.at.tzinfo is None:
        return Verdict(ErrorCode.PRICE_ERROR, "max_quote_age", NOT_KNOWN, allowed)
    age = known.now - quote.at
    # One from a time to come tells of two clocks that disagree: then nobody knows how old it is.
    if -longest <= age <= longest:
        return None
    return Verdict(ErrorCode.PRICE_ERROR, "max_quote_age", f"{age / timedelta(seconds=1):.1f} s", allowed)


def _at_least(rule: str, found: Decimal | None, least: Decimal | None) -> Verdict | None:
    if least is None or (found is not None and found >= least):
        return None
    return Verdict(ErrorCode.SYMBOL_ERROR, rule, shown(found), f"at least {shown(least)}")
