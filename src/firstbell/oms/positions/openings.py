"""What a day's profit is measured from may be learned late; then what was measured until then moves with it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from firstbell.oms.positions.book import PositionKey, Standing
    from firstbell.oms.positions.day_marks import DayMarks
    from firstbell.oms.positions.prices import MarketPrice
    from firstbell.oms.positions.view import Viewer

_NOTHING: Final = Decimal(0)


class Openings:
    """Remembers how each position was seen last, and from which opening its day's profit was measured.

    Args:
        viewer: Makes views of positions.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._seen: dict[PositionKey, tuple[Standing, Decimal | None]] = {}

    def moved(
        self, standings: Iterable[Standing], marks: DayMarks, prices: Mapping[PositionKey, MarketPrice], now: datetime
    ) -> Decimal:
        """By how much the day's profit is another one than it was taken for, at the very same prices.

        That is so where a trade of the day before is told of only now, or the close of the day before is.
        """
        moved = _NOTHING
        seen: dict[PositionKey, tuple[Standing, Decimal | None]] = {}
        for each in standings:
            opening = marks.opening(each.key)
            before, was = self._seen.get(each.key, (each, opening))
            seen[each.key] = (each, opening)
            if (before.opening, was) == (each.opening, opening):
                continue
            price = prices.get(each.key)
            profits = [
                self._viewer.view(*one, now).day_profit for one in ((before, price, was), (each, price, opening))
            ]
            if None not in profits:
                moved += (profits[1] or _NOTHING) - (profits[0] or _NOTHING)
        self._seen = seen
        return moved
