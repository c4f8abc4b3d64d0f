"""How the order manager works, deals with refusals, and with orders that fill in parts: four sections of the config.

The key names are those of the requirement; the policies that are made of them stand in ``oms/``.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from firstbell.config import values
from firstbell.config.section import Section
from firstbell.model.policies import CompletionStrategy, RetryStrategy

Whole = Annotated[Decimal, BeforeValidator(values.whole)]
"""A whole positive number of shares."""
Count = Annotated[int, BeforeValidator(values.whole_int)]
"""A whole positive number of things."""
Span = Annotated[timedelta, BeforeValidator(values.duration)]
"""A length of time."""
Fraction = Annotated[Decimal, BeforeValidator(values.fraction)]
"""A part of something, from 0 to 1."""


class TradingMode(StrEnum):
    """Whether the order manager may trade with real money."""

    PAPER = "paper"
    LIVE = "live"


class OrdersSettings(Section):
    """``[orders]``: placing orders beyond the bell, and looking after them."""

    mode: Annotated[TradingMode, BeforeValidator(partial(values.word, kinds=TradingMode))] = Field(
        default=TradingMode.PAPER,
        description="paper: paper accounts alone. live: with --live on the command line too, real money as well.",
    )
    every: Span = Field(
        default=timedelta(seconds=2), description="How often the brokers' lists are read while orders are open."
    )
    stale_after: Span = Field(default=timedelta(seconds=15), description="A quote that is older triggers no stop.")
    max_attempts_per_minute: Count = Field(
        default=600, description="How often orders may be sent in a minute, all together; then trading is halted."
    )


class RetrySettings(Section):
    """``[retry]``: when to ask again, and when to send again what was certainly not placed."""

    strategy: Annotated[RetryStrategy, BeforeValidator(partial(values.word, kinds=RetryStrategy))] = Field(
        default=RetryStrategy.EXPONENTIAL_BACKOFF,
        description="exponential_backoff, linear_backoff, fixed_delay or immediate.",
    )
    max_attempts: Count = Field(default=3, description="How often at most, the first time counted.")
    base_delay: Span = Field(default=timedelta(seconds=1), description="The first pause: 1s, 500ms.")
    max_delay: Span = Field(default=timedelta(seconds=30), description="No pause is longer.")
    backoff_multiplier: Annotated[Decimal, BeforeValidator(values.factor)] = Field(
        default=Decimal(2), description="For exponential_backoff: each pause is so many times the one before it."
    )
    jitter: Fraction = Field(
        default=Decimal("0.1"), description="Up to this part of each pause is left out, by chance; 0: none of it."
    )

    @model_validator(mode="after")
    def _grows_to_the_longest(self) -> RetrySettings:
        if self.base_delay > self.max_delay:
            raise ValueError("base_delay is longer than max_delay")
        return self


class FallbackSettings(Section):
    """``[fallback]``: what is done about an order that was refused for certain."""

    enabled: Annotated[bool, BeforeValidator(values.yes_or_no)] = Field(
        default=True, description="no: what is refused for good stays refused."
    )
    max_price_adjustment: Fraction = Field(
        default=Decimal("0.05"), description="How much worse than asked for a price may become, as a part of it."
    )
    marketable_allowance: Fraction = Field(
        default=Decimal("0.01"), description="How far beyond the best opposite price a limit goes that is to trade."
    )
    min_quantity_reduction: Whole = Field(default=Decimal(1), description="The least by which a quantity is reduced.")
    split_threshold: Whole | None = Field(
        default=None,
        description="Larger orders are split into such ones where too large is all that is said; empty: they are not.",
    )
    max_parts: Count = Field(default=10, description="Into how many orders one may be split.")
    manual_intervention_threshold: Count = Field(
        default=5, description="After so many refusals of one request a person has to look."
    )


class PartialFillSettings(Section):
    """``[partial_fills]``: what is done about the rest of an order that has traded in part."""

    strategy: Annotated[CompletionStrategy, BeforeValidator(partial(values.word, kinds=CompletionStrategy))] | None = (
        Field(
            default=None,
            description="immediate, time_based, price_based or cancel_remaining. Empty: the rest goes on working.",
        )
    )
    after: Span = Field(
        default=timedelta(seconds=30), description="For time_based: so long after its last fill the rest is to trade."
    )
    price_move: Fraction = Field(
        default=Decimal("0.005"),
        description="For price_based: the rest follows a market that has gone so far from its price, as a part of it.",
    )
    max_price_adjustment: Fraction = Field(
        default=Decimal("0.05"), description="How much worse than asked for the rest's price may become."
    )
    min_remaining: Whole = Field(
        default=Decimal(1), description="A rest of less than this is canceled rather than pursued."
    )
