"""Exits that end and leave shares behind: a person is told, whoever sees the end, and on whatever day."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.errors import JournalError, NoAnswer
from firstbell.market.always_open import always_open
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.oms.reconcile import Reconciler
from firstbell.simulator.rules import Reason

D = Decimal
S = OrderStatus
CALENDAR = always_open(market="XTEH")
NEAR = FallbackConfig(max_price_adjustment=D("0.002"))
"""Stops leave as limits close to the market, and may rest there."""
WITHOUT_EXIT = "it has ended, and 10 shares are held without an exit"
WITH_A_REST = "its price had come, and it is CANCELED with 10 that have not traded: nothing goes on for them"


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock, fallback=NEAR)
    made.quote(4960, 4965)
    made.trade(4965, 10)
    yield made
    made.close()


def protected(desk, *, alone):
    """Ten that were bought, and a stop for them that is held back: one by itself, or a bracket's; its name."""
    entry = request(price=4965, quantity=10)
    if alone:
        desk.manager.place(entry)
        stop = request(side="sell", order_type="stop", price=None, trigger_price=4940, quantity=10, role="stop_loss")
        name = desk.manager.place(stop).order_id
    else:
        name = desk.manager.place_bracket(BracketRequest(entry=entry, stop_loss=4940))[-1].order_id
    desk.rounds(2)
    return name


def silent(_send, prepared, *, timeout_s):
    """A broker that never hears an order, and says nothing."""
    del prepared, timeout_s
    raise NoAnswer("silence")


def resting_stop(desk, *, alone):
    """Ten that were bought, and what protects them: a stop that was let go and rests at the broker; its name."""
    name = protected(desk, alone=alone)
    # The market falls, and is gone before the stop has come.
    desk.trade(4939, 10)
    desk.quote(4900, 4905, bid_quantity=D(1))
    desk.rounds(2)
    assert (desk.journal.entry(name).state.status, desk.held()) == (S.ACCEPTED, 10)
    return name


def ended_by_the_exchange(desk, name):
    desk.broker.cancel(desk.journal.entry(name).state.venue_order_id)


def reconciled(desk, name):
    login = desk.journal.entry(name).intent.login
    return Reconciler({login: desk.broker}, desk.journal, desk.clock, "me", calendar=CALENDAR).look().to_look_at


@pytest.mark.parametrize("days", [0, 1])
@pytest.mark.parametrize(("alone", "why"), [(True, WITH_A_REST), (False, WITHOUT_EXIT)])
def test_who_begins_after_it_has_ended_tells_of_it(desk, alone, why, days):
    name = resting_stop(desk, alone=alone)
    ended_by_the_exchange(desk, name)
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.clock.sleep(days * 24 * 3600)
    desk.rounds(3)
    assert desk.interventions == [(name, why)]


@pytest.mark.parametrize("days", [0, 1])
@pytest.mark.parametrize(("alone", "why"), [(True, WITH_A_REST), (False, WITHOUT_EXIT)])
def test_reconciling_says_it_and_so_does_who_begins_later_on_that_day(desk, alone, why, days):
    name = resting_stop(desk, alone=alone)
    if days:
        # The exchange ends it with its day.
        desk.clock.sleep(days * 24 * 3600)
    else:
        ended_by_the_exchange(desk, name)
    assert reconciled(desk, name) == {name: why}
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.rounds(3)
    assert desk.interventions == [(name, why)]
    # On the day after it is news no more.
    desk.clock.sleep(24 * 3600)
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.rounds(3)
    assert desk.interventions == []


@pytest.mark.parametrize("alone", [True, False])
def test_reconciling_says_nothing_where_it_has_traded_or_works_on(desk, alone):
    name = resting_stop(desk, alone=alone)
    assert reconciled(desk, name) == {}
    desk.quote(4940, 4945, bid_quantity=D(100_000))
    assert reconciled(desk, name) == {}
    assert desk.journal.entry(name).state.status is S.FILLED


def test_of_one_whose_end_was_asked_for_nobody_is_told(desk):
    name = resting_stop(desk, alone=True)
    assert desk.manager.cancel(name).is_success
    desk.rounds(3)
    desk.reopened(fallback=NEAR)
    desk.rounds(3)
    assert desk.interventions == []
    assert [each.kind for each in desk.journal.reports(name)][-1] is ReportKind.CANCELED


@pytest.mark.parametrize("asked", [True, False])
def test_when_the_profit_ends_too_it_is_told_whatever_was_said_of_the_stop(desk, asked):
    entry = request(price=4965, quantity=10)
    _, profit, stop = desk.manager.place_bracket(BracketRequest(entry=entry, take_profit=5000, stop_loss=4940))
    # Before the profit has come to its broker the stop's price has, and is gone again.
    desk.trade(4939, 10)
    desk.quote(4900, 4905, bid_quantity=D(1))
    desk.rounds(2)
    assert desk.manager.track(stop.order_id).status is S.ACCEPTED
    if asked:
        assert desk.manager.cancel(stop.order_id).is_success
    else:
        ended_by_the_exchange(desk, stop.order_id)
    desk.rounds(3)
    first = [] if asked else [(stop.order_id, "it has ended, and 10 shares are held without a stop")]
    assert desk.interventions == first
    ended_by_the_exchange(desk, profit.order_id)
    desk.rounds(3)
    assert desk.interventions == [*first, (profit.order_id, WITHOUT_EXIT)]


