"""The trades of one account in one instrument, in order, and the position that they come to at every step. Pure.

Trades may come late, twice, or change: of what a broker told only as a sum, the price is an estimate until its trades
are told. Whatever the order in which they come, the position is that of the trades in the order of their times.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from firstbell.model.identifiers import BrokerCode
from firstbell.model.position import Position
from firstbell.model.trade_order import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Self

    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.model.position import Trade
    from firstbell.model.trade_order import Placed

_NOTHING: Final = Decimal(0)
_KEPT: Final = 64
"""So many trades stay in sight, however long they have been settled: one that comes late still finds its place."""
_FORGOTTEN_AT_ONCE: Final = 64
"""So many are forgotten at once, at least."""


class Worth(NamedTuple):
    """What the trades of one order have come to.

    Attributes:
        quantity: How much has traded.
        net: What its sales have brought less what its purchases have taken, all fees taken off.
        estimated: Whether some price of them was not told.
    """

    quantity: Decimal
    net: Decimal
    estimated: bool

    @classmethod
    def of(cls, trades: Iterable[Trade]) -> Self:
        """What trades have come to."""
        told = tuple(trades)
        return cls(
            sum((each.quantity for each in told), _NOTHING),
            sum((-each.signed * each.price - each.fee for each in told), _NOTHING),
            any(each.estimated for each in told),
        )


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
        self._placed: list[Placed] = []
        self._of: dict[str, tuple[Trade, ...]] = {}
        self._settled: set[str] = set()
        self._began: datetime | None = None
        self._forgotten_to: datetime | None = None

    @property
    def position(self) -> Position:
        """The position now."""
        return self._placed[-1].after if self._placed else self._base

    def load(self, trades: Mapping[str, Sequence[Trade]]) -> None:
        """Take in the trades of many orders at once, in place of everything known before."""
        self._of = {order: tuple(told) for order, told in trades.items()}
        self._placed = in_order(self._base, (each for told in trades.values() for each in told), short=self._short)

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
        # A purchase that was put before a sale stands no earlier than it can have traded.
        earliest = min(each.since or each.key[0] for each in changed)
        place = self._place_of(earliest)
        kept = {each.trade.name for each in self._placed[:place] if _order_of(each.trade) == order}
        others = [each.trade for each in self._placed[place:] if _order_of(each.trade) != order]
        again = [each for each in now if each.name not in kept]
        del self._placed[place:]
        self._placed += in_order(self.position, [*others, *again], short=self._short)
        self._of[order] = now
        if self._began is not None and earliest < self._began:
            # Told of only now, it had traded on the day before.
            if self._has_forgotten(self._began):
                for each in now:
                    if each not in before and each.key[0] < self._began:
                        self.opening = self.opening.after(each, short=self._short)
            self.mark(self._began)

    def worth(self, order: str) -> Worth | None:
        """What the trades of an order have come to; None where they are not remembered."""
        trades = self._of.get(order)
        return None if trades is None else Worth.of(trades)

    def guessed(self) -> dict[str, Worth]:
        """Of the orders whose prices have not all been told, what each has come to."""
        return {order: Worth.of(trades) for order, trades in self._of.items() if any(each.estimated for each in trades)}

    def settle(self, order: str) -> None:
        """Nothing more of this order is expected: its trades may be forgotten, and what they came to stays."""
        self._settled.add(order)
        count = 0
        while count < len(self._placed) - _KEPT and _order_of(self._placed[count].trade) in self._settled:
            count += 1
        if count < _FORGOTTEN_AT_ONCE:
            # What is left is looked through whole each time.
            return
        self._base, self._forgotten_to = self._placed[count - 1].after, self._placed[count - 1].key[0]
        del self._placed[:count]
        left = {_order_of(each.trade) for each in self._placed}
        for name in self._settled - left:
            self._of.pop(name, None)
        self._settled &= left

    def mark(self, moment: datetime) -> None:
        """Let the trading day begin at a moment: what was held then is its opening position."""
        self._began = moment
        if self._has_forgotten(moment):
            # What is remembered begins on the day itself, and tells nothing any more of how it began.
            return
        count = self._place_of(moment)
        self.opening = self._placed[count - 1].after if count else self._base

    def _has_forgotten(self, moment: datetime) -> bool:
        return self._forgotten_to is not None and self._forgotten_to >= moment

    def _place_of(self, moment: datetime) -> int:
        return bisect_left(self._placed, moment, key=lambda each: each.key[0])


def _order_of(trade: Trade) -> str:
    return trade.client_order_id or trade.trade_id
