"""What a row of the broker's list says of an order that we know, as reports. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.model.order import LISTS_LAG, LISTS_LAG_NS
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.oms.lists import reading, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from firstbell.brokers.base import VenueOrder
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import OrderState

    Reporter = Callable[[ClientOrderId, ReportKind], ExecutionReport]
    """Makes a report of now, of an order's name and a kind."""

_CHANGEABLE: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_REPLACE})
_ASKED: Final = {
    OrderStatus.PENDING_CANCEL: (ReportKind.CANCEL_REJECTED, "the list still shows it working, long after the cancel"),
    OrderStatus.PENDING_REPLACE: (ReportKind.REPLACE_REJECTED, "the list shows its old terms, long after the change"),
}
_LOOKS: Final = 4
"""So many looks, over as long a time as lists may lag, and what was asked for has not been heard."""


@dataclass(slots=True)
class Waiting:
    """How long the list has shown nothing of what was asked for, order by order."""

    _since: dict[ClientOrderId, tuple[int, int, datetime | None]] = field(default_factory=dict)

    def is_over(self, name: ClientOrderId, at_ns: int, asked_at: datetime | None, at: datetime) -> bool:
        """Count one more look at the list that shows nothing of it; whether that has gone on for too long.

        Asked for again it is waited for anew: a list may show that as late as the first time. What was asked for before
        this process began has been waited for since then.
        """
        waited = min(max(at - (asked_at or at), timedelta()), LISTS_LAG)
        begun = (0, at_ns - waited // timedelta(microseconds=1) * 1_000, asked_at)
        looks, since_ns, before = self._since.get(name, begun)
        if before != asked_at:
            looks, since_ns, _ = begun
        self._since[name] = (looks + 1, since_ns, asked_at)
        return looks + 1 >= _LOOKS and at_ns - since_ns >= LISTS_LAG_NS

    def ended(self, name: ClientOrderId) -> None:
        """Nothing is being waited for any more."""
        self._since.pop(name, None)


def of_what_was_asked(
    row: VenueOrder,
    state: OrderState,
    report: Reporter,
    *,
    has_price: bool,
    at: datetime,
) -> list[ExecutionReport]:
    """What one look at a row tells of a change, or of a cancel, that nobody has answered.

    Args:
        row: The row.
        state: The order as it stands.
        report: Makes a report of now.
        has_price: Whether the row's price is the order's own.
        at: When the list was read, by the wall clock.
    """
    told = []
    if (changed := _changed_terms(row, state, report, has_price=has_price, at=at)) is not None:
        told.append(changed)
        state = state.after(changed)
    if state.status in _ASKED and row.working and state.asked_at is not None and at - state.asked_at >= LISTS_LAG:
        # Whatever was heard of it by then would be in the list.
        kind, why = _ASKED[state.status]
        told.append(replace(report(state.order.client_order_id, kind), reason=why))
    return told


def _changed_terms(
    row: VenueOrder, state: OrderState, report: Reporter, *, has_price: bool, at: datetime
) -> ExecutionReport | None:
    """The terms that a row shows, where they are others than an order is known to have."""
    terms, now = (row.price if has_price else state.price, row.quantity), (state.price, state.quantity)
    if terms == now or state.status not in _CHANGEABLE or not _shows_terms(row, state):
        return None
    if row.working and state.is_former(*terms, at=at):
        # A list that lags shows an accepted change later, and until then what was before: only its trades are news.
        return None
    changed = replace(report(state.order.client_order_id, ReportKind.REPLACED), price=terms[0], quantity=terms[1])
    return replace(changed, venue_order_id=row.venue_order_id)


def reports_of(
    row: VenueOrder,
    state: OrderState,
    report: Reporter,
    waiting: Waiting,
    at_ns: int,
    *,
    has_price: bool,
    at: datetime,
) -> list[ExecutionReport]:
    """What a row tells of an order that its broker has, in the order in which it has to be written.

    Args:
        row: The row.
        state: The order as it stands.
        report: Makes a report of now.
        waiting: How long changes and cancels have been waited for.
        at_ns: When the list was read, on the monotonic clock.
        has_price: Whether the row's price is the order's own: that of a market order is not.
        at: When the list was read, by the wall clock.
    """
    name, told = state.order.client_order_id, list[ExecutionReport]()
    if (changed := _changed_terms(row, state, report, has_price=has_price, at=at)) is not None:
        told.append(changed)
        state = state.after(changed)
    elif row.working and state.is_former(row.price if has_price else state.price, row.quantity, at=at):
        row = replace(row, price=state.price, quantity=state.quantity)
    kind = reading(row, state)
    if kind is not None:
        cum_qty = row.filled_qty if row.filled_qty > 0 else None
        found = replace(report(name, kind), venue_order_id=row.venue_order_id, cum_qty=cum_qty)
        told.append(replace(found, reason=reason_of(kind, row, state)))
        state = state.after(told[-1])
    if state.status not in _ASKED or not row.working:
        waiting.ended(name)
    elif waiting.is_over(name, at_ns, state.asked_at, at):
        waiting.ended(name)
        kind, why = _ASKED[state.status]
        told.append(replace(report(name, kind), reason=why))
    return told


def is_as_known(row: VenueOrder, state: OrderState, *, has_price: bool) -> bool:
    """Whether a row of which there was nothing to tell says nothing later either, while it and the order stay so.

    Of what waits for an answer, and of terms that are not those known, time tells more.
    """
    terms = (row.price if has_price else state.price, row.quantity)
    return state.status not in _ASKED and terms == (state.price, state.quantity)


def _shows_terms(row: VenueOrder, state: OrderState) -> bool:
    """Whether a row's price and quantity are an order's terms: of one that has ended, those that it ended with.

    They count where a change had been asked for, or where more has traded than we knew to be asked for.
    """
    if row.refused:
        return False
    return row.working or state.status is OrderStatus.PENDING_REPLACE or row.filled_qty > state.quantity
