"""Asking a broker's lists: whose row is whose, to the second, and what is written of what they say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.brokers.base import VenueOrder
from firstbell.errors import CaptchaError, NoAnswer
from firstbell.journal.base import Entry, Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.inquiry import Inquiry, needs_asking
from firstbell.oms.lists import CLOCK_SLACK, Absence, find, in_the_way, names_taken, reading

S = 1_000_000_000
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)
SENT = (ReportKind.SUBMITTED, ReportKind.UNRESOLVED)
PLACED = (ReportKind.SUBMITTED, ReportKind.ACCEPTED)
SECOND = timedelta(seconds=1)


def order(name="a", day=DAY):
    return Order(name, "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), day)


def attempt(sent_at):
    return Attempt(1, sent_at, None, None, None, None, None, None, AttemptOutcome.UNRESOLVED)


def entry(name="a", *, known=frozenset({"1"}), venue=None, sent=(), status=OrderStatus.SUBMITTED):
    state = OrderState(order(name), status, venue_order_id=venue, attempts=tuple(attempt(at) for at in sent))
    return Entry(Intent(order(name), "login", name, 0, known), state, "run", this_process(), AT)


def row(
    venue="7",
    *,
    price=5860,
    filled=0,
    working=True,
    refused=False,
    at=AT,
    side=Side.BUY,
    isin="IRO1MHRN0001",
    ours=None,
):
    return VenueOrder(
        venue, isin, side, Decimal(price), Decimal(100), Decimal(filled),
        working=working, refused=refused, created_at=at, status="2", client_order_id=ours,
    )  # fmt: skip


class Lists:
    """One login's broker, whose two lists can be set, and who is asked which."""

    def __init__(self, rows=(), working=()):
        self.rows = rows
        self.working = working
        self.asked = []

    def _say(self, name, answer):
        self.asked.append(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def orders(self, day):
        assert day == DAY
        return self._say("day", self.rows)

    def open_orders(self):
        return self._say("open", self.working)


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


@pytest.fixture
def ask(journal, stepped_clock):
    def ask_(lists):
        return Inquiry(lists, journal, stepped_clock, "later")

    return ask_


def ordered(journal, name, *kinds, known=frozenset({"1"}), login="login", day=DAY, venue=None):
    journal.claim(Intent(order(name, day), login, name, 0, known), "run", this_process())
    for kind in kinds:
        named = venue if kind is ReportKind.ACCEPTED else None
        journal.append([ExecutionReport(name, "run", kind, AT, venue_order_id=named)])


def state(journal, name="a"):
    return journal.entry(name).state


# Which row is which order


def test_our_own_name_is_enough_whatever_else_has_changed():
    assert find(entry(), [row("8"), row("7", price=1, ours="a")], frozenset({"7"})).venue_order_id == "7"


@pytest.mark.parametrize(("early", "found"), [(CLOCK_SLACK, True), (CLOCK_SLACK + SECOND, False)])
def test_without_a_list_from_before_a_row_is_at_most_five_seconds_older(early, found):
    assert timedelta(seconds=5) == CLOCK_SLACK
    assert (find(entry(known=None), [row(at=AT - early)], frozenset()) is not None) is found


def test_the_first_attempt_tells_when_it_can_have_left_and_else_the_claim():
    late = AT + timedelta(minutes=5)
    attempts = (None, late, late + timedelta(minutes=5))
    assert find(entry(known=None, sent=attempts), [row(at=late)], frozenset()) is not None
    assert find(entry(known=None, sent=attempts), [row(at=late - 6 * SECOND)], frozenset()) is None
    assert find(entry(known=None, sent=(None,)), [row(at=AT)], frozenset()) is not None


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        # Of those made after our sending, the first; one made before it only where there is no other.
        ([row("9", at=AT + 2 * SECOND), row("8", at=AT + SECOND), row("7", at=AT - 9 * SECOND)], "8"),
        ([row("9", at=None), row("7", at=AT - 9 * SECOND)], "7"),
        ([row("8", at=AT - 5 * SECOND), row("7", at=AT - 6 * SECOND)], "8"),
        ([row("9", at=None)], "9"),
    ],
)
def test_of_several_alike_the_likeliest(rows, chosen):
    assert find(entry(), rows, frozenset()).venue_order_id == chosen


