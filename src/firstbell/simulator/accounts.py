"""Accounts at the exchange: money, holdings, and what working orders have reserved of both."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstbell.model.identifiers import InstrumentId


def _nothing() -> defaultdict[InstrumentId, Decimal]:
    return defaultdict(Decimal)


@dataclass(slots=True)
class Account:
    """One investor's account.

    Amounts are exact and never rounded: a fee of a part of a rial stays a part of a rial, so that what is reserved,
    paid and released always comes out even.

    Attributes:
        name: Its name, unique at the exchange.
        money: Its money in rials, reserved money included; may be negative.
        reserved_money: What working buys would cost at their limits, fees included.
        holdings: Shares held by instrument, reserved ones included.
        reserved_shares: Shares that working sells offer, by instrument.
        last_order_at: When its last order came that counts for the shortest interval, in ns; None before the first.
        unbound: Whether it stands for everybody else: neither money, shares nor pauses are asked of it.
    """

    name: str
    money: Decimal
    reserved_money: Decimal = Decimal(0)
    holdings: defaultdict[InstrumentId, Decimal] = field(default_factory=_nothing)
    reserved_shares: defaultdict[InstrumentId, Decimal] = field(default_factory=_nothing)
    last_order_at: int | None = None
    unbound: bool = False

    @property
    def buying_power(self) -> Decimal:
        """What it may still spend, fees included, in rials; may be negative."""
        return self.money - self.reserved_money

    def sellable(self, instrument: InstrumentId) -> Decimal:
        """The shares that it may still offer."""
        return self.holdings[instrument] - self.reserved_shares[instrument]

    def reserve(self, instrument: InstrumentId, *, money: Decimal, shares: Decimal) -> None:
        """Reserve for a working order; negative amounts release."""
        self.reserved_money += money
        self.reserved_shares[instrument] += shares

    def receive(self, instrument: InstrumentId, *, money: Decimal, shares: Decimal) -> None:
        """Book a trade; negative amounts are paid or delivered."""
        self.money += money
        self.holdings[instrument] += shares
