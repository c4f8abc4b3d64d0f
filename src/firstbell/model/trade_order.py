"""The order in which trades count, and the position that they come to. Pure.

Trades count in the order in which they were heard of, whatever the clock has done meanwhile. Where nothing can be sold
short there is one exception: a sale of more than is held, with a purchase heard of later that may have come before it.
That purchase is put before the sale: else the sale would pass for one out of holdings, and what was bought, and sold
already, for a position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from firstbell.model.order import LISTS_LAG
from firstbell.model.position import Position
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.model.position import Trade, TradeKey

_PURCHASE: Final = False
"""What stands in a trade's key for its side."""


class Placed(NamedTuple):
    """A trade in its place.

    Attributes:
        key: What it is ordered by there: its own key, or, put before a sale, that sale's time.
        trade: The trade.
        after: The position once it has come.
    """

    key: TradeKey
    trade: Trade
    after: Position


def in_order(before: Position, trades: Iterable[Trade], *, short: bool) -> list[Placed]:
    """Put trades in order.

    Args:
        before: The position before them.
        trades: They, each once, in any order.
        short: As for `firstbell.model.position.Position.after`.
    """
    waiting = sorted(trades, key=lambda each: each.key)
    placed, position, taken = list[Placed](), before, set[int]()
    for place, trade in enumerate(waiting):
        if place in taken:
            continue
        if not short and trade.side is Side.SELL and trade.quantity > position.quantity:
            missing = trade.quantity - position.quantity
            for earlier in _may_be_earlier(waiting, place, taken):
                if missing <= 0:
                    break
                taken.add(earlier)
                bought = waiting[earlier]
                missing -= bought.quantity
                position = position.after(bought, short=short)
                placed.append(Placed((trade.key[0], _PURCHASE, *bought.name), bought, position))
        position = position.after(trade, short=short)
        placed.append(Placed(trade.key, trade, position))
    return placed


def _may_be_earlier(waiting: Sequence[Trade], sale: int, taken: set[int]) -> Iterable[int]:
    """Where the purchases stand that were heard of after a sale, and may have come before it."""
    at = waiting[sale].at
    for place in range(sale + 1, len(waiting)):
        trade = waiting[place]
        if trade.at - at > LISTS_LAG:
            break
        if trade.side is Side.BUY and place not in taken and trade.since is not None and trade.since <= at:
            yield place


def position_of(
    account: AccountName, instrument: InstrumentId, trades: Iterable[Trade], *, short: bool = True
) -> Position:
    """The position that trades come to, in whatever order they are given, those that come twice counted once.

    Args:
        account: Whose.
        instrument: What was traded.
        trades: They.
        short: As for `firstbell.model.position.Position.after`.

    Raises:
        ValueError: One is another account's, or of another instrument.
    """
    before = Position(account, instrument)
    placed = in_order(before, {trade.name: trade for trade in trades}.values(), short=short)
    return placed[-1].after if placed else before
