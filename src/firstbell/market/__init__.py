"""What an exchange's rules say: its days and hours, its fees, tick sizes and short sales: data, because it changes."""

from __future__ import annotations

from firstbell.market.always_open import always_open
from firstbell.market.calendar import MARKETS, MarketCalendar, Session, calendar
from firstbell.market.fees import fee, fee_rate
from firstbell.market.phases import Phase
from firstbell.market.short_sales import takes_short_sales
from firstbell.market.ticks import on_tick, tick_size

__all__ = [
    "MARKETS",
    "MarketCalendar",
    "Phase",
    "Session",
    "always_open",
    "calendar",
    "fee",
    "fee_rate",
    "on_tick",
    "takes_short_sales",
    "tick_size",
]
