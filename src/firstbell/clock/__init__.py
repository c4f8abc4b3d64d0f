"""Time: our two clocks, waiting on them, the exchange's time of day, and how far its clock is from ours."""

from __future__ import annotations

from firstbell.clock.exchange_time import exchange_now, next_time, parse_at, rfc3339
from firstbell.clock.offset import OffsetEstimate, Probe, date_header_s, estimate
from firstbell.clock.system import Clock, SystemClock
from firstbell.clock.wait import wait_until, wait_until_instant

__all__ = [
    "Clock",
    "OffsetEstimate",
    "Probe",
    "SystemClock",
    "date_header_s",
    "estimate",
    "exchange_now",
    "next_time",
    "parse_at",
    "rfc3339",
    "wait_until",
    "wait_until_instant",
]
