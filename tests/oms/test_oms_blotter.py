"""The blotter: what is read at the start, what is kept, and what is forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.journal.base import HELD_NS, Intent, Owner
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, OrderRole, OrderType, Side
from firstbell.oms.orders.blotter import Blotter
from firstbell.oms.orders.families import entries_by_plan, family_of, never_came

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
    journal.follow(made.take)
    return made


def claim(
    journal, name, *, side=Side.BUY, parent=None, group=None, held=False, day=TODAY, owner=None, quantity=100, login="l"
):
    kind = OrderType.STOP if held else OrderType.LIMIT
    role = OrderRole.ENTRY if parent is None else OrderRole.STOP_LOSS
    terms = Instructions(trigger_price=D(90) if held else None, role=role, parent_id=parent, group=group)
    order = Order(name, "A", "paper", "X", side, D(10), D(quantity), day, order_type=kind, instructions=terms)
    intent = Intent(order, login, name, HELD_NS if held else 0, frozenset())
    return journal.claim(intent, "r", owner or this_process()).order


def tell(journal, name, *kinds, at=AT, **facts):
    for kind in kinds:
        more = facts if kind is kinds[-1] else {}
        journal.append([ExecutionReport(name, "r", kind, at, **more)])


def ended(journal, name, *, filled=None, kind=ReportKind.CANCELED, accepted=True, day=TODAY, on=None, **terms):
    """An order that has ended, on its day or on another one."""
    order = claim(journal, name, day=day, **terms)
    before = (ReportKind.SUBMITTED, ReportKind.ACCEPTED) if accepted else (ReportKind.SUBMITTED,)
    tell(journal, order.client_order_id, *before, kind, at=AT - (TODAY - (on or day)), cum_qty=filled)


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


def test_what_has_ended_today_is_read_whatever_its_day_and_what_belongs_with_it(journal, blotter):
    ended(journal, "entry", day=YESTERDAY, kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "stop", day=YESTERDAY, side=Side.SELL, parent="entry", filled=D(40), on=TODAY)
    ended(journal, "alone", day=YESTERDAY, on=TODAY)
    ended(journal, "unrelated", day=YESTERDAY)
    blotter.load()
    assert blotter.families() == ("entry",)
    assert [name for name in ("entry", "alone", "unrelated") if blotter.known(name)] == ["entry", "alone"]
    assert [each.intent.plan_id for each in blotter.done() if blotter.has_just_ended(each)] == ["stop", "alone"]
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


def test_a_bracket_that_has_bought_more_than_its_exits_sold_is_looked_after_though_all_of_it_is_done(journal, blotter):
    ended(journal, "entry", kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "stop", side=Side.SELL, parent="entry", kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "other", filled=D(60))
    ended(journal, "others", side=Side.SELL, parent="other", kind=ReportKind.FILLED, quantity=40, filled=D(40))
    blotter.load()
    assert blotter.families() == ("other",)


def test_of_a_family_that_is_partly_forgotten_nothing_is_made_out(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 2)
    # The exit that has sold ended first, and is forgotten first.
    ended(journal, "stop", side=Side.SELL, parent="entry", kind=ReportKind.FILLED, filled=D(60))
    ended(journal, "profit", side=Side.SELL, parent="entry", kind=ReportKind.FILLED, filled=D(40))
    ended(journal, "entry", kind=ReportKind.FILLED, filled=D(100))
    blotter.load()
    assert blotter.known("stop") is None
    assert names(blotter.family("entry")) == ["profit"]
    assert blotter.families() == ()


def test_the_exits_of_an_entry_that_is_open_are_read_and_kept_though_they_are_done(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 1)
    claim(journal, "entry", day=YESTERDAY)
    ended(journal, "stop", side=Side.SELL, parent="entry", day=YESTERDAY, kind=ReportKind.FILLED, filled=D(40))
    for number in range(3):
        ended(journal, f"done{number}")
    blotter.load()
    assert names(blotter.family("entry")) == ["stop"]
    tell(journal, "entry", ReportKind.SUBMITTED, ReportKind.ACCEPTED, ReportKind.CANCELED, cum_qty=D(70))
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


def moments(journal, blotter):
    """The same blotter as told, and as one that is read anew has it."""
    again = Blotter(journal, "l", TODAY)
    again.load()
    return blotter, again


def test_an_order_is_taken_in_as_its_reports_tell_until_it_is_done(journal, blotter):
    claim(journal, "a")
    assert names([blotter.refresh("a")]) == ["a"]
    assert (names(blotter.open()), blotter.working()) == (["a"], ())
    tell(journal, "a", ReportKind.SUBMITTED, ReportKind.ACCEPTED, venue_order_id="77")
    for each in moments(journal, blotter):
        assert names(each.working()) == names(each.open()) == ["a"]
        assert each.names() == {"77"}
        assert each.known("a").state.status is OrderStatus.ACCEPTED
    tell(journal, "a", ReportKind.CANCELED)
    for each in moments(journal, blotter):
        assert each.open() == each.working() == ()
        assert each.names() == {"77"}
        assert each.known("a").state.status is OrderStatus.CANCELED


def test_what_has_no_name_at_its_broker_adds_none(journal, blotter):
    claim(journal, "a")
    blotter.refresh("a")
    assert blotter.names() == frozenset()


def test_what_nobody_answered_is_asked_for_until_it_is_known(journal, blotter):
    claim(journal, "a")
    blotter.load()
    assert blotter.unresolved() == ()
    tell(journal, "a", ReportKind.SUBMITTED, ReportKind.UNRESOLVED)
    for each in moments(journal, blotter):
        assert names(each.unresolved()) == ["a"]
    tell(journal, "a", ReportKind.ACCEPTED, venue_order_id="77")
    for each in moments(journal, blotter):
        assert each.unresolved() == ()
        assert names(each.working()) == ["a"]


def test_what_is_held_back_is_so_until_it_leaves(journal, blotter):
    claim(journal, "stop", side=Side.SELL, parent="entry", held=True)
    claim(journal, "a")
    blotter.load()
    assert names(blotter.held_back()) == ["stop"]
    assert names(blotter.open()) == ["stop", "a"]
    tell(journal, "stop", ReportKind.SUBMITTED)
    for each in moments(journal, blotter):
        assert each.held_back() == ()
        assert names(each.open()) == ["stop", "a"]


def test_a_report_on_an_order_that_is_none_of_ours_changes_nothing(journal, blotter):
    order = claim(journal, "a")
    tell(journal, "a", ReportKind.SUBMITTED)
    report = ExecutionReport("b", "r", ReportKind.SUBMITTED, AT)
    blotter.take(report, OrderState(order), OrderState(order))
    assert blotter.open() == ()
    assert (blotter.known("a"), blotter.known("b")) == (None, None)


def test_a_report_that_does_not_fit_has_the_order_read_anew(journal, blotter):
    order = claim(journal, "a")
    blotter.load()
    # Another process has sent it meanwhile, and here its reports were not heard.
    deaf = Blotter(journal, "l", TODAY)
    deaf.load()
    tell(journal, "a", ReportKind.SUBMITTED, ReportKind.ACCEPTED, ReportKind.CANCELED, cum_qty=D(30))
    before = OrderState(order, OrderStatus.ACCEPTED)
    deaf.take(ExecutionReport("a", "r", ReportKind.PENDING_CANCEL, AT), before, before)
    assert deaf.known("a").state == blotter.known("a").state
    assert (deaf.open(), deaf.used()) == ((), (D(300), 1))


def test_what_other_processes_wrote_is_heard_of_orders_of_this_login_alone(journal):
    blotter = Blotter(journal, "l", TODAY)
    blotter.load()
    claim(journal, "a")
    claim(journal, "theirs", login="another")
    blotter.hear(["a", "theirs", "nobody's"])
    assert names(blotter.open()) == ["a"]
    assert blotter.known("theirs") is None
    tell(journal, "a", ReportKind.DENIED)
    blotter.hear(["a"])
    assert blotter.open() == ()


def test_orders_of_other_logins_are_not_read(journal, blotter):
    claim(journal, "a")
    claim(journal, "theirs", login="another")
    blotter.load()
    assert names(blotter.open()) == ["a"]
    assert blotter.used() == (D(1000), 1)


def test_what_is_not_remembered_is_looked_up(journal, blotter):
    ended(journal, "old", day=YESTERDAY)
    blotter.load()
    assert blotter.known("old") is None
    assert blotter.entry("old").state.status is OrderStatus.CANCELED
    assert blotter.plan("old") == blotter.entry("old")
    assert (blotter.entry("nobody's"), blotter.plan("nobody's"), blotter.refresh("nobody's")) == (None, None, None)


def test_limits_count_what_was_changed_as_it_is_now_and_what_traded_of_what_is_done(journal, blotter):
    claim(journal, "a", quantity=100)
    blotter.load()
    tell(journal, "a", ReportKind.SUBMITTED, ReportKind.ACCEPTED)
    tell(journal, "a", ReportKind.PENDING_REPLACE)
    tell(journal, "a", ReportKind.REPLACED, price=D(12), quantity=D(50))
    for each in moments(journal, blotter):
        assert each.used() == (D(600), 1)
    tell(journal, "a", ReportKind.CANCELED)
    for each in moments(journal, blotter):
        assert each.used() == (0, 1)


def test_on_a_new_day_what_is_open_stays_open_and_the_limits_count_its_orders_alone(journal, blotter):
    tomorrow = TODAY + timedelta(days=1)
    claim(journal, "a", quantity=100)
    blotter.load()
    blotter.new_day(TODAY)
    assert blotter.used() == (D(1000), 1)
    blotter.new_day(tomorrow)
    assert blotter.used() == (0, 0)
    assert names(blotter.open()) == ["a"]
    tell(journal, "a", ReportKind.DENIED)
    assert blotter.used() == (0, 0)
    claim(journal, "b", quantity=20, day=tomorrow)
    blotter.refresh("b")
    assert blotter.used() == (D(200), 1)


def test_a_day_that_comes_back_is_counted_from_nothing(journal, blotter):
    # As with a clock that was set wrong, and is set right again.
    claim(journal, "a", quantity=100)
    blotter.load()
    blotter.new_day(TODAY + timedelta(days=1))
    blotter.new_day(TODAY)
    blotter.load()
    assert blotter.used() == (D(1000), 1)


def test_what_is_forgotten_still_counts_for_the_days_limits(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 1)
    for number in range(4):
        ended(journal, f"done{number}", filled=D(10))
    blotter.load()
    assert [n for n in range(4) if blotter.known(f"done{n}")] == [3]
    assert blotter.used() == (D(400), 4)


def test_of_earlier_days_families_that_have_ended_are_not_read(journal, blotter):
    ended(journal, "entry", day=YESTERDAY, kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "profit", day=YESTERDAY, side=Side.SELL, parent="entry", kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "another", day=YESTERDAY, kind=ReportKind.FILLED, filled=D(100))
    claim(journal, "stop", side=Side.SELL, parent="another", held=True, day=YESTERDAY)
    blotter.load()
    assert [blotter.known(name) for name in ("entry", "profit")] == [None, None]
    assert blotter.family("entry") == ()
    # The entry of the only leg that is open.
    assert blotter.known("another").state.filled_qty == 100


def test_an_order_that_was_taken_off_the_book_was_one_of_the_days_all_the_same(journal, blotter):
    ended(journal, "a", filled=D(1))
    ended(journal, "b")
    blotter.load()
    assert blotter.used() == (D(10), 2)


def test_an_order_alone_that_is_open_keeps_no_other_one_that_is_alone(journal, blotter):
    ended(journal, "old", day=YESTERDAY)
    claim(journal, "a", day=YESTERDAY)
    blotter.load()
    assert names(blotter.open()) == ["a"]
    assert blotter.known("old") is None


def test_what_was_heard_of_last_is_remembered_longest(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 1)
    ended(journal, "a")
    blotter.refresh("a")
    ended(journal, "b")
    blotter.refresh("b")
    # A fill from before it was canceled arrives late.
    tell(journal, "a", ReportKind.PARTIALLY_FILLED, cum_qty=D(10))
    claim(journal, "new")
    blotter.refresh("new")
    assert blotter.known("a").state.filled_qty == 10
    assert blotter.known("b") is None


def test_what_was_forgotten_and_is_heard_of_again_counts_once(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 1)
    for number in range(4):
        ended(journal, f"done{number}", filled=D(10))
    blotter.load()
    assert blotter.known("done0") is None
    blotter.hear(["done0"])
    assert blotter.used() == (D(400), 4)


def test_a_family_is_forgotten_order_by_order_once_nothing_of_it_is_open(journal, blotter, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 1)
    ended(journal, "entry", kind=ReportKind.FILLED, filled=D(100))
    ended(journal, "profit", side=Side.SELL, parent="entry", filled=D(100))
    ended(journal, "stop", side=Side.SELL, parent="entry")
    blotter.load()
    assert names(blotter.family("entry")) == ["stop"]
    assert (blotter.known("entry"), blotter.known("profit")) == (None, None)
    # What was forgotten is no newest order of its plan any more, and is looked up.
    assert blotter.plan("profit").state.filled_qty == 100
    ended(journal, "another")
    blotter.refresh("another")
    claim(journal, "new")
    blotter.refresh("new")
    assert blotter.family("entry") == ()
    assert blotter.families() == ()
    # Nothing of it stays in memory.
    assert blotter._families == {}
    assert set(blotter._plans) == {"another", "new"}


def test_of_a_plan_that_was_claimed_again_the_newest_order_is_known_though_the_first_is_forgotten(
    journal, blotter, monkeypatch
):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 1)
    ended(journal, "a", kind=ReportKind.REJECTED, accepted=False)
    order = claim(journal, "a")
    assert order.client_order_id == "a-r2"
    blotter.load()
    ended(journal, "b")
    blotter.load()
    assert blotter.known("a") is None
    assert names([blotter.plan("a")]) == ["a-r2"]


@pytest.mark.parametrize("kind", [ReportKind.CANCELED, ReportKind.FILLED])
def test_a_family_whose_orders_all_came_to_their_broker_and_ended_needs_no_looking_after(journal, blotter, kind):
    ended(journal, "profit", side=Side.SELL, parent="entry", filled=D(100), kind=kind)
    blotter.load()
    assert blotter.families() == ()
    assert names(blotter.family("entry")) == ["profit"]


def test_an_order_that_its_broker_refused_did_come_to_it(journal, blotter):
    claim(journal, "stop", side=Side.SELL, parent="entry")
    blotter.load()
    attempt = Attempt(1, AT, 0, AT, 900, 200, 1, "no", AttemptOutcome.REJECTED)
    tell(journal, "stop", ReportKind.SUBMITTED)
    tell(journal, "stop", ReportKind.REJECTED, attempt=attempt)
    assert not never_came(blotter.known("stop"))
    assert blotter.families() == ()


def test_an_order_that_was_given_up_after_refusals_that_pass_did_not_come_to_its_broker(journal, blotter):
    claim(journal, "stop", side=Side.SELL, parent="entry")
    blotter.load()
    attempt = Attempt(1, AT, 0, AT, 900, 200, 1, "too soon", AttemptOutcome.REJECTED)
    tell(journal, "stop", ReportKind.SUBMITTED)
    tell(journal, "stop", ReportKind.REFUSED, attempt=attempt)
    tell(journal, "stop", ReportKind.REJECTED)
    assert never_came(blotter.known("stop"))
    assert blotter.families() == ("entry",)


def test_orders_of_a_group_belong_together_under_its_name(journal, blotter):
    claim(journal, "a", group="g", parent="entry")
    claim(journal, "b", group="g")
    claim(journal, "c")
    blotter.load()
    assert names(blotter.family("g")) == ["a", "b"]
    assert blotter.family("entry") == ()
    assert blotter.families() == ("g",)
    assert [family_of(blotter.known(name)) for name in "abc"] == ["g", "g", None]


def test_of_several_orders_of_a_plan_the_last_is_the_newest(journal):
    ended(journal, "a", kind=ReportKind.REJECTED, accepted=False)
    claim(journal, "a")
    claim(journal, "b")
    newest = entries_by_plan(journal.entries(login="l"))
    assert {plan: entry.intent.order.client_order_id for plan, entry in newest.items()} == {"a": "a-r2", "b": "b"}
