"""What the order log calls what happened to an order, and the line that it writes of it. Pure."""

from __future__ import annotations

from decimal import Context, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from firstbell.model.money import plain
from firstbell.model.order_status import PLACED, ReportKind
from firstbell.model.terms import OrderRole, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firstbell.model.order import Order, OrderState
    from firstbell.model.report import ExecutionReport, Fill

_ROUNDED: Final = Context(prec=28)
_TWOS_AND_FIVES: Final = (2, 5)


class OrderEvent(StrEnum):
    """The seven events of an order log."""

    ENTRY = "entry"
    """The broker has accepted an order that opens a position; and again with each of its trades."""
    EXIT = "exit"
    """The same of one that closes a position."""
    STOP_LOSS = "stop_loss"
    """The same of one that closes it at a loss that is bearable."""
    TAKE_PROFIT = "take_profit"
    """The same of one that closes it at the profit that was hoped for."""
    CANCEL = "cancel"
    """An order was taken off the book, has expired, or was taken back before it left."""
    MODIFY = "modify"
    """Its terms have changed."""
    FAILED = "failed"
    """We or the broker said no, for certain."""


_BY_KIND: Final = {
    ReportKind.CANCELED: OrderEvent.CANCEL,
    ReportKind.EXPIRED: OrderEvent.CANCEL,
    ReportKind.WITHDRAWN: OrderEvent.CANCEL,
    ReportKind.REPLACED: OrderEvent.MODIFY,
    ReportKind.DENIED: OrderEvent.FAILED,
    ReportKind.REJECTED: OrderEvent.FAILED,
}
_TRADES: Final = frozenset({ReportKind.PARTIALLY_FILLED, ReportKind.FILLED})
PLACINGS: Final = frozenset(OrderEvent(role.value) for role in OrderRole)
"""The events of an order that is placed or trades, each named after what the order is for."""


def event_of(report: ExecutionReport, before: OrderState, after: OrderState) -> OrderEvent | None:
    """Which event a report is; None for those that are none, such as one that only says again what was known.

    Args:
        report: What happened.
        before: The order before it.
        after: And after it.
    """
    if report.kind in _BY_KIND:
        return _BY_KIND[report.kind]
    accepted = report.kind is ReportKind.ACCEPTED and before.status not in PLACED
    traded = report.kind in _TRADES and (after.filled_qty, after.trade_ids) != (before.filled_qty, before.trade_ids)
    return OrderEvent(after.order.role.value) if accepted or traded else None


def line_of(
    report: ExecutionReport, order: Order, event: OrderEvent | None, state: OrderState | None, pnl: Decimal | None
) -> dict[str, Any]:
    """A report as a line of the order log, with numbers as `firstbell.model.money.plain` writes them.

    Args:
        report: What happened.
        order: To which order.
        event: Which event it is.
        state: The order after it; None where that could not be read.
        pnl: What the order has earned by then, where that is known.
    """
    fill = report.fill
    line: dict[str, Any] = {
        "at": report.at.isoformat(timespec="microseconds"),
        "run": report.run_id,
        "report": report.kind.value,
        "event": None if event is None else event.value,
        "account": order.account,
        "broker_code": order.broker_code,
        "instrument": order.instrument,
        "side": order.side.value,
        "role": order.role.value,
        "order_type": order.order_type.value,
        "price": plain(order.price if state is None else state.price),
        "quantity": plain(order.quantity if state is None else state.quantity),
        "trigger_price": _or_none(order.instructions.trigger_price if state is None else state.trigger_price),
        "client_order_id": order.client_order_id,
        "venue_order_id": report.venue_order_id or (None if state is None else state.venue_order_id),
        "filled_qty": _or_none(report.cum_qty if state is None else state.filled_qty),
        "avg_px": None if state is None else _or_none(state.avg_px),
        "last_qty": None if fill is None else plain(fill.last_qty),
        "last_px": None if fill is None else plain(fill.last_px),
        "pnl": _or_none(pnl),
        "reason": report.reason,
    }
    for name in ("price", "quantity", "trigger_price"):
        if (now := getattr(report, name)) is not None:
            line[f"new_{name}"] = plain(now)
    if report.attempt is not None:
        line["attempt"] = report.attempt.number
        line["code"] = report.attempt.code
        line["message"] = report.attempt.message
    return line


def profit(
    leaving: OrderState, left: Iterable[Fill], entered: Sequence[tuple[OrderState, Iterable[Fill]]]
) -> Decimal | None:
    """What an order that leaves a position has earned so far against the average price at which it was entered.

    It is ``±(value sold − average bought × quantity) − fees``, the entry's fees in proportion among them; in the
    price's currency. Exact where it can be written with a point, else rounded to 28 digits.

    Args:
        leaving: The order that leaves it.
        left: Its trades.
        entered: The orders that entered it, each with its trades by then; one that comes twice counts once.

    Returns:
        None where the price or the fee of something that has traded is not known.
    """
    trades = [fill for _, fills in entered for fill in {fill.trade_id: fill for fill in fills}.values()]
    quantity = sum((Fraction(fill.last_qty) for fill in trades), Fraction())
    states = [leaving, *(state for state, _ in entered)]
    whole = leaving.priced_qty and all(state.filled_qty == state.priced_qty for state in states)
    if not whole or not quantity or any(fill.fee is None for fill in (*left, *trades)):
        return None
    value = sum((Fraction(fill.last_qty) * Fraction(fill.last_px) for fill in trades), Fraction())
    fees = sum((Fraction(fill.fee or 0) for fill in trades), Fraction())
    share = Fraction(leaving.priced_qty) / quantity
    gained = Fraction(leaving.filled_value) - value * share
    if leaving.order.side is Side.BUY:
        gained = -gained
    return _decimal(gained - Fraction(leaving.fees) - fees * share)


def _decimal(value: Fraction) -> Decimal:
    """A fraction's decimal, cut to what can be written only where it goes on for ever."""
    rest, places = value.denominator, 0
    for prime in _TWOS_AND_FIVES:
        times = 0
        while rest % prime == 0:
            rest //= prime
            times += 1
        places = max(places, times)
    if rest != 1:
        return _ROUNDED.divide(Decimal(value.numerator), Decimal(value.denominator))
    digits = value.numerator * 10**places // value.denominator
    return Decimal(f"{digits}E-{places}")


def _or_none(number: Decimal | None) -> int | str | None:
    return None if number is None else plain(number)
