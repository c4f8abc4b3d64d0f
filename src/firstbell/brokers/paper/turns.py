"""The paper market's turns: time passes, the crowd acts, and what has changed is kept.

A turn takes the lock, and, where the market has a file, the file's. So any thread may ask, and any process.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.brokers.paper import keeping
from firstbell.brokers.paper.crowd import STEP_NS, Crowd
from firstbell.brokers.paper.keeping import Mood
from firstbell.brokers.paper.tokens import Tokens
from firstbell.brokers.paper.venue import FEES_OF, PaperVenue
from firstbell.clock import SystemClock
from firstbell.errors import NotSent
from firstbell.market import always_open, calendar
from firstbell.model.identifiers import same_login
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.schedule import next_session, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from firstbell.brokers.paper.file import PaperFile, Rows
    from firstbell.clock import Clock
    from firstbell.market import MarketCalendar
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.instrument_day import Listing

MONEY: Final = Decimal(1_000_000_000)
"""What an account begins with, in rials."""
REMEMBERED: Final = timedelta(days=7)
"""How long orders that have ended are remembered."""

_MOST_STEPS: Final = 240
"""Steps of the crowd that are made up for at once; of a longer absence, so many of them, evenly spread."""


class Turns:
    """A market without money, with nothing yet that one could ask of it.

    Args:
        instruments: What is traded; the Tehran table where nobody says.
        days: When it trades; always, where nobody says.
        clock: What time it is.
        money: What each account begins with, in rials.
        holdings: What each account begins with, in shares by ISIN.
        liquidity: How many shares the crowd shows at a price, on average; zero for a market that nobody else is on.
        seed: Where the crowd's chance begins.
        min_interval_ns: The shortest time between two orders of one account, in ns.
        file: Where it lives between processes; None for a market of this process alone.

    Attributes:
        clock: What time it is.
        days: When it trades.
        tokens: The tokens of its accounts.

    Raises:
        SimulatorError: An instrument has no reference price.
    """

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        days: MarketCalendar | None = None,
        clock: Clock | None = None,
        money: Decimal = MONEY,
        holdings: Mapping[InstrumentId, Decimal] | None = None,
        liquidity: Decimal = Decimal(0),
        seed: int = 1,
        min_interval_ns: int = 0,
        file: PaperFile | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.days = days or always_open(calendar(FEES_OF).tz)
        self._instruments = tuple(tehran_instruments() if instruments is None else instruments)
        self._money = money
        self._holdings = dict(holdings or {})
        self._crowd = Crowd(liquidity, seed)
        self._min_interval_ns = min_interval_ns
        self._file = file
        self._kept: int | None = 0
        self._lock = threading.RLock()
        self.tokens = Tokens()
        self._venue, self._mood = self._new()

    def _new(self) -> tuple[PaperVenue, Mood]:
        now = self.clock.wall_ns()
        schedule = schedule_of(next_session(self.days, now))
        venue = PaperVenue(self._instruments, schedule, self.days.tz, min_interval_ns=self._min_interval_ns)
        venue.exchange.advance(now)
        return venue, Mood(stepped=now // STEP_NS)

    # --- turns

    @contextmanager
    def _turn(self) -> Iterator[PaperVenue]:
        with self._lock:
            if self._file is None:
                self._pass_time(self.clock.wall_ns())
                yield self._venue
                self._venue.clear_up()
                self._venue.trades.clear()
                self._venue.touched.clear()
                return
            try:
                with self._file.turn() as rows:
                    self._catch_up(rows)
                    self._pass_time(self.clock.wall_ns())
                    yield self._venue
                    self._venue.clear_up()
                    self._keep(rows)
            except NotSent:
                # What is in memory may be more than what is kept.
                self._kept = None
                raise

    def _catch_up(self, rows: Rows) -> None:
        """Read the market anew where another process has had a turn since."""
        try:
            number = keeping.version(rows)
            if number == self._kept:
                return
            if number:
                self._venue, self._mood = keeping.come_back(
                    rows, self._instruments, self.days, min_interval_ns=self._min_interval_ns
                )
            else:
                self._venue, self._mood = self._new()
            self._kept = number
        except (ValueError, LookupError) as error:
            raise NotSent(f"the paper market's file is damaged ({error}): move it away", host="paper") from error

    def _keep(self, rows: Rows) -> None:
        if self._venue.stirred and self._kept is not None:
            keeping.keep(rows, self._venue, self._mood, self._kept + 1)
            self._kept += 1

    def _pass_time(self, now: int) -> None:
        venue, exchange = self._venue, self._venue.exchange
        while now >= exchange.schedule.end:
            self._step_until(exchange.schedule.end - 1)
            exchange.next_day(schedule_of(next_session(self.days, max(exchange.schedule.end, exchange.now))))
            self._mood.watched.clear()
            venue.forget_before(venue.day(exchange.now) - REMEMBERED)
            for isin in exchange.listings:
                venue.stir(isin)
        self._step_until(now)
        exchange.advance(now)

    def _step_until(self, now: int) -> None:
        last, stepped = now // STEP_NS, self._mood.stepped
        if last <= stepped:
            return
        watched = self._looked_at() if self._crowd.liquidity else set()
        if watched:
            stride = -(-(last - stepped) // _MOST_STEPS)
            for step in range(last - (last - stepped - 1) // stride * stride, last + 1, stride):
                self._venue.exchange.advance(step * STEP_NS)
                for isin in sorted(watched):
                    self._act(self._venue.exchange.listings[isin], step)
                self._venue.clear_up()
        self._mood.stepped = last

    def _looked_at(self) -> set[InstrumentId]:
        working = (order.instrument for mine in self._venue.working.values() for order in mine.values())
        return self._mood.watched.union(working)

    def _act(self, listing: Listing, step: int) -> None:
        isin = listing.instrument.id
        if isin not in self._mood.by_hand:
            self._crowd.act(self._venue.exchange, listing, self._mood.anchors.get(isin, listing.reference), step)

    def _watch(self, listing: Listing) -> None:
        """Have the crowd on an instrument that nobody has looked at today."""
        isin = listing.instrument.id
        if self._crowd.liquidity and isin not in self._mood.watched:
            self._mood.watched.add(isin)
            self._venue.stirred = True
            self._mood.anchors.setdefault(isin, listing.reference)
            self._act(listing, self._mood.stepped)

    def _account(self, username: str) -> str:
        name = same_login(username)
        exchange = self._venue.exchange
        if name not in exchange.accounts:
            exchange.open_account(name, self._money, self._holdings)
            self._venue.stirred = True
        return name
