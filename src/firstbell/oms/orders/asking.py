"""What one login's rounds ask its broker for again and again: paced, so that a refusal is not met in every round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.order_status import DONE, OrderStatus
from firstbell.model.terms import Side
from firstbell.oms.orders.pauses import Pauses
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.trader import Trader


class Asking:
    """Asks; each method says whether it was done, and raises what the trader raises.

    Args:
        trader: The login's trader.
    """

    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._pauses = Pauses()

    def withdraw(self, entry: Entry, why: str) -> bool:
        """Take one back; what was refused, or is not off the book all the same, is asked for again after a pause."""
        name = entry.intent.order.client_order_id

        def ask() -> bool:
            self._trader.cancel(entry, why)
            now = self._trader.blotter.entry(name) or entry
            return now.state.status in DONE or now.state.status is OrderStatus.PENDING_CANCEL

        return self._ask(("cancel", name), ask)

    def resize(self, entry: Entry, quantity: Decimal) -> bool:
        """Change a quantity at the broker; what was denied or refused is asked for again only after a pause."""
        name = entry.intent.order.client_order_id

        def ask() -> bool:
            self._trader.replace(entry, quantity=quantity)
            now = self._trader.blotter.entry(name) or entry
            # Whatever was said of it: where it was not done, the pause holds.
            return now.state.quantity == quantity

        return not self._trader.context.interrupt.is_set() and self._ask(("resize", name), ask)

    def may_leave(self, plan_id: ClientOrderId) -> bool:
        """Whether one that is held back may leave now: one that did not get away waits for a while each time."""
        return self._pauses.may(("leave", plan_id), self._trader.context.clock.monotonic_ns())

    def left(self, plan_id: ClientOrderId, *, in_vain: bool) -> None:
        """One has been let go: it has come to its broker, or it waits before it is let go once more."""
        if in_vain:
            self._pauses.failed(("leave", plan_id), self._trader.context.clock.monotonic_ns())
        else:
            self._pauses.done(("leave", plan_id))

    def reprice(self, entry: Entry, price: Decimal) -> bool:
        """Change a price at the broker, likewise; of a buy not while trading only reduces."""
        name, context = entry.intent.order.client_order_id, self._trader.context
        if entry.intent.order.side is Side.BUY and context.state() is not TradingState.ACTIVE:
            # Nothing is bought any more, and so nothing is bought for more.
            return False

        def ask() -> bool:
            self._trader.replace(entry, price=price)
            now = self._trader.blotter.entry(name) or entry
            return now.state.price == price

        return self._ask(("reprice", name), ask)

    def _ask(self, what: tuple[str, ClientOrderId], ask: Callable[[], bool]) -> bool:
        return self._pauses.ask(what, self._trader.context.clock.monotonic_ns(), ask)
