"""What the venue refuses, and why. Each check is one small function that returns a `Refusal` or None."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from firstbell.market import Phase
from firstbell.market.phases import TAKES_ORDERS
from firstbell.model.money import grouped
from firstbell.model.terms import Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.model.instrument import Instrument
    from firstbell.simulator.orders import OrderRequest

TRADES: Final = frozenset({Phase.AUCTION, Phase.CONTINUOUS, Phase.AT_CLOSE})
"""Phases in which orders trade."""

AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})
"""Times in force of orders that never rest."""

TIMES_IN_FORCE: Final = AT_ONCE | {TimeInForce.DAY, TimeInForce.GTC, TimeInForce.AT_THE_OPEN}
"""The times in force that the venue knows."""


class Reason(StrEnum):
    """Why the venue said no. A wire face translates it into its own codes."""

    MARKET_CLOSED = "MARKET_CLOSED"
    TOO_SOON = "TOO_SOON"
    NO_CHANGES_NOW = "NO_CHANGES_NOW"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    OUTSIDE_BAND = "OUTSIDE_BAND"
    OFF_TICK = "OFF_TICK"
    NOT_CLOSING_PRICE = "NOT_CLOSING_PRICE"
    WRONG_QUANTITY = "WRONG_QUANTITY"
    QUANTITY_TOO_LARGE = "QUANTITY_TOO_LARGE"
    VALUE_TOO_SMALL = "VALUE_TOO_SMALL"
    NOT_ENOUGH_MONEY = "NOT_ENOUGH_MONEY"
    NOT_ENOUGH_SHARES = "NOT_ENOUGH_SHARES"
    WRONG_TIME_IN_FORCE = "WRONG_TIME_IN_FORCE"
    DUPLICATE = "DUPLICATE"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue said no.

    Attributes:
        reason: Which rule.
        detail: The rule in words, with the number found and the number allowed.
    """

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers behind the rules.

    Attributes:
        market: Whose ticks and fees hold.
        min_interval_ns: The shortest time between two orders of one account, in ns.
        min_value: The smallest value of a buy, without fees, in rials. The true amount is not published; this one is
            of the size that investors meet.
    """

    market: str = "XTEH"
    min_interval_ns: int = 300_000_000
    min_value: Decimal = Decimal(5_000_000)


def interval(last: int | None, now: int, rules: Rules) -> Refusal | None:
    """Two orders of one account keep their distance."""
    if last is None or now - last >= rules.min_interval_ns:
        return None
    found, allowed = (now - last) // 1_000, rules.min_interval_ns // 1_000
    return Refusal(Reason.TOO_SOON, f"{found} µs after the account's last order; at least {allowed} µs are needed")


def takes_orders(phase: Phase) -> Refusal | None:
    """The market takes orders now."""
    if phase in TAKES_ORDERS:
        return None
    return Refusal(Reason.MARKET_CLOSED, f"no orders are taken while the market is {phase}")


def takes_changes(phase: Phase) -> Refusal | None:
    """The market lets orders be changed and canceled now."""
    if phase is Phase.NO_CANCEL:
        return Refusal(Reason.NO_CHANGES_NOW, "before the auction nothing can be changed or canceled")
    return takes_orders(phase)


def time_in_force(request: OrderRequest, phase: Phase) -> Refusal | None:
    """The order can do now what it is to do: trade at once, or wait for an opening that is still to come."""
    wanted = request.time_in_force
    if wanted not in TIMES_IN_FORCE:
        return Refusal(Reason.WRONG_TIME_IN_FORCE, f"no order is {wanted} here")
    if (wanted in AT_ONCE and phase not in TRADES) or (wanted is TimeInForce.AT_THE_OPEN and phase in TRADES):
        return Refusal(Reason.WRONG_TIME_IN_FORCE, f"no order is {wanted} while the market is {phase}")
    return None


def price(request: OrderRequest, instrument: Instrument, tick: Callable[[Decimal], Decimal]) -> Refusal | None:
    """The price lies in the band and on a tick."""
    band = instrument.band
    if not band.holds(request.price):
        return Refusal(Reason.OUTSIDE_BAND, f"price {request.price} is outside the band {band.low} to {band.high}")
    if request.price % tick(request.price):
        return Refusal(Reason.OFF_TICK, f"price {request.price} is not on a tick")
    return None


def closing_price(request: OrderRequest, phase: Phase, closing: Decimal | None) -> Refusal | None:
    """At the close, orders name the closing price."""
    if phase is not Phase.AT_CLOSE or request.price == closing:
        return None
    return Refusal(Reason.NOT_CLOSING_PRICE, f"price {request.price} is not the closing price {closing}")


def quantity(request: OrderRequest, instrument: Instrument) -> Refusal | None:
    """The quantity is of whole lots, and neither too small nor too large."""
    shares, low, high, lot = request.quantity, instrument.min_quantity, instrument.max_quantity, instrument.lot_size
    if not low <= shares <= high:
        reason = Reason.QUANTITY_TOO_LARGE if shares > high else Reason.WRONG_QUANTITY
        return Refusal(reason, f"{shares} shares are not between {low} and {high}")
    if shares % lot:
        return Refusal(Reason.WRONG_QUANTITY, f"{shares} shares are not whole lots of {lot}")
    return None


def value(request: OrderRequest, rules: Rules) -> Refusal | None:
    """A buy is worth sending. Sells are exempt, so that small remainders can be sold."""
    worth = request.price * request.quantity
    if request.side is Side.SELL or worth >= rules.min_value:
        return None
    return Refusal(Reason.VALUE_TOO_SMALL, f"{grouped(worth)} rials are less than {grouped(rules.min_value)}")


def money(needed: Decimal, buying_power: Decimal) -> Refusal | None:
    """The account can pay, fees included."""
    if needed <= max(buying_power, Decimal(0)):
        return None
    return Refusal(Reason.NOT_ENOUGH_MONEY, f"{grouped(needed)} rials are needed, {grouped(buying_power)} are there")


def shares(needed: Decimal, sellable: Decimal) -> Refusal | None:
    """The account holds what it offers."""
    if needed <= max(sellable, Decimal(0)):
        return None
    return Refusal(Reason.NOT_ENOUGH_SHARES, f"{needed} shares are needed, {sellable} are there")
