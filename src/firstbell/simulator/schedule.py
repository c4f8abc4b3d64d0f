"""When each phase begins: one trading day as instants on the exchange's clock."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from firstbell.errors import SimulatorError
from firstbell.market import Phase
from firstbell.simulator.exchange_clock import instant

if TYPE_CHECKING:
    from datetime import datetime, time
    from fractions import Fraction

    from firstbell.market import MarketCalendar, Session


@dataclass(frozen=True, slots=True)
class Schedule:
    """One trading day.

    Attributes:
        starts: Each phase's first instant, in ns since the epoch on the exchange's clock, and the phase, in order.
            Before the first one the exchange is closed.

    Raises:
        SimulatorError: The instants are not in order, or there is no phase of order entry.
    """

    starts: tuple[tuple[int, Phase], ...]

    def __post_init__(self) -> None:
        instants = [instant for instant, _ in self.starts]
        if instants != sorted(instants):
            raise SimulatorError("a schedule's phases must follow one another")
        if all(phase is not Phase.ORDER_ENTRY for _, phase in self.starts):
            raise SimulatorError("a schedule needs a phase of order entry: its beginning is the bell")

    @property
    def bell(self) -> int:
        """The instant from which orders are taken, in ns since the epoch."""
        return next(instant for instant, phase in self.starts if phase is Phase.ORDER_ENTRY)

    @property
    def end(self) -> int:
        """The instant at which the day's last phase begins, in ns since the epoch."""
        return self.starts[-1][0]

    def phase_at(self, now: int) -> Phase:
        """The phase that holds at an instant; of two that begin together, the later one."""
        index = bisect_right(self.starts, now, key=lambda start: start[0])
        return self.starts[index - 1][1] if index else Phase.CLOSED

    def next_start(self, now: int) -> int | None:
        """The first phase start later than `now`, in ns since the epoch; None when the day is over."""
        index = bisect_right(self.starts, now, key=lambda start: start[0])
        return self.starts[index][0] if index < len(self.starts) else None


def schedule_of(session: Session, *, bell: int | None = None, speed: Fraction | int = 1) -> Schedule:
    """A schedule from a real session: at its own times, or moved to another bell and compressed.

    Args:
        session: The real day's phases.
        bell: The instant to which its bell is moved, in ns since the epoch; None leaves it where it is.
        speed: How many times as fast the phases follow the bell; 60 makes of an hour a minute.

    Raises:
        SimulatorError: The speed is not positive.
    """
    if speed <= 0:
        raise SimulatorError(f"a speed is positive, as {speed} is not")
    first = to_ns(session.bell)
    anchor = first if bell is None else bell
    return Schedule(tuple((anchor + int((to_ns(at) - first) / speed), phase) for at, phase in session.phases))


def to_ns(instant: datetime) -> int:
    """An aware instant as ns since the epoch, exact to the microsecond that a `datetime` has."""
    whole = int(instant.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + instant.microsecond * 1_000


def next_session(calendar: MarketCalendar, now: int) -> Session:
    """The session that is on or comes next.

    Args:
        calendar: The market's calendar.
        now: The time, in ns since the epoch.
    """
    today = instant(now, calendar.tz).date()
    if calendar.is_trading_day(today):
        session = calendar.session(today)
        if now < to_ns(session.end):
            return session
    return calendar.session(calendar.next_trading_day(today))


def next_time(calendar: MarketCalendar, clock_time: time, now: int) -> int:
    """The next instant at which the exchange's wall clock shows a time, trading day or not, in ns since the epoch."""
    today = instant(now, calendar.tz).date()
    coming = to_ns(calendar.at(today, clock_time))
    return coming if coming > now else to_ns(calendar.at(today + timedelta(days=1), clock_time))
