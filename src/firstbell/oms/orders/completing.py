"""One login's partial fills: round by round, what the config says is done with the rest of an order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firstbell.errors import BrokerError, CaptchaError, FirstbellError, JournalError
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderRole, OrderType
from firstbell.oms.orders.families import goes_on
from firstbell.oms.policies.partial_fills import CancelRemaining, PartialFillHandler, Reprice
from firstbell.oms.policies.pricing import Market

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.quote import Quote
    from firstbell.oms.orders.asking import Asking
    from firstbell.oms.orders.trader import Trader

_log = logging.getLogger(__name__)


class Completing:
    """Completes what has traded in part; a bracket's exits are left alone.

    Args:
        trader: The login's trader.
        asking: Asks its broker.
        quote_of: An order's market now; None where nobody says, or that is too old.
    """

    def __init__(self, trader: Trader, asking: Asking, quote_of: Callable[[Entry], Quote | None]) -> None:
        self._trader = trader
        self._asking = asking
        self._quote_of = quote_of
        self._partial = PartialFillHandler(trader.context.partial_fills)
        self._fills: dict[ClientOrderId, tuple[Decimal, int]] = {}

    def round(self) -> None:
        """Look at every order that has traded in part.

        Raises:
            JournalError: It could not be written down.
        """
        if self._trader.context.partial_fills.strategy is None:
            return
        now_ns = self._trader.context.clock.monotonic_ns()
        seen: dict[ClientOrderId, tuple[Decimal, int]] = {}
        for entry in self._trader.blotter.working():
            order, state = entry.intent.order, entry.state
            if state.status is not OrderStatus.PARTIALLY_FILLED or _protects(entry):
                continue
            filled, last_ns = self._fills.get(order.client_order_id, (state.filled_qty, now_ns))
            last_ns = last_ns if filled == state.filled_qty else now_ns
            seen[order.client_order_id] = (state.filled_qty, last_ns)
            self._complete_one(entry, last_ns, now_ns)
        self._fills = seen

    def _complete_one(self, entry: Entry, last_fill_ns: int, now_ns: int) -> None:
        order = entry.intent.order
        try:
            instrument = self._trader.market.instrument(order.instrument)
        except (BrokerError, CaptchaError) as error:
            _log.warning("%s: %s", order.client_order_id, error)
            return
        market = Market(self._trader.context.market, instrument, self._quote_of(entry))
        decided = self._partial.decide(entry.state, market, last_fill_ns, now_ns)
        try:
            if isinstance(decided, Reprice) and order.order_type is OrderType.LIMIT:
                self._asking.reprice(entry, decided.price)
            elif isinstance(decided, CancelRemaining):
                self._asking.withdraw(entry, "the rest of a partial fill, as configured")
        except JournalError:
            raise
        except FirstbellError as error:
            _log.warning("%s: %s", order.client_order_id, error)


def _protects(entry: Entry) -> bool:
    """Whether an order ends a position by itself: whoever wants no rests of his orders does not want half a stop.

    These are a bracket's exits, stops, and whatever was asked for as a stop loss, a profit, or an exit by that name,
    such as the closing of a position.
    """
    order, terms = entry.intent.order, entry.intent.order.instructions
    if goes_on(entry):
        return False
    return terms.parent_id is not None or order.order_type.waits or terms.role not in {None, OrderRole.ENTRY}
