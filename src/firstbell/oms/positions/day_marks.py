"""What a day's profit is measured from, written down so that a restart measures from the same."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.facts import Facts, day_of, number_of
from firstbell.model.identifiers import AccountName, InstrumentId
from firstbell.oms import small_file
from firstbell.oms.positions.ledger import Worth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date, datetime, timedelta
    from pathlib import Path
    from typing import Self

    from firstbell.oms.positions.book import PositionKey, Standing
    from firstbell.oms.positions.prices import MarketPrice

_log = logging.getLogger(__name__)

FILE: Final = "day_profit.json"
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class DayMarks:
    """One day's marks.

    Attributes:
        day: The day, on the exchange's calendar.
        openings: What one share was worth as the day began, of what was held then: known once the market has opened.
        before: What one was worth when it was first looked at on a day on which the market had not opened by then.
        counted_from: The day's profit from which the limits count: zero, or where it stood when a person resumed.
        peak: The best profit since.
        called: The limit that was reached; None while none has been, or since a person resumed.
        guessed: Of the orders whose prices were not all told when a person resumed, what each had come to.
    """

    day: date
    openings: Mapping[PositionKey, Decimal] = field(default_factory=dict)
    counted_from: Decimal = _NOTHING
    peak: Decimal = _NOTHING
    called: str | None = None
    before: Mapping[PositionKey, Decimal] = field(default_factory=dict)
    guessed: Mapping[str, Worth] = field(default_factory=dict)

    def opening(self, key: PositionKey) -> Decimal | None:
        """What one share was worth as the day began, as far as that is known by now."""
        return self.openings.get(key, self.before.get(key))

    def seeing(
        self,
        standings: Iterable[Standing],
        prices: Mapping[PositionKey, MarketPrice],
        now: datetime,
        *,
        opened: Callable[[datetime], bool],
        stale_after: timedelta,
    ) -> Self:
        """The marks once positions have been looked at.

        Once the market has opened, a share was worth the day before's closing price as the day began; where nobody
        tells that, what it was worth when it was first looked at. Until then the broker may still tell the close before
        that one, and on a day without trading it does: then what it was worth at the first look is all that counts.

        Args:
            standings: The positions.
            prices: What they are worth now.
            now: The time, aware.
            opened: Whether the market had begun to take orders by an instant. A price that was read before that says
                nothing of the close of the day before, however fresh it is.
            stale_after: From which age on a price is stale, and says nothing.
        """
        openings, before = dict(self.openings), dict(self.before)
        for each in standings:
            price = prices.get(each.key)
            if each.opening.is_flat or each.key in openings or price is None or price.is_stale(now, stale_after):
                continue
            seen = before.setdefault(each.key, price.price)
            if opened(now) and opened(price.at):
                openings[each.key] = seen if price.reference is None else price.reference
        return replace(self, openings=openings, before=before)

    def moved(self, by: Decimal) -> Self:
        """The marks once the day's profit is known to be another one than it was taken for: so were they."""
        if not by:
            return self
        counted_from = self.counted_from + by if self.counted_from else self.counted_from
        return replace(self, counted_from=counted_from, peak=max(self.peak + by, counted_from))

    def resumed(self, profit: Decimal, guessed: Mapping[str, Worth]) -> Self:
        """The marks once a person has resumed: the limits count anew, from there.

        Args:
            profit: The day's profit.
            guessed: The orders whose prices have not all been told.
        """
        return replace(self, called=None, counted_from=profit, peak=profit, guessed=dict(guessed))

    def told(self, worth: Callable[[str], Worth | None]) -> Self:
        """The marks once prices have been told that were not when a person resumed: they count from what was true then.

        Where an order goes on trading in the same moment, what its price has changed cannot be told from what that has.

        Args:
            worth: What an order has come to by now; None where that is not known any more.
        """
        if not self.guessed:
            return self
        by = _NOTHING
        guessed: dict[str, Worth] = {}
        for order, before in self.guessed.items():
            if (now := worth(order)) is not None:
                by += now.net - before.net if now.quantity == before.quantity else _NOTHING
                if now.estimated:
                    guessed[order] = now
        return replace(self, counted_from=self.counted_from + by, peak=self.peak + by, guessed=guessed)

    @classmethod
    def load(cls, state_dir: Path, day: date) -> Self:
        """The marks of a day. Where they cannot be read, or are another day's, the day is measured from now on."""
        return cls.written(state_dir, day) or cls(day)

    @staticmethod
    def called_last(state_dir: Path) -> str | None:
        """The limit that was reached on the day whose marks were written down last; None where none was."""
        try:
            written = small_file.read(state_dir / FILE)
            return None if written is None else Facts(written).maybe_text("called")
        except ValueError:
            return None

    @classmethod
    def written(cls, state_dir: Path, day: date) -> Self | None:
        """The marks of a day as they were written down; None where they were not, or cannot be read."""
        try:
            written = small_file.read(state_dir / FILE)
            return None if written is None else cls._of(Facts(written), day)
        except ValueError as error:
            _log.warning("%s: the day's profit is measured anew", error)
            return None

    def save(self, state_dir: Path) -> None:
        """Write them down.

        Raises:
            RunError: They cannot be written.
        """
        small_file.write(
            state_dir / FILE,
            {
                "day": self.day.isoformat(),
                "openings": _rows(self.openings),
                "before": _rows(self.before),
                "counted_from": str(self.counted_from),
                "peak": str(self.peak),
                "called": self.called,
                "guessed": [[order, str(each.quantity), str(each.net)] for order, each in self.guessed.items()],
            },
        )

    @classmethod
    def _of(cls, facts: Facts, day: date) -> Self | None:
        if day_of(facts.text("day")) != day:
            return None
        numbers = facts.number("counted_from"), facts.number("peak")
        # An older firstbell wrote openings alone.
        openings, before = _prices(facts.list("openings")), _prices(facts.list("before", unsaid=[]))
        guessed = _guesses(facts.list("guessed", unsaid=[]))
        return cls(day, openings, *numbers, facts.maybe_text("called"), before, guessed)


def _rows(prices: Mapping[PositionKey, Decimal]) -> list[list[str]]:
    return [[account, instrument, str(price)] for (account, instrument), price in prices.items()]


def _prices(rows: Iterable[object]) -> dict[PositionKey, Decimal]:
    prices: dict[PositionKey, Decimal] = {}
    for row in rows:
        match row:
            case [str(account), str(instrument), price]:
                prices[AccountName(account), InstrumentId(instrument)] = number_of(price)
            case _:
                raise ValueError("the day's marks are damaged")
    return prices


def _guesses(rows: Iterable[object]) -> dict[str, Worth]:
    guesses: dict[str, Worth] = {}
    for row in rows:
        match row:
            case [str(order), quantity, net]:
                guesses[order] = Worth(number_of(quantity), number_of(net), estimated=True)
            case _:
                raise ValueError("the day's marks are damaged")
    return guesses
