"""The plan of one login: which orders its configured accounts come to, with what the broker says today.

Several sections may share one login. They share its buying power too, in the order in which they stand in the config:
the first takes what it wants, the next gets what is left. The instruments of one section divide what it may spend; see
`firstbell.oms.shares`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.config import AccountSettings, OrdersMode
from firstbell.market.fees import fee_rate
from firstbell.market.ticks import tick_size
from firstbell.model.identifiers import AccountName, InstrumentId, client_order_id
from firstbell.model.money import grouped
from firstbell.model.order import Order
from firstbell.model.terms import Side
from firstbell.oms.shares import Shares
from firstbell.oms.sizing import Sizing, affordable, cost, cut_to_lot, limit_price, size_buy
from firstbell.risk.checks import PLAN_CHECKS, Limits, Surroundings, deny

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from firstbell.brokers.base import Estimate
    from firstbell.model.instrument import Instrument

    Calculator = Callable[[InstrumentId, Side, Decimal, Decimal], Estimate | None]
    """Instrument, side, money and price in; the broker's own estimate out, or None."""

MOST_SLICES: Final = 100
"""``orders = all`` stops here: more full-size orders than this cannot be paced into an opening."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the broker says today about one login.

    Attributes:
        buying_power: What it may spend, fees included, in rials; None where nothing is bought.
        instruments: The instruments that could be read.
        unreadable: Why the others could not, in words.
        holdings: What the login holds, in shares; needed for sells.
        no_money: Why the buying power could not be read, in words; None where it could, or nothing is bought.
        no_holdings: Why the holdings could not be read, in words; None where they could, or nothing is sold.
    """

    buying_power: Decimal | None
    instruments: Mapping[InstrumentId, Instrument]
    unreadable: Mapping[InstrumentId, str] = field(default_factory=dict)
    holdings: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    no_money: str | None = None
    no_holdings: str | None = None


@dataclass(frozen=True, slots=True)
class DayUsed:
    """What the limits have to count that happened before this plan.

    Attributes:
        value: The value of the day's placed or working buys, all logins, in rials.
        orders: This login's orders of the day.
        bought: What of the login's has been bought, or is at the broker to be: the money for it is spoken for there.
    """

    value: Decimal = Decimal(0)
    orders: int = 0
    bought: frozenset[InstrumentId] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanLine:
    """What one configured account comes to.

    Attributes:
        account: Its section.
        orders: What may be sent, in order; empty when nothing may.
        denied: Why nothing may, or None.
        instrument: The instrument, where it could be read.
        sizing: How the quantity was found, for a buy.
        remarks: What the user should know, in words.
        around: What each of the orders was judged against.
    """

    account: AccountName
    orders: tuple[Order, ...] = ()
    denied: str | None = None
    instrument: Instrument | None = None
    sizing: Sizing | None = None
    remarks: tuple[str, ...] = ()
    around: tuple[Surroundings, ...] = ()


def plan_login(
    accounts: Sequence[AccountSettings],
    facts: Facts,
    calculator: Calculator,
    *,
    day: date,
    market: str,
    limits: Limits,
    used: DayUsed,
) -> tuple[PlanLine, ...]:
    """Plan every account of one login.

    Args:
        accounts: The sections of this login, in the config's order.
        facts: What the broker says.
        calculator: Asked once for every buy.
        day: The trading day.
        market: Whose fees and ticks hold.
        limits: The user's own limits.
        used: What they have to count already.

    Returns:
        One line per account, in the same order. ``cost of all its buys <= buying power`` always holds, and of those of
        one of a section's several instruments ``cost <= share``.
    """
    money, orders_so_far, value_so_far = facts.buying_power, used.orders, used.value
    held, shares = dict(facts.holdings), Shares(used.bought)
    lines = []
    for account in accounts:
        planner = _Planner(account, facts, day, market, limits)
        share = None if money is None else shares.of(account, money)
        line = planner.plan(calculator, share, held.get(account.isin, Decimal(0)), value_so_far, orders_so_far)
        for order in line.orders:
            orders_so_far += 1
            if order.side is Side.SELL:
                held[account.isin] -= order.quantity
            elif money is not None and line.sizing is not None:
                money -= cost(order.quantity, order.price, line.sizing.fee_rate)
                value_so_far += order.value
        lines.append(line)
    return tuple(lines)


class _Denied(Exception):  # noqa: N818 - carries a reason up to one place
    """This account gets no order, and why."""


