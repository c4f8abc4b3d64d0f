"""The book of positions: the same from the journal's reports as they come as from all of them read at once."""

from __future__ import annotations

import random
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from firstbell.config import AccountSettings
from firstbell.errors import JournalError
from firstbell.journal.base import HELD_NS, Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market import calendar
from firstbell.market.hours import OrderDays
from firstbell.model.instant import TEHRAN, instant
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.position import Trade
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import OrderRole, Side, TimeInForce
from firstbell.model.trade_order import position_of
from firstbell.oms.positions.book import PositionBook, fees_of, holders_of

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)
FOLD, MHRN = "IRO1FOLD0001", "IRO1MHRN0001"


def no_fees(_broker, _side, value):
    return value * 0


class Desk:
    """A journal, a book that listens to it, and the reports of orders, one microsecond apart."""

    def __init__(self, journal, fee_of=no_fees, holder_of=None):
        self.journal = journal
        self.fee_of = fee_of
        self.holder_of = holder_of
        self.book = PositionBook(journal, fee_of, holder_of)
        self.book.rebuild()
        journal.subscribe(self.book)
        self.now = AT

    def order(self, name, side=Side.BUY, quantity=100, price=5860, *, account="A", instrument=FOLD, login="login"):
        order = Order(name, account, "gs", instrument, side, Decimal(price), Decimal(quantity), DAY)
        self.journal.claim(Intent(order, login, name, 0, frozenset()), "run", this_process())
        self.report(name, ReportKind.SUBMITTED)
        self.report(name, ReportKind.ACCEPTED)
        return name

    def report(self, name, kind, **facts):
        self.now += timedelta(microseconds=1)
        self.journal.append([ExecutionReport(name, "run", kind, self.now, **facts)])

    def fill(self, name, trade_id, quantity, price, *, fee=None, kind=ReportKind.PARTIALLY_FILLED):
        fee = None if fee is None else Decimal(fee)
        self.report(name, kind, fill=Fill(trade_id, Decimal(quantity), Decimal(price), fee))

    def sum(self, name, quantity, kind=ReportKind.PARTIALLY_FILLED):
        self.report(name, kind, cum_qty=Decimal(quantity))

    def held(self, account="A", instrument=FOLD):
        """The position, once it has been seen to be the same from the journal alone."""
        position = self.book.position(account, instrument)
        again = PositionBook(self.journal, self.fee_of, self.holder_of)
        assert again.position(account, instrument) == position
        return position


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


@pytest.fixture
def desk(journal):
    return Desk(journal)


def test_nothing_is_held_without_trades(desk):
    desk.order("a")
    assert desk.held() is None
    assert desk.book.standings() == ()


def test_fills_make_a_position_at_their_own_prices(desk):
    desk.order("a")
    desk.fill("a", "1", 60, 5850)
    desk.fill("a", "2", 40, 5860, kind=ReportKind.FILLED)
    position = desk.held()
    assert (position.quantity, position.cash) == (100, -60 * 5850 - 40 * 5860)
    assert (position.average_price, position.estimated) == (5854, False)
    assert position.opened_at == desk.now - timedelta(microseconds=1)


def test_a_trade_told_twice_counts_once(desk):
    desk.order("a")
    for _ in range(3):
        desk.fill("a", "1", 60, 5850)
    assert desk.held().quantity == 60


def test_a_sum_alone_counts_at_the_orders_price_and_is_said_to_be_estimated(desk):
    desk.order("a")
    desk.sum("a", 30)
    assert (desk.held().quantity, desk.held().average_price, desk.held().estimated) == (30, 5860, True)
    desk.sum("a", 100, ReportKind.FILLED)
    assert (desk.held().quantity, desk.held().cash) == (100, -586_000)


def test_a_sum_that_is_less_than_what_is_known_changes_nothing(desk):
    desk.order("a")
    desk.sum("a", 60)
    desk.sum("a", 30)
    assert desk.held().quantity == 60
    desk.order("b")
    desk.fill("b", "1", 20, 5850)
    desk.sum("b", 10)
    assert desk.held().quantity == 80


def test_a_single_share_of_a_sum_counts(desk):
    desk.order("a")
    desk.fill("a", "1", 10, 5000)
    desk.sum("a", 11)
    assert (desk.held().quantity, desk.held().estimated) == (11, True)


def test_a_sum_that_is_told_again_traded_when_it_was_first_told(desk):
    desk.order("a")
    desk.sum("a", 60)
    heard = desk.now
    desk.sum("a", 60)
    assert desk.held().opened_at == heard


def test_a_sum_counts_at_the_price_that_the_order_was_changed_to(desk):
    desk.order("a")
    desk.report("a", ReportKind.REPLACED, price=Decimal(5900))
    assert desk.held() is None
    desk.sum("a", 10)
    assert desk.held().average_price == 5900


def test_a_change_leaves_what_was_told_before_at_the_price_of_then(desk):
    desk.order("a")
    desk.sum("a", 10)
    desk.report("a", ReportKind.REPLACED, price=Decimal(5900))
    assert desk.held().average_price == 5860
    desk.report("a", ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(20), since=desk.now + timedelta(minutes=2))
    assert desk.held().cost == 10 * 5860 + 10 * 5900


