"""What an exchange's rules say: its days and hours, its fees, its tick sizes. All of it is data, because it changes."""

from __future__ import annotations

from firstbell.market.always_open import always_open
from firstbell.market.calendar import MARKETS, MarketCalendar, Session, calendar
from firstbell.market.fees import fee, fee_rate
from firstbell.market.phases import Phase
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
    "tick_size",
]
