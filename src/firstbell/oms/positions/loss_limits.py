"""The limits on what a day may lose: reached, they let trading only reduce, or halt it, until a person resumes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.config.position_settings import OnLoss
from firstbell.errors import RunError
from firstbell.model.money import grouped
from firstbell.oms.engines import Engines
from firstbell.oms.positions.day_marks import DayMarks
from firstbell.oms.positions.episodes import Episodes
from firstbell.oms.positions.lasting import Lasting
from firstbell.risk.trading_state import Halt, HaltFile, TradingState, trading_state
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date, datetime
    from pathlib import Path

    from firstbell.config import PositionSettings
    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.oms.positions.ledger import Worth

    Alert = Callable[["PositionAlert"], None]
    """Told of what a person should know. It must be quick and must not raise."""

_log = logging.getLogger(__name__)

BY: Final = "the limit on losses"
"""Who calls a halt for it."""
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class PositionAlert:
    """Something about positions that a person should know.

    Attributes:
        text: In words.
        code: What it is about, where it is an error.
        account: The account, where it is about one.
        instrument: The instrument, likewise.
    """

    text: str
    code: ErrorCode | None = None
    account: AccountName | None = None
    instrument: InstrumentId | None = None


@dataclass(frozen=True, slots=True)
class DayProfit:
    """What a day has earned so far, of all accounts, all fees taken off.

    Attributes:
        profit: As far as it is known.
        upside: By how much at most it may be more, for guesses that may be gone in a moment.
        downside: By how much at most it may be less, likewise.
        estimated: Whether some price in it was not told.
    """

    profit: Decimal
    upside: Decimal = _NOTHING
    downside: Decimal = _NOTHING
    estimated: bool = False


class Worths(Protocol):
    """What orders have come to: what a `firstbell.oms.positions.book.PositionBook` knows."""

    def guessed(self) -> Mapping[str, Worth]:
        """Of the orders whose prices have not all been told, what each has come to."""
        ...

    def worth(self, order: str) -> Worth | None:
        """What an order has come to; None where that is not remembered."""
        ...


class LossLimits:
    """``max_daily_loss`` and ``max_drawdown``, over all accounts together.

    What cannot be judged is denied: while a limit is set and some price that it needs is stale, trading only reduces.
    That ends by itself. A limit that is reached is written down, and ends by `firstbell resume` alone; from then on it
    counts anew, from where the day stands then. What cannot be written down holds in this process, and is tried again.

    Args:
        settings: The limits.
        state_dir: Where halts and marks are written down.
        alert: Told when a limit is reached, and when it cannot be judged.
        worths: What orders have come to.
    """

    def __init__(self, settings: PositionSettings, state_dir: Path, alert: Alert, worths: Worths) -> None:
        self._settings = settings
        self._worths = worths
        self._state_dir = state_dir
        self._alert = alert
        self._is_blind = False
        self._blind: Episodes[str] = Episodes()
        self._unwritten: Verdict | None = None
        self._halts = settings.on_daily_loss is OnLoss.HALTED
        self.marks: DayMarks | None = None
        self._written: DayMarks | None = None
        self._lasting = Lasting()

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return not (self._settings.max_daily_loss is None and self._settings.max_drawdown is None)

    @property
    def called(self) -> str | None:
        """The limit that was reached today and stands; None where none does."""
        return None if self.marks is None else self.marks.called

    def loss(self, profit: Decimal) -> Decimal:
        """How much of ``max_daily_loss`` is used up; never less than nothing."""
        return max(_NOTHING, (_NOTHING if self.marks is None else self.marks.counted_from) - profit)

    def drawdown(self, profit: Decimal) -> Decimal:
        """How far the day's profit has fallen from its best; never less than nothing."""
        return max(_NOTHING, (_NOTHING if self.marks is None else self.marks.peak) - profit)

    def state(self) -> TradingState:
        """What may leave now: by the files of the state folder, and by what this process knows besides."""
        written = trading_state(self._state_dir)
        if written is TradingState.HALTED or (self._halts and self._unwritten is not None):
            return TradingState.HALTED
        if self._is_blind or self._unwritten is not None:
            return TradingState.REDUCING
        return written

    def begin_day(self, day: date) -> DayMarks:
        """The marks of a day, those that were written down earlier on it."""
        if self.marks is None or self.marks.day != day:
            self.marks = self._written = DayMarks.load(self._state_dir, day)
            if self.marks.called is None and trading_state(self._state_dir) is not TradingState.ACTIVE:
                # One that was reached on an earlier day stands until a person resumes.
                self.marks = replace(self.marks, called=DayMarks.called_last(self._state_dir))
        else:
            # Before anything is written down here: what others have written stands.
            self.marks = self._with_others(self.marks)
        return self.marks

    def keep(self, marks: DayMarks) -> None:
        """Go by other marks from now on, and write them down."""
        if marks == self.marks:
            return
        self.marks = marks
        try:
            marks.save(self._state_dir)
            self._written = marks
        except RunError as error:
            _log.error("%s; after a restart the day is measured anew", error)

    def judge(self, found: DayProfit | None, now: datetime, at_ns: int) -> None:
        """Hold the day's profit against the limits. What a guess can change is decided only once it has lasted.

        Args:
            found: The day's profit; None where some price that it needs is stale.
            now: The time, aware.
            at_ns: The same on the monotonic clock, in ns.
        """
        if self.marks is None or not self.is_set:
            return
        self._see(at_ns, is_blind=found is None)
        if found is not None:
            self._judge(self.marks, found, now, at_ns)
        self._lasting.end_round()

    def _judge(self, marks: DayMarks, found: DayProfit, now: datetime, at_ns: int) -> None:
        marks = self.marks = self._with_others(marks)
        profit = found.profit
        if marks.called is not None:
            if trading_state(self._state_dir) is not TradingState.ACTIVE:
                return
            marks = marks.resumed(profit, self._worths.guessed())
        else:
            marks = marks.told(self._worths.worth)
        marks = replace(marks, peak=max(marks.peak, profit - found.downside))
        self.keep(marks)
        breach = self._unwritten or self._decided(found, at_ns)
        if breach is not None and self._call(breach, now):
            self.keep(replace(marks, called=breach.rule))

    def _with_others(self, marks: DayMarks) -> DayMarks:
        """The marks with what another process has written of limits and of a person's resuming since."""
        there = DayMarks.written(self._state_dir, marks.day)
        if there is None or there == self._written:
            return marks
        self._written = there
        return replace(
            marks, called=there.called, counted_from=there.counted_from, peak=there.peak, guessed=there.guessed
        )

    def _decided(self, found: DayProfit, at_ns: int) -> Verdict | None:
        """The limit that is reached: for certain, or by a guess and for so long that it is acted by."""
        about = "~" if found.estimated else ""
        certain = {each.rule for each in self._breaches(found.profit + found.upside, about)}
        # Each is asked of, for each has a time of its own.
        decided = [
            each
            for each in self._breaches(found.profit, about)
            if self._lasting.has_lasted(each.rule, at_ns) or each.rule in certain
        ]
        return next(iter(decided), None)

    def _breaches(self, profit: Decimal, about: str) -> Iterator[Verdict]:
        for rule, found, allowed in (
            ("max_daily_loss", self.loss(profit), self._settings.max_daily_loss),
            ("max_drawdown", self.drawdown(profit), self._settings.max_drawdown),
        ):
            if allowed is not None and found >= allowed:
                told = f"{about}{grouped(found)}"
                yield Verdict(ErrorCode.RISK_LIMIT_BREACH, rule, told, f"less than {grouped(allowed)}")

    def _call(self, breach: Verdict, now: datetime) -> bool:
        """Take trading down, durably; whether that could be written."""
        state = TradingState.HALTED if self._halts else TradingState.REDUCING
        first, self._unwritten = self._unwritten is None, breach
        failure = ""
        try:
            HaltFile.of(self._state_dir, state).write(Halt(now, BY, str(breach), state))
        except RunError as error:
            failure = f"; {error}: it does not survive a restart"
        else:
            self._unwritten = None
        if self._halts:
            engines = Engines.of(self._state_dir)
            for owner in engines.living():
                engines.tell(owner)
        if first:
            text = f"trading is {state.value.lower()} until `firstbell resume`: {breach}{failure}"
            _log.error("%s", text)
            self._alert(PositionAlert(text, breach.code))
        return not failure

    def _see(self, at_ns: int, *, is_blind: bool) -> None:
        if self._is_blind and not is_blind:
            _log.info("the limits on losses can be judged again")
        self._is_blind = is_blind
        if self._blind.begun(("blind",) if is_blind else (), at_ns):
            text = "the limits on losses cannot be judged, for prices are stale: trading only reduces meanwhile"
            _log.warning("%s", text)
            self._alert(PositionAlert(text, ErrorCode.PRICE_UPDATE_ERROR))
