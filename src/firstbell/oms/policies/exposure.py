"""What one request has out in the market, over all the orders that were made of it; the door before each new one.

    filled + working + unresolved ≤ requested, at all times.

A request may come to several orders: itself, the parts that it was split into, what was tried after a refusal. Each is
let out only while what it is for is certainly free.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.money import grouped
from firstbell.model.order_status import DONE, NEVER_PLACED, PLACED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.model.order import OrderState

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A request's quantity, divided up. All in shares.

    Attributes:
        requested: What was asked for.
        filled: What has traded.
        working: What may trade at the broker.
        unresolved: What has been claimed and may be there: on its way, held back, or nobody has said.
        ended: What was taken off the book, or ran out of time. It is not free: a trade from before may be told of late.
    """

    requested: Decimal
    filled: Decimal = _NOTHING
    working: Decimal = _NOTHING
    unresolved: Decimal = _NOTHING
    ended: Decimal = _NOTHING

    @classmethod
    def of(cls, requested: Decimal, orders: Iterable[OrderState]) -> Exposure:
        """Divide up a request.

        Args:
            requested: What was asked for.
            orders: Every order that was made of it, the done ones too.
        """
        filled = working = unresolved = ended = _NOTHING
        for state in orders:
            filled += state.filled_qty
            if state.status in NEVER_PLACED:
                # All of it is certainly free again.
                continue
            if state.status not in PLACED:
                unresolved += max(state.order.quantity, state.quantity)
                continue
            # What a replacement has cut off is not free either: the cut may have come after a trade.
            whole = max(state.order.quantity, state.quantity, state.filled_qty)
            works = state.leaves_qty if state.status not in DONE else _NOTHING
            working += works
            ended += whole - state.filled_qty - works
        return cls(requested, filled, working, unresolved, ended)

    @property
    def free(self) -> Decimal:
        """What another order may be for; never less than nothing."""
        taken = self.filled + self.working + self.unresolved + self.ended
        return max(self.requested - taken, _NOTHING)

    def why_not(self, quantity: Decimal) -> str | None:
        """Why another order of the request may not be claimed, with the numbers; None where it may.

        Args:
            quantity: What it would be for; of a replacement, by how much it would grow.
        """
        if _NOTHING < quantity <= self.free:
            return None
        return (
            f"exposure: {grouped(quantity)} more of {grouped(self.requested)}, of which {grouped(self.filled)} have "
            f"traded, {grouped(self.working)} work, {grouped(self.unresolved)} are unresolved and "
            f"{grouped(self.ended)} ended; allowed {grouped(self.free)}"
        )
