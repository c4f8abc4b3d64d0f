"""The time of day at the exchange, and how people and files write it."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from firstbell.model.instant import instant

if TYPE_CHECKING:
    from datetime import tzinfo

    from firstbell.clock.system import Clock

_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


_SHOWN: Final = 60
"""Characters of what was written that are said again."""


def exchange_now(clock: Clock, tz: tzinfo) -> datetime:
    """Our clock's time, as the exchange writes it."""
    return instant(clock.wall_ns()).astimezone(tz)


def next_time(now: datetime, at: time, tz: tzinfo) -> datetime:
    """The next instant later than `now` at which the exchange's clock shows `at`: today or tomorrow.

    Raises:
        ValueError: `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now} has no time zone")
    today = now.astimezone(tz).date()
    soonest = datetime.combine(today, at, tzinfo=tz)
    return soonest if soonest > now else datetime.combine(today + timedelta(days=1), at, tzinfo=tz)


def parse_at(text: str, now: datetime, tz: tzinfo) -> datetime:
    """Read what ``--at`` takes: ``now``, ``HH:MM[:SS[.fff]]`` at the exchange, or an RFC 3339 instant.

    Args:
        text: What was written.
        now: Now, aware.
        tz: The exchange's time zone.

    Returns:
        The instant in the exchange's time zone. A time of day is the next such time; an instant may have passed.

    Raises:
        ValueError: It is none of them; says what would be.
    """
    wanted = text.strip()
    try:
        if wanted.lower() == "now":
            return now.astimezone(tz)
        if _TIME.fullmatch(wanted):
            return next_time(now, time.fromisoformat(wanted), tz)
        if _INSTANT.fullmatch(wanted):
            return datetime.fromisoformat(wanted.upper()).astimezone(tz)
    except (ValueError, OverflowError) as error:
        # The calendar ends in the year 9999, and some hours earlier in zones that are ahead.
        raise ValueError(f"{wanted[:_SHOWN]!r} is no time: {error}") from None
    raise ValueError(
        f"{wanted[:_SHOWN]!r} is no time: write HH:MM:SS, HH:MM:SS.fff, an instant as RFC 3339 has it, or now"
    )


def rfc3339(moment: datetime, tz: tzinfo) -> str:
    """Write an aware instant as RFC 3339 in the exchange's time, with microseconds.

    Raises:
        ValueError: The instant is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(tz).isoformat(timespec="microseconds")
