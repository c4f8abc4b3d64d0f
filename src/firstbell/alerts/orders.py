"""From execution reports to alerts: a subscriber of the journal that is quick and never raises."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from firstbell.alerts import words
from firstbell.alerts.base import Importance
from firstbell.config.models import AlertKind
from firstbell.model.money import grouped
from firstbell.model.order_status import ReportKind
from firstbell.model.terms import OrderType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from decimal import Decimal

    from firstbell.alerts.base import Message
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport

_log = logging.getLogger(__name__)

_REMEMBERED: Final = 20_000
"""Orders of which is known what has been told."""

_K = ReportKind
_A = AlertKind

_TITLES: Final[dict[ReportKind, tuple[AlertKind, str, Importance]]] = {
    _K.ACCEPTED: (_A.CONFIRMED, "Confirmed", Importance.NORMAL),
    _K.REJECTED: (_A.FAILED, "Rejected", Importance.HIGH),
    _K.DENIED: (_A.FAILED, "Not sent", Importance.HIGH),
    _K.UNRESOLVED: (_A.FAILED, "Unresolved", Importance.HIGH),
    _K.PARTIALLY_FILLED: (_A.FILLS, "Filled in part", Importance.NORMAL),
    _K.FILLED: (_A.FILLS, "Filled", Importance.NORMAL),
    _K.TRIGGERED: (_A.STOPS, "Stop triggered", Importance.HIGH),
    _K.CANCELED: (_A.CHANGES, "Canceled", Importance.NORMAL),
    _K.EXPIRED: (_A.CHANGES, "Expired", Importance.LOW),
    _K.WITHDRAWN: (_A.CHANGES, "Taken back", Importance.LOW),
    _K.REPLACED: (_A.CHANGES, "Changed", Importance.LOW),
    _K.CANCEL_REJECTED: (_A.CHANGES, "Not canceled", Importance.HIGH),
    _K.REPLACE_REJECTED: (_A.CHANGES, "Not changed", Importance.HIGH),
}
"""Of the others there is nothing to tell: they are steps on the way."""
_ONCE: Final = frozenset({_K.ACCEPTED, _K.UNRESOLVED, _K.TRIGGERED})
"""Told once an order: they come again when its name is learned, or while it is asked for."""


class OrderAlerts:
    """A `firstbell.journal.base.Subscriber` that has reports told.

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
        self._told: OrderedDict[str, set[str]] = OrderedDict()

    def __call__(self, report: ExecutionReport, order: Order) -> None:
        """Tell of one report, if it is worth it."""
        try:
            message = self._message(report, order)
        except Exception:  # noqa: BLE001 - whoever writes a report must never suffer for what is said about it
            _log.exception("a fault of firstbell's own: a report on %s was not told", report.client_order_id)
            return
        if message is not None:
            self._post(message)

    def _message(self, report: ExecutionReport, order: Order) -> Message | None:
        found = _TITLES.get(report.kind)
        if found is None or found[0] not in self._events or self._is_known(report, order):
            return None
        _, title, importance = found
        return words.about(
            title, report, order, self._symbols.get(order.instrument), *_more(report, order), importance=importance
        )

    def _is_known(self, report: ExecutionReport, order: Order) -> bool:
        """Whether this has been told already, in whatever other report."""
        if report.kind is ReportKind.REPLACED and order.order_type is OrderType.TRAILING_STOP and _only_follows(report):
            return True
        news = _news(report)
        if news is None:
            return False
        told = self._told.setdefault(report.client_order_id, set())
        self._told.move_to_end(report.client_order_id)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        if news in told:
            return True
        told.add(news)
        return False


def _news(report: ExecutionReport) -> str | None:
    """What is new in a report, so that it can be recognized when it comes again; None where it always is."""
    if report.kind in _ONCE:
        return report.kind.value
    if report.fill is not None:
        return f"trade {report.fill.trade_id}"
    return None if report.cum_qty is None else f"sum {report.cum_qty}"


def _only_follows(report: ExecutionReport) -> bool:
    return report.price is None and report.quantity is None


def _more(report: ExecutionReport, order: Order) -> tuple[str, ...]:
    if report.kind in {ReportKind.PARTIALLY_FILLED, ReportKind.FILLED}:
        said = words.traded(report, order)
        return (said,) if said else ()
    if report.kind is ReportKind.UNRESOLVED:
        return ("Nobody has said what became of it; its broker's lists are asked.",)
    if report.kind is ReportKind.REPLACED:
        return (f"now {_changes(report)}",)
    return ()


def _changes(report: ExecutionReport) -> str:
    named: tuple[tuple[str, Decimal | None], ...] = (
        ("quantity", report.quantity),
        ("price", report.price),
        ("trigger price", report.trigger_price),
    )
    return ", ".join(f"{name} {grouped(number)}" for name, number in named if number is not None) or "as asked for"
