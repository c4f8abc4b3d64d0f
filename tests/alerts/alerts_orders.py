"""Orders and reports for the tests of alerts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from firstbell.journal.base import Intent
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import Side

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)
NAME = "fb-20261121-0011aabbccdd-0"
K = ReportKind


def order(name=NAME, side=Side.BUY, **more):
    return Order(name, "Order_A", "shahr", "IRO1MHRN0001", side, Decimal(5860), Decimal(170018), DAY, **more)


def report(kind, name=NAME, **facts):
    return ExecutionReport(name, "run", kind, AT, **facts)


def fill(trade_id, quantity, price=5860):
    return Fill(trade_id, Decimal(quantity), Decimal(price))


def intent(name=NAME, login="login"):
    return Intent(order(name), login, name, 0, frozenset())
