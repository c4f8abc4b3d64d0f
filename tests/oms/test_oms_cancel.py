"""Canceling: asked for once, written down before, and believed only of the broker's list."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.brokers.base import VenueOrder
from firstbell.errors import CaptchaError, NoAnswer, NotSent, Refused, RunError
from firstbell.journal.base import Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.log import hide
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.cancel import cancel, why_not_canceled
from firstbell.oms.lists import ASKED_AGAIN, reason_of

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)
ORDER = Order("a", "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), DAY)


def row(*, working=True, filled=0):
    return VenueOrder(
        "7", ORDER.instrument, Side.BUY, ORDER.price, ORDER.quantity, Decimal(filled),
        working=working, refused=False, created_at=AT, status="9",
    )  # fmt: skip


class Book:
    """A broker that holds one order, and what it was asked, in order; `journal` is looked at when it is asked."""

    def __init__(self, journal, answer=None, *, list_error=None):
        self.journal = journal
        self.answer = answer
        self.list_error = list_error
        self.asked = []
        self.row = row()

    def login(self):
        self.asked.append("login")

    def cancel(self, name):
        self.asked.append((name, self.journal.entry("a").state.status))
        if self.answer is not None:
            raise self.answer
        self.row = row(working=False, filled=30)

    def orders(self, day):
        assert day == DAY
        if self.list_error is not None:
            raise self.list_error
        return (self.row,)

    def open_orders(self):
        return ()


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


def placed(journal, *kinds, name="7"):
    journal.claim(Intent(ORDER, "login", "a", 0, frozenset()), "run", this_process())
    for kind in kinds:
        venue = name if kind is ReportKind.ACCEPTED else None
        journal.append([ExecutionReport("a", "run", kind, AT, venue_order_id=venue)])
    return journal.entry("a")


ACCEPTED = (ReportKind.SUBMITTED, ReportKind.ACCEPTED)


def test_it_is_written_down_before_it_is_asked_and_ends_as_the_list_says(journal, stepped_clock):
    entry = placed(journal, *ACCEPTED)
    book = Book(journal)
    ended = cancel(entry, book, journal, stepped_clock, "later")
    assert book.asked == ["login", ("7", OrderStatus.PENDING_CANCEL)]
    assert (ended.state.status, ended.state.filled_qty) == (OrderStatus.CANCELED, 30)
    assert ended.state.reason == "canceled, as asked"
    assert ended == journal.entry("a")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (ASKED_AGAIN, "canceled, as asked"),
        ("its time in force, gtd, is over", "canceled: its time in force, gtd, is over"),
    ],
)
def test_whoever_did_not_ask_for_it_is_told_why_it_was_canceled(asked, told):
    state = OrderState(ORDER, OrderStatus.PENDING_CANCEL, reason=asked)
    assert reason_of(ReportKind.CANCELED, row(working=False), state) == told


def test_a_broker_that_says_no_leaves_the_order_as_it_was(journal, stepped_clock):
    entry = placed(journal, *ACCEPTED)
    hide("s3cret-token")
    with pytest.raises(Refused):
        cancel(entry, Book(journal, Refused("not now s3cret-token")), journal, stepped_clock, "later")
    state = journal.entry("a").state
    assert state.status is OrderStatus.ACCEPTED
    assert state.reason.startswith("not now")
    assert "s3cret" not in state.reason


def test_after_a_no_the_list_tells_what_has_traded_meanwhile(journal, stepped_clock):
    entry = placed(journal, *ACCEPTED)
    book = Book(journal, Refused("it has traded"))
    book.row = row(working=False, filled=100)
    with pytest.raises(Refused):
        cancel(entry, book, journal, stepped_clock, "later")
    state = journal.entry("a").state
    assert (state.status, state.filled_qty) == (OrderStatus.FILLED, 100)


@pytest.mark.parametrize("error", [NotSent("refused"), CaptchaError("none")])
def test_a_request_that_did_not_leave_leaves_the_order_as_it_was(journal, stepped_clock, error):
    entry = placed(journal, *ACCEPTED)
    with pytest.raises(type(error)):
        cancel(entry, Book(journal, error), journal, stepped_clock, "later")
    state = journal.entry("a").state
    assert (state.status, state.reason) == (OrderStatus.ACCEPTED, "the request did not leave")


@pytest.mark.parametrize("error", [Refused("1502"), NotSent("refused"), CaptchaError("none")])
def test_whatever_stands_against_a_second_cancel_the_first_one_may_have_been_made(journal, stepped_clock, error):
    entry = placed(journal, *ACCEPTED, ReportKind.PENDING_CANCEL)
    with pytest.raises(type(error)):
        cancel(entry, Book(journal, error), journal, stepped_clock, "later")
    assert journal.entry("a").state.status is OrderStatus.PENDING_CANCEL
    words = why_not_canceled(OrderStatus.PENDING_CANCEL, str(error))
    assert "it is not known yet what became of it" in words
    assert words.endswith(f"asked again: {error}")


def test_an_unanswered_request_stays_pending_while_the_list_shows_it_at_work(journal, stepped_clock, caplog):
    entry = placed(journal, *ACCEPTED)
    with caplog.at_level(logging.WARNING):
        ended = cancel(entry, Book(journal, NoAnswer("cut")), journal, stepped_clock, "later")
    assert ended.state.status is OrderStatus.PENDING_CANCEL
    assert "the cancel got no answer" in caplog.text


def test_whoever_is_being_ended_waits_for_no_list(journal, stepped_clock):
    entry, book = placed(journal, *ACCEPTED), Book(journal, NoAnswer("cut"), list_error=AssertionError("it is asked"))
    ended = cancel(entry, book, journal, stepped_clock, "later", is_ending=lambda: True)
    assert ended.state.status is OrderStatus.PENDING_CANCEL


def test_a_list_that_cannot_be_read_leaves_it_pending(journal, stepped_clock):
    entry = placed(journal, *ACCEPTED)
    ended = cancel(entry, Book(journal, list_error=NoAnswer("down")), journal, stepped_clock, "later")
    assert ended.state.status is OrderStatus.PENDING_CANCEL


@pytest.mark.parametrize(
    ("kinds", "name", "words"),
    [
        ((*ACCEPTED, ReportKind.FILLED), "7", "a is FILLED: there is nothing to cancel"),
        ((ReportKind.SUBMITTED,), "7", "a is SUBMITTED: there is nothing to cancel"),
        (ACCEPTED, None, "no id of the broker's yet: run `firstbell orders reconcile` first"),
    ],
)
def test_what_cannot_be_canceled_is_not_asked_for(journal, stepped_clock, kinds, name, words):
    entry = placed(journal, *kinds, name=name)
    book = Book(journal)
    with pytest.raises(RunError, match=words):
        cancel(entry, book, journal, stepped_clock, "later")
    assert book.asked == []
    assert journal.entry("a") == entry