@pytest.mark.parametrize(("side", "prices", "worst"), [(Side.BUY, (5860, 5800), 5860), (Side.SELL, (5800, 5860), 5800)])
@pytest.mark.parametrize(("unseen_s", "long"), [(None, False), (70, False), (80, True)])
def test_what_may_have_traded_before_a_change_counts_at_the_worse_price(desk, side, prices, worst, unseen_s, long):
    desk.order("a", side, price=prices[0])
    desk.report("a", ReportKind.REPLACED, price=Decimal(prices[1]))
    since = None if unseen_s is None else desk.now + timedelta(seconds=unseen_s)
    desk.report("a", ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(10), since=since)
    position = desk.held()
    assert (position.average_price, position.estimated) == (prices[1] if long else worst, True)


def test_the_average_of_other_trades_says_nothing_of_an_order_whose_price_has_changed(desk):
    desk.order("a")
    desk.fill("a", "1", 10, 5800)
    desk.report("a", ReportKind.REPLACED, price=Decimal(5900))
    desk.sum("a", 20)
    assert desk.held().cost == 10 * 5800 + 10 * 5900


@pytest.mark.parametrize("traded", [0, 10])
def test_the_price_to_which_another_process_has_changed_an_order_is_heard_of(
    desk, tmp_path, stepped_clock, monkeypatch, traded
):
    desk.order("a")
    if traded:
        desk.sum("a", traded)
    else:
        # Nothing has to be read anew for that.
        monkeypatch.setattr(desk.book, "rebuild", lambda: pytest.fail("it was read anew"))
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    other.append([ExecutionReport("a", "elsewhere", ReportKind.REPLACED, desk.now, price=Decimal(5900))])
    other.close()
    desk.book.refresh()
    desk.sum("a", traded + 10)
    assert desk.held().cost == traded * 5860 + 10 * 5900


def test_the_rest_of_a_sum_counts_at_the_average_of_what_was_priced(desk):
    desk.order("a")
    desk.fill("a", "1", 10, 5800)
    desk.fill("a", "2", 10, 5820)
    desk.sum("a", 60)
    position = desk.held()
    assert (position.quantity, position.average_price, position.estimated) == (60, 5810, True)


def test_trades_that_come_after_their_sum_take_the_place_of_the_estimate(desk):
    desk.order("a")
    desk.sum("a", 100, ReportKind.FILLED)
    desk.fill("a", "1", 60, 5850, kind=ReportKind.FILLED)
    assert (desk.held().quantity, desk.held().estimated) == (100, True)
    desk.fill("a", "2", 40, 5855, kind=ReportKind.FILLED)
    assert (desk.held().quantity, desk.held().cash, desk.held().estimated) == (100, -60 * 5850 - 40 * 5855, False)


def test_a_fill_that_comes_after_the_cancel_counts(desk):
    desk.order("a")
    desk.report("a", ReportKind.CANCELED)
    desk.fill("a", "1", 60, 5850, kind=ReportKind.FILLED)
    assert desk.held().quantity == 60


def test_sales_realize_and_a_larger_one_turns_the_position_round(desk):
    desk.order("a")
    desk.fill("a", "1", 100, 5000, kind=ReportKind.FILLED)
    desk.order("b", Side.SELL, 160, 5500)
    desk.fill("b", "1", 160, 5500, kind=ReportKind.FILLED)
    position = desk.held()
    assert (position.quantity, position.realized, position.average_price) == (-60, 50_000, 5500)


def test_fees_are_those_that_were_told_or_else_the_markets(journal):
    desk = Desk(journal, fees_of("XTEH"))
    desk.order("a")
    desk.fill("a", "1", 50, 1000, fee="7.5")
    assert desk.held().fees == Decimal("7.5")
    desk.fill("a", "2", 50, 1000, kind=ReportKind.FILLED)
    assert desk.held().fees == Decimal("7.5") + 186
    desk.order("b", Side.SELL, 100, 1000)
    desk.sum("b", 100, ReportKind.FILLED)
    assert desk.held().fees == Decimal("7.5") + 186 + 880


def test_where_nobody_knows_the_fees_there_are_none():
    assert fees_of("XNOWHERE")("gs", Side.BUY, Decimal(1000)) == 0


def test_sections_of_one_login_hold_together(journal):
    named = {"password": "p", "broker_code": "gs", "isin": FOLD}
    accounts = [
        AccountSettings(name=name, username=user, **named)
        for name, user in [("A", "one"), ("B", "two"), ("A_sells", "ONE")]
    ]
    desk = Desk(journal, holder_of=holders_of(accounts))
    desk.order("a", account="A")
    desk.fill("a", "1", 100, 5000, kind=ReportKind.FILLED)
    desk.order("b", Side.SELL, 40, account="A_sells")
    desk.fill("b", "1", 40, 5100, kind=ReportKind.FILLED)
    desk.order("c", account="B", login="other")
    desk.fill("c", "1", 5, 5000)
    assert desk.held("A").quantity == desk.held("A_sells").quantity == 60
    assert desk.held("B").quantity == 5
    assert [each.key for each in desk.book.standings()] == [("A", FOLD), ("B", FOLD)]
    assert {each.broker_code for each in desk.book.standings()} == {"gs"}


