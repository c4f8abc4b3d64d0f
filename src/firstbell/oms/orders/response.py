"""What an order manager answers to whoever asked it for something."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.model.order_status import ASKED, DONE, PLACED, OrderStatus
from firstbell.model.terms import OrderOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId, VenueOrderId
    from firstbell.oms.orders.queue_position import QueuePosition
    from firstbell.risk.verdict import ErrorCode, Verdict


@dataclass(frozen=True, slots=True)
class OrderResponse:
    """How an order stands after what was asked for.

    Attributes:
        order_id: Our name for it (FIX 11); None where it was denied before it got one.
        status: Where it stands; `DENIED` where it got no name.
        outcome: The same in the four words of result files.
        message: In words, for people: why it was denied or refused, or that it is there.
        venue_order_id: The broker's name for it, once known.
        filled_qty: Shares traded so far.
        avg_px: Their average price, exact; None while the price of any of them is not known.
        error: The kind of error, where there is one.
        verdicts: Every check that it failed, where it was denied by checks.
        queue: What stands before it in the book, where the broker shows that.
        children: Orders that took its place or go on for it: after a fallback, or a split.
        is_held: Whether it waits here until the market triggers it.
        quantity: Shares that it is for now; None where it was denied before it got a name.
        is_made: Of a cancel or a change, whether it has been made; False where an order's key stands for other terms;
            None of what was placed or looked at.
    """

    order_id: ClientOrderId | None
    status: OrderStatus
    outcome: OrderOutcome
    message: str
    venue_order_id: VenueOrderId | None = None
    filled_qty: Decimal | None = None
    avg_px: Decimal | None = None
    error: ErrorCode | None = None
    verdicts: tuple[Verdict, ...] = ()
    queue: QueuePosition | None = None
    children: tuple[OrderResponse, ...] = ()
    is_held: bool = False
    quantity: Decimal | None = None
    is_made: bool | None = None

    @property
    def orders(self) -> tuple[OrderResponse, ...]:
        """This one, and all that was tried in its place or goes on for it, in the order in which they were made."""
        return (self, *(each for child in self.children for each in child.orders))

    @property
    def placed(self) -> Decimal:
        """Shares that are at the broker, are held back, or have traded, by this one and those in its place."""
        found = Decimal(0)
        for each in self.orders:
            works = each.is_held or each.status in PLACED - DONE
            found += (each.quantity if works else each.filled_qty) or 0
        return found

    @property
    def is_success(self) -> bool:
        """Whether the broker has it, or it is held back as asked; of a cancel or a change, whether it has been made.

        Unresolved is no success, and no failure either.
        """
        if self.is_made is not None:
            return self.is_made
        if any(child.is_success for child in self.children):
            return True
        return self.is_held or (self.status in PLACED)

    @property
    def is_unresolved(self) -> bool:
        """Whether nobody knows yet: it is being asked for, and must not be placed anew, or taken for canceled."""
        if self.is_made is False and self.status in ASKED:
            return True
        return self.outcome is OrderOutcome.UNRESOLVED or any(child.is_unresolved for child in self.children)

    @property
    def is_done(self) -> bool:
        """Whether it no longer works, and nothing goes on for it."""
        return self.status in DONE and all(child.is_done for child in self.children)


def denied(why: str, error: ErrorCode | None, verdicts: Sequence[Verdict] = ()) -> OrderResponse:
    """The response to what was denied before it got a name."""
    return OrderResponse(None, OrderStatus.DENIED, OrderOutcome.NOT_SENT, why, error=error, verdicts=tuple(verdicts))


def response_of(entry: Entry, *, error: ErrorCode | None = None, message: str | None = None) -> OrderResponse:
    """How an order stands, as a response."""
    state = entry.state
    return OrderResponse(
        order_id=entry.intent.order.client_order_id,
        status=state.status,
        outcome=state.outcome,
        message=message or state.reason or _words(entry),
        venue_order_id=state.venue_order_id,
        filled_qty=state.filled_qty,
        avg_px=state.avg_px,
        error=error,
        is_held=entry.is_held_back,
        quantity=state.quantity,
    )


def _words(entry: Entry) -> str:
    if entry.is_held_back:
        return "held back here until its price comes, or its entry trades"
    return entry.state.status.value.lower().replace("_", " ")
