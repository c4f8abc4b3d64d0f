"""An order: what was asked for, which never changes, and its state, which is read from its reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.instructions import PLAIN, Instructions
from firstbell.model.order_status import DONE, PLACED, IllegalMove, OrderStatus, ReportKind, next_status
from firstbell.model.terms import AttemptOutcome, OrderOutcome, OrderRole, OrderType, Side, TimeInForce, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, VenueOrderId
    from firstbell.model.report import Attempt, ExecutionReport

_NOTHING: Final = Decimal(0)
_COUNTED: Final = frozenset(
    {
        OrderStatus.ACCEPTED,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
    }
)
"""Where a sum that has reached the quantity means that it is filled."""
_ASKS: Final = frozenset({ReportKind.PENDING_CANCEL, ReportKind.PENDING_REPLACE})
_SAYS_NOTHING: Final = frozenset({ReportKind.SUBMITTED, ReportKind.REPLACED})
"""Of whether a broker has an order of which nobody knows that."""
_CHANGE_ENDS: Final = frozenset({ReportKind.REPLACED, ReportKind.REPLACE_REJECTED})
"""What a broker says of a change."""

LISTS_LAG: Final = timedelta(seconds=75)
"""So long after a cancel or a change a list may still show an order as before: lists are known to lag by 62 s."""
LISTS_LAG_NS: Final = LISTS_LAG // timedelta(microseconds=1) * 1_000
"""The same in ns."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a broker. Immutable: a changed mind is another order.

    Attributes:
        client_order_id: Our name for it.
        account: The config section it belongs to.
        broker_code: The broker that holds the account.
        instrument: What is traded.
        side: Buy or sell.
        price: The limit price, in the instrument's currency (rials in Tehran); of an order without a limit, the price
            that it is valued at, so that no limit on values can be passed by.
        quantity: How many shares.
        day: The trading day it is for.
        order_type: What it asks for.
        time_in_force: How long it stays.
        instructions: Its further terms.

    Raises:
        ValueError: Price or quantity is not a positive finite number.
    """

    client_order_id: ClientOrderId
    account: AccountName
    broker_code: BrokerCode
    instrument: InstrumentId
    side: Side
    price: Decimal
    quantity: Decimal
    day: date
    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.DAY
    instructions: Instructions = PLAIN

    def __post_init__(self) -> None:
        for name, number in (("price", self.price), ("quantity", self.quantity)):
            if not (number.is_finite() and number > 0):
                raise ValueError(f"an order's {name} is a positive number, not {number!r}")

    @property
    def value(self) -> Decimal:
        """Price times quantity, without fees."""
        return self.price * self.quantity

    @property
    def role(self) -> OrderRole:
        """What it is for. Where nobody said, a buy enters and a sell exits."""
        return role_of(self.instructions.role, self.side)


@dataclass(frozen=True, slots=True)
class Changed:
    """What replacements have made of an order's terms; None where they are as they were asked for."""

    price: Decimal | None = None
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None

    def by(self, report: ExecutionReport) -> Changed:
        """The terms once a report has told of others."""
        if report.price is report.quantity is report.trigger_price is None:
            return self
        return Changed(
            self.price if report.price is None else report.price,
            self.quantity if report.quantity is None else report.quantity,
            self.trigger_price if report.trigger_price is None else report.trigger_price,
        )

    def is_of(self, state: OrderState) -> bool:
        """Whether an order has these terms already; those that are None may be any."""
        return (
            self.price in {None, state.price}
            and self.quantity in {None, state.quantity}
            and self.trigger_price in {None, state.trigger_price}
        )


