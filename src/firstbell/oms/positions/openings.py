"""What a day's profit is measured from may be learned late; then what was measured until then moves with it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from firstbell.oms.positions.book import PositionKey, Standing
    from firstbell.oms.positions.day_marks import DayMarks
    from firstbell.oms.positions.prices import MarketPrice
    from firstbell.oms.positions.view import Viewer

_NOTHING: Final = Decimal(0)


class _Seen(NamedTuple):
    """A position, what one share of it was worth as the day began, and what it is worth."""

    standing: Standing
    opening_price: Decimal | None
    price: MarketPrice | None


class Openings:
    """Remembers how each position was seen last, and from which opening its day's profit was measured.

    Args:
        viewer: Makes views of positions.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._day: date | None = None
        self._seen: dict[PositionKey, _Seen] = {}

    def moved(
        self, standings: Iterable[Standing], marks: DayMarks, prices: Mapping[PositionKey, MarketPrice], now: datetime
    ) -> Decimal:
        """By how much the day's profit is another one than it was taken for, at the very same prices.

        That is so where a trade of the day before is told of only now, or the close of the day before is.

        Args:
            standings: The positions.
            marks: What the day is measured from.
            prices: What they are worth now.
            now: The time, aware.
        """
        before = self._seen if self._day == marks.day else {}
        self._day, self._seen = marks.day, {}
        moved = _NOTHING
        for each in standings:
            seen = self._seen[each.key] = _Seen(each, marks.opening(each.key), prices.get(each.key))
            was = before.pop(each.key, seen)
            if (was.standing.opening, was.opening_price) != (each.opening, seen.opening_price):
                moved += self._profit(seen, seen.price, now) - self._profit(was, seen.price, now)
        for gone in before.values():
            # It has not been held on the day at all.
            moved -= self._profit(gone, gone.price, now)
        return moved

    def _profit(self, seen: _Seen, price: MarketPrice | None, now: datetime) -> Decimal:
        return self._viewer.view(seen.standing, price, seen.opening_price, now).day_profit or _NOTHING