@pytest.mark.parametrize("asked", [("take_profit", "stop_loss"), ("stop_loss",)])
def test_where_all_ends_were_asked_for_nobody_is_told_and_where_one_was_not_he_is(desk, asked):
    entry = request(price=4965, quantity=10)
    _, profit, stop = desk.manager.place_bracket(BracketRequest(entry=entry, take_profit=5000, stop_loss=4940))
    desk.rounds(2)
    for each in (profit, stop):
        if desk.manager.entry(each.order_id).intent.order.role.value in asked:
            assert desk.manager.cancel(each.order_id).is_success
    desk.rounds(2)
    if "take_profit" not in asked:
        ended_by_the_exchange(desk, profit.order_id)
    told = [] if "take_profit" in asked else [(profit.order_id, WITHOUT_EXIT)]
    desk.rounds(3)
    assert desk.interventions == told
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.rounds(3)
    assert desk.interventions == told


def test_a_profit_that_was_let_go_gives_way_to_the_stop_whose_price_comes(desk):
    desk.manager.place(request(price=4965, quantity=10))
    desk.rounds()
    # Its price is there at once: it leaves, and rests at the broker with a part of it traded.
    profit = request(side="sell", price=4980, quantity=10, role="take_profit")
    stop = request(side="sell", order_type="stop", price=None, trigger_price=4940, quantity=10, role="stop_loss")
    desk.quote(4980, 4985, bid_quantity=D(4))
    desk.trade(4985, 1)
    profit, stop = desk.manager.place_oco(OcoRequest(orders=(profit, stop)))
    desk.rounds()
    first = desk.manager.track(profit.order_id)
    assert (first.status, first.filled_qty) == (S.PARTIALLY_FILLED, 4)
    assert desk.manager.entry(profit.order_id).state.triggered
    desk.quote(4930, 4935, bid_quantity=D(100_000))
    desk.trade(4935, 10)
    desk.rounds(4)
    assert desk.manager.track(profit.order_id).status is S.CANCELED
    assert [(each.quantity, each.instrument) for each in desk.broker.positions() if each.instrument == ISIN] == []
    assert desk.interventions == []


@pytest.mark.parametrize("alone", [True, False])
def test_what_its_broker_took_and_refused_later_is_told(desk, alone):
    name = resting_stop(desk, alone=alone)
    orders = desk.broker.orders
    mine = desk.journal.entry(name).state.venue_order_id
    # The paper broker refuses at once or never; an exchange may refuse what its broker has taken.
    desk.broker.orders = lambda day: tuple(
        replace(row, refused=True, working=False) if row.venue_order_id == mine else row for row in orders(day)
    )
    desk.rounds(3)
    assert desk.journal.entry(name).state.status is S.REJECTED
    (told,) = desk.interventions
    assert told[0] == name
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.rounds(3)
    assert desk.interventions == [told]


def told_of_staying(desk):
    """Of each that was let go and did not stay, whether it was told that it is tried again."""
    return [why.endswith("it is tried again") for _, why in desk.interventions if "did not stay" in why]


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_refused_for_the_moment_and_then_for_good_is_told_twice(desk, alone):
    name = protected(desk, alone=alone)
    desk.refuse(Reason.TOO_SOON)
    desk.trade(4939, 10)
    desk.quote(4930, 4935, bid_quantity=D(1000))
    # More than a minute for each that is given up.
    desk.rounds(4, pause_s=30)
    assert told_of_staying(desk) == [True]
    desk.refuse(Reason.WRONG_QUANTITY)
    desk.rounds(40, pause_s=10)
    assert told_of_staying(desk) == [True, False]
    newest = desk.journal.entries()[-1]
    assert (newest.intent.plan_id, newest.state.status) == (desk.journal.entry(name).intent.plan_id, S.REJECTED)
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.rounds(3)
    assert [told for told, _ in desk.interventions] == [newest.intent.order.client_order_id]


@pytest.mark.parametrize("alone", [True, False])
def test_it_is_not_forgotten_among_hundreds_that_ended_later(desk, alone, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 5)
    name = resting_stop(desk, alone=alone)
    ended_by_the_exchange(desk, name)
    others = [desk.manager.place(request(price=4900, quantity=1)).order_id for _ in range(20)]
    for each in others:
        assert desk.manager.cancel(each).is_success
    reconciled(desk, name)
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    desk.rounds(3)
    assert [told for told, _ in desk.interventions] == [name]


