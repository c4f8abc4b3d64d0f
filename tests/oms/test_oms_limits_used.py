"""What the day's limits count besides an order that is about to leave: the others, each once, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.brokers.paper.market import PaperMarket
from firstbell.errors import RunError
from firstbell.journal.base import HELD_NS, Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market import calendar
from firstbell.model.instant import TEHRAN
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side, TimeInForce
from firstbell.oms.orders.blotter import Blotter
from firstbell.oms.orders.day_limits import DayLimits
from firstbell.risk.checks import Limits
from stepped_clock import SteppedClock

D = Decimal
TODAY = date(2026, 11, 28)


@pytest.fixture
def journal(tmp_path, stepped_clock):
    made = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield made
    made.close()


@pytest.fixture
def blotter(journal):
    made = Blotter(journal, "l", TODAY)
    journal.follow(made.take)
    return made


@pytest.fixture
def claim(journal, blotter):
    def put(name, side=Side.BUY, day=TODAY, quantity=100):
        order = Order(name, "A", "paper", "X", side, D(10), D(quantity), day)
        journal.claim(Intent(order, "l", name, 0, frozenset()), "r", this_process())
        blotter.refresh(name)

    return put


def test_an_order_does_not_stand_in_its_own_way_whether_it_is_counted_yet_or_not(blotter, claim):
    claim("other", quantity=30)
    assert blotter.used(but_for="new") == (D(300), 1)
    claim("new")
    assert blotter.used() == (D(1300), 2)
    assert blotter.used(but_for="new") == (D(300), 1)


def test_a_sell_takes_nothing_off_what_the_buys_have_used(blotter, claim):
    claim("buy")
    claim("sell", Side.SELL, quantity=500)
    assert blotter.used(but_for="sell") == (D(1000), 1)


def test_one_of_another_day_that_leaves_today_takes_nothing_off_either(blotter, claim):
    claim("buy")
    claim("overnight", day=TODAY - timedelta(days=1), quantity=70)
    assert blotter.used(but_for="overnight") == (D(1000), 1)


def test_one_of_another_day_counts_as_long_as_it_may_trade(journal, blotter):
    def put(name, days, bell_ns=0, tif=TimeInForce.DAY, until=None):
        day = TODAY - timedelta(days=days)
        terms = Instructions(expires_at=until)
        order = Order(name, "A", "paper", "X", Side.BUY, D(10), D(100), day, time_in_force=tif, instructions=terms)
        journal.claim(Intent(order, "l", name, bell_ns, frozenset()), "r", this_process())
        blotter.refresh(name)

    def tell(name, day, *kinds):
        at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
        journal.append([ExecutionReport(name, "r", kind, at) for kind in kinds])

    before = TODAY - timedelta(days=1)
    left, gone = (ReportKind.SUBMITTED, ReportKind.ACCEPTED), (ReportKind.CANCELED,)
    put("tomorrow's", -1)
    put("yesterday's", 1)
    tell("yesterday's", before, *left)
    assert blotter.used() == (D(0), 0)
    put("held", 1, HELD_NS)
    assert blotter.used() == (D(1000), 1)
    tell("held", TODAY, *left)
    put("had left", 2, HELD_NS)
    tell("had left", before, *left)
    assert blotter.used() == (D(1000), 1)
    put("works", 1, tif=TimeInForce.GTC)
    tell("works", before, *left)
    assert blotter.used() == (D(2000), 2)
    tell("works", TODAY, *gone)
    assert blotter.used() == (D(1000), 2)
    put("ended", 3, tif=TimeInForce.GTC)
    tell("ended", before, *left, *gone)
    assert blotter.used() == (D(1000), 2)
    until = datetime(2026, 11, 27, 12, tzinfo=TEHRAN)
    put("had its time", 3, tif=TimeInForce.GTD, until=until)
    tell("had its time", before, *left)
    assert blotter.used() == (D(1000), 2)
    anew = Blotter(journal, "l", TODAY)
    anew.load()
    assert anew.used() == (D(1000), 2)
    assert DayLimits(journal, None).others("another", TODAY) == D(1000)
    assert DayLimits(journal, None).others("another", TODAY + timedelta(days=5)) == 0


def test_one_that_was_changed_counts_with_what_it_has_come_to(journal, blotter, claim):
    claim("a")
    claim("b")
    at = datetime(2026, 11, 28, 8, tzinfo=UTC)
    report = ExecutionReport("a", "r", ReportKind.SUBMITTED, at)
    journal.append([report, replace(report, kind=ReportKind.ACCEPTED)])
    journal.append([replace(report, kind=ReportKind.REPLACED, price=D(20), quantity=D(200))])
    assert blotter.used() == (D(5000), 2)
    assert blotter.used(but_for="a") == (D(1000), 1)
    assert blotter.used(but_for="b") == (D(4000), 1)


@pytest.fixture
def others(journal, tmp_path):
    return DayLimits(journal, tmp_path / "locks")


def of_login(journal, login, name, quantity=100, side=Side.BUY):
    order = Order(name, "A", "paper", "X", side, D(10), D(quantity), TODAY)
    journal.claim(Intent(order, login, name, 0, frozenset()), "r", this_process())


def test_a_limit_on_the_day_counts_what_other_logins_have_whenever_it_came(journal, others):
    of_login(journal, "a", "a1")
    of_login(journal, "b", "b1", 70)
    assert (others.others("a", TODAY), others.others("b", TODAY)) == (D(700), D(1000))
    of_login(journal, "b", "b2", 5)
    of_login(journal, "c", "c1", 5, Side.SELL)
    assert (others.others("a", TODAY), others.others("c", TODAY)) == (D(750), D(1750))
    journal.append([ExecutionReport("b1", "r", ReportKind.DENIED, datetime(2026, 11, 28, tzinfo=UTC), reason="no")])
    assert others.others("a", TODAY) == D(50)
    assert others.others("a", TODAY + timedelta(days=1)) == 0
    assert others.others("a", TODAY) == D(50)


def test_of_what_was_taken_off_the_book_only_what_has_traded_counts(journal, others):
    of_login(journal, "b", "b1", 70)
    at = datetime(2026, 11, 28, tzinfo=UTC)
    journal.append([ExecutionReport("b1", "r", ReportKind.SUBMITTED, at)])
    journal.append([ExecutionReport("b1", "r", ReportKind.ACCEPTED, at, venue_order_id="1")])
    journal.append([ExecutionReport("b1", "r", ReportKind.CANCELED, at, cum_qty=D(20))])
    assert others.others("a", TODAY) == D(200)


def test_one_that_was_taken_off_the_book_was_an_order_all_the_same(journal, blotter, claim):
    claim("canceled")
    claim("refused")
    at = datetime(2026, 11, 28, tzinfo=UTC)
    journal.append([ExecutionReport(name, "r", ReportKind.SUBMITTED, at) for name in ("canceled", "refused")])
    journal.append([ExecutionReport("canceled", "r", ReportKind.ACCEPTED, at, venue_order_id="1")])
    journal.append([ExecutionReport("canceled", "r", ReportKind.CANCELED, at)])
    journal.append([ExecutionReport("refused", "r", ReportKind.REJECTED, at, reason="no")])
    assert blotter.used() == (D(0), 1)


def test_only_one_judges_and_claims_at_a_time(others, tmp_path, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.day_limits._LOCK_S", 0.05)
    second = DayLimits(None, tmp_path / "locks")
    with others.alone(), pytest.raises(RunError, match="the limits on the day could not be"), second.alone():
        pytest.fail("two at once")
    with others.alone():
        pass


LIMITS = [Limits(max_orders_per_account=2), Limits(max_total_value=D(1_000_000))]


def placed(desk, count=1):
    """Orders for 486,000 each: whether they were taken."""
    return [desk.manager.place(request(price=4860, quantity=100)).is_success for _ in range(count)]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("rounds_after", [0, 1, 2, 5])
def test_the_days_limits_count_from_midnight_on_whether_anybody_makes_rounds(
    tmp_path, stepped_clock, limits, rounds_after
):
    desk = Desk(tmp_path, stepped_clock, limits=limits)
    desk.quote(4860, 4865)
    assert placed(desk, 3) == [True, True, False]
    desk.clock.sleep(24 * 3600)
    taken = placed(desk, rounds_after)
    desk.rounds()
    taken += placed(desk, 5 - rounds_after)
    assert taken == [True, True, False, False, False]
    desk.close()


def test_a_limit_on_a_days_orders_counts_those_of_other_processes_of_the_login(tmp_path, stepped_clock):
    limits = {"limits": LIMITS[0], "day_limits": True}
    market = PaperMarket(clock=stepped_clock, holdings={ISIN: D(5000)})
    first = Desk(tmp_path, stepped_clock, market, **limits)
    first.quote(4860, 4865)
    second = Desk(tmp_path, stepped_clock, market, **limits)
    assert placed(second) == [True]
    assert placed(first, 2) == [True, False]
    sell = request(price=4870, side="sell", quantity=1)
    assert "max_orders_per_account: 3, allowed at most 2" in first.manager.place(sell).message
    assert placed(second) == [False]
    first.close()
    second.close()


def test_a_stop_that_protects_is_never_one_order_too_many(tmp_path):
    at = datetime(2026, 11, 23, 10, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    market = PaperMarket(clock=clock, holdings={ISIN: D(5000)})
    limits = Limits(max_orders_per_account=2)
    desk = Desk(tmp_path, clock, market, calendar=calendar("XTEH"), limits=limits, day_limits=True)
    desk.quote(4860, 4870)
    stop = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800}
    name = desk.manager.place(request(**stop)).order_id
    clock.suspend(24 * 3600)
    desk.quote(4860, 4870)
    desk.rounds()
    bought = [desk.manager.place(request(price=price)).is_success for price in (4840, 4841, 4842)]
    assert bought == [True, True, False]
    desk.quote(4790, 4795, bid_quantity=D(50_000))
    desk.trade(4790, 10)
    desk.rounds(3)
    assert desk.manager.entry(name).state.status is OrderStatus.FILLED
    desk.close()