@pytest.mark.parametrize(
    ("line", "stands"),
    [
        (row("9"), True),
        (row("9", price=1), True),
        (row("1"), False),
        (row("5"), False),
        (row("9", refused=True), False),
        (row("9", side=Side.SELL), False),
        (row("9", isin="IRO1BORS0001"), False),
    ],
)
def test_what_stands_in_the_way_of_an_orders_absence(line, stands):
    assert (in_the_way(entry(), [line], frozenset({"5"})) is not None) is stands
    assert in_the_way(entry(known=None), [row("1")], frozenset()) is not None


def test_the_names_of_the_others():
    entries = [entry("a", venue="5"), entry("b", venue="6"), entry("c")]
    assert names_taken(entries, entries[0]) == {"6"}
    assert names_taken(entries, entries[2]) == {"5", "6"}


@pytest.mark.parametrize(("filled", "kind"), [(1, ReportKind.PARTIALLY_FILLED), (0, ReportKind.ACCEPTED)])
def test_a_single_share_is_a_trade(filled, kind):
    assert reading(row(filled=filled), OrderState(order(), OrderStatus.SUBMITTED)) is kind


def test_an_order_of_a_single_share_is_filled_by_it():
    line = VenueOrder(
        "7", "IRO1MHRN0001", Side.BUY, Decimal(1), Decimal(1), Decimal(1),
        working=False, refused=False, created_at=AT, status="2",
    )  # fmt: skip
    assert reading(line, OrderState(order(), OrderStatus.SUBMITTED)) is ReportKind.FILLED


def test_only_what_nobody_answered_needs_asking():
    assert not needs_asking(entry())
    asked = OrderState(order(), OrderStatus.SUBMITTED, unresolved=True)
    assert needs_asking(Entry(entry().intent, asked, "run", this_process(), AT))


def test_absence_counts_from_its_first_look():
    absence = Absence()
    absence.missed(5)
    absence.missed(7)
    assert (absence.misses, absence.first_ns) == (2, 5)


# Looking, and writing down


def test_nothing_is_asked_for_nothing(ask):
    lists = Lists()
    assert ask(lists).look([]) == ()
    assert ask(lists).look(["unknown"]) == ()
    assert lists.asked == []


@pytest.mark.parametrize("error", [NoAnswer("down"), CaptchaError("none")])
def test_a_list_that_cannot_be_read_is_no_look(journal, ask, error):
    ordered(journal, "a", *SENT)
    before = journal.entry("a")
    assert ask(Lists(error)).look(["a"]) == (before,)


@pytest.mark.parametrize("error", [NoAnswer("down"), CaptchaError("none")])
def test_the_list_of_the_day_is_enough_where_the_open_orders_fail(journal, ask, error):
    ordered(journal, "a", *SENT)
    ordered(journal, "b", *PLACED, venue="8")
    lists = Lists((row("9"),), error)
    ask(lists).look(["a", "b"])
    assert lists.asked == ["day", "open"]
    assert state(journal, "a").venue_order_id == "9"


def test_the_open_orders_are_asked_only_for_what_the_day_does_not_show(journal, ask):
    ordered(journal, "a", *SENT)
    lists = Lists((row("9"),))
    ask(lists).look(["a"])
    assert lists.asked == ["day"]


def test_the_open_orders_add_to_the_day_and_do_not_replace_it(journal, ask):
    """The day shows it half filled and not open any more; the open orders show another, and the same one staler."""
    ordered(journal, "a", *PLACED, venue="8")
    ordered(journal, "b", *PLACED, venue="9")
    stale = row("8")
    lists = Lists((row("8", filled=100, working=False),), (stale, row("9", filled=50)))
    ask(lists).look(["a", "b"])
    assert (state(journal, "a").status, state(journal, "b").filled_qty) == (OrderStatus.FILLED, 50)


def test_a_look_at_one_order_changes_no_other_that_has_a_name(journal, ask):
    ordered(journal, "a", *SENT)
    ordered(journal, "b", *PLACED, venue="8")
    inquiry = ask(Lists((row("8", filled=100, working=False), row("9"))))
    inquiry.look(["a"])
    assert state(journal, "b").status is OrderStatus.ACCEPTED
    assert inquiry.seen == {"a"}