def test_sections_hold_under_one_that_can_be_traded():
    named = {"username": "u", "password": "p", "broker_code": "gs", "isin": FOLD}
    accounts = [AccountSettings(name=name, enabled=name != "A", **named) for name in ("A", "B", "C")]
    assert [holders_of(accounts)(name) for name in ("A", "B", "C", "D")] == ["B", "B", "B", "D"]
    assert holders_of(accounts[:1])("A") == "A"


@pytest.mark.parametrize("back", [timedelta(milliseconds=500), timedelta(seconds=60), timedelta(minutes=59)])
@pytest.mark.parametrize("tell", ["fill", "sum"])
def test_a_clock_that_is_set_back_turns_no_purchase_and_its_sale_round(journal, back, tell):
    desk = Desk(journal)
    desk.book = PositionBook(journal, no_fees, short=False)
    journal.subscribe(desk.book)
    assert desk.book.position("A", FOLD) is None
    for name, side, price in (("bought", Side.BUY, 5000), ("sold", Side.SELL, 5100), ("more", Side.BUY, 5050)):
        desk.order(name, side, price=price)
        if tell == "fill":
            desk.fill(name, "1", 100, price)
        else:
            desk.sum(name, 100)
        desk.now -= back / 2
    again = PositionBook(journal, no_fees, short=False)
    for book in (desk.book, again):
        position = book.position("A", FOLD)
        assert (position.quantity, position.average_price, position.realized) == (100, 5050, 10_000)
        assert position.from_holdings == 0


def test_a_clock_that_had_gone_wrong_by_hours_is_not_gone_by(desk):
    desk.order("a")
    desk.now += timedelta(days=2)
    desk.fill("a", "1", 10, 5000)
    desk.now -= timedelta(days=2)
    desk.fill("a", "2", 10, 5000)
    assert desk.held().opened_at == desk.now


def test_what_is_told_late_of_the_day_before_was_held_as_the_day_began(journal):
    days = OrderDays(calendar("XTEH"))
    desk = Desk(journal)
    desk.book = PositionBook(journal, no_fees, days=days)
    journal.subscribe(desk.book)
    desk.order("early")
    desk.order("late")
    desk.order("first", instrument=MHRN)
    desk.fill("early", "1", 10, 5000)
    assert desk.book.position("A", FOLD).quantity == 10
    began = datetime(2026, 11, 22, tzinfo=TEHRAN)
    desk.book.begin_day(began)
    desk.now = began + timedelta(hours=1)
    desk.fill("late", "1", 30, 5000)
    desk.fill("first", "1", 7, 900)
    desk.order("today")
    desk.fill("today", "1", 5, 5000)
    again = PositionBook(journal, no_fees, days=days)
    again.begin_day(began)
    for book in (desk.book, again):
        found = {each.key[1]: (each.opening.quantity, each.position.quantity) for each in book.standings()}
        assert found == {FOLD: (40, 45), MHRN: (7, 7)}


def test_the_days_opening_is_what_was_held_when_it_began(desk):
    desk.order("a")
    desk.fill("a", "1", 100, 5000, kind=ReportKind.FILLED)
    desk.order("old", instrument=MHRN)
    desk.fill("old", "1", 100, 5000, kind=ReportKind.FILLED)
    desk.order("gone", Side.SELL, instrument=MHRN)
    desk.fill("gone", "1", 100, 5000, kind=ReportKind.FILLED)
    began = desk.now + timedelta(microseconds=1)
    desk.book.begin_day(began)
    desk.now = began
    desk.order("b", Side.SELL)
    desk.fill("b", "1", 30, 5100)
    again = PositionBook(desk.journal, no_fees)
    again.begin_day(began)
    for book in (desk.book, again):
        (standing,) = book.standings()
        assert (standing.opening.quantity, standing.position.quantity) == (100, 70)
    again.rebuild()
    assert again.standings() == desk.book.standings()


def test_a_trade_by_another_way_can_be_added_and_counts_once(desk):
    trade = Trade("t", "A", FOLD, Side.BUY, Decimal(10), Decimal(5000), AT)
    desk.book.add_trade(trade)
    desk.book.add_trade(trade)
    assert desk.book.position("A", FOLD).quantity == 10
    desk.book.rebuild()
    assert desk.book.position("A", FOLD).quantity == 10
    desk.order("a")
    desk.fill("a", "t", 20, 5000)
    assert desk.book.position("A", FOLD).quantity == 30


