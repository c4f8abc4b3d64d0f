"""What a request is judged against, and how its numbers are written in a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.market.phases import Phase
from firstbell.model.money import grouped

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from firstbell.market.hours import MarketDay
    from firstbell.model.instrument import Instrument
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.quote import Quote

NOT_KNOWN: Final = "not known"
_MOST_DIGITS: Final = 28


@dataclass(frozen=True, slots=True)
class Bounds:
    """The user's own limits; None where he sets none.

    Attributes:
        max_order_value: Price times quantity of one order.
        max_order_quantity: Shares or contracts in one order.
        min_price: The lowest price that an order may name.
        max_price: The highest one.
        price_tolerance: How far from the reference price an order's prices may be, as a part of it.
        max_spread: The widest spread, as a part of the price in its middle.
        min_volume: How much has to have traded today.
        min_open_interest: How many contracts have to be open.
        max_quote_age: How old a quote may be for an order without a limit price.
        tradable_states: Further words of the exchange's for an instrument that may be traded, in lower case.
    """

    max_order_value: Decimal | None = None
    max_order_quantity: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    price_tolerance: Decimal | None = None
    max_spread: Decimal | None = None
    min_volume: Decimal | None = None
    min_open_interest: Decimal | None = None
    max_quote_age: timedelta | None = None
    tradable_states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at the moment of a request. What is not is None, and denies where a check needs it.

    Attributes:
        bounds: The user's own limits.
        now: The moment, aware, on the exchange's clock.
        day: The market's day.
        instrument: The instrument as its broker describes it today.
        quote: Its market at last sight.
        held: How much of it may be sold; None where that is no limit.
        phase: What the market does with orders now.
        reference: The last price, or else the reference price; None where neither is known.
    """

    bounds: Bounds
    now: datetime
    day: MarketDay | None = None
    instrument: Instrument | None = None
    quote: Quote | None = None
    held: Decimal | None = None
    phase: Phase = field(init=False)
    reference: Decimal | None = field(init=False)

    def __post_init__(self) -> None:
        phase = Phase.CLOSED if self.day is None else self.day.phase_at(self.now)
        object.__setattr__(self, "phase", phase)
        object.__setattr__(self, "reference", self._reference())

    def _reference(self) -> Decimal | None:
        if self.quote is not None and is_price(self.quote.last_price):
            return self.quote.last_price
        if self.instrument is None:
            return None
        last, reference = self.instrument.last_price, self.instrument.reference_price
        return last if is_price(last) else reference if is_price(reference) else None


def is_price(number: Decimal | None) -> bool:
    """Whether a number from outside can be a price."""
    return number is not None and number.is_finite() and number > 0


def named_prices(request: OrderRequest) -> tuple[Decimal, ...]:
    """The prices that a request names: its limit, its trigger, both or none."""
    price, trigger = request.price, request.trigger_price
    if price is None:
        return () if trigger is None else (trigger,)
    return (price,) if trigger is None else (price, trigger)


def shown(number: Decimal | None) -> str:
    """A number for people: in groups of three, but never in a million digits."""
    if number is None:
        return NOT_KNOWN
    sober = number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS
    return grouped(number) if sober else str(number)


def all_shown(numbers: list[Decimal]) -> str:
    """Several numbers for people."""
    return " and ".join(map(shown, numbers))
