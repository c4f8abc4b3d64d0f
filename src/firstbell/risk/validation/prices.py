"""Whether the prices that a request names, its limit and its trigger, can be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.market.ticks import tick_size
from firstbell.model.terms import OrderType, Side
from firstbell.risk.validation.known import NOT_KNOWN, all_shown, named_prices, shown
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.model.order_request import OrderRequest
    from firstbell.risk.validation.known import Known


def price_in_band(request: OrderRequest, known: Known) -> Verdict | None:
    """Limit and trigger lie in today's price band."""
    prices = named_prices(request)
    if known.instrument is None:
        return _unknown("price band", prices)
    band = known.instrument.band
    wrong = [price for price in prices if not band.holds(price)]
    return _verdict("price band", all_shown(wrong), f"{shown(band.low)} to {shown(band.high)}") if wrong else None


def price_on_tick(request: OrderRequest, known: Known) -> Verdict | None:
    """Limit and trigger are multiples of the tick size; the ends of the band are taken as they are."""
    prices, instrument = named_prices(request), known.instrument
    if instrument is None:
        return _unknown("tick size", prices)
    for price in prices:
        tick = instrument.tick_size or _tick_of_market(known, price)
        if tick is None:
            return _verdict("tick size", NOT_KNOWN, "a known one")
        # The exchange named the ends itself as prices that it takes.
        if not (tick > 0 and price % tick == 0) and price not in (instrument.band.low, instrument.band.high):
            return _verdict("tick size", shown(price), f"multiples of {shown(tick)}")
    return None


def price_not_too_low(request: OrderRequest, known: Known) -> Verdict | None:
    """Limit and trigger are at least the user's lowest price."""
    least = known.bounds.min_price
    wrong = [] if least is None else [price for price in named_prices(request) if not price >= least]
    return _verdict("min_price", all_shown(wrong), f"at least {shown(least)}") if wrong else None


def price_not_too_high(request: OrderRequest, known: Known) -> Verdict | None:
    """Limit and trigger are at most the user's highest price."""
    most = known.bounds.max_price
    wrong = [] if most is None else [price for price in named_prices(request) if not price <= most]
    return _verdict("max_price", all_shown(wrong), f"at most {shown(most)}") if wrong else None


def price_near_reference(request: OrderRequest, known: Known) -> Verdict | None:
    """Limit, trigger and a trailing stop's offset are near the last price, or else the reference price."""
    tolerance, reference, offset = known.bounds.price_tolerance, known.reference, request.trailing_offset
    prices = named_prices(request)
    if tolerance is None or not (prices or offset):
        return None
    if reference is None:
        return _verdict("price_tolerance", "no last or reference price", "one to compare with")
    most = reference * tolerance
    wrong = [price for price in prices if not abs(price - reference) <= most]
    if offset is not None and not offset <= most:
        wrong.append(offset)
    if not wrong:
        return None
    return _verdict("price_tolerance", all_shown(wrong), f"within {shown(most)} of {shown(reference)}")


def trigger_beyond_market(request: OrderRequest, known: Known) -> Verdict | None:
    """A buy stop's trigger is above the last price, a sell stop's below it."""
    trigger, reference = request.trigger_price, known.reference
    if trigger is None:
        return None
    if reference is None:
        return _verdict("trigger price", "no last or reference price", "one to compare with")
    buys = request.side is Side.BUY
    if trigger > reference if buys else trigger < reference:
        return None
    return _verdict("trigger price", shown(trigger), f"{'above' if buys else 'below'} {shown(reference)}")


def limit_beyond_trigger(request: OrderRequest, known: Known) -> Verdict | None:
    """A stop-limit order's limit lets it trade at its trigger: at it or above for a buy, or below for a sell."""
    del known
    limit, trigger = request.price, request.trigger_price
    if request.order_type is not OrderType.STOP_LIMIT or limit is None or trigger is None:
        return None
    buys = request.side is Side.BUY
    if limit >= trigger if buys else limit <= trigger:
        return None
    return _verdict("limit and trigger", shown(limit), f"at {'least' if buys else 'most'} {shown(trigger)}")


def _tick_of_market(known: Known, price: Decimal) -> Decimal | None:
    try:
        return None if known.day is None else tick_size(known.day.market, price)
    except ValueError:
        return None


def _unknown(rule: str, prices: tuple[Decimal, ...]) -> Verdict | None:
    return _verdict(rule, NOT_KNOWN, "a known one") if prices else None


def _verdict(rule: str, found: str, allowed: str) -> Verdict:
    return Verdict(ErrorCode.PRICE_ERROR, rule, found, allowed)
