"""Whether a request's terms and its moment fit: what `OrderRequest` itself cannot see, and when the market trades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.market.phases import ONLY_GATHERS, TAKES_CHANGES, TAKES_ORDERS, Phase
from firstbell.model.terms import TimeInForce
from firstbell.risk.validation.known import NOT_KNOWN
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from firstbell.market.hours import MarketDay
    from firstbell.model.order_request import OrderRequest
    from firstbell.risk.validation.known import Known

_AUCTIONS: Final = {TimeInForce.AT_THE_OPEN: Phase.AUCTION, TimeInForce.AT_THE_CLOSE: Phase.AT_CLOSE}
_AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def ends_later(request: OrderRequest, known: Known) -> Verdict | None:
    """An order that ends at an instant ends later than now."""
    end = request.expires_at
    if end is None or end > known.now:
        return None
    now = known.now.astimezone(end.tzinfo)
    return Verdict(ErrorCode.VALIDATION_ERROR, "expires_at", _at(end), f"later than {_at(now)}")


def market_takes_orders(request: OrderRequest, known: Known) -> Verdict | None:
    """The market takes new orders now."""
    del request
    return None if known.phase in TAKES_ORDERS else _closed(known.day, known.now)


def time_in_force_fits(request: OrderRequest, known: Known) -> Verdict | None:
    """The auction that it is for is still to come; and what has to trade at once comes when orders trade."""
    kind, day = request.time_in_force, known.day
    auction = _AUCTIONS.get(kind)
    if auction is not None:
        if day is not None and day.is_to_come(auction, known.now):
            return None
        allowed = f"while {auction} is still to come"
    elif kind in _AT_ONCE and known.phase in ONLY_GATHERS:
        allowed = f"while orders trade, not in {known.phase}"
    else:
        return None
    return Verdict(ErrorCode.MARKET_HOURS_ERROR, "time in force", kind.value, allowed)


def changes_taken(day: MarketDay | None, now: datetime) -> Verdict | None:
    """The market lets orders be changed and canceled now."""
    phase = Phase.CLOSED if day is None else day.phase_at(now)
    if phase in TAKES_CHANGES:
        return None
    if phase in TAKES_ORDERS:
        return Verdict(
            ErrorCode.MARKET_HOURS_ERROR, "market hours", phase.value, "changes and cancels in other phases only"
        )
    return _closed(day, now)


def _closed(day: MarketDay | None, now: datetime) -> Verdict:
    if day is None:
        return Verdict(ErrorCode.MARKET_HOURS_ERROR, "market hours", NOT_KNOWN, "while the market takes orders")
    if day.session is None:
        found = f"closed on {day.day}: {day.why_closed}"
    else:
        found = f"closed at {now.astimezone(day.begin.tzinfo):%H:%M:%S}"
    opens = day.opens_after(now)
    return Verdict(
        ErrorCode.MARKET_HOURS_ERROR,
        "market hours",
        found,
        "from its next bell on, which is not known" if opens is None else f"from {_at(opens)} on",
    )


def _at(instant: datetime) -> str:
    return instant.isoformat(sep=" ", timespec="seconds")