def test_trades_that_are_added_to_one_position_all_count_under_whichever_section_of_the_login(journal):
    named = {"username": "u", "password": "p", "broker_code": "gs", "isin": FOLD}
    desk = Desk(journal, holder_of=holders_of([AccountSettings(name=name, **named) for name in ("A", "A_sells")]))
    for account, name in (("A", "1"), ("A_sells", "2"), ("A_sells", "1")):
        desk.book.add_trade(Trade(name, account, FOLD, Side.BUY, Decimal(10), Decimal(5000), AT))
    (standing,) = desk.book.standings()
    assert (standing.key, standing.position.quantity, standing.broker_code) == (("A", FOLD), 20, "")
    desk.order("a", account="A_sells")
    desk.fill("a", "3", 5, 5000)
    (standing,) = desk.book.standings()
    assert (standing.position.quantity, standing.broker_code) == (25, "gs")


def test_a_trade_is_not_added_while_it_is_not_known_whether_the_journal_tells_of_it(desk, monkeypatch):
    trade = Trade("t", "A", FOLD, Side.BUY, Decimal(20), Decimal(5000), AT, client_order_id="a")
    book = PositionBook(desk.journal, no_fees)

    def broken(**_):
        raise JournalError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(desk.journal, "entries", broken)
        with pytest.raises(JournalError, match="the disk is gone"):
            book.add_trade(trade)
    assert book.position("A", FOLD) is None
    book.add_trade(trade)
    assert book.position("A", FOLD).quantity == 20


def test_positions_are_told_by_account_and_instrument(desk):
    for name, account, instrument in (("a", "B", FOLD), ("b", "A", MHRN), ("c", "A", FOLD)):
        desk.order(name, account=account, instrument=instrument)
        desk.fill(name, "1", 10, 5000)
    assert [each.key for each in desk.book.standings()] == [("A", FOLD), ("A", MHRN), ("B", FOLD)]


def test_a_book_that_starts_knows_what_open_orders_may_trade_and_nothing_of_those_that_ended(desk):
    desk.order("gone", Side.SELL)
    desk.report("gone", ReportKind.CANCELED)
    desk.order("traded", quantity=300)
    desk.fill("traded", "1", 300, 5000, kind=ReportKind.FILLED)
    desk.order("partly", Side.SELL)
    desk.fill("partly", "1", 30, 5100)
    desk.order("changed", Side.SELL)
    desk.report("changed", ReportKind.REPLACED, quantity=Decimal(7), price=Decimal(5200))
    for book in (desk.book, PositionBook(desk.journal, no_fees)):
        assert book.uncovered("A", FOLD) == 270 - 70 - 7
        assert book.position("A", FOLD).quantity == 270
    again = PositionBook(desk.journal, no_fees)
    assert again.position("A", FOLD).quantity == 270
    desk.journal.subscribe(again)
    desk.sum("changed", 7, ReportKind.FILLED)
    assert again.position("A", FOLD).cash == desk.book.position("A", FOLD).cash == -1_500_000 + 153_000 + 36_400
    assert again.uncovered("A", FOLD) == 263 - 70


def test_of_an_order_that_another_process_claimed_only_what_trades_is_read(desk, tmp_path, stepped_clock, monkeypatch):
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    Desk(other).order("a")
    with monkeypatch.context() as patched:
        patched.setattr(desk.book, "rebuild", lambda: pytest.fail("it was read anew"))
        desk.report("a", ReportKind.ACCEPTED)
        assert desk.book.standings() == ()
    desk.sum("a", 30)
    assert desk.held().quantity == 30
    other.close()


def test_what_came_before_and_after_its_price_could_be_read_counts_once_each(desk):
    desk.order("a")
    desk.sum("a", 60)
    desk.book.rebuild()
    desk.fill("a", "1", 60, 5850)
    position = desk.held()
    assert (position.quantity, position.cash, position.estimated) == (60, -351_000, False)


def test_a_book_with_no_position_forgets_its_oldest_orders_too(desk, monkeypatch):
    monkeypatch.setattr("firstbell.oms.positions.book._REMEMBERED", 1)
    for name in ("a", "b", "c"):
        desk.order(name)
        desk.report(name, ReportKind.CANCELED)
    assert desk.book.standings() == ()
    desk.fill("a", "1", 10, 5000)
    assert desk.held().quantity == 10


@pytest.mark.parametrize("kind", [ReportKind.WITHDRAWN, ReportKind.TAKEN_OVER, ReportKind.DENIED])
def test_what_is_held_back_and_will_never_leave_sells_nothing_any_more(desk, kind):
    desk.order("bought")
    desk.fill("bought", "1", 100, 5000, kind=ReportKind.FILLED)
    order = Order("stop", "A", "gs", FOLD, Side.SELL, Decimal(5000), Decimal(10), DAY)
    desk.journal.claim(Intent(order, "login", "stop", HELD_NS, frozenset()), "run", this_process())
    assert desk.book.uncovered("A", FOLD) == 90
    desk.report("stop", kind)
    assert desk.book.uncovered("A", FOLD) == 100


@pytest.mark.parametrize("kind", [ReportKind.REJECTED, ReportKind.CANCELED, ReportKind.EXPIRED, ReportKind.FILLED])
def test_what_has_ended_at_the_broker_trades_nothing_any_more(desk, kind):
    desk.order("bought", quantity=150)
    desk.fill("bought", "1", 150, 5000, kind=ReportKind.FILLED)
    desk.order("a", Side.SELL)
    assert desk.book.uncovered("A", FOLD) == 50
    desk.report("a", kind)
    assert desk.book.uncovered("A", FOLD) == 150


