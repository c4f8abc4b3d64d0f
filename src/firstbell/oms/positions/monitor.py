"""The position monitor: what is held, what it is worth, and what is done when a target, stop or limit is reached."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import FirstbellError, RunError
from firstbell.model.instant import instant
from firstbell.oms.positions.closing import Closing, Levels
from firstbell.oms.positions.episodes import Episodes
from firstbell.oms.positions.lasting import Lasting
from firstbell.oms.positions.loss_limits import DayProfit, LossLimits, PositionAlert
from firstbell.oms.positions.openings import Openings
from firstbell.oms.positions.view import Viewer, summary
from firstbell.risk.verdict import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from firstbell.clock import Clock
    from firstbell.config import PositionSettings
    from firstbell.market.hours import Hours
    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.model.position import Trade
    from firstbell.oms.positions.book import PositionBook, PositionKey, Standing
    from firstbell.oms.positions.closing import Closer, Reason
    from firstbell.oms.positions.day_marks import DayMarks
    from firstbell.oms.positions.loss_limits import Alert
    from firstbell.oms.positions.prices import MarketPrice, Prices
    from firstbell.oms.positions.tally import FeeOf
    from firstbell.oms.positions.view import PositionView
    from firstbell.risk.trading_state import TradingState

_log = logging.getLogger(__name__)

_NAMED: Final = 3
"""So many positions are named where many have become stale."""
_NOTHING: Final = Decimal(0)


class PositionNotFound(RunError):  # noqa: N818 - a position, and one that is not there
    """There is no such position.

    Attributes:
        code: ``POSITION_NOT_FOUND``.
    """

    code = ErrorCode.POSITION_NOT_FOUND


class PositionMonitor:
    """Watches all positions of a book. Safe for threads.

    Stale prices are said to be stale: they close nothing, and a limit that needs one lets trading only reduce
    meanwhile.

    Args:
        closer: Places closing orders, as the order manager does; None: positions are only watched.
        settings: What is watched for.
        book: The positions; it has to hear of the journal's reports.
        prices: What they are worth.
        clock: Both clocks.
        hours: When the market trades, and in which time zone its days begin.
        state_dir: Where halts and the day's marks are written down.
        fee_of: The fee that closing would take; see `firstbell.oms.positions.book.fees_of`.
        alert: Told of what a person should know. It must be quick and must not raise.
    """

    def __init__(
        self,
        closer: Closer | None,
        settings: PositionSettings,
        book: PositionBook,
        prices: Prices,
        clock: Clock,
        *,
        hours: Hours,
        state_dir: Path,
        fee_of: FeeOf,
        alert: Alert | None = None,
    ) -> None:
        self._settings = settings
        self._book = book
        self._prices = prices
        self._clock = clock
        self._hours = hours
        self._tz = hours.calendar.tz
        self._alert: Alert = alert or (lambda _alert: None)
        self._viewer = Viewer(fee_of, settings.stale_after)
        self.limits = LossLimits(settings, state_dir, self._alert, book)
        self._closing = Closing(closer, book.uncovered, self.limits.state, self._alert, clock)
        self._lasting = Lasting()
        self._openings = Openings(self._viewer)
        self._usual = _levels_of(settings)
        self._levels: dict[PositionKey, Levels] = {}
        self._known: dict[PositionKey, MarketPrice] = {}
        self._asked_for: frozenset[PositionKey] = frozenset()
        self._unpriced: Episodes[PositionKey] = Episodes()
        self._views: tuple[PositionView, ...] = ()
        self._turn = threading.Lock()
        self._priced_ns: int | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._after_round: list[Callable[[Sequence[PositionView]], None]] = []

    # --- what is there

    def trading_state(self) -> TradingState:
        """What may leave: by halts, by limits on losses, and where these cannot be judged. For `FinalCheck`."""
        return self.limits.state()

    def views(self) -> tuple[PositionView, ...]:
        """All positions as the last round saw them."""
        return self._views

    def get_position_summary(self) -> Mapping[str, Any]:
        """All positions together as the last round saw them: see `firstbell.oms.positions.view.summary`.

        Besides, ``daily_loss`` and ``drawdown`` say how much of the limits is used up (None while the day's profit is
        not known), ``limit_reached`` which of them has been reached, and ``state`` what may leave.
        """
        found = dict(summary(self._views))
        profit = found["day_pnl"]
        found["daily_loss"] = None if profit is None else self.limits.loss(profit)
        found["drawdown"] = None if profit is None else self.limits.drawdown(profit)
        found["limit_reached"] = self.limits.called
        found["state"] = self.trading_state().value
        return found

    def position(self, account: AccountName, instrument: InstrumentId) -> PositionView:
        """One position as the last round saw it: of a login's, by the name of whichever section of it has traded.

        Raises:
            PositionNotFound: There is none.
        """
        key = (self._book.holder_of(account), instrument)
        for view in self._views:
            if view.key == key:
                return view
        raise PositionNotFound(f"{account} has no position in {instrument}")

    # --- what is to be watched for

    def add_trade(
        self,
        trade: Trade,
        *,
        target: Decimal | None = None,
        stop: Decimal | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        """Watch a trade that the journal does not know, as of an order placed by hand; see `PositionBook.add_trade`.

        What it makes of its position is seen at once; whether that reaches anything is looked at in the next round.

        Args:
            trade: The trade.
            target: Its position's own target, instead of ``default_target_pnl``; likewise the others.
            stop: The loss of its own stop, with or without a minus.
            timeout: How long it may be open.

        Raises:
            PositionNotFound: It closes its position, and there is nothing left to watch.
            JournalError: The journal cannot be read.
        """
        self._book.add_trade(trade)
        if not (target is None and stop is None and timeout is None):
            self.set_levels(trade.account, trade.instrument, target=target, stop=stop, timeout=timeout)
        key = (trade.account, trade.instrument)
        with self._turn:
            marks = self._begin_day()
            if key not in self._known:
                self._known = {**self._known, **self._prices.read([key])}
            self._see(self._book.standings(), marks)

    def set_levels(
        self,
        account: AccountName,
        instrument: InstrumentId,
        *,
        target: Decimal | None = None,
        stop: Decimal | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        """Give one position levels of its own, as long as this monitor is; what is None is as in the config.

        Raises:
            PositionNotFound: There is none.
            JournalError: The journal cannot be read.
        """
        position = self._book.position(account, instrument)
        if position is None or position.is_flat:
            raise PositionNotFound(f"{account} has no position in {instrument}")
        key = (position.account, position.instrument)
        before = self._levels.get(key, self._usual)
        self._levels[key] = replace(
            before,
            target=before.target if target is None else target,
            stop=before.stop if stop is None else abs(stop),
            timeout=before.timeout if timeout is None else timeout,
        )

    # --- watching

    def start_monitoring(self) -> None:
        """Watch from now on, in a thread, until `stop`.

        Raises:
            RunError: It is watching already.
        """
        if self._thread is not None:
            raise RunError("positions are being watched already")
        self._ended.clear()
        self._thread = threading.Thread(target=self._watch, name="firstbell-positions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns when the round under way has ended."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def after_round(self, call: Callable[[Sequence[PositionView]], None]) -> None:
        """Have something done with what each round saw."""
        self._after_round.append(call)

    def poll(self) -> tuple[PositionView, ...]:
        """One round: prices if they are due, then every position, then the limits.

        Raises:
            JournalError: The journal cannot be read.
        """
        with self._turn:
            marks = self._begin_day()
            standings = self._book.standings()
            if self._prices_are_due():
                self._update_prices(standings)
            else:
                self._ask_for_new(standings)
            self._judge(self._see(standings, marks))
        for call in self._after_round:
            call(self._views)
        return self._views

    def _begin_day(self) -> DayMarks:
        day = instant(self._clock.wall_ns()).astimezone(self._tz).date()
        if self.limits.marks is None or self.limits.marks.day != day:
            self._book.begin_day(datetime.combine(day, time(), tzinfo=self._tz))
        return self.limits.begin_day(day)

    def _see(self, standings: Sequence[Standing], marks: DayMarks) -> datetime:
        """See every position at the prices that are known; returns when that was: asking may have taken a while."""
        now = instant(self._clock.wall_ns())
        stale_after = self._settings.stale_after
        marks = marks.seeing(standings, self._known, now, opened=self._hours.had_opened, stale_after=stale_after)
        marks = marks.moved(self._openings.moved(standings, marks, self._known, now))
        self.limits.keep(marks)
        self._views = tuple(
            self._viewer.view(each, self._known.get(each.key), marks.opening(each.key), now) for each in standings
        )
        return now

    def _watch(self) -> None:
        every = min(self._settings.monitoring_interval, self._settings.price_update_interval)
        every_ns = self._settings.monitoring_interval // timedelta(microseconds=1) * 1000
        refreshed_ns = self._clock.monotonic_ns()
        while True:
            try:
                if self._clock.monotonic_ns() - refreshed_ns >= every_ns:
                    # What other processes have written, a run at the bell among them, is told to nobody here.
                    refreshed_ns = self._clock.monotonic_ns()
                    self._book.refresh()
                self.poll()
            except FirstbellError as error:
                _log.error("positions cannot be watched: %s", error)
            if self._ended.wait(every.total_seconds()):
                return

    def _prices_are_due(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        every_ns = self._settings.price_update_interval // timedelta(microseconds=1) * 1000
        if self._priced_ns is not None and now_ns - self._priced_ns < every_ns:
            return False
        self._priced_ns = now_ns
        return True

    def _update_prices(self, standings: Sequence[Standing]) -> None:
        wanted = [each.key for each in standings if _needs_price(each)]
        # What is not held any more is forgotten.
        kept = {key: self._known[key] for key in wanted if key in self._known}
        self._known = {**kept, **self._prices.read(wanted)}
        self._asked_for = frozenset(wanted)

    def _ask_for_new(self, standings: Sequence[Standing]) -> None:
        """Ask for the prices of what has just been bought: they have never been asked for, and are no old ones."""
        wanted = {each.key for each in standings if _needs_price(each)} - self._asked_for
        if wanted:
            self._asked_for |= wanted
            self._known = {**self._known, **self._prices.read(wanted)}

    def _judge(self, now: datetime) -> None:
        open_ = [view for view in self._views if view.is_open]
        at_ns = self._clock.monotonic_ns()
        self._tell_unpriced(open_, at_ns)
        self._closing.forget_all_but(open_)
        for view in open_:
            levels = self._levels.get(view.key, self._usual)
            for reason in self._reached(view, levels, now):
                self._closing.reached(view, reason, close=levels.closes(reason))
                if levels.closes(reason):
                    # One order closes it; what it is only told of keeps nothing else from closing it.
                    break
        blind = any(view.stale for view in open_) or any(view.day_profit is None for view in self._views)
        profit = sum((view.day_profit for view in self._views if view.day_profit is not None), _NOTHING)
        self._lasting.end_round()
        upside = sum((view.upside for view in self._views), _NOTHING)
        downside = sum((view.downside for view in self._views), _NOTHING)
        estimated = any(view.estimated for view in self._views)
        found = DayProfit(profit, upside, downside, estimated=estimated)
        self.limits.judge(None if blind else found, now, at_ns)

    def _reached(self, view: PositionView, levels: Levels, now: datetime) -> tuple[Reason, ...]:
        """What a position has reached: for certain, or by a guess and for so long that it is acted by."""
        certain = levels.reached(view, now)
        if not view.is_guessed:
            return certain
        guessed, at_ns = levels.reached(view, now, by_guess=True), self._clock.monotonic_ns()
        lasting = {each for each in guessed if self._lasting.has_lasted((view.key, view.opened_at, each), at_ns)}
        return tuple(each for each in guessed if each in certain or each in lasting)

    def _tell_unpriced(self, open_: Sequence[PositionView], at_ns: int) -> None:
        """Say once, of all together, which prices have become stale."""
        if new := sorted(self._unpriced.begun((view.key for view in open_ if view.stale), at_ns)):
            named = ", ".join(f"{account} {instrument}" for account, instrument in new[:_NAMED])
            more = f" and {len(new) - _NAMED} more" if len(new) > _NAMED else ""
            text = f"prices are not up to date, so nothing is closed by them: {named}{more}"
            _log.warning("%s", text)
            self._alert(PositionAlert(text, ErrorCode.PRICE_UPDATE_ERROR))


def _needs_price(standing: Standing) -> bool:
    # Also of what is not held any more, but rests on a guess: the day's band bounds that.
    position = standing.position
    return not position.is_flat or not standing.opening.is_flat or bool(position.guesses)


def _levels_of(settings: PositionSettings) -> Levels:
    hours = settings.position_timeout_hours
    return Levels(
        target=settings.default_target_pnl,
        stop=settings.default_stop_loss,
        timeout=None if hours is None else timedelta(seconds=int(hours * 3600)),
        close_on_target=settings.auto_close_on_target,
        close_on_stop=settings.auto_close_on_stop,
    )
