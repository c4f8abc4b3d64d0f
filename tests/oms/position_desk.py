"""Positions watched without an order manager: a journal, the orders in it, and prices as a test says them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from firstbell.config import PositionSettings
from firstbell.journal.base import Claimed, Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market import calendar
from firstbell.market.hours import Hours
from firstbell.model.identifiers import request_order_id
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.oms.orders.response import response_of
from firstbell.oms.positions.book import PositionBook, fees_of
from firstbell.oms.positions.monitor import PositionMonitor
from firstbell.oms.positions.prices import MarketPrice

DAY = date(2026, 11, 21)
FOLD, MHRN = "IRO1FOLD0001", "IRO1MHRN0001"
NO_FEES = fees_of("XNOWHERE")
STOP = {"default_stop_loss": 1000, "auto_close_on_stop": True}
TARGET = {"default_target_pnl": 2000, "auto_close_on_target": True}


class Feed:
    """Prices as a test says them, each read anew unless the feed has stopped."""

    def __init__(self, clock):
        self.clock = clock
        self.now = {}
        self.stopped = False
        self.reads = 0
        self.references = {}
        self.bands = {}
        self._last = {}

    def read(self, wanted):
        self.reads += 1
        if not self.stopped:
            at = instant(self.clock.wall_ns())
            for name, price in self.now.items():
                reference = self.references.get(name)
                reference = None if reference is None else Decimal(reference)
                self._last[name] = MarketPrice(Decimal(price), at, reference, self.bands.get(name))
        return {key: self._last[key[1]] for key in wanted if key[1] in self._last}


class Desk:
    """A journal, the orders in it, and somebody who closes positions as the order manager does: one order a key."""

    def __init__(self, folder, clock):
        # At the exchange it is 09:43, and the market has opened.
        clock.sleep(3600)
        self.clock = clock
        self.journal = SqliteJournal(folder / "journal.db", clock)
        self.feed = Feed(clock)
        self.folder = folder
        self.asked = []
        self.day = DAY
        self.refusal = None
        self.answer = None

    def open(self, settings=None, *, fee_of=NO_FEES, without_closer=False, short=True, holder_of=None, **written):
        """A monitor as a process makes it at its start."""
        book = PositionBook(self.journal, fee_of, holder_of, short=short)
        self.journal.subscribe(book)
        self.told = []
        return PositionMonitor(
            None if without_closer else self, settings or PositionSettings(**written), book, self.feed, self.clock,
            hours=Hours(calendar("XTEH")), state_dir=self.folder / "state", fee_of=fee_of, alert=self.told.append,
        )  # fmt: skip

    def claim(self, name, side, quantity, price, instrument, account="A", **terms):
        order = Order(name, account, "gs", instrument, side, Decimal(price), Decimal(quantity), self.day, **terms)
        answer = self.journal.claim(Intent(order, "login", name, 0, frozenset()), "run", this_process())
        if isinstance(answer, Claimed):
            self.report(name, ReportKind.SUBMITTED)
            self.report(name, ReportKind.ACCEPTED)
        return self.journal.entry(name)

    def report(self, name, kind, **facts):
        self.journal.append([ExecutionReport(name, "run", kind, instant(self.clock.wall_ns()), **facts)])

    def trade(self, name, side, quantity, price, *, instrument=FOLD, account="A"):
        self.claim(name, side, quantity, price, instrument, account)
        self.report(name, ReportKind.FILLED, fill=Fill("1", Decimal(quantity), Decimal(price)))

    def close_position(self, account, request):
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        if self.answer is not None:
            return self.answer
        name = request_order_id(self.day, "gs", "user", request.key)
        response = response_of(self.claim(name, request.side, request.quantity, 1, request.instrument, account))
        if self.journal.entry(name).intent.order.quantity != request.quantity:
            return replace(response, is_made=False)
        return response

    def closings(self):
        return [each for each in self.journal.entries() if each.intent.order.client_order_id.endswith("-q")]
