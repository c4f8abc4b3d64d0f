"""What an order has to keep to before it may go to its broker, beyond the limits in ``[risk]``."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads annotations
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from firstbell.config import values
from firstbell.config.section import Section

Amount = Annotated[Decimal, BeforeValidator(values.amount)]
"""A positive number, perhaps with a fraction."""
Share = Annotated[Decimal, BeforeValidator(values.fraction)]
"""A part of something, from 0 to 1."""


def _state_words(value: object) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError("write words with commas between them")  # noqa: TRY004 - pydantic turns ValueError into its own
    words = tuple(each.strip().casefold() for each in given if isinstance(each, str))
    if not words or not all(words):
        raise ValueError("write words with commas between them")
    return words


class ValidationSettings(Section):
    """``[validation]``: what an order is held against before it is sent; None: no such limit."""

    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "lot_size": "comes from the broker's instrument, which may change from day to day; delete it",
            "expiry": "comes from the broker's instrument; delete it",
            "tick_size": "comes from the broker's instrument, or from the market's rules; delete it",
            "max_order_value": "stands in [risk], where it holds for every order; write it there",
            "max_order_quantity": "stands in [risk], where it holds for every order; write it there",
        }
    )

    market_hours: Annotated[bool, BeforeValidator(values.yes_or_no)] = Field(
        default=True, description="no: whether the market is open, only the broker says."
    )
    min_price: Amount | None = Field(default=None, description="The lowest price an order may name.")
    max_price: Amount | None = Field(default=None, description="The highest price an order may name.")
    price_tolerance: Share = Field(
        default=Decimal("0.20"),
        description="How far from the last price an order's may be, as a part of it; 1: from nothing to its double.",
    )
    max_spread: Share | None = Field(
        default=None, description="The widest spread while the market trades, as a part of the price in its middle."
    )
    min_volume: Amount | None = Field(
        default=None, description="How much has to have traded today, once the market trades."
    )
    min_open_interest: Amount | None = Field(
        default=None, description="How many contracts have to be open, of an instrument that expires."
    )
    max_quote_age: Annotated[timedelta, BeforeValidator(values.duration)] = Field(
        default=timedelta(seconds=10), description="How old a quote may be for an order without a limit price."
    )
    tradable_states: Annotated[tuple[str, ...], BeforeValidator(_state_words)] | None = Field(
        default=None, description="Further words of the exchange's for an instrument that may be traded, with commas."
    )

    @model_validator(mode="after")
    def _leaves_prices(self) -> ValidationSettings:
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError("min_price is above max_price")
        return self
