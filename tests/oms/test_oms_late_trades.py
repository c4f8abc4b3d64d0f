"""Trades that a list tells only after it has told of their order's end: counted, and a person told of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import JournalError, NoAnswer, Refused
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderRole
from firstbell.oms.orders import blotter
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.reconcile import Reconciler
from firstbell.simulator.rules import Reason

D = Decimal
S = OrderStatus


class LateList:
    """The broker's lists, which do not show the trades of some orders until they are told to."""

    def __init__(self, desk):
        self.hidden = set()
        self.asked = 0
        self._listed = desk.broker.orders
        self._told = desk.broker.fills
        desk.broker.orders = self.orders
        desk.broker.fills = self.fills

    def orders(self, day):
        self.asked += 1
        return tuple(
            replace(row, filled_qty=D(0)) if row.venue_order_id in self.hidden else row for row in self._listed(day)
        )

    def fills(self, day):
        return tuple(fill for fill in self._told(day) if fill.venue_order_id not in self.hidden)


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


@pytest.fixture
def late(desk):
    return LateList(desk)


def state(desk, name):
    return desk.journal.entry(name).state


def traded_and_canceled(desk, late, **terms):
    """An order that traded 400 and was canceled, as a list that shows no trades yet tells it; its name."""
    response = desk.manager.place(request(**{"price": 4862, **terms}))
    return canceled(desk, late, response)


def canceled(desk, late, response):
    late.hidden.add(response.venue_order_id)
    desk.trade(response_price(desk, response), 400)
    with suppress(Refused):
        desk.manager.cancel(response.order_id)
    now = state(desk, response.order_id)
    assert (now.status, now.filled_qty) == (S.CANCELED, 0)
    return response.order_id


def response_price(desk, response):
    return state(desk, response.order_id).price


def test_a_trade_that_shows_up_after_the_cancel_is_counted_at_its_price_once(desk, late):
    name = traded_and_canceled(desk, late)
    desk.rounds()
    late.hidden.clear()
    desk.rounds()
    now = state(desk, name)
    assert (now.status, now.filled_qty, now.avg_px) == (S.CANCELED, 400, 4862)
    assert desk.interventions == []
    count = len(desk.journal.reports(name))
    assert sum(report.cum_qty == 400 for report in desk.journal.reports(name)) == 1
    desk.rounds(3)
    assert len(desk.journal.reports(name)) == count
    assert desk.manager.track(name).filled_qty == 400


def test_all_of_it_traded_before_the_cancel(desk, late):
    response = desk.manager.place(request(quantity=400, price=4862))
    name = canceled(desk, late, response)
    late.hidden.clear()
    desk.rounds()
    assert (state(desk, name).status, state(desk, name).filled_qty) == (S.FILLED, 400)


def test_the_list_is_read_for_as_long_as_lists_lag_and_then_only_for_what_is_open(desk, late):
    name = traded_and_canceled(desk, late)
    desk.rounds(60)
    asked = late.asked
    desk.rounds(5)
    assert late.asked == asked
    late.hidden.clear()
    desk.manager.place(request(price=4852, quantity=10))
    desk.rounds()
    assert state(desk, name).filled_qty == 400


def test_it_is_counted_after_a_restart(desk, late):
    name = traded_and_canceled(desk, late)
    desk.open()
    desk.rounds()
    assert state(desk, name).filled_qty == 400


def test_one_that_the_blotter_has_forgotten_is_found_in_the_journal_and_asked_for_once_a_sum(desk, late, monkeypatch):
    monkeypatch.setattr(blotter, "_REMEMBERED", 0)
    name = traded_and_canceled(desk, late)
    # Whatever is new lets go of what is done.
    other = desk.manager.place(request(price=4852, quantity=10)).order_id
    asked, entries = [], desk.journal.entries
    desk.journal.entries = lambda **which: asked.append(which) or entries(**which)
    desk.rounds(2)
    assert asked == []
    late.hidden.clear()
    desk.rounds(1)
    assert (state(desk, name).filled_qty, state(desk, other).status) == (400, S.ACCEPTED)
    count = len(asked)
    assert count
    desk.rounds(5)
    assert len(asked) == count


def test_what_a_stranger_has_traded_is_looked_up_once(desk):
    order = replace(desk.manager.entry(desk.manager.place(request(price=4852)).order_id).intent.order, price=D(4862))
    desk.broker.submit(replace(order, client_order_id="by hand"))
    desk.trade(4862, 400)
    asked, entries = [], desk.journal.entries
    desk.journal.entries = lambda **which: asked.append(which) or entries(**which)
    desk.rounds(1)
    count = len(asked)
    assert count
    desk.rounds(5)
    assert len(asked) == count


def test_what_had_traded_before_it_was_forgotten_is_not_looked_up(desk, monkeypatch):
    monkeypatch.setattr(blotter, "_REMEMBERED", 0)
    desk.manager.place(request(price=4862, quantity=10))
    desk.trade(4862, 10)
    desk.rounds(3)
    desk.manager.place(request(price=4852, quantity=10))
    asked, entries = [], desk.journal.entries
    desk.journal.entries = lambda **which: asked.append(which) or entries(**which)
    desk.rounds(3)
    assert asked == []


def bracket(desk):
    entry = request(quantity=1000, price=4862, key="b")
    return desk.manager.place_bracket(BracketRequest(entry=entry, take_profit=4950, stop_loss=4800))