def test_what_another_process_has_placed_or_taken_back_counts_at_once(desk, tmp_path, stepped_clock):
    desk.order("bought", quantity=150)
    desk.fill("bought", "1", 150, 5000, kind=ReportKind.FILLED)
    desk.order("ours", Side.SELL, quantity=40)
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    theirs = Desk(other)
    theirs.order("theirs", Side.SELL)
    assert desk.book.uncovered("A", FOLD) == 10
    other.append([ExecutionReport("ours", "run", ReportKind.CANCELED, instant(stepped_clock.wall_ns()))])
    assert desk.book.uncovered("A", FOLD) == 50
    theirs.fill("theirs", "1", 30, 5000)
    assert desk.book.uncovered("A", FOLD) == 50
    assert desk.book.position("A", FOLD).quantity == 120
    other.close()


def bracket(desk, *, filled, day=DAY):
    """A bracket for 500 shares, of which so many have been bought: its profit at the broker, its stop held back."""
    desk.order("entry", quantity=500)
    if filled:
        desk.fill("entry", "1", filled, 5000)
    for name, role, bell_ns in (("profit", OrderRole.TAKE_PROFIT, 0), ("stop", OrderRole.STOP_LOSS, HELD_NS)):
        terms = Instructions(role=role, parent_id="entry")
        quantity = Decimal(filled or 500)
        order = Order(name, "A", "gs", FOLD, Side.SELL, Decimal(5900), quantity, day, instructions=terms)
        desk.journal.claim(Intent(order, "login", name, bell_ns, frozenset()), "run", this_process())
    desk.report("profit", ReportKind.SUBMITTED)
    desk.report("profit", ReportKind.ACCEPTED)


def test_exits_of_which_one_cancels_the_other_cover_the_same_shares(desk):
    desk.order("plain", quantity=500)
    desk.fill("plain", "1", 500, 5000, kind=ReportKind.FILLED)
    bracket(desk, filled=500)
    assert desk.book.uncovered("A", FOLD) == 500
    desk.fill("profit", "1", 200, 5900)
    assert desk.book.position("A", FOLD).quantity == 800
    assert desk.book.uncovered("A", FOLD) == 500


def test_exits_cover_nothing_before_their_entry_has_bought_it(desk):
    desk.order("plain", quantity=500)
    desk.fill("plain", "1", 500, 5000, kind=ReportKind.FILLED)
    bracket(desk, filled=0)
    assert desk.book.uncovered("A", FOLD) == 500


def test_an_exit_of_another_day_that_another_process_has_taken_back_covers_nothing_any_more(
    desk, tmp_path, stepped_clock
):
    bracket(desk, filled=500)
    assert desk.book.uncovered("A", FOLD) == 0
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    at = instant(stepped_clock.wall_ns())
    other.append([ExecutionReport("profit", "run", ReportKind.CANCELED, at)])
    assert desk.book.uncovered("A", FOLD) == 0
    other.append([ExecutionReport("stop", "run", ReportKind.WITHDRAWN, at)])
    assert desk.book.uncovered("A", FOLD) == 500
    other.close()


def test_of_what_goes_on_for_a_refused_entry_exits_cover_what_it_has_bought(desk):
    bracket(desk, filled=0)
    terms = Instructions(role=OrderRole.ENTRY, parent_id="entry")
    order = Order("part", "A", "gs", FOLD, Side.BUY, Decimal(5000), Decimal(300), DAY, instructions=terms)
    desk.journal.claim(Intent(order, "login", "part", 0, frozenset()), "run", this_process())
    desk.report("part", ReportKind.SUBMITTED)
    desk.report("part", ReportKind.ACCEPTED)
    desk.fill("part", "1", 300, 5000, kind=ReportKind.FILLED)
    assert desk.book.position("A", FOLD).quantity == 300
    assert desk.book.uncovered("A", FOLD) == 0


@pytest.mark.parametrize("read_anew", [False, True])
@pytest.mark.parametrize(("later_s", "long"), [(70, 0), (80, 40)])
def test_a_purchase_that_is_heard_of_later_than_its_sale_is_no_position_as_long_as_lists_may_lag(
    desk, later_s, long, read_anew
):
    desk.book = PositionBook(desk.journal, no_fees, short=False)
    desk.journal.subscribe(desk.book)
    desk.order("bought", quantity=40)
    desk.order("sold", Side.SELL, quantity=40)
    if read_anew:
        # As by a process that has placed neither.
        desk.book.rebuild()
    desk.now += timedelta(seconds=10)
    desk.fill("sold", "1", 40, 5100, kind=ReportKind.FILLED)
    desk.now += timedelta(seconds=later_s)
    desk.fill("bought", "1", 40, 5000, kind=ReportKind.FILLED)
    for book in (desk.book, PositionBook(desk.journal, no_fees, short=False)):
        position = book.position("A", FOLD)
        assert (position.quantity, position.from_holdings) == (long, long)


