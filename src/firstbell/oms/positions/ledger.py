"""The trades of one account in one instrument, in order, and the position that they come to at every step. Pure.

Trades may come late, twice, or change: of what a broker told only as a sum, the price is an estimate until its trades
are told. Whatever the order in which they come, the position is that of the trades in the order of their times.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from firstbell.model.identifiers import BrokerCode
from firstbell.model.position import Position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.model.position import Trade

_KEPT: Final = 64
"""So many trades stay in sight, however long they have been settled: one that comes late still finds its place."""


class Ledger:
    """The trades behind one position.

    Args:
        account: Whose.
        instrument: What was traded.
        short: Whether it can be sold short; see `firstbell.model.position.Position.after`.
    """

    def __init__(self, account: AccountName, instrument: InstrumentId, *, short: bool = True) -> None:
        self._short = short
        self.key = (account, instrument)
        self.broker_code = BrokerCode("")
        """The account's broker; empty until an order has said it."""
        self.opening = Position(account, instrument)
        """The position as the trading day began."""
        self._base = self.opening
        self._trades: list[Trade] = []
        self._after: list[Position] = []
        self._of: dict[str, tuple[Trade, ...]] = {}
        self._settled: set[str] = set()

    @property
    def position(self) -> Position:
        """The position now."""
        return self._after[-1] if self._after else self._base

    def load(self, trades: Mapping[str, Sequence[Trade]]) -> None:
        """Take in the trades of many orders at once, in place of everything known before."""
        self._of = {order: tuple(told) for order, told in trades.items()}
        self._trades = sorted((each for told in trades.values() for each in told), key=lambda each: each.key)
        self._after = []
        for trade in self._trades:
            self._after.append(self.position.after(trade, short=self._short))

    def put(self, order: str, trades: Sequence[Trade]) -> None:
        """Take in all trades of one order as they are known now, in place of what was known of it before.

        Args:
            order: Our name for it; of a trade without one, the trade's.
            trades: All of them.
        """
        before, now = self._of.get(order, ()), tuple(trades)
        changed = [*(each for each in before if each not in now), *(each for each in now if each not in before)]
        if not changed:
            return
        since = min(each.key for each in changed)
        place = bisect_left(self._trades, since, key=lambda each: each.key)
        others = [each for each in self._trades[place:] if _order_of(each) != order]
        again = [each for each in now if each.key >= since]
        self._trades[place:] = sorted([*others, *again], key=lambda each: each.key)
        del self._after[place:]
        for trade in self._trades[place:]:
            self._after.append(self.position.after(trade, short=self._short))
        self._of[order] = now

    def settle(self, order: str) -> None:
        """Nothing more of this order is expected: its trades may be forgotten, and what they came to stays."""
        self._settled.add(order)
        count = 0
        while count < len(self._trades) - _KEPT and _order_of(self._trades[count]) in self._settled:
            count += 1
        if not count:
            return
        self._base = self._after[count - 1]
        del self._trades[:count], self._after[:count]
        left = {_order_of(each) for each in self._trades}
        for name in self._settled - left:
            self._of.pop(name, None)
        self._settled &= left

    def mark(self, moment: datetime) -> None:
        """Let the trading day begin at a moment: what was held then is its opening position."""
        count = bisect_left(self._trades, moment, key=lambda each: each.key[0])
        self.opening = self._after[count - 1] if count else self._base


def _order_of(trade: Trade) -> str:
    return trade.client_order_id or trade.trade_id
