"""Requests for several orders that belong together, and what each of them comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from firstbell.model.order_request import OrderRequest, positive_numbers
from firstbell.model.terms import OrderRole, OrderType, Side, TimeInForce, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from firstbell.model.order import Order

_NUMBERS: Final = ("take_profit", "stop_loss", "stop_limit", "trailing_offset")
_ENDS: Final = frozenset({OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.EXIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class BracketRequest:
    """An entry with its profit and its stop: once the entry trades, they protect what it has traded.

    Attributes:
        entry: The entry.
        take_profit: The price of the profit, a limit; None for none.
        stop_loss: The trigger price of the stop; None where it trails from wherever the market is.
        stop_limit: The stop's limit price; None: it trades at whatever price there is.
        trailing_offset: How far the stop trails the market; None where it stays.

    Raises:
        ValueError: It cannot be a bracket; the message names everything that is wrong.
    """

    entry: OrderRequest
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_limit: Decimal | None = None
    trailing_offset: Decimal | None = None

    def __post_init__(self) -> None:
        problems = [f"entry: {stranger}" for stranger in _strangers((self.entry,))]
        problems += positive_numbers(self, _NUMBERS)
        if not problems:
            problems = list(self._misfits())
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def legs(self) -> tuple[OrderRequest, ...]:
        """The exits as requests of their own, for all of the entry's quantity."""
        exits = (
            replace(
                self.entry,
                side=self.entry.side.opposite,
                order_type=OrderType.LIMIT,
                price=self.take_profit,
                trigger_price=None,
                trailing_offset=None,
                time_in_force=TimeInForce.DAY,
                expires_at=None,
                role=OrderRole.TAKE_PROFIT,
            )
            if self.take_profit is not None
            else None
        )
        legs = [] if exits is None else [exits]
        if (stop := self._stop()) is not None:
            legs.append(stop)
        return tuple(legs)

    def _stop(self) -> OrderRequest | None:
        if self.stop_loss is None and self.trailing_offset is None:
            return None
        kind = OrderType.STOP if self.stop_limit is None else OrderType.STOP_LIMIT
        if self.trailing_offset is not None:
            kind = OrderType.TRAILING_STOP
        return OrderRequest(
            instrument=self.entry.instrument,
            side=self.entry.side.opposite,
            order_type=kind,
            quantity=self.entry.quantity,
            price=self.stop_limit,
            trigger_price=self.stop_loss,
            trailing_offset=self.trailing_offset,
            account=self.entry.account,
            role=OrderRole.STOP_LOSS,
            exchange=self.entry.exchange,
            token=self.entry.token,
            product=self.entry.product,
        )

    def _misfits(self) -> Iterator[str]:
        if self.take_profit is None and self.stop_loss is None and self.trailing_offset is None:
            yield "take_profit, stop_loss: a bracket has at least one of them"
        if self.stop_limit is not None and (self.stop_loss is None or self.trailing_offset is not None):
            yield "stop_limit: it goes with a stop_loss that does not trail"
        up = self.entry.side is Side.BUY
        near = self.entry.price or self.entry.trigger_price
        for name, price, above in (("take_profit", self.take_profit, up), ("stop_loss", self.stop_loss, not up)):
            if price is not None and near is not None and (price <= near if above else price >= near):
                yield f"{name}: {price} is not {'above' if above else 'below'} the entry's {near}"
        if self.take_profit is not None and self.stop_loss is not None:
            right = self.stop_loss < self.take_profit if up else self.stop_loss > self.take_profit
            if not right:
                yield f"stop_loss: {self.stop_loss} is on the wrong side of take_profit {self.take_profit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcoRequest:
    """Two or more orders of one account of which one's trading cancels the others.

    Attributes:
        orders: The orders. Where all end one position (same instrument, same side, each a stop, a profit or an exit),
            they share its quantity, so each is for all of it; else the first that trades takes back the others.

    Raises:
        ValueError: They are no requests, fewer than two, of several accounts, two of one key, or exits of one position
            for unequal quantities.
    """

    orders: tuple[OrderRequest, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", _several(self.orders))
        if strangers := _strangers(self.orders):
            raise ValueError(f"orders: {'; '.join(strangers)}")
        if len(self.orders) < 2:  # noqa: PLR2004 - the one, and the other
            raise ValueError("orders: one cancels the other, so there are at least two")
        if len({order.account for order in self.orders}) > 1:
            raise ValueError("orders: they are of one account")
        keys = [order.key for order in self.orders if order.key is not None]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise ValueError(f"orders: the key {twice} stands for one order, and two have it")
        if (why := unequal(self.orders)) is not None:
            raise ValueError(f"orders: {why}")


def _several(orders: object) -> tuple[OrderRequest, ...]:
    if not isinstance(orders, tuple | list):
        raise ValueError(f"orders: {type(orders).__name__} is not several order requests")  # noqa: TRY004
    return tuple(orders)


def _strangers(values: Iterable[object]) -> list[str]:
    return [f"{type(each).__name__} is no OrderRequest" for each in values if not isinstance(each, OrderRequest)]


def end_one_position(orders: Sequence[Order | OrderRequest]) -> bool:
    """Whether orders end one and the same position: then together they trade no more than each of them asks for."""
    return (
        len({(order.instrument, order.side) for order in orders}) == 1
        and {role_of(order.role, order.side) for order in orders} <= _ENDS
    )


def unequal(orders: Sequence[Order | OrderRequest]) -> str | None:
    """Why orders cannot end one position between them: they are not all for the same quantity. Else None."""
    quantities = {order.quantity for order in orders}
    if len(quantities) == 1 or not end_one_position(orders):
        return None
    told = ", ".join(str(each) for each in sorted(quantities))
    return f"exits of one position are each for all of it; these are for {told}"
