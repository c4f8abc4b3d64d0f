"""When an exchange trades: its days, its holidays, and the instants of each day's phases.

A market's rules stand in ``exchanges/CODE.toml``: weekdays, the country whose public holidays it keeps, hours by date,
and an overlay of single days closed or opened at short notice. The overlay wins over everything else. The public
holidays are those of the ``holidays`` package, which marks lunar dates that it only estimates; `MarketCalendar.warning`
passes that on.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from firstbell.market.phases import Phase, PhaseStart, Timetable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

MARKETS: Final = ("XTEH",)
"""The market codes (MIC-like) that `calendar` knows."""

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ESTIMATED: Final = "(estimated)"
_NEAR: Final = timedelta(days=30)
_LONGEST_BREAK: Final = 60
"""Days. No exchange that we know has ever been closed for longer; beyond it the data are wrong."""


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day, its phases as aware instants.

    Attributes:
        day: The trading day.
        phases: Each phase with the instant at which it begins, in order. A phase lasts until the next one begins;
            before the first the exchange is closed.
    """

    day: date
    phases: tuple[tuple[datetime, Phase], ...]

    @property
    def bell(self) -> datetime:
        """The instant from which the exchange takes orders."""
        return self.start_of(Phase.ORDER_ENTRY)

    @property
    def end(self) -> datetime:
        """The instant from which it takes no more orders that day."""
        return self.phases[-1][0]

    def start_of(self, phase: Phase) -> datetime:
        """The instant at which `phase` begins for the first time that day.

        Raises:
            ValueError: The day has no such phase.
        """
        for instant, begun in self.phases:
            if begun is phase:
                return instant
        raise ValueError(f"{self.day} has no phase {phase}")

    def phase_at(self, instant: datetime) -> Phase:
        """The phase that holds at an aware instant. Two phases that begin together are the later one."""
        holding = Phase.CLOSED
        for start, phase in self.phases:
            if start > instant:
                break
            holding = phase
        return holding


@dataclass(frozen=True)
class MarketCalendar:
    """The days and hours of one market.

    Attributes:
        market: Its code, ``XTEH``.
        name: Its name.
        tz: Its time zone.
        weekdays: The weekdays on which it trades, Monday being 0.
        country: The country whose public holidays it keeps, as the ``holidays`` package names it.
        timetables: Its hours, the oldest first.
        closed: Single days on which it is closed, each with a note.
        opened: Single days on which it trades, each with a note.
    """

    market: str
    name: str
    tz: tzinfo
    weekdays: frozenset[int]
    country: str
    timetables: tuple[Timetable, ...]
    closed: Mapping[date, str]
    opened: Mapping[date, str]

    def is_trading_day(self, day: date) -> bool:
        """Whether the market trades on `day`, as far as is known."""
        return self.why_closed(day) is None

    def why_closed(self, day: date) -> str | None:
        """Why the market does not trade on `day`, in English; None when it does."""
        if day in self.opened:
            return None
        if day in self.closed:
            return self.closed[day]
        if day.weekday() not in self.weekdays:
            return f"a {_WEEKDAYS[day.weekday()]}"
        return self._holidays(day.year).get(day)

    def session(self, day: date) -> Session:
        """The instants of a trading day's phases.

        Raises:
            ValueError: The market is closed on that day, or its hours then are not known.
        """
        reason = self.why_closed(day)
        if reason is not None:
            raise ValueError(f"{self.market} is closed on {day}: {reason}")
        for timetable in reversed(self.timetables):
            if timetable.since <= day:
                return Session(day, tuple((self.at(day, start.at), start.phase) for start in timetable.phases))
        raise ValueError(f"the hours of {self.market} on {day} are not known: they begin {self.timetables[0].since}")

    def at(self, day: date, clock_time: time) -> datetime:
        """The aware instant of an exchange-local time on any day."""
        return datetime.combine(day, clock_time, tzinfo=self.tz)

    def next_trading_day(self, after: date) -> date:
        """The first trading day later than `after`.

        Raises:
            ValueError: There is none within two months, so the market's data must be wrong.
        """
        for days in range(1, _LONGEST_BREAK + 1):
            day = after + timedelta(days=days)
            if self.is_trading_day(day):
                return day
        raise ValueError(f"{self.market} has no trading day within {_LONGEST_BREAK} days of {after}")

    def warning(self, day: date) -> str | None:
        """What is uncertain about `day`, for people to read; None when nothing is known to be."""
        for near in (day, day - timedelta(days=1), day + timedelta(days=1)):
            name = self._holidays(near.year).get(near)
            if name and _ESTIMATED in name and near not in self.closed and near not in self.opened:
                return (
                    f"{near} is only estimated to be a holiday ({name.replace(_ESTIMATED, '').strip()}): it may fall a "
                    f"day earlier or later. Ask the exchange whether it trades on {day}."
                )
        if self._is_estimated(day.year):
            return f"The holidays of {day.year} are partly estimates: ask the exchange whether it trades on {day}."
        if self._is_estimated((day + _NEAR).year):
            return (
                f"The holiday calendar is certain only until {day.year}-12-31: bring firstbell up to date before then."
            )
        return None

    def _is_estimated(self, year: int) -> bool:
        return any(_ESTIMATED in name for name in self._holidays(year).values())

    def _holidays(self, year: int) -> Mapping[date, str]:
        return _holidays(self.country, year)


@functools.cache
def _holidays(country: str, year: int) -> dict[date, str]:
    # Only now: it takes a tenth of a command's start, and many commands need no calendar.
    import holidays  # noqa: PLC0415

    # English, because the mark of an estimate is looked for in the name, and because reasons are shown in English.
    listed = holidays.country_holidays(country, years=year, language="en_US")
    return {day: str(name) for day, name in listed.items() if day.year == year}


@functools.cache
def calendar(market: str) -> MarketCalendar:
    """The calendar of a market. Read from the package's data once, when first asked for.

    Args:
        market: One of `MARKETS`.

    Raises:
        ValueError: Nobody knows that market, or its data are wrong.
    """
    if market not in MARKETS:
        raise ValueError(f"no market {market!r}; known: {', '.join(MARKETS)}")
    text = resources.files("firstbell.market.exchanges").joinpath(f"{market}.toml").read_text(encoding="utf-8")
    return read_calendar(market, text)


def read_calendar(market: str, text: str) -> MarketCalendar:
    """Read a market's calendar from the text of its TOML file.

    Raises:
        ValueError: The text is not such a file.
    """
    try:
        data = tomllib.loads(text)
        return MarketCalendar(
            market=market,
            name=data["name"],
            tz=_fixed_zone(data["utc_offset"]),
            weekdays=frozenset(_WEEKDAYS.index(name) for name in data["trading_weekdays"]),
            country=data["holidays"],
            timetables=tuple(sorted(_timetables(data["hours"]), key=lambda timetable: timetable.since)),
            closed=_days(data.get("closed", [])),
            opened=_days(data.get("opened", [])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the data of {market} cannot be read: {type(error).__name__} {error}") from error


def _timetables(hours: list[dict[str, Any]]) -> Iterator[Timetable]:
    for entry in hours:
        starts = tuple(PhaseStart(Phase(start["phase"]), start["at"]) for start in entry["phases"])
        yield Timetable(entry["since"], starts)


def _days(entries: list[dict[str, Any]]) -> dict[date, str]:
    return {entry["day"]: entry["note"] for entry in entries}


def _fixed_zone(offset: str) -> timezone:
    distance = datetime.strptime(offset, "%z").utcoffset()
    if distance is None:
        raise ValueError(f"{offset!r} is no offset from UTC")
    return timezone(distance)
