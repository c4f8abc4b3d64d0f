"""The order log: every report as one JSON line for programs, written by a subscriber of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from firstbell.model.money import plain

if TYPE_CHECKING:
    from firstbell.log import EventLog
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport

ORDER_LOG: Final = "orders.log"
"""Its name in the logs folder."""


class OrderLog:
    """A `firstbell.journal.base.Subscriber` that writes each report down for people and programs to follow.

    The journal is the truth; this file is its shadow and may be deleted.

    Args:
        log: The file.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __call__(self, report: ExecutionReport, order: Order) -> None:
        """Write one report."""
        event: dict[str, Any] = {
            "at": report.at.isoformat(timespec="microseconds"),
            "run": report.run_id,
            "report": report.kind.value,
            "account": order.account,
            "broker_code": order.broker_code,
            "instrument": order.instrument,
            "side": order.side.value,
            "price": plain(order.price),
            "quantity": plain(order.quantity),
            "client_order_id": order.client_order_id,
            "venue_order_id": report.venue_order_id,
            "reason": report.reason,
        }
        if report.attempt is not None:
            event["attempt"] = report.attempt.number
            event["code"] = report.attempt.code
            event["message"] = report.attempt.message
        if report.cum_qty is not None:
            event["filled_qty"] = plain(report.cum_qty)
        self._log.write(event)
