"""What has traded of one order, as trades that a position counts: those that were told, and the rest as an estimate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order import LISTS_LAG
from firstbell.model.order_status import DONE, TRANSITIONS, ReportKind
from firstbell.model.position import Trade
from firstbell.oms.listed_days import LASTING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from firstbell.model.identifiers import AccountName, BrokerCode
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport
    from firstbell.model.terms import Side

    FeeOf = Callable[[BrokerCode, Side, Decimal], Decimal]
    """The fee on a trade whose fee nobody said: of its broker, its side and its value."""

_REST: Final = "rest"
"""Begins the name of a trade that stands for what a sum tells of and no trade does. No venue's name is told apart by
it: it belongs to one order, and goes when the trades come."""
_ENDS: Final = frozenset(
    kind
    for status, moves in TRANSITIONS.items()
    if status not in DONE
    for kind, following in moves.items()
    if following in DONE
)
"""Reports that end an order: at a broker, or of one that is held back, here."""
_SKEW: Final = timedelta(seconds=10)
"""By so much one row of a broker's list may be older than another: a row that showed nothing yet proves no more."""
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Sum:
    """What a list told had traded by then, in all; when it was heard of, and when it had not been shown yet.

    What has traded since the sum before it is taken to have done so at `price`: the worst that its order can have had.
    """

    cum_qty: Decimal
    at: datetime
    place: datetime
    since: datetime | None
    price: Decimal


@dataclass(slots=True)
class Tally:
    """One order's trades, counted as `firstbell.model.order.OrderState` counts them.

    Attributes:
        order: The order.
        account: Whose position they belong to.
        price: Its price now: what is told without a price from now on is taken to have traded at it.
        quantity: Its quantity now.
        is_done: Whether it works no more. Late trades may still come.
        end_of: When the day of an order ends that left at some instant; None where that is not known.
        left_at: When it was first on its way to its broker; None before that.
    """

    order: Order
    account: AccountName
    price: Decimal
    quantity: Decimal
    is_done: bool = False
    end_of: Callable[[datetime], datetime | None] = lambda _left_at: None
    left_at: datetime | None = None
    _ends_at: datetime | None = None
    _told: dict[str, Trade] = field(default_factory=dict)
    _sums: list[_Sum] = field(default_factory=list)
    _former: list[tuple[Decimal, datetime]] = field(default_factory=list)
    """The prices that it had at its broker before, and until when each was its own."""

    def take(self, report: ExecutionReport, fee_of: FeeOf, place: datetime) -> bool:
        """Take in a report; whether it changed what has traded, or what is made of it.

        Args:
            report: The report.
            fee_of: The fees that nobody says.
            place: What its trades are ordered by: when it was written, or later where the clock was set back.

        Raises:
            ValueError: Its trade is none that can be counted.
        """
        if report.kind is ReportKind.SUBMITTED and self.left_at is None:
            self.left(report.at)
        tells = False
        if report.price is not None and report.price != self.price:
            if self.left_at is not None:
                # Once there are several prices, no average of the others is made for what has none.
                tells = not self._former and bool(self._sums)
                self._former.append((self.price, report.at))
            self.price = report.price
        self.quantity = self.quantity if report.quantity is None else report.quantity
        if report.fill is not None and report.fill.trade_id not in self._told:
            fill, order = report.fill, self.order
            fee = fee_of(order.broker_code, order.side, fill.last_qty * fill.last_px) if fill.fee is None else fill.fee
            told = _Sum(self.priced + fill.last_qty, report.at, place, report.since, fill.last_px)
            # A sum may have told of it before.
            first = next((each for each in self._sums if each.cum_qty >= told.cum_qty), told)
            self._told[fill.trade_id] = self._trade(fill.trade_id, fill.last_qty, fill.last_px, fee, heard=first)
            tells = True
        if report.cum_qty is not None and report.cum_qty > self._cum_qty:
            worst = self._worst_since(report.since)
            self._sums.append(_Sum(report.cum_qty, report.at, place, report.since, worst))
            tells = True
        self.is_done = self.is_done or report.kind in _ENDS or self.filled >= self.quantity
        return tells

    def _worst_since(self, unseen: datetime | None) -> Decimal:
        """The worst price at which it can have traded that a list tells of now and did not show then."""
        heard = None if unseen is None else unseen - LISTS_LAG
        prices = [price for price, until in self._former if heard is None or until >= heard]
        return self.order.side.worst((self.price, *prices))

    def left(self, at: datetime | None) -> None:
        """It was first on its way to its broker: from then on it is for that day, unless it lasts."""
        self.left_at = at
        if at is not None and self.order.time_in_force not in LASTING and (end := self.end_of(at)) is not None:
            self._ends_at = end - timedelta(microseconds=1)

    def had_heard(self, report: ExecutionReport) -> bool:
        """Whether a report tells earlier of something that has been counted from when another one told of it."""
        told = None if report.fill is None else self._told.get(report.fill.trade_id)
        if told is not None and told.told_at is not None and told.told_at > report.at:
            return True
        return report.cum_qty is not None and any(
            each.cum_qty == report.cum_qty and each.at > report.at for each in self._sums
        )

    def knows(self, trade_id: str) -> bool:
        """Whether a trade has been told."""
        return trade_id in self._told

    def has(self, trade: Trade) -> bool:
        """Whether a trade of the order is counted: as such, or in a sum whose trades have not been told."""
        return self.knows(trade.trade_id) or self.filled - self.priced >= trade.quantity

    @property
    def leaves(self) -> Decimal:
        """What may still trade of it."""
        return max(self.quantity - self.filled, _NOTHING)

    @property
    def filled(self) -> Decimal:
        """What has traded of it."""
        return max(self.priced, self._cum_qty)

    def trades(self, fee_of: FeeOf) -> list[Trade]:
        """All that has traded of it."""
        trades = list(self._told.values())
        told_qty = counted = self.priced
        # The best guess at what nobody priced: as the others of the order did, or else as it asked to by then.
        value = sum((each.quantity * each.price for each in trades), _NOTHING)
        average = value / told_qty if told_qty and not self._former else None
        for told in self._sums:
            price = told.price if average is None else average
            if (rest := told.cum_qty - counted) > 0:
                fee = fee_of(self.order.broker_code, self.order.side, rest * price)
                guess = self._trade(f"{_REST} {told.cum_qty}", rest, price, fee, heard=told)
                worst = told.price if self.order.order_type.has_limit else None
                trades.append(replace(guess, estimated=True, worst=worst))
                counted = told.cum_qty
        return trades

    @property
    def _cum_qty(self) -> Decimal:
        return self._sums[-1].cum_qty if self._sums else _NOTHING

    @property
    def priced(self) -> Decimal:
        """How much of it has a price that was told."""
        return sum((each.quantity for each in self._told.values()), _NOTHING)

    def _trade(self, name: str, quantity: Decimal, price: Decimal, fee: Decimal, *, heard: _Sum) -> Trade:
        order, at, place = self.order, heard.at, heard.place
        told_at = at
        if self._ends_at is not None:
            # Whatever is heard of it later had traded by then.
            at, place = min(at, self._ends_at), min(place, self._ends_at)
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
            since=self._earliest(at, heard.since),
            place=place,
            told_at=told_at,
        )

    def _earliest(self, at: datetime, unseen: datetime | None) -> datetime | None:
        """When it can have traded at the earliest: not before it left, nor long before a list that did not show it."""
        if self.left_at is None:
            return None
        since = max(self.left_at, at - LISTS_LAG)
        return min(at, since if unseen is None else max(since, unseen - _SKEW))