@pytest.mark.parametrize(("unseen_s", "long"), [(6, 0), (24, 40)])
def test_a_purchase_that_lists_did_not_show_long_after_a_sale_is_a_position(desk, unseen_s, long):
    desk.book = PositionBook(desk.journal, no_fees, short=False)
    desk.journal.subscribe(desk.book)
    desk.order("bought", quantity=40)
    desk.order("sold", Side.SELL, quantity=40)
    desk.now += timedelta(seconds=10)
    desk.fill("sold", "1", 40, 5100, kind=ReportKind.FILLED)
    sold_at = desk.now
    desk.now += timedelta(seconds=25)
    # The list is told first, and the trades that make up its sum later.
    since = sold_at + timedelta(seconds=unseen_s)
    desk.report("bought", ReportKind.FILLED, cum_qty=Decimal(40), since=since)
    desk.fill("bought", "1", 40, 5000, kind=ReportKind.FILLED)
    for book in (desk.book, PositionBook(desk.journal, no_fees, short=False)):
        position = book.position("A", FOLD)
        assert (position.quantity, position.from_holdings) == (long, long)


def test_a_sale_of_what_was_held_keeps_its_place_before_a_purchase(desk):
    desk.book = PositionBook(desk.journal, no_fees, short=False)
    desk.journal.subscribe(desk.book)
    desk.order("first", quantity=40)
    desk.fill("first", "1", 40, 5000, kind=ReportKind.FILLED)
    desk.order("second", quantity=40)
    desk.order("sold", Side.SELL, quantity=40)
    desk.now += timedelta(seconds=10)
    desk.fill("sold", "1", 40, 5200, kind=ReportKind.FILLED)
    desk.now += timedelta(seconds=5)
    desk.fill("second", "1", 40, 5100, kind=ReportKind.FILLED)
    position = desk.book.position("A", FOLD)
    assert (position.average_price, position.realized, position.opened_at) == (5100, 40 * 200, desk.now)


def test_trades_that_are_told_later_than_their_sum_count_from_when_the_sum_was_told(desk):
    desk.order("a")
    desk.sum("a", 60)
    first = desk.now
    desk.now += timedelta(seconds=20)
    desk.fill("a", "1", 60, 5850)
    desk.fill("a", "2", 40, 5860, kind=ReportKind.FILLED)
    assert desk.held().opened_at == first


@pytest.mark.parametrize(
    ("time_in_force", "left", "heard", "traded"),
    [
        # On Saturday, of an order of that Saturday.
        (TimeInForce.DAY, 0, 3, 0),
        # On Sunday, of one of Saturday: all it can have traded it had by then.
        (TimeInForce.DAY, 0, 24, -1),
        # Of one that was sent when Saturday's session was over, on Sunday, and on Monday.
        (TimeInForce.DAY, 12, 24, 0),
        (TimeInForce.DAY, 12, 48, -1),
        # Of one that lasts.
        (TimeInForce.GTC, 0, 48, 0),
    ],
)
def test_what_is_heard_of_an_order_after_its_day_had_traded_on_it(desk, time_in_force, left, heard, traded):
    days = OrderDays(calendar("XTEH"))
    desk.book = PositionBook(desk.journal, no_fees, days=days)
    desk.journal.subscribe(desk.book)
    desk.now = AT + timedelta(hours=left)
    order = Order("a", "A", "gs", FOLD, Side.BUY, Decimal(5000), Decimal(40), DAY, time_in_force=time_in_force)
    desk.journal.claim(Intent(order, "login", "a", 0, frozenset()), "run", this_process())
    desk.report("a", ReportKind.SUBMITTED)
    desk.report("a", ReportKind.ACCEPTED)
    desk.now = AT + timedelta(hours=heard)
    midnight = desk.now.astimezone(TEHRAN).replace(hour=0, minute=0, second=0, microsecond=0)
    desk.fill("a", "1", 40, 5000, kind=ReportKind.FILLED)
    for book in (desk.book, PositionBook(desk.journal, no_fees, days=days)):
        opened_at = book.position("A", FOLD).opened_at
        assert opened_at == (midnight - timedelta(microseconds=1) if traded else desk.now)
        book.begin_day(midnight)
        (standing,) = book.standings()
        assert standing.opening.quantity == (40 if traded else 0)


def test_of_what_is_not_held_nothing_is_to_be_closed(desk):
    desk.order("a", Side.SELL)
    assert desk.book.uncovered("A", FOLD) == 0


def test_trades_of_one_name_that_are_added_to_several_positions_all_count(desk):
    for account, instrument in (("A", FOLD), ("B", FOLD), ("A", MHRN)):
        desk.book.add_trade(Trade("1", account, instrument, Side.BUY, Decimal(10), Decimal(5000), AT))
    for _ in range(2):
        assert [each.position.quantity for each in desk.book.standings()] == [10, 10, 10]
        desk.book.rebuild()


