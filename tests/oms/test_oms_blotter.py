"""The blotter: what is read at the start, what is kept, and what is forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.journal.base import HELD_NS, Intent, Owner
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderRole, OrderType, Side
from firstbell.oms.orders.blotter import Blotter

D = Decimal
TODAY = date(2026, 11, 28)
YESTERDAY = TODAY - timedelta(days=1)
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)
DEAD = Owner(this_process().host, 4_000_001, 1.0)


@pytest.fixture
def journal(tmp_path, stepped_clock):
    made = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield made
    made.close()


@pytest.fixture
def blotter(journal):
    made = Blotter(journal, "l", TODAY)
    journal.subscribe(made.take)
    return made


def claim(journal, name, *, side=Side.BUY, parent=None, held=False, day=TODAY, owner=None, quantity=100):
    kind = OrderType.STOP if held else OrderType.LIMIT
    role = OrderRole.ENTRY if parent is None else OrderRole.STOP_LOSS
    terms = Instructions(trigger_price=D(90) if held else None, role=role, parent_id=parent)
    order = Order(name, "A", "paper", "X", side, D(10), D(quantity), day, order_type=kind, instructions=terms)
    intent = Intent(order, "l", name, HELD_NS if held else 0, frozenset())
    return journal.claim(intent, "r", owner or this_process()).order


def tell(journal, name, *kinds, **facts):
    for kind in kinds:
        more = facts if kind is kinds[-1] else {}
        journal.append([ExecutionReport(name, "r", kind, AT, **more)])


def ended(journal, name, *, filled=None, kind=ReportKind.CANCELED, **terms):
    order = claim(journal, name, **terms)
    tell(journal, order.client_order_id, ReportKind.SUBMITTED, ReportKind.ACCEPTED, kind, cum_qty=filled)


def names(entries):
    return [entry.intent.order.client_order_id for entry in entries]


def test_a_familys_orders_are_read_in_the_order_in_which_they_were_claimed(journal, blotter):
    claim(journal, "stop", side=Side.SELL, parent="entry", held=True, owner=DEAD)
    claim(journal, "stop", side=Side.SELL, parent="entry", held=True)
    blotter.load()
    assert names(blotter.family("entry")) == ["stop", "stop-r2"]
    assert names([blotter.plan("stop")]) == ["stop-r2"]
    assert names(blotter.open()) == ["stop-r2"]


def test_what_ended_on_an_earlier_day_is_read_where_something_open_belongs_with_it(journal, blotter):
    ended(journal, "entry", day=YESTERDAY, kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "profit", day=YESTERDAY, side=Side.SELL, parent="entry", filled=D(40))
    ended(journal, "unrelated", day=YESTERDAY)
    claim(journal, "stop", side=Side.SELL, parent="entry", held=True, day=YESTERDAY)
    blotter.load()
    assert names(blotter.family("entry")) == ["profit", "stop"]
    assert sum(leg.state.filled_qty for leg in blotter.family("entry")) == 40
    assert blotter.known("entry").state.status is OrderStatus.FILLED
    assert blotter.known("unrelated") is None
    # Yesterday's orders count for yesterday's limits.
    assert blotter.used() == (0, 0)


def test_what_belongs_with_something_open_is_not_forgotten_whatever_ends_after_it(journal, blotter):
    ended(journal, "entry", kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "profit", side=Side.SELL, parent="entry", filled=D(40))
    claim(journal, "stop", side=Side.SELL, parent="entry", held=True, owner=DEAD)
    blotter.load()
    for number in range(510):
        order = claim(journal, f"o{number}")
        blotter.refresh(order.client_order_id)
        tell(journal, order.client_order_id, ReportKind.DENIED)
    # The stop is taken over: for a moment nothing of its family is open.
    order = claim(journal, "stop", side=Side.SELL, parent="entry", held=True)
    blotter.refresh(order.client_order_id)
    assert names(blotter.family("entry")) == ["profit", "stop", "stop-r2"]
    assert blotter.known("entry") is not None
    assert blotter.known("o0") is None
    # Started anew, it is read so as well.
    again = Blotter(journal, "l", TODAY)
    again.load()
    assert names(again.family("entry")) == ["profit", "stop", "stop-r2"]
    assert again.known("entry") is not None
    assert again.known("o0") is None


def test_a_family_that_lost_an_order_on_its_way_is_looked_after(journal, blotter):
    order = claim(journal, "stop", side=Side.SELL, parent="entry", held=True)
    blotter.load()
    tell(journal, order.client_order_id, ReportKind.SUBMITTED, ReportKind.UNRESOLVED)
    assert blotter.families() == ("entry",)
    tell(journal, order.client_order_id, ReportKind.REJECTED)
    assert blotter.families() == ("entry",)


def test_limits_count_what_is_bought_and_asked_for_today(journal, blotter):
    claim(journal, "a", quantity=100)
    claim(journal, "b", quantity=50)
    claim(journal, "c", side=Side.SELL, quantity=70)
    blotter.load()
    assert blotter.used() == (D(1500), 3)
    tell(journal, "a", ReportKind.SUBMITTED, ReportKind.ACCEPTED, ReportKind.CANCELED, cum_qty=D(30))
    assert blotter.used() == (D(800), 3)
    tell(journal, "b", ReportKind.DENIED)
    assert blotter.used() == (D(300), 2)
    blotter.new_day(TODAY + timedelta(days=1))
    assert blotter.used() == (0, 0)


def test_what_is_done_is_forgotten_a_little_at_a_time_and_families_stay(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 2)
    # The oldest ones belong with something open, and stay whatever comes later.
    ended(journal, "entry", kind=ReportKind.FILLED, filled=D(100))
    blotter.refresh("entry")
    claim(journal, "stop", side=Side.SELL, parent="entry", held=True)
    blotter.refresh("stop")
    for number in range(20):
        ended(journal, f"done{number}")
        blotter.refresh(f"done{number}")
    left = []
    for number in range(4):
        claim(journal, f"new{number}")
        blotter.refresh(f"new{number}")
        left.append(len([n for n in range(20) if blotter.known(f"done{n}")]))
    assert left == [12, 4, 2, 2]
    assert blotter.known("entry")
    assert blotter.known("done19")
    assert names(blotter.family("entry")) == ["stop"]


def test_a_start_forgets_all_at_once(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 2)
    for number in range(20):
        ended(journal, f"done{number}")
    blotter.load()
    assert [n for n in range(20) if blotter.known(f"done{n}")] == [18, 19]
