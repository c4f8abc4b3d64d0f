"""The final checks on an order: each a few lines, each naming its rule and both numbers when it denies.

A check is a function from an order and its surroundings to a `Denial` or None. What cannot be judged is denied.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from firstbell.model.money import grouped
from firstbell.model.terms import Side
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstbell.model.instrument import Instrument
    from firstbell.model.order import Order
    from firstbell.risk.trading_state import Halt


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user allows himself at most; None where he sets no limit.

    Attributes:
        max_order_value: Price times quantity of one order, in rials.
        max_order_quantity: Shares in one order.
        max_total_value: Price times quantity of all orders of one trading day, over all accounts, in rials.
        max_orders_per_account: Orders of one login on one trading day.
    """

    max_order_value: Decimal | None = None
    max_order_quantity: Decimal | None = None
    max_total_value: Decimal | None = None
    max_orders_per_account: int | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """The moment of one attempt, for the checks that are about when rather than about what.

    Attributes:
        state: What may leave at all.
        at_ns: When it is to leave, on the monotonic clock.
        last_ns: When this login's last order left, on the monotonic clock; None where none has.
        interval_ns: The broker's shortest time between two orders of one login, in ns.
        halt: Who took the rest away and why, where that is known.
    """

    state: TradingState
    at_ns: int
    last_ns: int | None
    interval_ns: int
    halt: Halt | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an order is judged against.

    Attributes:
        instrument: The instrument as the broker described it last.
        tick_size: The price step at the order's price, or None where it is not known.
        limits: The user's own limits.
        value_so_far: The value of all orders of the day that are placed, working or planned before this one, in rials.
        orders_so_far: How many orders this login has had today.
        sending: The attempt, where one is about to be made; None while the order is only planned.
    """

    instrument: Instrument
    tick_size: Decimal | None
    limits: Limits
    value_so_far: Decimal
    orders_so_far: int
    sending: Sending | None = None

    def before(self, sending: Sending) -> Surroundings:
        """The same right before an attempt."""
        return Surroundings(
            self.instrument, self.tick_size, self.limits, self.value_so_far, self.orders_so_far, sending
        )


@dataclass(frozen=True, slots=True)
class Denial:
    """Why an order may not leave.

    Attributes:
        rule: The rule's name, as in the config where it stands there.
        found: The number found.
        allowed: The number allowed, or the range.
    """

    rule: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.found}, allowed {self.allowed}"


if TYPE_CHECKING:
    Check = Callable[[Order, Surroundings], Denial | None]


def price_in_band(order: Order, around: Surroundings) -> Denial | None:
    """The price lies in today's band."""
    band = around.instrument.band
    if band.holds(order.price):
        return None
    return Denial("price band", grouped(order.price), f"{grouped(band.low)} to {grouped(band.high)}")


def price_on_tick(order: Order, around: Surroundings) -> Denial | None:
    """The price is a multiple of the tick size.

    The ends of the band are taken as they are: the exchange itself named them as prices that it takes, and the tick
    table does not know every board.
    """
    band = around.instrument.band
    if order.price in {band.low, band.high}:
        return None
    if around.tick_size is None:
        return Denial("tick size", grouped(order.price), "unknown for this market")
    if order.price % around.tick_size == 0:
        return None
    return Denial("tick size", grouped(order.price), f"multiples of {grouped(around.tick_size)}")


def quantity_in_range(order: Order, around: Surroundings) -> Denial | None:
    """The quantity lies between the instrument's smallest and largest order."""
    low, high = around.instrument.min_quantity, around.instrument.max_quantity
    if low <= order.quantity <= high:
        return None
    return Denial("order size", grouped(order.quantity), f"{grouped(low)} to {grouped(high)}")


def quantity_in_lots(order: Order, around: Surroundings) -> Denial | None:
    """The quantity is a multiple of the lot size."""
    lot = around.instrument.lot_size
    if order.quantity % lot == 0:
        return None
    return Denial("lot size", grouped(order.quantity), f"multiples of {grouped(lot)}")


def value_within_limit(order: Order, around: Surroundings) -> Denial | None:
    """The order's value is at most ``max_order_value``."""
    return _at_most("max_order_value", order.value, around.limits.max_order_value)


def quantity_within_limit(order: Order, around: Surroundings) -> Denial | None:
    """The order's quantity is at most ``max_order_quantity``."""
    return _at_most("max_order_quantity", order.quantity, around.limits.max_order_quantity)


def total_within_limit(order: Order, around: Surroundings) -> Denial | None:
    """The day's value with this order is at most ``max_total_value``; sells do not spend."""
    if order.side is Side.SELL:
        return None
    return _at_most("max_total_value", around.value_so_far + order.value, around.limits.max_total_value)


def count_within_limit(order: Order, around: Surroundings) -> Denial | None:
    """The login's orders of the day with this one are at most ``max_orders_per_account``."""
    del order
    allowed = around.limits.max_orders_per_account
    return _at_most(
        "max_orders_per_account", Decimal(around.orders_so_far + 1), None if allowed is None else Decimal(allowed)
    )


def trading_allowed(order: Order, around: Surroundings) -> Denial | None:
    """Trading is not halted; where it only reduces, the order sells."""
    if around.sending is None:
        return Denial("trading state", "unknown", str(TradingState.ACTIVE))
    state = around.sending.state
    if state is TradingState.ACTIVE or (state is TradingState.REDUCING and order.side is Side.SELL):
        return None
    # A halt may have been called, or ended, between the two looks.
    halt = around.sending.halt
    found = f"{state} {halt.call}" if halt is not None and halt.state is state else str(state)
    return Denial("trading state", found, "sells only" if state is TradingState.REDUCING else "cancels only")


def interval_kept(order: Order, around: Surroundings) -> Denial | None:
    """The login's last order left at least the broker's interval before this one does."""
    del order
    sending = around.sending
    if sending is None:
        return Denial("interval", "unknown", "a known one")
    if sending.last_ns is None or sending.at_ns - sending.last_ns >= sending.interval_ns:
        return None
    passed_ms, interval_ms = (Decimal(ns) / 1_000_000 for ns in (sending.at_ns - sending.last_ns, sending.interval_ns))
    return Denial("interval", f"{passed_ms:.3f} ms", f"at least {interval_ms:f} ms")


PLAN_CHECKS: Sequence[Check] = (
    price_in_band,
    price_on_tick,
    quantity_in_range,
    quantity_in_lots,
    value_within_limit,
    quantity_within_limit,
    total_within_limit,
    count_within_limit,
)
"""What can be said of a plan, in the order in which a trader would look."""

FINAL_CHECKS: Sequence[Check] = (trading_allowed, interval_kept, *PLAN_CHECKS)
"""All of them: what every attempt has to pass right before it is handed to its carrier."""


def deny(order: Order, around: Surroundings, checks: Sequence[Check]) -> tuple[Denial, ...]:
    """Every reason why `order` may not leave; empty when it may."""
    return tuple(denial for check in checks if (denial := check(order, around)) is not None)


def _at_most(rule: str, found: Decimal, allowed: Decimal | None) -> Denial | None:
    if allowed is None or found <= allowed:
        return None
    return Denial(rule, grouped(found), f"at most {grouped(allowed)}")
