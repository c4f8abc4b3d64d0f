"""Reconciling: every login's list is asked, one that fails stops no other, and nobody is guessed away."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.brokers.base import Capabilities, VenueOrder
from firstbell.errors import CaptchaError, NoAnswer
from firstbell.journal.base import Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, OrderOutcome, Side
from firstbell.oms.reconcile import LOOK_EVERY_S, PATIENCE_S, Reconciler

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)
SENT = (ReportKind.SUBMITTED, ReportKind.UNRESOLVED)


class Lists:
    """One login's broker: its list, what it refuses, and how often it was asked, for which days."""

    capabilities = Capabilities(min_interval_ms=300, client_order_ids=False, replace=True)

    def __init__(self, rows=(), *, login_error=None, list_error=None):
        self.rows = rows
        self.login_error = login_error
        self.list_error = list_error
        self.days = []

    def login(self):
        if self.login_error is not None:
            raise self.login_error

    def orders(self, day):
        self.days.append(day)
        if self.list_error is not None:
            raise self.list_error
        return self.rows

    def open_orders(self):
        return ()


def row(venue="9"):
    return VenueOrder(
        venue, "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), Decimal(0),
        working=True, refused=False, created_at=AT, status="2",
    )  # fmt: skip


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


def ordered(journal, name, *kinds, login="one", day=DAY, attempted=True):
    order = Order(name, f"Order_{login}", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), day)
    journal.claim(Intent(order, login, name, 0, frozenset()), "run", this_process())
    for kind in kinds:
        outcome = AttemptOutcome.ACCEPTED if kind is ReportKind.ACCEPTED else AttemptOutcome.UNRESOLVED
        at = AT - (DAY - day)
        attempt = Attempt(1, at, 0, None, None, None, None, None, outcome) if attempted else None
        report = ExecutionReport(name, "run", kind, at, attempt=None if kind is ReportKind.SUBMITTED else attempt)
        journal.append([report])


def status(journal, name):
    return journal.entry(name).state.status


def test_what_is_open_is_asked_for_and_what_is_done_is_not(journal, stepped_clock):
    ordered(journal, "unresolved", *SENT)
    ordered(journal, "working", ReportKind.SUBMITTED, ReportKind.ACCEPTED, login="two")
    ordered(journal, "filled", ReportKind.SUBMITTED, ReportKind.ACCEPTED, ReportKind.FILLED, login="three")
    ordered(journal, "waiting", login="four")
    # Its owner is about to send it again, or has just done so: what he writes next has to fit.
    ordered(journal, "refused once", ReportKind.SUBMITTED, ReportKind.REFUSED, login="five")
    brokers = {name: Lists((row(),)) for name in ("one", "two", "three", "four", "five")}
    result = Reconciler(brokers, journal, stepped_clock, "later").look()
    assert set(result.looked) == {"unresolved", "working"}
    assert (result.unresolved, result.unreachable) == ((), {})
    assert [broker.days for broker in brokers.values()] == [[DAY], [DAY], [], [], []]
    assert journal.entry("unresolved").state.venue_order_id == "9"
    assert journal.entry("working").state.venue_order_id == "9"


def test_each_day_has_its_own_list_and_the_orders_of_one_are_asked_together(journal, stepped_clock):
    ordered(journal, "a", *SENT)
    ordered(journal, "b", *SENT)
    ordered(journal, "old", *SENT, day=DAY - timedelta(days=3))
    lists = Lists()
    result = Reconciler({"one": lists}, journal, stepped_clock, "later").look()
    assert sorted(set(lists.days)) == [DAY - timedelta(days=3), DAY]
    assert len(result.looked) == 3
    assert {entry.intent.order.client_order_id for entry in result.unresolved} == {"a", "b", "old"}


def test_only_one_login_is_asked_where_only_one_is_meant(journal, stepped_clock):
    ordered(journal, "a", *SENT)
    ordered(journal, "b", *SENT, login="two")
    brokers = {"one": Lists(), "two": Lists()}
    result = Reconciler(brokers, journal, stepped_clock, "later").look("two")
    assert result.looked == ("b",)
    assert brokers["one"].days == []


@pytest.mark.parametrize("error", [NoAnswer("the log-in failed"), CaptchaError("no captcha")])
def test_a_login_that_cannot_be_asked_is_named_and_stops_no_other(journal, stepped_clock, error):
    ordered(journal, "c", *SENT, login="gone")
    ordered(journal, "a", *SENT)
    ordered(journal, "b", *SENT, login="two")
    brokers = {"one": Lists(login_error=error), "two": Lists((row(),))}
    result = Reconciler(brokers, journal, stepped_clock, "later").look()
    assert result.unreachable == {"one": str(error), "gone": "Order_gone is not in the config any more"}
    assert set(result.looked) == {"a", "b"}
    assert {entry.intent.order.client_order_id for entry in result.unresolved} == {"a", "c"}
    assert status(journal, "b") is OrderStatus.ACCEPTED


def test_it_asks_on_until_absence_is_certain_and_then_ends(journal, stepped_clock):
    ordered(journal, "a", *SENT)
    lists = Lists()
    told = []
    result = Reconciler({"one": lists}, journal, stepped_clock, "later").until_known(PATIENCE_S, told.append)
    assert result.unresolved == ()
    assert journal.entry("a").state.outcome is OrderOutcome.REJECTED
    assert stepped_clock.now_ns >= 60 * 10**9
    assert stepped_clock.now_ns <= PATIENCE_S * 10**9
    # Once each two seconds, and told each time.
    assert len(lists.days) == len(told) == stepped_clock.now_ns // (LOOK_EVERY_S * 10**9) + 1
    assert [len(entries) for entries in told] == [1] * (len(told) - 1) + [0]


def test_patience_ends_where_nobody_answers(journal, stepped_clock):
    ordered(journal, "a", *SENT)
    lists = Lists(list_error=NoAnswer("down"))
    result = Reconciler({"one": lists}, journal, stepped_clock, "later").until_known(10, lambda _: None)
    assert [entry.intent.order.client_order_id for entry in result.unresolved] == ["a"]
    assert stepped_clock.now_ns == 10 * 10**9
    assert len(lists.days) == 6


def test_nobody_waits_for_what_nobody_can_ask(journal, stepped_clock):
    ordered(journal, "c", *SENT, login="gone")
    result = Reconciler({}, journal, stepped_clock, "later").until_known(100, lambda _: None)
    assert len(result.unresolved) == 1
    assert stepped_clock.now_ns == 0
