"""The exchange's own clock: the machine's, but ahead or behind by a fixed offset.

It runs at the true rate even when the day is compressed: compression moves the phases together (see `schedule`), and a
clock that ran fast would mislead whoever estimates its offset.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import formatdate
from typing import Final

NS: Final = 1_000_000_000
"""Nanoseconds in a second."""


class ExchangeClock:
    """Wall time as the exchange sees it.

    Args:
        offset_ns: By how much it is ahead of this machine's clock, in ns; negative when it is behind.
    """

    def __init__(self, offset_ns: int = 0) -> None:
        self.offset_ns = offset_ns
        self._date_second = -1
        self._date = ""

    def now_ns(self) -> int:
        """The time, in ns since the epoch."""
        return time.time_ns() + self.offset_ns

    def machine_ns(self, exchange_ns: int) -> int:
        """When this machine's clock shows an instant of the exchange's, in ns since the epoch."""
        return exchange_ns - self.offset_ns

    def http_date(self) -> str:
        """The time as a ``Date`` header says it: whole seconds, cut off, in GMT."""
        second = self.now_ns() // NS
        if second != self._date_second:
            self._date_second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def instant(ns: int, zone: tzinfo = UTC) -> datetime:
    """Nanoseconds since the epoch as an aware time, cut to whole microseconds."""
    return datetime.fromtimestamp(ns // NS, UTC).astimezone(zone) + timedelta(microseconds=ns % NS // 1_000)
