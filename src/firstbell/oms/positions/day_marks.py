"""What a day's profit is measured from, written down so that a restart measures from the same."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.facts import Facts, day_of, number_of
from firstbell.model.identifiers import AccountName, InstrumentId
from firstbell.oms import small_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path
    from typing import Self

    from firstbell.oms.positions.book import PositionKey

_log = logging.getLogger(__name__)

FILE: Final = "day_profit.json"
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class DayMarks:
    """One day's marks.

    Attributes:
        day: The day, on the exchange's calendar.
        openings: What one share was worth as the day began, of what was held then.
        counted_from: The day's profit from which the limits count: zero, or where it stood when a person resumed.
        peak: The best profit since.
        called: The limit that was reached; None while none has been, or since a person resumed.
    """

    day: date
    openings: Mapping[PositionKey, Decimal] = field(default_factory=dict)
    counted_from: Decimal = _NOTHING
    peak: Decimal = _NOTHING
    called: str | None = None

    @classmethod
    def load(cls, state_dir: Path, day: date) -> Self:
        """The marks of a day. Where they cannot be read, or are another day's, the day is measured from now on."""
        try:
            written = small_file.read(state_dir / FILE)
            return cls(day) if written is None else cls._of(Facts(written), day)
        except ValueError as error:
            _log.warning("%s: the day's profit is measured anew", error)
            return cls(day)

    def save(self, state_dir: Path) -> None:
        """Write them down.

        Raises:
            RunError: They cannot be written.
        """
        openings = [[account, instrument, str(price)] for (account, instrument), price in self.openings.items()]
        small_file.write(
            state_dir / FILE,
            {
                "day": self.day.isoformat(),
                "openings": openings,
                "counted_from": str(self.counted_from),
                "peak": str(self.peak),
                "called": self.called,
            },
        )

    @classmethod
    def _of(cls, facts: Facts, day: date) -> Self:
        if day_of(facts.text("day")) != day:
            return cls(day)
        openings: dict[PositionKey, Decimal] = {}
        for row in facts.list("openings"):
            match row:
                case [str(account), str(instrument), price]:
                    openings[AccountName(account), InstrumentId(instrument)] = number_of(price)
                case _:
                    raise ValueError("the day's marks are damaged")
        numbers = facts.number("counted_from"), facts.number("peak")
        return cls(day, openings, *numbers, facts.maybe_text("called"))
