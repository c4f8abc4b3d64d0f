"""A paper market on a clock of its own, for tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.model.identifiers import AccountName, ClientOrderId, InstrumentId
from firstbell.model.instant import epoch_ns
from firstbell.model.order import Order
from firstbell.model.terms import OrderType, Side, TimeInForce

FOLD = InstrumentId("IRO1FOLD0001")
D = Decimal
NOON = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
"""Noon in Tehran, on a Saturday, when the market trades continuously."""


@dataclass
class HandClock:
    """Time that passes only when it is slept through."""

    now_ns: int = field(default_factory=lambda: epoch_ns(NOON))

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def pass_by(self, span: timedelta) -> None:
        self.now_ns += span // timedelta(microseconds=1) * 1000


NUMBERS = itertools.count(1)


def asked(side: Side = Side.BUY, price: object = 4870, quantity: object = 1000, **changed: Any) -> Order:
    """An order, under a name that no other has."""
    return Order(
        **{  # type: ignore[arg-type]
            "client_order_id": ClientOrderId(f"fb-20261121-paper-{next(NUMBERS)}"),
            "account": AccountName("Order_P"),
            "broker_code": "paper",
            "instrument": FOLD,
            "side": side,
            "price": D(str(price)),
            "quantity": D(str(quantity)),
            "day": date(2026, 11, 21),
            **changed,
        }
    )


def market_order(side: Side, quantity: int, lasts: TimeInForce = TimeInForce.DAY) -> Order:
    return asked(side, quantity=quantity, order_type=OrderType.MARKET, time_in_force=lasts)


@dataclass
class Paper:
    """A market and two accounts of it."""

    market: PaperMarket
    clock: HandClock

    def __post_init__(self) -> None:
        self.ali = PaperBroker(self.market, "ali")
        self.zahra = PaperBroker(self.market, "zahra")

    @property
    def day(self) -> date:
        return datetime.fromtimestamp(self.clock.now_ns / 1e9, self.market.days.tz).date()


def paper(clock: HandClock | None = None, **given: Any) -> Paper:
    """A market on a clock of its own, with nobody else on it, on which accounts hold something of everything."""
    clock = clock or HandClock()
    given = {"money": D(10**10), "holdings": {FOLD: D(10**6)}, **given}
    return Paper(PaperMarket(clock=clock, **given), clock)
