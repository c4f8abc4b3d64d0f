"""A market that never closes, for practice on paper at any hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from types import MappingProxyType

from firstbell.market.calendar import MarketCalendar, Session
from firstbell.market.phases import Phase


@dataclass(frozen=True)
class _AlwaysOpen(MarketCalendar):
    def why_closed(self, day: date) -> None:
        """Never closed."""
        del day

    def session(self, day: date) -> Session:
        """The whole day, from midnight to midnight, all of it continuous trading. The bell is at midnight."""
        begin = self.at(day, time())
        end = datetime.combine(day + timedelta(days=1), time(), tzinfo=self.tz)
        # Entry and trading begin together, so of the first there is only its bell.
        return Session(day, ((begin, Phase.ORDER_ENTRY), (begin, Phase.CONTINUOUS), (end, Phase.CLOSED)))

    def warning(self, day: date) -> None:
        """Nothing about it is uncertain."""
        del day


def always_open(tz: tzinfo = UTC, *, market: str = "PAPER") -> MarketCalendar:
    """The calendar of a market that trades continuously, every day and around the clock.

    A session ends where the next one begins: whoever holds one asks for the next at its `Session.end`.

    Args:
        tz: The time zone in which its days begin at midnight.
        market: Its code.
    """
    nothing: MappingProxyType[date, str] = MappingProxyType({})
    return _AlwaysOpen(market, "always open", tz, frozenset(range(7)), "", (), nothing, nothing)