@dataclass(frozen=True, slots=True)
class _Planner:
    account: AccountSettings
    facts: Facts
    day: date
    market: str
    limits: Limits

    def plan(
        self, calculator: Calculator, money: Decimal | None, held: Decimal, value_so_far: Decimal, orders_so_far: int
    ) -> PlanLine:
        instrument = self.facts.instruments.get(self.account.isin)
        if instrument is None:
            return PlanLine(
                self.account.name,
                denied=self.facts.unreadable.get(self.account.isin, "the instrument could not be read"),
            )
        try:
            price = limit_price(self.account.side, instrument.band, self.account.price)
            wanted, sizing, remarks = (
                self._buy(calculator, instrument, price, money)
                if self.account.side is Side.BUY
                else self._sell(instrument, held)
            )
            quantities = self._slices(instrument, wanted)
            if sizing is not None:
                quantities = _within(sizing, quantities, price, instrument)
            if sum(quantities) < wanted:
                remarks = (*remarks, self._capped(instrument, wanted))
            orders = self._orders(price, quantities)
            around = self._checked(orders, instrument, value_so_far, orders_so_far)
        except _Denied as denied:
            return PlanLine(self.account.name, denied=str(denied), instrument=instrument)
        return PlanLine(self.account.name, orders, None, instrument, sizing, remarks, around)

    def _buy(
        self, calculator: Calculator, instrument: Instrument, price: Decimal, money: Decimal | None
    ) -> tuple[Decimal, Sizing, tuple[str, ...]]:
        if money is None:
            raise _Denied(self.facts.no_money or "the buying power could not be read")
        what = "its share of the buying power" if self.account.isins else "buying power"
        if money <= 0:
            raise _Denied(f"{what} is {grouped(money)} rials: nothing to spend")
        cap = self.account.max_value
        budget = money if cap is None else min(money, cap)
        rate = fee_rate(self.market, Side.BUY)
        said = calculator(instrument.id, Side.BUY, budget, price)
        sizing = size_buy(budget, price, instrument, rate, said)
        quantity, remarks = sizing.quantity, tuple[str, ...]()
        if self.account.quantity is not None:
            configured = cut_to_lot(self.account.quantity, instrument.lot_size)
            if configured > quantity:
                paid_for = f"{grouped(budget)} rials pay for: {grouped(quantity)} ordered"
                remarks = (f"quantity {grouped(configured)} is more than {paid_for}",)
            quantity = min(configured, quantity)
        if quantity < instrument.min_quantity:
            needed = cost(instrument.min_quantity, price, sizing.fee_rate)
            raise _Denied(
                f"{what} too low: {grouped(budget)} rials available, {grouped(needed)} needed "
                f"for the smallest order of {grouped(instrument.min_quantity)}"
            )
        return quantity, sizing, remarks

    def _sell(self, instrument: Instrument, held: Decimal) -> tuple[Decimal, None, tuple[str, ...]]:
        if self.facts.no_holdings is not None:
            raise _Denied(f"what is held could not be read: {self.facts.no_holdings}")
        available = cut_to_lot(held, instrument.lot_size)
        quantity, remarks = available, tuple[str, ...]()
        if self.account.quantity is not None:
            configured = cut_to_lot(self.account.quantity, instrument.lot_size)
            if configured > available:
                remarks = (f"quantity {grouped(configured)} is more than is held: {grouped(available)} ordered",)
            quantity = min(configured, available)
        if self.account.max_value is not None:
            price = limit_price(Side.SELL, instrument.band, self.account.price)
            quantity = min(quantity, cut_to_lot(self.account.max_value // price, instrument.lot_size))
        if quantity < instrument.min_quantity:
            raise _Denied(f"nothing to sell: {grouped(held)} shares of {instrument.id} held")
        return quantity, None, remarks

    def _slices(self, instrument: Instrument, wanted: Decimal) -> tuple[Decimal, ...]:
        """Cut what is wanted into orders that the instrument takes."""
        largest = cut_to_lot(instrument.max_quantity, instrument.lot_size)
        if largest <= 0:
            raise _Denied(f"the largest order of {instrument.id} is {grouped(instrument.max_quantity)}")
        if self.account.orders is OrdersMode.ONE:
            return (min(wanted, largest),)
        slices: list[Decimal] = []
        while wanted >= instrument.min_quantity and wanted > 0 and len(slices) < MOST_SLICES:
            slices.append(min(wanted, largest))
            wanted -= slices[-1]
        return tuple(slices)

    def _capped(self, instrument: Instrument, wanted: Decimal) -> str:
        if self.account.orders is OrdersMode.ONE:
            return (
                f"{grouped(wanted)} wanted, the largest order is {grouped(instrument.max_quantity)}: "
                "`orders = all` sends the rest too"
            )
        return f"{grouped(wanted)} wanted; what is left is below the smallest order, or beyond {MOST_SLICES} orders"

    def _orders(self, price: Decimal, quantities: Sequence[Decimal]) -> tuple[Order, ...]:
        account = self.account
        return tuple(
            Order(
                client_order_id=client_order_id(
                    self.day, account.broker_code, account.username, account.isin, account.side, number
                ),
                account=account.name,
                broker_code=account.broker_code,
                instrument=account.isin,
                side=account.side,
                price=price,
                quantity=quantity,
                day=self.day,
            )
            for number, quantity in enumerate(quantities)
        )

    def _checked(
        self, orders: Sequence[Order], instrument: Instrument, value_so_far: Decimal, orders_so_far: int
    ) -> tuple[Surroundings, ...]:
        judged = []
        for number, order in enumerate(orders):
            around = Surroundings(
                instrument, tick_size(self.market, order.price), self.limits, value_so_far, orders_so_far + number
            )
            if denials := deny(order, around, PLAN_CHECKS):
                raise _Denied("; ".join(str(denial) for denial in denials))
            judged.append(around)
            if order.side is Side.BUY:
                value_so_far += order.value
        return tuple(judged)


def _within(
    sizing: Sizing, quantities: tuple[Decimal, ...], price: Decimal, instrument: Instrument
) -> tuple[Decimal, ...]:
    """Take lots off the last slices until all together fit: each slice's fee is rounded up by itself.

    What would be left of a slice below the smallest order is left out, for the exchange would refuse it.
    """
    slices, spent = list[Decimal](), Decimal(0)
    for quantity in quantities:
        left = affordable(sizing.money - spent, price, sizing.fee_rate, instrument.lot_size)
        slices.append(min(quantity, left))
        spent += cost(slices[-1], price, sizing.fee_rate)
        if left < quantity:
            break
    return tuple(quantity for quantity in slices if quantity >= instrument.min_quantity)
