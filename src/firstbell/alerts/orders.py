"""From execution reports to alerts: a follower of the journal that is quick and never raises.

What is told goes by what a report has made of its order, not by the report's kind alone: the trade that completes an
order is told as that, whatever the broker called it, and what the order has come to already is not told again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.alerts import words
from firstbell.alerts.base import Importance
from firstbell.config.alert_settings import AlertKind
from firstbell.model.money import grouped
from firstbell.model.order_status import DONE, PLACED, OrderStatus, ReportKind
from firstbell.model.terms import OrderType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from decimal import Decimal

    from firstbell.alerts.base import Message
    from firstbell.config.models import AccountSettings
    from firstbell.model.order import OrderState
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.report import ExecutionReport

_log = logging.getLogger(__name__)

_K = ReportKind
_A = AlertKind

_TITLES: Final[dict[ReportKind, tuple[AlertKind, str, Importance]]] = {
    _K.ACCEPTED: (_A.CONFIRMED, "Confirmed", Importance.NORMAL),
    _K.REJECTED: (_A.FAILED, "Rejected", Importance.HIGH),
    _K.DENIED: (_A.FAILED, "Not sent", Importance.HIGH),
    _K.UNRESOLVED: (_A.FAILED, "Unresolved", Importance.HIGH),
    _K.TRIGGERED: (_A.STOPS, "Stop triggered", Importance.HIGH),
    _K.CANCELED: (_A.CHANGES, "Canceled", Importance.NORMAL),
    _K.EXPIRED: (_A.CHANGES, "Expired", Importance.LOW),
    _K.WITHDRAWN: (_A.CHANGES, "Taken back", Importance.LOW),
    _K.REPLACED: (_A.CHANGES, "Changed", Importance.LOW),
    _K.CANCEL_REJECTED: (_A.CHANGES, "Not canceled", Importance.HIGH),
    _K.REPLACE_REJECTED: (_A.CHANGES, "Not changed", Importance.HIGH),
}
"""Of the others there is nothing to tell but what has traded: they are steps on the way."""
_ENDS: Final = {
    _K.REJECTED: OrderStatus.REJECTED,
    _K.DENIED: OrderStatus.DENIED,
    _K.CANCELED: OrderStatus.CANCELED,
    _K.EXPIRED: OrderStatus.EXPIRED,
    _K.WITHDRAWN: OrderStatus.DENIED,
}
"""What these make of an order, unless all of it has traded."""


class OrderAlerts:
    """A `firstbell.journal.base.Follower` that has reports told.

    Args:
        post: Takes a message, and neither blocks nor raises.
        events: What is told.
        symbols: What people call instruments, by their ids; may grow meanwhile.
    """

    def __init__(
        self,
        post: Callable[[Message], None],
        events: Collection[AlertKind] = tuple(AlertKind),
        symbols: Mapping[str, str] | None = None,
    ) -> None:
        self._post = post
        self._events = frozenset(events)
        self._symbols: Mapping[str, str] = symbols if symbols is not None else {}

    def __call__(self, report: ExecutionReport, before: OrderState, after: OrderState) -> None:
        """Tell of one report what is worth it: what has traded by it, then what else it has made of the order."""
        try:
            messages = [*self._messages(report, before, after)]
        except Exception:  # noqa: BLE001 - whoever writes a report must never suffer for what is said about it
            _log.exception("a fault of firstbell's own: a report on %s was not told", report.client_order_id)
            return
        for message in messages:
            self._post(message)

    def denied(self, account: AccountSettings, request: OrderRequest, why: str) -> None:
        """Tell of a request that was denied before it became an order; quick, and never raises."""
        if _A.FAILED not in self._events:
            return
        try:
            symbol = self._symbols.get(request.instrument)
            message = words.denied(account.name, account.broker_code, request, symbol, why)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("a fault of firstbell's own: that a request of %s was denied was not told", account.name)
            return
        self._post(message)

    def _messages(self, report: ExecutionReport, before: OrderState, after: OrderState) -> Iterator[Message]:
        symbol = self._symbols.get(after.order.instrument)
        found = _TITLES.get(report.kind)
        is_told = found is not None and _is_news(report, before, after)
        if _A.FILLS in self._events and (said := _trades(report, before, after)) is not None:
            # Where the report has more to say than that, its reason stands there.
            yield words.about(said[0], after, symbol, said[1], reason=None if is_told else report.reason)
        if found is not None and is_told and found[0] in self._events:
            _, title, importance = found
            more = _more(report, before, after)
            yield words.about(title, after, symbol, *more, reason=report.reason, importance=importance)


def _trades(report: ExecutionReport, before: OrderState, after: OrderState) -> tuple[str, str] | None:
    """What a report tells of trades, and under which title; None where it tells nothing that was not known.

    A trade that is in a sum which was told already is no news: of those there is only, at the end, what they cost.
    """
    is_filled = after.status is OrderStatus.FILLED
    if after.filled_qty > before.filled_qty or (is_filled and before.status is not OrderStatus.FILLED):
        fill = report.fill if after.filled_qty > before.filled_qty else None
        return "Filled" if is_filled else "Filled in part", words.traded(fill, after)
    is_priced = after.priced_qty > before.priced_qty and before.priced_qty < before.filled_qty
    if is_priced and after.status in DONE and (price := words.average(after)) is not None:
        return "Price", f"{grouped(after.filled_qty)} in all, told of before, {price}"
    return None


def _is_news(report: ExecutionReport, before: OrderState, after: OrderState) -> bool:
    """Whether a report says something of its order, its trades aside, that was not known."""
    match report.kind:
        case ReportKind.ACCEPTED:
            # It comes again when the order's name is learned.
            return before.status not in PLACED
        case ReportKind.UNRESOLVED:
            return not before.unresolved
        case ReportKind.TRIGGERED:
            return not before.triggered
        case ReportKind.REPLACED:
            is_trailing = after.order.order_type is OrderType.TRAILING_STOP
            return not (is_trailing and report.price is None and report.quantity is None)
        case kind if kind in _ENDS:
            return after.status is _ENDS[kind] and before.status is not after.status
    return True


def _more(report: ExecutionReport, before: OrderState, after: OrderState) -> tuple[str, ...]:
    if report.kind is ReportKind.UNRESOLVED:
        return ("Nobody has said what became of it; its broker's lists are asked.",)
    if report.kind is ReportKind.REPLACED:
        return _changes(before, after)
    if report.kind in _ENDS and after.filled_qty:
        price = words.average(after)
        return (f"{grouped(after.filled_qty)} of it had traded{'' if price is None else f', {price}'}",)
    return ()


def _changes(before: OrderState, after: OrderState) -> tuple[str, ...]:
    named: tuple[tuple[str, Decimal | None, Decimal | None], ...] = (
        ("quantity", before.quantity, after.quantity),
        # What an order without a limit is valued at before it leaves is no price that it had.
        ("price", before.price if before.order.order_type.has_limit else None, after.price),
        ("trigger price", before.trigger_price, after.trigger_price),
    )
    changed = [f"{name} {grouped(was)}" for name, was, now in named if was is not None and was != now]
    return (f"before: {', '.join(changed)}",) if changed else ()
