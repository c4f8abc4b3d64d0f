"""What has traded of one order, as trades that a position counts: those that were told, and the rest as an estimate."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order import LISTS_LAG
from firstbell.model.order_status import DONE, TRANSITIONS, ReportKind
from firstbell.model.position import Trade
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from firstbell.model.identifiers import AccountName, BrokerCode
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport

    FeeOf = Callable[[BrokerCode, Side, Decimal], Decimal]
    """The fee on a trade whose fee nobody said: of its broker, its side and its value."""

_REST: Final = "rest"
"""Names the trade that stands for all that a sum tells of and no trade does. No venue's name is told apart by it: it
belongs to one order, and goes when the trades come."""
_ENDS: Final = frozenset(
    kind
    for status, moves in TRANSITIONS.items()
    if status not in DONE
    for kind, following in moves.items()
    if following in DONE
)
"""Reports that end an order: at a broker, or of one that is held back, here."""
_NOTHING: Final = Decimal(0)


@dataclass(slots=True)
class Tally:
    """One order's trades, counted as `firstbell.model.order.OrderState` counts them.

    Attributes:
        order: The order.
        account: Whose position they belong to.
        price: Its price now: what is not told is taken to have traded at it.
        quantity: Its quantity now.
        is_done: Whether it works no more. Late trades may still come.
        left_at: When it was first on its way to its broker; None before that.
    """

    order: Order
    account: AccountName
    price: Decimal
    quantity: Decimal
    is_done: bool = False
    left_at: datetime | None = None
    _told: dict[str, Trade] = field(default_factory=dict)
    _cum_qty: Decimal = _NOTHING
    _cum_at: datetime | None = None

    def take(self, report: ExecutionReport, fee_of: FeeOf) -> bool:
        """Take in a report; whether it told of something that had traded.

        Raises:
            ValueError: Its trade is none that can be counted.
        """
        if report.kind is ReportKind.SUBMITTED and self.left_at is None:
            self.left_at = report.at
        self.price = self.price if report.price is None else report.price
        self.quantity = self.quantity if report.quantity is None else report.quantity
        tells = False
        if report.fill is not None and report.fill.trade_id not in self._told:
            fill, order = report.fill, self.order
            fee = fee_of(order.broker_code, order.side, fill.last_qty * fill.last_px) if fill.fee is None else fill.fee
            self._told[fill.trade_id] = self._trade(fill.trade_id, fill.last_qty, fill.last_px, report.at, fee)
            tells = True
        if report.cum_qty is not None and report.cum_qty > self._cum_qty:
            self._cum_qty, self._cum_at = report.cum_qty, report.at
            tells = True
        self.is_done = self.is_done or report.kind in _ENDS or self.filled >= self.quantity
        return tells

    def knows(self, trade_id: str) -> bool:
        """Whether a trade has been told."""
        return trade_id in self._told

    @property
    def leaves(self) -> Decimal:
        """What may still trade of it."""
        return max(self.quantity - self.filled, _NOTHING)

    @property
    def filled(self) -> Decimal:
        """What has traded of it."""
        return max(self._told_qty, self._cum_qty)

    def trades(self, fee_of: FeeOf) -> list[Trade]:
        """All that has traded of it."""
        trades = list(self._told.values())
        told_qty = self._told_qty
        rest = self._cum_qty - told_qty
        if rest > 0 and self._cum_at is not None:
            # The best guess at what nobody priced: as the others of the order did, or else as it asked to.
            value = sum((each.quantity * each.price for each in trades), _NOTHING)
            price = value / told_qty if told_qty else self.price
            fee = fee_of(self.order.broker_code, self.order.side, rest * price)
            trades.append(self._trade(_REST, rest, price, self._cum_at, fee, estimated=True))
        return trades

    @property
    def _told_qty(self) -> Decimal:
        return sum((each.quantity for each in self._told.values()), _NOTHING)

    def _trade(
        self, name: str, quantity: Decimal, price: Decimal, at: datetime, fee: Decimal, *, estimated: bool = False
    ) -> Trade:
        order = self.order
        # What was bought may have been so for as long as lists lag, though not before it had left.
        since = max(self.left_at, at - LISTS_LAG) if self.left_at and order.side is Side.BUY else None
        return Trade(
            trade_id=name,
            account=self.account,
            instrument=order.instrument,
            side=order.side,
            quantity=quantity,
            price=price,
            at=at,
            fee=fee,
            client_order_id=order.client_order_id,
            estimated=estimated,
            since=None if since is None else min(since, at),
        )
