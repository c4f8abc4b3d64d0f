from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.brokers.base import VenueOrder
from firstbell.errors import NoAnswer
from firstbell.journal.base import Claimed, Entry, Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome, Side
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.lists import Absence, find, reading
from firstbell.oms.recovery import recover

S = 1_000_000_000
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)


def order(name="a", quantity=100):
    return Order(name, "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(quantity), DAY)


def entry(known=frozenset({"1"}), state=None):
    return Entry(Intent(order(), "login", "a", 0, known), state or OrderState(order()), "run", this_process(), AT)


def row(venue="7", *, price=5860, quantity=100, filled=0, working=True, refused=False, at=AT, side=Side.BUY, isin=None):
    return VenueOrder(
        venue,
        isin or "IRO1MHRN0001",
        side,
        Decimal(price),
        Decimal(quantity),
        Decimal(filled),
        working=working,
        refused=refused,
        created_at=at,
        status="2",
    )


def test_found_among_what_was_not_there_before():
    assert find(entry(), [row("1"), row("7")], frozenset()).venue_order_id == "7"
    assert find(entry(), [row("1")], frozenset()) is None


@pytest.mark.parametrize(
    "other",
    [row(price=5850), row(quantity=99), row(side=Side.SELL), row(isin="IRO1BORS0001"), row(refused=True)],
)
def test_what_differs_in_anything_is_another_order(other):
    assert find(entry(), [other], frozenset()) is None


def test_what_is_known_as_another_order_of_ours_is_not_taken_twice():
    assert find(entry(), [row("7")], frozenset({"7"})) is None


def test_without_a_list_from_before_the_bell_the_time_must_fit():
    unknown = entry(known=None)
    assert find(unknown, [row(at=AT - timedelta(minutes=5))], frozenset()) is None
    assert find(unknown, [row(at=None)], frozenset()) is None
    assert find(unknown, [row(at=AT - timedelta(seconds=1))], frozenset()) is not None


def test_by_name_even_when_refused():
    state = OrderState(order(), OrderStatus.ACCEPTED, venue_order_id="7")
    assert find(entry(state=state), [row("8"), row("7", refused=True)], frozenset()).refused
    assert find(entry(state=state), [row("8")], frozenset()) is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (row(), ReportKind.ACCEPTED),
        (row(filled=40), ReportKind.PARTIALLY_FILLED),
        (row(filled=100, working=False), ReportKind.FILLED),
        (row(filled=40, working=False), ReportKind.CANCELED),
        (row(refused=True, working=False), ReportKind.REJECTED),
        # Nothing of nothing is not all of it.
        (row(quantity=0), ReportKind.ACCEPTED),
        (row(quantity=0, working=False), ReportKind.CANCELED),
    ],
)
def test_readings_of_a_submitted_order(line, kind):
    assert reading(line, OrderState(order(), OrderStatus.SUBMITTED)) is kind


def test_nothing_new_and_nothing_illegal():
    named = OrderState(order(), OrderStatus.ACCEPTED, venue_order_id="7")
    assert reading(row(), named) is None
    assert reading(row(), OrderState(order(), OrderStatus.ACCEPTED)) is ReportKind.ACCEPTED
    partly = OrderState(order(), OrderStatus.PARTIALLY_FILLED, filled_qty=Decimal(40))
    assert reading(row(filled=40), partly) is None
    assert reading(row(filled=41), partly) is ReportKind.PARTIALLY_FILLED
    assert reading(row(working=False), OrderState(order(), OrderStatus.FILLED)) is None


def test_absence_takes_four_looks_and_more_than_a_minute():
    absence = Absence()
    assert [absence.missed(t * S) for t in (0, 2, 4, 6, 60, 62, 74, 75)] == [False] * 7 + [True]
    few = Absence()
    assert [few.missed(t * S) for t in (0, 100, 200, 300)] == [False, False, False, True]