@pytest.mark.parametrize("alone", [True, False])
def test_what_never_came_is_held_anew_among_hundreds_that_ended_later(desk, alone, monkeypatch):
    monkeypatch.setattr("firstbell.oms.orders.blotter._REMEMBERED", 5)
    name = protected(desk, alone=alone)
    desk.broker.lost = silent
    desk.trade(4939, 10)
    desk.quote(4930, 4935, bid_quantity=D(1000))
    desk.rounds(1)
    desk.broker.lost = None
    lost = desk.journal.entry(name)
    assert lost.state.unresolved
    # Reconciled by another command, while nobody makes rounds; then others are placed and canceled.
    desk.reopened(fallback=NEAR)
    reconciler = Reconciler({lost.intent.login: desk.broker}, desk.journal, desk.clock, "me", calendar=CALENDAR)
    for _ in range(6):
        desk.clock.sleep(20)
        reconciler.look()
    assert desk.journal.entry(name).state.status is S.REJECTED
    for _ in range(20):
        assert desk.manager.cancel(desk.manager.place(request(price=4900, quantity=1)).order_id).is_success
    desk.reopened(fallback=NEAR)
    desk.rounds(4)
    assert desk.held() == 0


def test_of_a_group_that_was_held_anew_for_a_rest_it_is_told_too(desk):
    desk.manager.place(request(price=4965, quantity=100))
    desk.rounds()
    profit = request(side="sell", price=4980, quantity=100, role="take_profit")
    stop = request(side="sell", order_type="stop", price=None, trigger_price=4940, quantity=100, role="stop_loss")
    profit, stop = desk.manager.place_oco(OcoRequest(orders=(profit, stop)))
    desk.rounds()
    desk.quote(4980, 4985, bid_quantity=D(66))
    desk.rounds(2)
    assert desk.manager.track(profit.order_id).filled_qty == 66
    # The next process holds the stop for the rest.
    desk.reopened(fallback=NEAR)
    desk.rounds(2)
    desk.quote(4934, 4937, bid_quantity=D(24))
    desk.trade(4937, 10)
    desk.rounds(3)
    newest = desk.journal.entries()[-1]
    assert (newest.state.quantity, newest.state.filled_qty, desk.held()) == (34, 24, 10)
    if newest.state.status is not S.CANCELED:
        ended_by_the_exchange(desk, newest.intent.order.client_order_id)
    for again in (False, True):
        if again:
            desk.reopened(fallback=NEAR)
        desk.interventions.clear()
        desk.rounds(3)
        assert desk.interventions == [(newest.intent.order.client_order_id, WITHOUT_EXIT)]


@pytest.mark.parametrize("alone", [True, False])
def test_a_stop_of_which_every_request_is_lost_is_told_once_and_so_is_its_budget(desk, alone):
    protected(desk, alone=alone)
    desk.broker.lost = silent
    desk.trade(4939, 10)
    desk.quote(4930, 4935, bid_quantity=D(1000))
    desk.rounds(150, pause_s=5)
    assert len(desk.journal.entries()) > 5
    whys = [why for _, why in desk.interventions]
    assert [why for why in whys if "nobody has known what became of it" in why] == whys[:1]
    assert len(whys) == 1


def test_what_another_process_let_go_that_makes_no_rounds_is_told_by_who_sees_its_end(desk):
    name = resting_stop(desk, alone=True)
    first = desk.journal.entry(name).owner
    ended_by_the_exchange(desk, name)
    desk.reopened(fallback=NEAR)
    desk.interventions.clear()
    alive = desk.journal.alive
    desk.journal.alive = lambda owner: owner == first or alive(owner)
    desk.rounds(3)
    assert desk.interventions == [(name, WITH_A_REST)]


def test_it_is_told_by_who_makes_rounds_though_a_third_process_was_the_first_to_see_the_end(desk, tmp_path):
    name = resting_stop(desk, alone=True)
    first = desk.journal.entry(name).owner
    ended_by_the_exchange(desk, name)
    watching = Desk(tmp_path, desk.clock, desk.market, fallback=NEAR)
    alive = watching.journal.alive
    watching.journal.alive = lambda owner: owner == first or alive(owner)
    assert reconciled(desk, name)
    assert desk.journal.entry(name).state.status is S.CANCELED
    watching.rounds(3)
    assert watching.interventions == [(name, WITH_A_REST)]
    watching.close()


@pytest.mark.parametrize("alone", [False, True])
def test_it_is_told_in_the_next_round_where_the_journal_cannot_be_read_just_then(desk, alone):
    name = resting_stop(desk, alone=alone)
    ended_by_the_exchange(desk, name)
    reports, failed = desk.journal.reports, []

    def once(which):
        if not failed:
            failed.append(which)
            raise JournalError("the connection is gone")
        return reports(which)

    desk.journal.reports = once
    with pytest.raises(JournalError):
        desk.rounds(2)
    assert desk.interventions == []
    desk.rounds(3)
    assert desk.interventions == [(name, WITH_A_REST if alone else WITHOUT_EXIT)]
