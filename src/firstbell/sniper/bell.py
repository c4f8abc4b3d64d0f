"""Which bell a run aims at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from firstbell.clock import parse_at

if TYPE_CHECKING:
    from firstbell.config import Settings
    from firstbell.market import MarketCalendar

__all__ = ["Bell", "choose_bell"]


@dataclass(frozen=True, slots=True)
class Bell:
    """A bell, and what the user should know of it.

    Attributes:
        at: The instant, in exchange time.
        warnings: In words.
    """

    at: datetime
    warnings: tuple[str, ...] = ()


def choose_bell(
    wanted: str | None,
    settings: Settings,
    calendar: MarketCalendar,
    now: datetime,
    run_time: timedelta | None = None,
) -> Bell:
    """Choose the bell of a run that starts at `now`.

    * Asked for by a time: the next such time at the exchange, with a warning where that day is closed.
    * ``now``: at once.
    * Not asked for: the config's ``order_time`` on the next trading day that has not passed it.
    * Not asked for, by a Locust command with ``--run-time``: the next ``order_time`` if it comes within the run time or
      later on this trading day; otherwise at once, since such a run can mean nothing else.

    Args:
        wanted: What ``--at`` or ``FIRSTBELL_AT`` says, or None.
        settings: The config.
        calendar: The market's days and hours.
        now: Now, aware.
        run_time: Locust's run time, where it has one.

    Raises:
        ValueError: `wanted` is no time.
    """
    if wanted is not None:
        return _with_calendar(parse_at(wanted, now, calendar.tz), calendar)
    now = now.astimezone(calendar.tz)
    order_time = settings.firstbell.order_time
    soonest = calendar.at(now.date(), order_time)
    if soonest <= now:
        soonest = calendar.at(now.date() + timedelta(days=1), order_time)
    if run_time is not None:
        today = soonest.date() == now.date() and calendar.is_trading_day(now.date())
        if today or soonest - now <= run_time:
            return _with_calendar(soonest, calendar)
        ends = f"the next {order_time} is beyond the run time of {run_time.total_seconds():g} s"
        return _with_calendar(now, calendar, f"{ends}: firing at once")
    day = soonest.date()
    if not calendar.is_trading_day(day):
        day = calendar.next_trading_day(day)
    return _with_calendar(calendar.at(day, order_time), calendar)


def _with_calendar(at: datetime, calendar: MarketCalendar, *warnings: str) -> Bell:
    at = at.astimezone(calendar.tz)
    day = at.date()
    found = list(warnings)
    if (closed := calendar.why_closed(day)) is not None:
        found.append(f"{day} is a closed day at {calendar.market}: {closed}")
    if (uncertain := calendar.warning(day)) is not None:
        found.append(uncertain)
    return Bell(at, tuple(found))