class Lists:
    """A broker of which only the list of the day is asked."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def open_orders(self):
        raise NoAnswer("these are not asked here")

    def orders(self, day):
        assert day == DAY
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


def unresolved(journal, name="a", quantity=100):
    claim = journal.claim(Intent(order(name, quantity), "login", name, 0, frozenset({"1"})), "run", this_process())
    assert isinstance(claim, Claimed)
    journal.append([ExecutionReport(name, "run", kind, AT) for kind in (ReportKind.SUBMITTED, ReportKind.UNRESOLVED)])


def test_an_unresolved_order_that_is_in_the_list_is_accepted(journal, stepped_clock):
    unresolved(journal)
    inquiry = Inquiry(Lists(NoAnswer("down"), (row("1"), row("9", filled=30))), journal, stepped_clock, "later")
    (first,) = inquiry.look(["a"])
    assert first.state.unresolved
    (then,) = inquiry.look(["a"])
    assert (then.state.status, then.state.venue_order_id) == (OrderStatus.PARTIALLY_FILLED, "9")
    assert then.state.filled_qty == 30
    assert inquiry.seen == {"a"}


def test_absent_long_enough_it_is_rejected_and_failures_do_not_count(journal, stepped_clock):
    unresolved(journal)
    inquiry = Inquiry(Lists(()), journal, stepped_clock, "later")
    broken = Inquiry(Lists(NoAnswer("down")), journal, stepped_clock, "later")
    for _ in range(50):
        broken.look(["a"])
        stepped_clock.sleep(2)
    assert journal.entry("a").state.unresolved
    looks = 0
    while journal.entry("a").state.unresolved:
        inquiry.look(["a"])
        stepped_clock.sleep(2)
        looks += 1
    state = journal.entry("a").state
    assert state.outcome is OrderOutcome.REJECTED
    assert "absent from the broker's list of the day" in state.reason
    assert looks * 2 >= 60


def test_two_alike_orders_never_share_a_row(journal, stepped_clock):
    unresolved(journal, "a")
    unresolved(journal, "b")
    inquiry = Inquiry(Lists((row("9"),)), journal, stepped_clock, "later")
    inquiry.look(["a"])
    (b,) = inquiry.look(["b"])
    assert journal.entry("a").state.venue_order_id == "9"
    assert b.state.unresolved


@pytest.mark.parametrize(
    "other",
    [row("9", price=5850), row("9", quantity=70), row("9", at=None), row("9", at=AT - timedelta(hours=3, minutes=30))],
)
def test_a_row_that_may_be_the_order_stands_in_the_way_of_its_absence(journal, stepped_clock, other):
    known = None if other.price == 5860 and other.quantity == 100 else frozenset({"1"})
    claim = journal.claim(Intent(order("a"), "login", "a", 0, known), "run", this_process())
    assert isinstance(claim, Claimed)
    journal.append([ExecutionReport("a", "run", kind, AT) for kind in (ReportKind.SUBMITTED, ReportKind.UNRESOLVED)])
    inquiry = Inquiry(Lists((row("1", price=5000), other)), journal, stepped_clock, "later")
    for _ in range(60):
        inquiry.look(["a"])
        stepped_clock.sleep(2)
    assert journal.entry("a").state.unresolved


def test_a_placed_order_without_a_name_takes_its_row_before_an_unanswered_one(journal, stepped_clock):
    first = Intent(order("first"), "login", "first", 0, frozenset())
    journal.claim(first, "run", this_process())
    journal.append([ExecutionReport("first", "run", k, AT) for k in (ReportKind.SUBMITTED, ReportKind.ACCEPTED)])
    unresolved(journal, "second")
    inquiry = Inquiry(Lists((row("9"),)), journal, stepped_clock, "later")
    (second,) = inquiry.look(["second"])
    assert second.state.unresolved
    assert journal.entry("first").state.venue_order_id == "9"


def test_of_two_alike_rows_the_one_made_after_our_sending_is_ours():
    older = row("8", at=AT - timedelta(seconds=40))
    assert find(entry(), [older, row("9")], frozenset()).venue_order_id == "9"


def test_the_open_orders_prove_presence(journal, stepped_clock):
    unresolved(journal)
    lists = Lists(())
    lists.open_orders = lambda: (row("9"),)
    (found,) = Inquiry(lists, journal, stepped_clock, "later").look(["a"])
    assert found.state.venue_order_id == "9"


def test_what_another_process_wrote_meanwhile_stands(journal, stepped_clock):
    unresolved(journal)

    class Slow(Lists):
        def orders(self, day):
            rejected = ExecutionReport("a", "other", ReportKind.REJECTED, AT, reason="absent")
            journal.append([rejected])
            return super().orders(day)

    (now,) = Inquiry(Slow((row("9"),)), journal, stepped_clock, "later").look(["a"])
    assert now.state.status is OrderStatus.REJECTED


def test_recovery_judges_what_a_process_left_behind(journal, stepped_clock):
    for name, bell_ns in (("before", 2**62), ("after", 1)):
        journal.claim(Intent(order(name), "login", name, bell_ns, None), "run", this_process())
    assert recover(journal, stepped_clock, "later") == ()
    left = recover(journal, stepped_clock, "later", ended=this_process())
    assert [e.intent.order.client_order_id for e in left] == ["after"]
    assert journal.entry("before").state.status is OrderStatus.DENIED
    assert journal.entry("after").state.outcome is OrderOutcome.UNRESOLVED


def test_two_orders_asked_in_one_look_do_not_take_the_same_row(journal, stepped_clock):
    unresolved(journal, "a")
    unresolved(journal, "b")
    inquiry = Inquiry(Lists((row("9"),)), journal, stepped_clock, "later")
    states = [e.state for e in inquiry.look(["a", "b"])]
    assert sorted(s.outcome.value for s in states) == ["accepted", "unresolved"]
