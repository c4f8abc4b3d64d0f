"""The order log for those who write it themselves: of orders that came to a broker past firstbell, by a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firstbell.clock import Clock, SystemClock
from firstbell.journal.order_events import PLACINGS, OrderEvent
from firstbell.model.instant import instant
from firstbell.model.money import exact, plain
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.journal.order_log import Lines

    Number = Decimal | int | str
    """An exact number. A float is none."""


class OrderLogger:
    """Writes the very lines that `firstbell.journal.order_log.OrderLog` writes, with ``run`` and ``report`` null.

    Orders that firstbell places are logged by themselves, whatever their broker: nothing is to be called for them.

    Every number is exact: a `Decimal`, an `int` or a text. A `float` has lost by then what it was, and raises
    `ValueError`, as does whatever else is no number.

    Args:
        log: The files, such as a `firstbell.journal.order_files.OrderFiles`.
        clock: Tells when something is written.
        account: Whose orders they are, where that is to stand there.
    """

    def __init__(self, log: Lines, clock: Clock | None = None, account: str | None = None) -> None:
        self._log = log
        self._clock = clock or SystemClock()
        self._account = account

    def log_order_entry(
        self, broker: str, symbol: str, side: Side | str, quantity: Number, price: Number | None, order_id: str
    ) -> None:
        """An order that opens a position was placed; its price is None where it has no limit."""
        self._write(OrderEvent.ENTRY, broker, symbol, order_id, side=side, quantity=quantity, price=price)

    def log_order_exit(
        self,
        broker: str,
        symbol: str,
        side: Side | str,
        quantity: Number,
        price: Number | None,
        order_id: str,
        pnl: Number | None = None,
    ) -> None:
        """One that closes a position was placed or has traded; `pnl` is what it has earned, fees taken off."""
        self._write(OrderEvent.EXIT, broker, symbol, order_id, side=side, quantity=quantity, price=price, pnl=pnl)

    def log_stop_loss(
        self,
        broker: str,
        symbol: str,
        side: Side | str,
        quantity: Number,
        price: Number | None,
        order_id: str,
        pnl: Number | None = None,
    ) -> None:
        """The same of one that ends a loss."""
        self._write(OrderEvent.STOP_LOSS, broker, symbol, order_id, side=side, quantity=quantity, price=price, pnl=pnl)

    def log_take_profit(
        self,
        broker: str,
        symbol: str,
        side: Side | str,
        quantity: Number,
        price: Number | None,
        order_id: str,
        pnl: Number | None = None,
    ) -> None:
        """The same of one that takes a profit."""
        self._write(
            OrderEvent.TAKE_PROFIT, broker, symbol, order_id, side=side, quantity=quantity, price=price, pnl=pnl
        )

    def log_order_cancel(self, broker: str, symbol: str, order_id: str) -> None:
        """An order was canceled."""
        self._write(OrderEvent.CANCEL, broker, symbol, order_id)

    def log_order_modify(
        self,
        broker: str,
        symbol: str,
        order_id: str,
        new_price: Number | None = None,
        new_quantity: Number | None = None,
    ) -> None:
        """An order was changed; what stayed is None."""
        self._write(OrderEvent.MODIFY, broker, symbol, order_id, quantity=new_quantity, price=new_price)

    def log_order_failed(
        self, broker: str, symbol: str, side: Side | str, quantity: Number, price: Number | None, reason: str
    ) -> None:
        """An order was refused, for certain."""
        self._write(OrderEvent.FAILED, broker, symbol, None, side=side, quantity=quantity, price=price, reason=reason)

    def _write(self, event: OrderEvent, broker: str, symbol: str, order_id: str | None, **facts: Any) -> None:
        side = facts.get("side")
        line: dict[str, Any] = {
            "at": instant(self._clock.wall_ns()).isoformat(timespec="microseconds"),
            "run": None,
            "report": None,
            "event": event.value,
            "account": self._account,
            "broker_code": broker,
            "instrument": symbol,
            "side": None if side is None else Side(str(side).lower()).value,
            "role": event.value if event in PLACINGS else None,
            "order_type": None,
            "price": _plain("price", facts.get("price")),
            "quantity": _plain("quantity", facts.get("quantity")),
            "trigger_price": None,
            "client_order_id": None,
            "venue_order_id": order_id,
            **dict.fromkeys(("filled_qty", "avg_px", "last_qty", "last_px")),
            "pnl": _plain("pnl", facts.get("pnl")),
            "reason": facts.get("reason"),
        }
        if event is OrderEvent.MODIFY:
            line |= {f"new_{name}": line[name] for name in ("price", "quantity") if line[name] is not None}
        self._log.write(line)


def _plain(name: str, number: Number | None) -> int | str | None:
    if number is None:
        return None
    try:
        return plain(exact(number))
    except ValueError as error:
        remedy = "; write Decimal('5860.5'), 5860 or '5860.5'" if isinstance(number, float) else ""
        raise ValueError(f"{name}: {error}{remedy}") from None
