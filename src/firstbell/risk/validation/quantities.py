"""Whether so much can be ordered, in shares and in money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.terms import Side
from firstbell.risk.validation.known import NOT_KNOWN, is_price, shown
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.model.order_request import OrderRequest
    from firstbell.risk.validation.known import Known


def quantity_in_range(request: OrderRequest, known: Known) -> Verdict | None:
    """The quantity lies between the instrument's smallest and largest order."""
    if known.instrument is None:
        return _verdict("order size", NOT_KNOWN, "a known one")
    low, high = known.instrument.min_quantity, known.instrument.max_quantity
    if low <= request.quantity <= high:
        return None
    return _verdict("order size", shown(request.quantity), f"{shown(low)} to {shown(high)}")


def quantity_in_lots(request: OrderRequest, known: Known) -> Verdict | None:
    """The quantity is a multiple of the instrument's lot size."""
    if known.instrument is None:
        return _verdict("lot size", NOT_KNOWN, "a known one")
    lot = known.instrument.lot_size
    if lot > 0 and request.quantity % lot == 0:
        return None
    return _verdict("lot size", shown(request.quantity), f"multiples of {shown(lot)}")


def quantity_within_limit(request: OrderRequest, known: Known) -> Verdict | None:
    """The quantity is at most what the user allows himself in one order."""
    most = known.bounds.max_order_quantity
    if most is None or request.quantity <= most:
        return None
    return _verdict("max_order_quantity", shown(request.quantity), f"at most {shown(most)}")


def quantity_held(request: OrderRequest, known: Known) -> Verdict | None:
    """A sell is for no more than is held, where holdings are given."""
    held = known.held
    if request.side is Side.BUY or held is None or request.quantity <= held:
        return None
    return _verdict("holdings", shown(request.quantity), f"at most {shown(held)}")


def value_within_limit(request: OrderRequest, known: Known) -> Verdict | None:
    """Price times quantity is at most what the user allows himself in one order."""
    most = known.bounds.max_order_value
    if most is None:
        return None
    price = valued_at(request, known)
    if price is None:
        return _verdict("max_order_value", "no price to value it at", f"at most {shown(most)}")
    value = price * request.quantity
    return None if value <= most else _verdict("max_order_value", shown(value), f"at most {shown(most)}")


def valued_at(request: OrderRequest, known: Known) -> Decimal | None:
    """The price that a request is valued at: its limit; where it has none, the highest it may be thought to trade at.

    That is the highest of its trigger, the best opposite price, and the last price or else the reference price; None
    where none of them is known.
    """
    if request.price is not None:
        return request.price
    touch = None if known.quote is None else known.quote.touch(request.side)
    candidates = (request.trigger_price, touch, known.reference)
    return max((price for price in candidates if price is not None and is_price(price)), default=None)


def _verdict(rule: str, found: str, allowed: str) -> Verdict:
    return Verdict(ErrorCode.QUANTITY_ERROR, rule, found, allowed)
