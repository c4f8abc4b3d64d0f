"""A market's day with its instants worked out, so that asking what holds now costs no look at the calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from firstbell.market.phases import TAKES_ORDERS, Phase

if TYPE_CHECKING:
    from firstbell.market.calendar import MarketCalendar, Session


_LONGEST_BREAK: Final = 31
"""For so many days in a row no market is closed."""


@dataclass(frozen=True, slots=True)
class MarketDay:
    """One day of a market, from midnight to midnight in its time zone.

    Attributes:
        market: The market's code.
        day: The day.
        begin: Its first instant.
        end: The first instant that is no more in it.
        session: Its phases; None where the market is closed all day, or its hours are not known.
        why_closed: Why there is no session, in words; None where there is one.
        next_bell: When the next day's session begins of those that come after this day; None where it is not known.
    """

    market: str
    day: date
    begin: datetime
    end: datetime
    session: Session | None
    why_closed: str | None
    next_bell: datetime | None

    def phase_at(self, now: datetime) -> Phase:
        """What the market does with orders at an aware instant of this day."""
        return Phase.CLOSED if self.session is None else self.session.phase_at(now)

    def opens_after(self, now: datetime) -> datetime | None:
        """When the market next begins to take orders after an aware instant; None where it is not known."""
        for start, phase in () if self.session is None else self.session.phases:
            if start > now and phase in TAKES_ORDERS:
                return start
        return self.next_bell

    def has_opened(self, now: datetime) -> bool:
        """Whether the market has begun to take orders on this day by an aware instant of it."""
        phases = () if self.session is None else self.session.phases
        return any(start <= now and phase in TAKES_ORDERS for start, phase in phases)

    def is_to_come(self, phase: Phase, now: datetime) -> bool:
        """Whether a phase of that kind is still to come today, or to end where it has begun, after an aware instant."""
        phases = () if self.session is None else self.session.phases
        ends = (start for start, _ in phases[1:])
        return any(kind is phase and end > now for (_, kind), end in zip(phases, ends, strict=False))


class Hours:
    """What a market does now. It looks at the calendar once a day; any thread may ask.

    Args:
        calendar: The market's days.
    """

    def __init__(self, calendar: MarketCalendar) -> None:
        self.calendar = calendar
        self._today: MarketDay | None = None

    @property
    def market(self) -> str:
        """The market's code."""
        return self.calendar.market

    def had_opened(self, at: datetime) -> bool:
        """Whether the market had begun to take orders by an aware instant, on that day.

        Raises:
            ValueError: As for `on`.
        """
        return self.on(at).has_opened(at)

    def on(self, now: datetime) -> MarketDay:
        """The day of an aware instant.

        Raises:
            ValueError: The instant has no time zone, or lies at the end of all days.
        """
        if now.tzinfo is None:
            raise ValueError(f"{now} has no time zone")
        today = self._today
        if today is None or not today.begin <= now < today.end:
            today = self._today = market_day(self.calendar, now)
        return today


class OrderDays:
    """Which day an order for the day is for: the one in whose session it was sent, or else the next session's.

    Args:
        calendar: The market's days.
    """

    def __init__(self, calendar: MarketCalendar) -> None:
        self._calendar = calendar
        self._ends: dict[tuple[date, bool], datetime | None] = {}
        self._closes: dict[date, datetime | None] = {}

    def end_of(self, left_at: datetime) -> datetime | None:
        """The first instant after the day of an order that left at an aware instant; None where it is not known."""
        day = left_at.astimezone(self._calendar.tz).date()
        try:
            if day not in self._closes:
                session = market_day(self._calendar, left_at).session
                self._closes[day] = None if session is None else session.end
            closes = self._closes[day]
            in_time = closes is not None and left_at < closes
            if (day, in_time) not in self._ends:
                self._ends[day, in_time] = self._end(left_at, in_time=in_time)
            return self._ends[day, in_time]
        except ValueError:
            return None

    def day_of(self, left_at: datetime) -> date | None:
        """The day that an order that left at an aware instant is for; None where it is not known."""
        end = self.end_of(left_at)
        return None if end is None else (end - timedelta(microseconds=1)).astimezone(self._calendar.tz).date()

    def is_one(self, first: datetime, second: datetime) -> bool:
        """Whether orders that leave at two instants are for the same day."""
        end = self.end_of(first)
        return end is not None and end == self.end_of(second)

    def ended_before(self, now: datetime) -> tuple[date, ...]:
        """The days before an instant's own at whose end an order was for the same day as one at that instant.

        The latest first; on most days the one before, after a weekend some more. None where the market never closes.
        """
        day, found = now.astimezone(self._calendar.tz).date(), list[date]()
        while len(found) < _LONGEST_BREAK:
            begin = self._calendar.at(day, time())
            if not self.is_one(begin - timedelta(microseconds=1), now):
                break
            day -= timedelta(days=1)
            found.append(day)
        return tuple(found)

    def evenings_of(self, day: date) -> tuple[date, ...]:
        """The days in whose evenings an order was for a day; see `ended_before`."""
        return self.ended_before(self._calendar.at(day, time()))

    def _end(self, left_at: datetime, *, in_time: bool) -> datetime | None:
        day = market_day(self._calendar, left_at)
        if in_time:
            return day.end
        return None if day.next_bell is None else market_day(self._calendar, day.next_bell).end


def market_day(calendar: MarketCalendar, now: datetime) -> MarketDay:
    """Work out the day of an aware instant.

    Raises:
        ValueError: The instant lies at the end of all days.
    """
    try:
        day = now.astimezone(calendar.tz).date()
        begin, end = (calendar.at(each, time()) for each in (day, day + timedelta(days=1)))
    except OverflowError:
        raise ValueError(f"{now} has no day after it") from None
    session, why_closed = None, calendar.why_closed(day)
    if why_closed is None:
        try:
            session = calendar.session(day)
        except ValueError as error:
            why_closed = str(error)
    return MarketDay(calendar.market, day, begin, end, session, why_closed, _bell_after(calendar, day))


def _bell_after(calendar: MarketCalendar, day: date) -> datetime | None:
    try:
        return calendar.session(calendar.next_trading_day(day)).bell
    except (ValueError, OverflowError):
        return None