@pytest.mark.parametrize("quantity", ["sNaN", "NaN", "1E+60", "0"])
def test_numbers_that_are_none_stop_nothing(desk, quantity, caplog):
    desk.order("a")
    desk.fill("a", "1", 10, 5000)
    order = desk.journal.entry("a").intent.order
    bad = Fill("2", Decimal(quantity), Decimal(1))
    desk.book(ExecutionReport("a", "run", ReportKind.PARTIALLY_FILLED, AT, fill=bad), order)
    assert "a: a trade cannot be counted" in caplog.text
    assert desk.held().quantity == 10


@pytest.mark.parametrize("added_first", [True, False])
def test_a_trade_that_is_added_and_told_by_the_journal_counts_as_the_journal_tells_it(desk, added_first):
    trade = Trade("t", "A", FOLD, Side.BUY, Decimal(20), Decimal(5000), AT, client_order_id="a")
    if added_first:
        desk.book.add_trade(trade)
        assert desk.book.position("A", FOLD).quantity == 20
    desk.order("a")
    desk.fill("a", "t", 20, 5001)
    if not added_first:
        desk.book.add_trade(trade)
    assert desk.held().quantity == 20
    assert desk.held().average_price == 5001


def test_a_trade_that_is_added_and_then_told_by_another_process_counts_as_the_journal_tells_it(
    desk, tmp_path, stepped_clock
):
    desk.book.add_trade(Trade("t", "A", FOLD, Side.BUY, Decimal(20), Decimal(5000), AT, client_order_id="a"))
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    elsewhere = Desk(other)
    elsewhere.order("a")
    elsewhere.fill("a", "t", 20, 5001)
    other.close()
    desk.book.refresh()
    assert (desk.held().quantity, desk.held().average_price) == (20, 5001)


def test_reports_of_an_order_that_another_process_claimed_are_read_from_the_journal(desk, tmp_path, stepped_clock):
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    elsewhere = Desk(other)
    elsewhere.order("a")
    elsewhere.fill("a", "1", 10, 5000)
    assert desk.book.position("A", FOLD) is None
    desk.fill("a", "2", 5, 5000)
    assert desk.held().quantity == 15
    elsewhere.fill("a", "3", 5, 5000)
    assert desk.book.position("A", FOLD).quantity == 15
    desk.book.rebuild()
    assert desk.held().quantity == 20
    other.close()


def test_a_look_at_the_journal_finds_what_other_processes_have_written(desk, tmp_path, stepped_clock, monkeypatch):
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    elsewhere = Desk(other)
    desk.order("mine")
    desk.fill("mine", "1", 10, 5000)
    elsewhere.order("a")
    elsewhere.sum("a", 40)
    assert desk.book.position("A", FOLD).quantity == 10
    desk.book.refresh()
    assert desk.held().quantity == 50
    other.close()

    # Where there is nothing new, nothing is read anew.
    monkeypatch.setattr(desk.book, "rebuild", lambda: pytest.fail("it was read anew"))
    desk.fill("mine", "2", 7, 5000)
    desk.book.refresh()
    assert desk.book.position("A", FOLD).quantity == 57


def test_a_look_finds_what_has_traded_of_an_order_of_another_day_that_nobody_here_knew(desk, tmp_path, stepped_clock):
    desk.order("mine")
    desk.fill("mine", "1", 100, 5000, kind=ReportKind.FILLED)
    other = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yesterday = Order("stop", "A", "gs", FOLD, Side.SELL, Decimal(4900), Decimal(60), DAY - timedelta(days=1))
    other.claim(Intent(yesterday, "login", "stop", HELD_NS, frozenset()), "run", this_process())
    desk.book.refresh()
    assert desk.book.position("A", FOLD).quantity == 100
    elsewhere = Desk(other)
    elsewhere.report("stop", ReportKind.SUBMITTED)
    elsewhere.fill("stop", "1", 60, 4890, kind=ReportKind.FILLED)
    desk.book.refresh()
    assert desk.held().quantity == 40
    other.close()


def test_what_can_never_be_counted_is_looked_for_once(desk):
    desk.order("a")
    desk.report("a", ReportKind.PARTIALLY_FILLED, fill=Fill("1", Decimal("1E+60"), Decimal(1)))
    rebuilt, rebuild = [], desk.book.rebuild
    desk.book.rebuild = lambda: rebuilt.append(rebuild())
    for _ in range(3):
        desk.book.refresh()
        desk.book.standings()
    assert len(rebuilt) == 1


def test_a_trade_that_cannot_be_counted_stops_nothing(desk, caplog):
    desk.order("a")
    desk.fill("a", "1", 10, 5000)
    order = desk.journal.entry("a").intent.order
    bad = ExecutionReport("a", "run", ReportKind.PARTIALLY_FILLED, AT, fill=Fill("2", Decimal(-5), Decimal(1)))
    desk.book(bad, order)
    assert "a: a trade cannot be counted: a trade's quantity is a positive number" in caplog.text
    assert desk.held().quantity == 10


def test_a_journal_that_cannot_be_read_is_said_and_loses_nothing(desk, monkeypatch):
    desk.order("a")
    desk.fill("a", "1", 10, 5000)

    def broken(**_):
        raise JournalError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(desk.journal, "entries", broken)
        with pytest.raises(JournalError, match="the disk is gone"):
            desk.book.rebuild()
    desk.fill("a", "2", 10, 5000)
    assert desk.held().quantity == 20