def test_of_a_bracket_whose_exits_were_withdrawn_a_person_is_told(desk, late):
    entry, profit, stop = bracket(desk)
    canceled(desk, late, entry)
    desk.rounds()
    assert {state(desk, leg.order_id).status for leg in (profit, stop)} == {S.DENIED}
    late.hidden.clear()
    desk.rounds(5)
    ((name, why),) = desk.interventions
    assert (name, state(desk, name).filled_qty) == (entry.order_id, 400)
    assert "it is CANCELED" in why
    assert "400 shares are unprotected" in why


def test_that_is_told_in_the_next_round_where_the_journal_cannot_be_read_just_then(desk, late):
    entry, _, _ = bracket(desk)
    canceled(desk, late, entry)
    desk.rounds()
    late.hidden.clear()
    entries, failed = desk.journal.entries, []

    def once(**which):
        if state(desk, entry.order_id).filled_qty and not failed:
            failed.append(which)
            raise JournalError("the connection is gone")
        return entries(**which)

    desk.journal.entries = once
    with pytest.raises(JournalError):
        desk.rounds(5)
    assert (failed != [], desk.interventions) == (True, [])
    desk.rounds(3)
    ((_, why),) = desk.interventions
    assert "400 shares are unprotected" in why


def test_exits_that_are_there_still_protect_what_shows_up_late_and_nobody_is_told(desk, late):
    entry, profit, _stop = bracket(desk)
    desk.trade(4862, 300)
    desk.rounds()
    serial = entry.venue_order_id
    desk.trade(4862, 400)
    listed = late._listed
    late._listed = lambda day: tuple(
        replace(row, filled_qty=D(300)) if row.venue_order_id == serial else row for row in listed(day)
    )
    desk.manager.cancel(entry.order_id)
    assert (state(desk, entry.order_id).status, state(desk, entry.order_id).filled_qty) == (S.CANCELED, 300)
    late._listed = listed
    desk.rounds(2)
    assert state(desk, entry.order_id).filled_qty == 700
    assert state(desk, profit.order_id).quantity == 700
    assert desk.interventions == []


def test_what_went_on_for_a_refused_entry_counts_as_what_the_entry_has_bought(desk, late):
    desk.refuse(Reason.NOT_ENOUGH_MONEY, only=1)
    entry, *_ = bracket(desk)
    (child,) = entry.children
    desk.refuse(None)
    canceled(desk, late, child)
    desk.rounds()
    late.hidden.clear()
    desk.rounds(5)
    ((name, why),) = desk.interventions
    assert (name, state(desk, name).filled_qty) == (child.order_id, 400)
    assert "400 shares are unprotected" in why


def test_what_shows_up_late_after_an_exit_has_traded_in_full_gets_a_further_one_and_nobody_is_told(desk, late):
    entry, _profit, _stop = bracket(desk)
    desk.trade(4862, 400)
    desk.rounds(2)
    serial, listed = entry.venue_order_id, late._listed
    desk.trade(4862, 300)
    late._listed = lambda day: tuple(
        replace(row, filled_qty=D(400)) if row.venue_order_id == serial else row for row in listed(day)
    )
    desk.manager.cancel(entry.order_id)
    desk.trade(4950, 10_000 + 400)
    desk.rounds(2)
    late._listed = listed
    desk.rounds(3)
    assert state(desk, entry.order_id).filled_qty == 700
    assert desk.interventions == []
    assert {each.intent.order.role: each.state.quantity for each in desk.manager.orders()} == {
        OrderRole.TAKE_PROFIT: 300,
        OrderRole.STOP_LOSS: 300,
    }


def test_of_a_group_of_entries_a_person_is_told_when_a_second_one_turns_out_to_have_traded(desk, late):
    one, two = desk.manager.place_oco(OcoRequest(orders=(request(price=4861), request(price=4863))))
    late.hidden.add(two.venue_order_id)
    desk.trade(4863, 200)
    desk.trade(4861, 1200)
    desk.rounds(2)
    assert (state(desk, two.order_id).status, state(desk, two.order_id).filled_qty) == (S.CANCELED, 0)
    late.hidden.clear()
    desk.rounds()
    told = dict(desk.interventions)
    assert "more than they were to" in told[two.order_id]
    assert one.order_id not in told


def reconciler(desk, *, late=True):
    return Reconciler({desk.journal.entries()[0].intent.login: desk.broker}, desk.journal, desk.clock, "r", late=late)


def test_reconciling_counts_it_too_and_says_what_is_unprotected(desk, late):
    entry, _profit, _stop = bracket(desk)
    canceled(desk, late, entry)
    desk.rounds()
    assert reconciler(desk).look().looked == ()
    late.hidden.clear()
    assert reconciler(desk, late=False).look().looked == ()
    assert state(desk, entry.order_id).filled_qty == 0
    result = reconciler(desk).look()
    assert result.looked == (entry.order_id,)
    assert "400 shares are unprotected" in result.to_look_at[entry.order_id]
    now = state(desk, entry.order_id)
    assert (now.status, now.filled_qty) == (S.CANCELED, 400)
    assert now.reason == "it was CANCELED when the broker's list told of these trades"
    assert reconciler(desk).look().looked == ()


def test_a_list_that_cannot_be_read_for_late_trades_is_said(desk, late):
    name = traded_and_canceled(desk, late)

    def silent(_day):
        raise NoAnswer("silence")

    desk.broker.orders = silent
    result = reconciler(desk).look()
    assert list(result.unreachable.values()) == ["silence"]
    assert state(desk, name).filled_qty == 0


def test_reconciling_leaves_alone_what_was_taken_off_on_another_day(desk, late):
    traded_and_canceled(desk, late)
    late.hidden.clear()
    desk.clock.sleep(24 * 3600)
    asked = late.asked
    assert reconciler(desk).look().looked == ()
    assert late.asked == asked
