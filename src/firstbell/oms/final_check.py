"""The last look at an order: its final numbers, and the moment, right before every attempt is handed to its carrier.

Everything it needs is in memory by then: it takes some microseconds, and it never asks anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.risk.checks import FINAL_CHECKS, Denial, Sending, deny
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstbell.brokers.base import PreparedOrder
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import Order
    from firstbell.oms.pacing import Pacer
    from firstbell.risk.checks import Surroundings
    from firstbell.risk.trading_state import Halt


class FinalCheck:
    """Judges one login's attempts.

    Args:
        around: Each order's surroundings, as its plan was judged by. An order that has none may not leave.
        state: What may leave at all, now.
        pacer: The login's interval.
        halt: Who took from what may leave, and why; asked only where something was taken.
    """

    def __init__(
        self,
        around: Mapping[ClientOrderId, Surroundings],
        state: Callable[[], TradingState],
        pacer: Pacer,
        halt: Callable[[], Halt | None],
    ) -> None:
        self._around = around
        self._state = state
        self._pacer = pacer
        self._halt = halt

    def why_not(self, order: Order, prepared: PreparedOrder, at_ns: int) -> str | None:
        """Why an attempt may not be made, naming every rule and both numbers; None where it may.

        Args:
            order: The order.
            prepared: The bytes that are about to leave.
            at_ns: When, on the monotonic clock.
        """
        around = self._around.get(order.client_order_id)
        if around is None:
            return str(Denial("final check", "nothing to judge it against", "a known instrument and known limits"))
        state = self._state()
        halt = None if state is TradingState.ACTIVE else self._halt()
        sending = Sending(state, at_ns, self._pacer.last_ns, self._pacer.interval_ns, halt)
        denials = [str(each) for each in deny(order, around.before(sending), FINAL_CHECKS)]
        if prepared.order != order:
            denials.append(str(Denial("final check", f"bytes of {prepared.order.client_order_id}", "this order's")))
        return "; ".join(denials) or None