def test_reports_that_come_while_it_is_read_anew_count_once(desk, monkeypatch):
    desk.order("a")
    desk.fill("a", "1", 10, 5000)
    entries = desk.journal.entries

    def slow():
        found = entries()
        desk.fill("a", "2", 10, 5000)
        desk.order("b")
        desk.fill("b", "1", 7, 5000)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(desk.journal, "entries", slow)
        desk.book.rebuild()
    assert desk.held().quantity == 27


def test_many_orders_are_forgotten_and_what_they_came_to_stays(desk):
    chance = random.Random(7)  # noqa: S311 - a history that can be told again
    at, trades = AT, []
    for number in range(1500):
        side = chance.choice([Side.BUY, Side.SELL])
        order = Order(f"o{number}", "A", "gs", FOLD, side, Decimal(5000), Decimal(20), DAY)
        at += timedelta(microseconds=1)
        desk.book(ExecutionReport(order.client_order_id, "run", ReportKind.INITIALIZED, at), order)
        for part in range(2):
            at += timedelta(microseconds=1)
            fill = Fill(str(part), Decimal(10), Decimal(chance.randint(4900, 5100)), Decimal(3))
            desk.book(ExecutionReport(f"o{number}", "run", ReportKind.PARTIALLY_FILLED, at, fill=fill), order)
            trades.append(Trade(str(part), "A", FOLD, side, fill.last_qty, fill.last_px, at, Decimal(3), f"o{number}"))
    assert desk.book.position("A", FOLD) == position_of("A", FOLD, trades)
    ledger = desk.book._ledgers["A", FOLD]
    assert len(ledger._placed) <= 2 * 500 + 2 + 64
    assert len(desk.book._working) + len(desk.book._done) <= 501
    assert len(ledger._of) <= 502 + 64


def test_a_late_trade_of_a_forgotten_order_is_read_from_the_journal(desk, monkeypatch):
    monkeypatch.setattr("firstbell.oms.positions.book._REMEMBERED", 1)
    monkeypatch.setattr("firstbell.oms.positions.ledger._KEPT", 0)
    monkeypatch.setattr("firstbell.oms.positions.ledger._FORGOTTEN_AT_ONCE", 1)
    for name in ("a", "b", "c"):
        desk.order(name)
        desk.sum(name, 100, ReportKind.FILLED)
    assert desk.book._ledgers["A", FOLD]._placed[0].trade.client_order_id == "c"
    desk.fill("a", "1", 100, 5000, kind=ReportKind.FILLED)
    assert (desk.held().quantity, desk.held().cash) == (300, -100 * 5000 - 200 * 5860)


def test_threads_may_report_and_read_at_once(desk):
    names = [desk.order(f"o{number}", account=f"A{number % 3}") for number in range(30)]
    reports = [
        (ExecutionReport(name, "run", ReportKind.PARTIALLY_FILLED, instant(number * 1000 + 1), fill=fill), name)
        for number, name in enumerate(names)
        for fill in [Fill(str(part), Decimal(1), Decimal(5000)) for part in range(20)]
    ]
    orders = {name: desk.journal.entry(name).intent.order for name in names}
    failed = []

    def tell(part):
        try:
            for report, name in reports[part::4]:
                desk.book(report, orders[name])
                desk.book.standings()
        except Exception as error:  # noqa: BLE001 - handed to the test
            failed.append(error)

    threads = [threading.Thread(target=tell, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [each.position.quantity for each in desk.book.standings()] == [200, 200, 200]


@pytest.mark.parametrize("seed", range(6))
def test_a_history_with_sums_trades_doubles_and_changes_is_the_same_read_anew(journal, seed):
    chance = random.Random(seed)  # noqa: S311 - a history that can be told again
    desk = Desk(journal, fees_of("XTEH"))
    open_ = {}
    for number in range(60):
        if not open_ or chance.random() < 0.4:
            name = desk.order(f"o{number}", chance.choice(list(Side)), 100, chance.randint(4900, 5100))
            open_[name] = SimpleNamespace(filled=0, trades=[])
            continue
        name = chance.choice(list(open_))
        order = open_[name]
        what = chance.random()
        if what < 0.3:
            order.filled = min(order.filled + chance.randint(1, 60), 100)
            desk.sum(name, order.filled)
        elif what < 0.7:
            fill = (f"t{len(order.trades)}", chance.randint(1, 10), chance.randint(4900, 5100))
            order.trades.append(fill)
            desk.fill(name, *fill)
        elif what < 0.85 and order.trades:
            desk.fill(name, *chance.choice(order.trades))
        else:
            desk.now += timedelta(seconds=chance.randint(1, 90))
            desk.report(name, ReportKind.REPLACED, price=Decimal(chance.randint(4900, 5100)))
        if max(order.filled, sum(quantity for _, quantity, _ in order.trades)) >= 100:
            del open_[name]
    assert desk.held() is not None
