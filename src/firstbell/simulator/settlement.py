"""Money and shares: what working orders reserve, and what changes hands with a trade. Exact, at once, in rials."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.market import fee_rate
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.simulator.accounts import Account
    from firstbell.simulator.orders import ExchangeOrder, Trade

_NOTHING = Decimal(0)


class Settlement:
    """Reserves, releases and settles.

    Args:
        market: Whose fees are taken.
        accounts: All accounts by name, now and later.
    """

    def __init__(self, market: str, accounts: Mapping[str, Account]) -> None:
        self.fees_taken = _NOTHING
        """All fees so far, in rials."""
        self._accounts = accounts
        self._fees = {side: fee_rate(market, side) for side in Side}

    def cost(self, price: Decimal, shares: Decimal) -> Decimal:
        """What buying would cost, the fee included, in rials."""
        return price * shares * (1 + self._fees[Side.BUY])

    def reserve(self, order: ExchangeOrder) -> None:
        """Reserve what is left of an order: money where it buys, shares where it sells."""
        self._hold(order, order.leaves_qty)

    def release(self, order: ExchangeOrder) -> None:
        """Let go of what `reserve` has reserved for what is left of an order."""
        self._hold(order, -order.leaves_qty)

    def settle(self, order: ExchangeOrder, trade: Trade) -> None:
        """Have one side of a trade paid for and delivered, its fee taken."""
        worth = trade.price * trade.quantity
        fee = worth * self._fees[order.side]
        holder = self._accounts[order.account]
        if order.side is Side.BUY:
            holder.receive(trade.instrument, money=-worth - fee, shares=trade.quantity)
        else:
            holder.receive(trade.instrument, money=worth - fee, shares=-trade.quantity)
        self.fees_taken += fee

    def _hold(self, order: ExchangeOrder, left: Decimal) -> None:
        holder = self._accounts[order.account]
        if order.side is Side.BUY:
            holder.reserve(order.instrument, money=self.cost(order.price, left), shares=_NOTHING)
        else:
            holder.reserve(order.instrument, money=_NOTHING, shares=left)