@pytest.mark.parametrize(("login", "day"), [("another", DAY), ("login", DAY - timedelta(days=1))])
def test_only_orders_of_the_same_login_and_day_have_a_claim_to_a_row(journal, ask, login, day):
    ordered(journal, "other", *PLACED, login=login, day=day, venue="9")
    ordered(journal, "a", *SENT)
    ask(Lists((row("9"),))).look(["a"])
    assert state(journal).venue_order_id == "9"


@pytest.mark.parametrize(
    ("kinds", "line", "status", "reason", "filled"),
    [
        (SENT, row("9", ours="a", refused=True), "REJECTED", "rejected, says the broker's list (its state 2)", 0),
        (SENT, row("9", working=False), "CANCELED", "canceled, says the broker's list (its state 2)", 0),
        (SENT, row("9", filled=1), "PARTIALLY_FILLED", None, 1),
        (SENT, row("9", filled=100), "FILLED", None, 100),
        (SENT, row("9"), "ACCEPTED", None, 0),
        (
            (*PLACED, ReportKind.PENDING_CANCEL),
            row("9", working=False, filled=3),
            "CANCELED",
            "canceled, as asked",
            3,
        ),
        (
            (*PLACED, ReportKind.PENDING_CANCEL),
            row("9", filled=100, working=False),
            "FILLED",
            None,
            100,
        ),
    ],
)
def test_what_is_written_of_a_row(journal, ask, kinds, line, status, reason, filled):
    ordered(journal, "a", *kinds, venue="9")
    (now,) = ask(Lists((line,))).look(["a"])
    assert (now.state.status, now.state.reason, now.state.filled_qty) == (status, reason, filled)
    assert now.state.venue_order_id == "9"


def test_nothing_new_is_not_written_and_nothing_traded_is_not_a_sum(journal, ask):
    ordered(journal, "a", *PLACED, venue="9")
    written = []
    journal.subscribe(lambda report, _: written.append(report))
    ask(Lists((row("9"),))).look(["a"])
    assert written == []
    ordered(journal, "b", *SENT)
    written.clear()
    ask(Lists((row("8", at=AT),))).look(["b"])
    assert [(report.kind, report.cum_qty, report.run_id) for report in written] == [
        (ReportKind.ACCEPTED, None, "later")
    ]


def test_absence_is_said_with_its_looks_and_seconds(journal, ask, stepped_clock):
    stepped_clock.move_to(5 * S)
    ordered(journal, "a", *SENT)
    inquiry = ask(Lists())
    for _ in range(4):
        inquiry.look(["a"])
        stepped_clock.sleep(40)
    assert state(journal).reason == "absent from the broker's list of the day in 4 looks over 120 s"


def test_an_order_that_was_seen_begins_to_be_absent_anew(journal, ask, stepped_clock):
    """A list may lose it for a while: three misses before it was seen do not count."""
    ordered(journal, "a", *SENT)
    lists = Lists()
    inquiry = ask(lists)
    for _ in range(3):
        inquiry.look(["a"])
        stepped_clock.sleep(40)
    # It is there, and its row tells nothing that may be written: another process has just named it.
    lists.rows = (row("9", ours="a"),)
    journal_append, journal.append = journal.append, lambda _: None
    inquiry.look(["a"])
    journal.append = journal_append
    lists.rows = ()
    inquiry.look(["a"])
    assert state(journal).unresolved


def test_what_was_accepted_and_is_not_there_stays_accepted(journal, ask, stepped_clock, caplog):
    ordered(journal, "a", *PLACED, venue="9")
    inquiry = ask(Lists())
    for _ in range(5):
        inquiry.look(["a"])
        stepped_clock.sleep(40)
    assert state(journal).status is OrderStatus.ACCEPTED
    assert "a was accepted and is not in the list of the day" in caplog.text


def test_what_waits_for_its_bell_is_never_absent(journal, ask, stepped_clock, caplog):
    ordered(journal, "a")
    inquiry = ask(Lists())
    for _ in range(5):
        inquiry.look(["a"])
        stepped_clock.sleep(40)
    assert state(journal).status is OrderStatus.INITIALIZED
    assert caplog.text == ""