@dataclass(frozen=True, slots=True)
class Former:
    """Terms that an order had at its broker before a change.

    Attributes:
        price: Its price.
        quantity: Its quantity.
        until: Until then a list that shows these terms is taken for an old one.
    """

    price: Decimal
    quantity: Decimal
    until: datetime


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as its reports tell it, read with `OrderState.after` or `fold`.

    Attributes:
        order: What was asked for.
        status: Where it stands.
        venue_order_id: The broker's name for it, once known.
        filled_qty: How much has traded (FIX 14), as far as reports have told.
        filled_value: The sum of price times quantity over the fills whose price is known.
        priced_qty: How much of `filled_qty` has a known price.
        trade_ids: The trades counted so far; one that comes twice counts once.
        unresolved: Whether its last attempt got no answer and no list has answered since.
        attempts: Every attempt, in order.
        reason: The last report's reason, if it had one.
        changed: What replacements have made of its price, quantity and trigger price.
        triggered: Whether the trigger price that it has now has traded.
        fees: The sum of the fees that its trades named, in the price's currency.
        submitted_at: When the first word of its leaving was written down.
        changing: Whether a change was asked for and nobody has said yet what became of it.
        former: The terms from before its last changes at its broker, as long as lists may still show them.
        asked_at: When a cancel or a change was last asked for.
        known_ids: The broker's names that were in its list right before it left, where it had been held back.
        worst: The worst price that it has had since it left, where changes have made that another one than `price`.
        handed_over: Whether the process that holds it back has left it to others.
        given_up: Whether it has ended without a word of its broker's that is final: what refused it passes, it could
            not be reached, or no list has ever shown it.
        ended_at: When the first word of its end was written down.
    """

    order: Order
    status: OrderStatus = OrderStatus.INITIALIZED
    venue_order_id: VenueOrderId | None = None
    filled_qty: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    priced_qty: Decimal = Decimal(0)
    trade_ids: frozenset[str] = frozenset()
    unresolved: bool = False
    attempts: tuple[Attempt, ...] = ()
    reason: str | None = None
    changed: Changed = Changed()
    triggered: bool = False
    fees: Decimal = Decimal(0)
    submitted_at: datetime | None = None
    changing: bool = False
    former: tuple[Former, ...] = ()
    asked_at: datetime | None = None
    known_ids: frozenset[VenueOrderId] | None = None
    worst: Decimal | None = None
    handed_over: bool = False
    given_up: bool = False
    ended_at: datetime | None = None

    @property
    def price(self) -> Decimal:
        """Its price now (FIX 44)."""
        return self.order.price if self.changed.price is None else self.changed.price

    @property
    def worst_price(self) -> Decimal:
        """The worst price that it has had at its broker: nothing of a limit order has traded at a worse one."""
        return self.price if self.worst is None else self.worst

    def is_worse(self, price: Decimal) -> bool:
        """Whether a price is worse than any limit that it has had at its broker: then it is none of its own."""
        return price != self.worst_price and self.order.side.worst((price, self.worst_price)) == price

    @property
    def quantity(self) -> Decimal:
        """Its quantity now, what has traded of it included (FIX 38)."""
        return self.order.quantity if self.changed.quantity is None else self.changed.quantity

    @property
    def trigger_price(self) -> Decimal | None:
        """Its trigger price now (FIX 99)."""
        asked = self.order.instructions.trigger_price
        return asked if self.changed.trigger_price is None else self.changed.trigger_price

    def is_former(self, price: Decimal, quantity: Decimal, at: datetime) -> bool:
        """Whether a list that shows these terms at a moment may be older than the change that ended them."""
        return any((each.price, each.quantity) == (price, quantity) and at < each.until for each in self.former)

    @property
    def leaves_qty(self) -> Decimal:
        """What is still to trade (FIX 151); never less than nothing, whatever was made of its quantity."""
        return max(self.quantity - self.filled_qty, _NOTHING)

    @property
    def avg_px(self) -> Decimal | None:
        """The average price of what has traded (FIX 6), exact; None while any of it has no price yet."""
        return self.filled_value / self.priced_qty if self.priced_qty and self.priced_qty == self.filled_qty else None

    @property
    def outcome(self) -> OrderOutcome:
        """The state in the four words of a result file."""
        if self.status in PLACED and not self.unresolved:
            return OrderOutcome.ACCEPTED
        # What has been refused so far is being sent again, and may have arrived by now.
        if self.unresolved or self.status is OrderStatus.SUBMITTED:
            return OrderOutcome.UNRESOLVED
        if self.status is OrderStatus.REJECTED or any(a.outcome is not AttemptOutcome.NOT_SENT for a in self.attempts):
            return OrderOutcome.REJECTED
        return OrderOutcome.NOT_SENT

    def after(self, report: ExecutionReport) -> OrderState:
        """The state once `report` has arrived.

        Raises:
            IllegalMove: The report does not fit this state.
            ValueError: The report is of another order.
        """
        if report.client_order_id != self.order.client_order_id:
            raise ValueError(f"a report of {report.client_order_id} came to {self.order.client_order_id}")
        if report.kind is ReportKind.INITIALIZED:
            return self
        if report.kind is ReportKind.DENIED and self.unresolved:
            raise IllegalMove("an unresolved order cannot be denied: it may be at the broker")
        changed = self.changed.by(report)
        changing = report.kind is ReportKind.PENDING_REPLACE or (self.changing and report.kind not in _CHANGE_ENDS)
        filled_qty, filled_value, priced_qty, trade_ids, fees = _filled(self, report)
        quantity = self.order.quantity if changed.quantity is None else changed.quantity
        status = _settled(next_status(self.status, report.kind), filled_qty, quantity, changing=changing)
        return OrderState(
            order=self.order,
            status=status,
            venue_order_id=report.venue_order_id or self.venue_order_id,
            filled_qty=filled_qty,
            filled_value=filled_value,
            priced_qty=priced_qty,
            trade_ids=trade_ids,
            unresolved=report.kind is ReportKind.UNRESOLVED or (self.unresolved and _says_nothing(report)),
            attempts=(*self.attempts, report.attempt) if report.attempt else self.attempts,
            reason=report.reason,
            changed=changed,
            # With another trigger price its time has not come.
            triggered=report.kind is ReportKind.TRIGGERED or (self.triggered and report.trigger_price is None),
            fees=fees,
            submitted_at=self.submitted_at or (report.at if report.kind is ReportKind.SUBMITTED else None),
            changing=changing,
            former=_former(self, report),
            asked_at=report.at if report.kind in _ASKS else self.asked_at,
            known_ids=self.known_ids if report.known_ids is None else report.known_ids,
            worst=self.worst if report.price is None else _worst(self, report.price),
            handed_over=self.handed_over or report.kind is ReportKind.HANDED_OVER,
            given_up=self.given_up or _gives_up(report),
            ended_at=self.ended_at or (report.at if status in DONE else None),
        )


def _worst(state: OrderState, price: Decimal) -> Decimal | None:
    """The worst price since an order left, once it has another one; before that none counts."""
    if state.status is OrderStatus.INITIALIZED:
        return None
    return state.order.side.worst((price, state.worst_price))


def _former(state: OrderState, report: ExecutionReport) -> tuple[Former, ...]:
    """The former terms once a report has arrived: a change at the broker adds those that it ends."""
    if report.kind is not ReportKind.REPLACED or state.status not in PLACED:
        return state.former
    terms, now = (state.price, state.quantity), (report.price or state.price, report.quantity or state.quantity)
    if now == terms:
        return state.former
    kept = (each for each in state.former if report.at < each.until)
    return (*kept, Former(*terms, until=report.at + LISTS_LAG))


def _settled(status: OrderStatus, filled_qty: Decimal, quantity: Decimal, *, changing: bool) -> OrderStatus:
    """The status that what has traded by now demands: the same whichever of its reports came first, or got lost.

    While a change is asked for, no sum says that all has traded: the order may have grown. And a refused cancel says
    nothing of a change that was asked for before it.
    """
    if changing and status is OrderStatus.ACCEPTED:
        return OrderStatus.PENDING_REPLACE
    if status not in _COUNTED or not filled_qty:
        return status
    if filled_qty >= quantity and not changing:
        return OrderStatus.FILLED
    return OrderStatus.PARTIALLY_FILLED if status is OrderStatus.ACCEPTED else status


def _says_nothing(report: ExecutionReport) -> bool:
    """Whether a report leaves it unknown whether a broker ever had an order, of which nobody knows that.

    That its day is over ends an order, also one of which nobody has ever heard: whether it had traded stays unknown.
    """
    if report.kind is ReportKind.EXPIRED:
        return report.venue_order_id is None and report.cum_qty is None
    return report.kind in _SAYS_NOTHING


def _gives_up(report: ExecutionReport) -> bool:
    """Whether a report ends an order that its broker has neither taken nor refused for good.

    A refusal that is final comes with its attempt, or with the broker's name for what its list shows as refused.
    """
    return report.kind is ReportKind.REJECTED and report.attempt is None and report.venue_order_id is None


def _filled(state: OrderState, report: ExecutionReport) -> tuple[Decimal, Decimal, Decimal, frozenset[str], Decimal]:
    """What has traded by now: all the trades that are known, or the largest sum that was told, whichever is more.

    A sum says nothing of which trades are in it, so a trade is never added to one: told in whatever order, what has
    traded is never said to be more than it is.

    Returns:
        What `OrderState` calls `filled_qty`, `filled_value`, `priced_qty`, `trade_ids` and `fees`.
    """
    filled_qty, filled_value, priced_qty = state.filled_qty, state.filled_value, state.priced_qty
    trade_ids, fees, fill = state.trade_ids, state.fees, report.fill
    if fill is not None and fill.trade_id not in trade_ids:
        priced_qty += fill.last_qty
        filled_qty = max(filled_qty, priced_qty)
        filled_value += fill.last_qty * fill.last_px
        trade_ids |= {fill.trade_id}
        fees += fill.fee or 0
    if report.cum_qty is not None and report.cum_qty > filled_qty:
        filled_qty = report.cum_qty
    return filled_qty, filled_value, priced_qty, trade_ids, fees


def fold(order: Order, reports: Iterable[ExecutionReport]) -> OrderState:
    """Read an order's state from all of its reports, in the order in which they were written.

    Raises:
        IllegalMove: A report does not fit.
    """
    state = OrderState(order)
    for report in reports:
        state = state.after(report)
    return state
