"""What positions are watched for, and where the figures can be read: two sections of the config.

The key names are those of the requirement. Nothing is watched for, and nothing closed, unless it is written here.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from firstbell.config import values
from firstbell.config.section import Section

_HOURS: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,4})?")
_LAST_PORT: Final = 65_535


class OnLoss(StrEnum):
    """What becomes of trading when a limit on losses is reached."""

    REDUCING = "reducing"
    """Only what reduces a position may leave."""
    HALTED = "halted"
    """Nothing may leave but cancels: closing orders neither."""


def _as_written(value: object) -> object:
    """A float of somebody's code, such as ``2000.0``, as it is written there."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else value


def _profit(value: object) -> Decimal:
    return values.amount(_as_written(value))


def _loss(value: object) -> Decimal:
    """A loss, with or without its minus: ``-5000`` and ``5000`` are the same."""
    written = _as_written(value)
    is_number = isinstance(written, str | int | Decimal)
    return values.amount(str(written).strip().removeprefix("-") if is_number else written)


def _hours(value: object) -> Decimal:
    text = values.latin_digits(str(_as_written(value))) if not isinstance(value, bool) else ""
    if not _HOURS.fullmatch(text) or not (hours := Decimal(text)):
        raise ValueError("write a number of hours above zero, such as 6 or 0.5")
    return hours


def _port(value: object) -> int:
    try:
        port = values.whole_int(value)
    except ValueError:
        port = 0
    if not 0 < port <= _LAST_PORT:
        raise ValueError(f"write a port alone, from 1 to {_LAST_PORT}: the page is on 127.0.0.1 and nowhere else")
    return port


Loss = Annotated[Decimal, BeforeValidator(_loss)]
"""An amount of money that may be lost; kept as a positive number."""
Span = Annotated[timedelta, BeforeValidator(values.duration)]
"""A length of time."""
YesOrNo = Annotated[bool, BeforeValidator(values.yes_or_no)]
"""A yes or a no."""


class PositionSettings(Section):
    """``[positions]``: targets, stops and limits on losses. Profit is reckoned with all fees, that of closing too."""

    default_target_pnl: Annotated[Decimal, BeforeValidator(_profit)] | None = Field(
        default=None, description="A position's profit, in rials, at which its target is reached."
    )
    default_stop_loss: Loss | None = Field(
        default=None, description="A position's loss, in rials, at which its stop is reached: -1000 or 1000."
    )
    position_timeout_hours: Annotated[Decimal, BeforeValidator(_hours)] | None = Field(
        default=None, description="How many hours a position may be open; then it is closed."
    )
    auto_close_on_target: YesOrNo = Field(default=False, description="yes: close a position that reaches its target.")
    auto_close_on_stop: YesOrNo = Field(default=False, description="yes: close a position that reaches its stop.")
    max_daily_loss: Loss | None = Field(
        default=None, description="The day's loss of all accounts together, in rials, at which buying ends."
    )
    max_drawdown: Loss | None = Field(
        default=None, description="The same for a fall from the day's best profit, in rials."
    )
    on_daily_loss: Annotated[OnLoss, BeforeValidator(partial(values.word, kinds=OnLoss))] = Field(
        default=OnLoss.REDUCING,
        description="What either limit does: reducing (only sells leave) or halted (nothing leaves).",
    )
    monitoring_interval: Span = Field(
        default=timedelta(seconds=30), description="The longest time between two looks at all positions."
    )
    price_update_interval: Span = Field(
        default=timedelta(seconds=10), description="How often their prices are asked for; each time they are looked at."
    )
    stale_after: Span = Field(
        default=timedelta(seconds=60),
        description="A price that is older closes nothing; a limit that needs it lets trading only reduce meanwhile.",
    )

    @model_validator(mode="after")
    def _stays_fresh(self) -> PositionSettings:
        if self.stale_after < self.price_update_interval:
            raise ValueError("stale_after is shorter than price_update_interval: every price would be stale")
        return self


class MetricsSettings(Section):
    """``[metrics]``: figures for Prometheus."""

    port: Annotated[int, BeforeValidator(_port)] | None = Field(
        default=None, description="Where Prometheus finds figures on 127.0.0.1; empty: nowhere."
    )
