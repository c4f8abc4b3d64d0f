"""A round of watching: what the lists say is written down once, and nothing is counted that may be a sum."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import NoAnswer
from firstbell.model.order_status import OrderStatus
from firstbell.model.report import Fill

D = Decimal
S = OrderStatus


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


def reports(desk, name):
    return [report.kind.value for report in desk.journal.reports(name)]


def test_a_list_that_says_nothing_new_writes_nothing(desk):
    name = desk.manager.place(request()).order_id
    before = reports(desk, name)
    desk.rounds(5)
    assert reports(desk, name) == before


def unnamed(desk, sums):
    """Have the broker list growing sums, each under a name of its own, as some do."""

    def fills(_day):
        (row,) = (each for each in desk.at_venue())
        rows = PAPER(_day)
        if not rows:
            return ()
        total = sums()
        fill = Fill(f"sum-{total}", total, D(4860))
        return (replace(rows[0], fill=fill, venue_order_id=row.venue_order_id, named=False),)

    PAPER = desk.broker.fills  # noqa: N806 - what it was
    desk.broker.fills = fills


def test_sums_without_a_name_count_once_and_only_when_the_order_is_done(desk):
    name = desk.manager.place(request()).order_id
    unnamed(desk, lambda: desk.at_venue()[0].filled_qty)
    desk.trade(4860, 400)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.priced_qty) == (400, 0)
    desk.trade(4860, 600)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty, state.priced_qty, state.avg_px) == (S.FILLED, 1000, 1000, 4860)


def test_trades_that_come_after_their_order_is_done_are_asked_for_a_while(desk):
    name = desk.manager.place(request()).order_id
    told = desk.broker.fills
    desk.broker.fills = lambda _day: ()
    desk.trade(4860, 1000)
    desk.rounds(3)
    assert desk.manager.entry(name).state.avg_px is None
    desk.broker.fills = told
    desk.rounds()
    assert desk.manager.entry(name).state.avg_px == 4860


def test_a_change_that_nobody_answered_is_read_from_the_list(desk):
    name = desk.manager.place(request()).order_id
    change = desk.broker.replace

    def heard(*args):
        change(*args)
        raise NoAnswer("silence")

    desk.broker.replace = heard
    desk.manager.replace(name, price=D(4850))
    state = desk.manager.entry(name).state
    assert (state.status, state.price) == (S.ACCEPTED, 4850)


def test_a_change_that_was_never_heard_is_given_up_after_a_while(desk):
    name = desk.manager.place(request()).order_id

    def lost(*_args):
        raise NoAnswer("silence")

    desk.broker.replace = lost
    desk.manager.replace(name, price=D(4850))
    assert desk.manager.entry(name).state.status is S.PENDING_REPLACE
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.PENDING_REPLACE
    desk.rounds(5)
    state = desk.manager.entry(name).state
    assert (state.status, state.price) == (S.ACCEPTED, 4860)
    assert "its old terms" in state.reason


def test_a_cancel_that_was_never_heard_can_be_asked_for_again(desk):
    name = desk.manager.place(request()).order_id
    cancel = desk.broker.cancel

    def lost(_name):
        raise NoAnswer("silence")

    desk.broker.cancel = lost
    desk.manager.cancel(name)
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.PENDING_CANCEL
    desk.rounds(5)
    assert desk.manager.entry(name).state.status is S.ACCEPTED
    desk.broker.cancel = cancel
    assert desk.manager.cancel(name).status is S.CANCELED
