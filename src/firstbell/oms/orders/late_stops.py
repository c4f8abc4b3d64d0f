"""Stops whose price has come and that have not done their work seconds later: a person is told of each, once.

One may still be held back, because another exit cannot be taken off the book or the broker wants to be left alone; or
it rests at its broker, because the market has gone past the price at which it left. So may an order that closes a
position. What can be done by itself is done; but nobody is to believe himself out of a position that he is still in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from firstbell.model.money import grouped
from firstbell.model.order_status import DONE, PLACED
from firstbell.model.terms import OrderRole, OrderType, Side
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.trader import Trader

_NS: Final = 1_000_000_000
_LATE_NS: Final = 10 * _NS
"""From so long after its price has come on a stop is late, in ns."""


class _Late(NamedTuple):
    """What is late: a plan, while trading was halted or was not."""

    plan_id: ClientOrderId
    halted: bool


class LateStops:
    """Looks for them in one login's orders.

    Args:
        trader: The login's trader.
    """

    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._since: dict[_Late, int] = {}
        self._told: set[_Late] = set()

    def look(self) -> None:
        """Look, once in a round. While trading only reduces, a buy that waits for that is not late.

        While it is halted nothing leaves: then a person is told of what would end a position and stays here.
        """
        trader, context = self._trader, self._trader.context
        state = context.state()
        halted = state is TradingState.HALTED
        if context.interrupt.is_set() and not halted:
            self._since.clear()
            return
        now_ns = context.clock.monotonic_ns()
        late = {_Late(each.intent.plan_id, halted): each for each in trader.blotter.open() if _is_due(each)}
        if late and state is not TradingState.ACTIVE:
            late = {key: each for key, each in late.items() if each.intent.order.side is Side.SELL}
        if late and halted:
            late = {key: each for key, each in late.items() if each.is_held_back}
        self._since = {key: self._since.get(key, now_ns) for key in late}
        self._told &= late.keys()
        for key, entry in late.items():
            if now_ns - self._since[key] >= _LATE_NS and key not in self._told:
                self._told.add(key)
                context.intervene(entry.intent.order.client_order_id, self._words(entry))

    def _words(self, entry: Entry) -> str:
        state, seconds = entry.state, _LATE_NS // _NS
        if state.unresolved:
            unknown = f"for {seconds} s nobody has known what became of it"
            return f"its price has come, and {unknown}: its broker's lists are asked"
        if not entry.is_held_back:
            left = grouped(state.leaves_qty)
            waits = entry.intent.order.order_type.waits
            came = f"its price came {seconds} s ago" if waits else f"it was to close a position {seconds} s ago"
            return (
                f"{came}, and {left} of it have not traded at {grouped(state.price)}, at which it left: the market may "
                "have gone past it, or few be there to trade with; change its price, or cancel it"
            )
        return f"its price came {seconds} s ago, and it cannot leave: {self._what_keeps(entry)}"

    def _what_keeps(self, entry: Entry) -> str:
        trader = self._trader
        if trader.context.state() is TradingState.HALTED:
            return f"trading is {trader.context.called() or 'halted'}; it stays here until `firstbell resume`"
        if pause_ns := trader.pacer.pause_left_ns(trader.context.clock.monotonic_ns()):
            return f"the broker has asked for a pause, of which {pause_ns // _NS + 1} s are left"
        if unresolved := trader.blotter.unresolved():
            return f"nobody knows yet what became of {_names(unresolved)}"
        terms = entry.intent.order.instructions
        family = trader.blotter.family(terms.group or terms.parent_id or "")
        others = [each for each in family if not each.is_held_back and each.state.status not in DONE]
        if not others:
            return "it is tried again"
        reasons = "; ".join(dict.fromkeys(each.state.reason for each in others if each.state.reason))
        return f"{_names(others)} cannot be taken off the book" + (f": {reasons}" if reasons else "")


def _is_due(entry: Entry) -> bool:
    """Whether it is a stop whose price has come, or closes a position; one with a limit of its own may well rest."""
    order, state = entry.intent.order, entry.state
    if order.order_type.waits:
        # At a broker that knows stops, its first trade tells that its price has come.
        has_come = state.triggered or (state.status in PLACED and state.filled_qty > 0)
        return has_come and (entry.is_held_back or state.unresolved or not order.order_type.has_limit)
    closes = order.order_type is OrderType.MARKET and order.role is not OrderRole.ENTRY
    return closes and state.status in PLACED and not state.unresolved


def _names(entries: Sequence[Entry]) -> str:
    return " and ".join(each.intent.order.client_order_id for each in entries)
