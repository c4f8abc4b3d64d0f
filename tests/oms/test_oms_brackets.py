"""Brackets, stops and groups on paper: what they trade is what was asked for, whoever dies when."""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import ISIN, Deeds, Desk, Killed, request

from firstbell.errors import FirstbellError, Refused, RunError
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.terms import Side
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.simulator.rules import Reason
from stepped_clock import SteppedClock

D = Decimal
S = OrderStatus
ENTRY = {"quantity": 3000, "price": 4865, "key": "b"}


def bracket(**terms):
    return BracketRequest(entry=request(**ENTRY), **{"take_profit": 4950, "stop_loss": 4800, **terms})


def hold_stop(desk, **terms):
    """A stop by itself that sells ten; its name."""
    stop = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4850, "quantity": 10, **terms}
    return desk.manager.place(request(**stop)).order_id


def partly_sold(desk, stop):
    """The market falls through a stop, and few are left when it comes; how many of its 3,000 it has not sold."""
    prepare = desk.broker.prepare

    def thinned(order):
        desk.quote(4795, 4799, bid_quantity=D(1000))
        return prepare(order)

    desk.broker.prepare = thinned
    desk.quote(4795, 4799, bid_quantity=D(100_000))
    desk.trade(4797, 10)
    desk.rounds(2)
    partly = desk.manager.track(stop.order_id)
    # It left as a market order, and the rest of one is canceled where nobody is left to trade with.
    assert (partly.status, 0 < partly.filled_qty < 3000) == (S.CANCELED, True)
    desk.rounds(5)
    return 3000 - partly.filled_qty


def by_role(desk):
    """The newest order of each role."""
    return {entry.intent.order.role.value: entry for entry in desk.journal.entries()}


def standing(desk):
    return {role: (e.state.status, e.state.quantity, e.state.filled_qty) for role, e in by_role(desk).items()}


def test_a_bracket_protects_what_has_filled_and_its_profit_ends_it(desk):
    entry, profit, stop = desk.manager.place_bracket(bracket())
    assert entry.is_success
    assert profit.is_held
    assert stop.is_held
    assert len(desk.at_venue()) == 1
    desk.trade(4865, 1000)
    desk.rounds()
    assert standing(desk) == {
        "take_profit": (S.ACCEPTED, 1000, 0),
        "stop_loss": (S.INITIALIZED, 1000, 0),
        "entry": (S.PARTIALLY_FILLED, 3000, 1000),
    }
    desk.trade(4865, 2000)
    desk.rounds(2)
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 3000, 0)
    assert standing(desk)["stop_loss"] == (S.INITIALIZED, 3000, 0)
    desk.trade(4950, 10_000 + 500)
    desk.rounds()
    assert standing(desk)["take_profit"][::2] == (S.PARTIALLY_FILLED, 500)
    assert standing(desk)["stop_loss"][1] == 2500
    desk.quote(4950, 4960, bid_quantity=D(50_000))
    desk.rounds(2)
    assert standing(desk) == {
        "take_profit": (S.FILLED, 3000, 3000), "stop_loss": (S.DENIED, 2500, 0), "entry": (S.FILLED, 3000, 3000)
    }  # fmt: skip
    assert desk.held() == 0
    assert desk.manager.orders() == ()


def test_a_stop_leaves_only_when_the_profit_is_off_the_book(desk):
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 3000)
    desk.rounds(2)
    desk.quote(4795, 4799)
    desk.trade(4797, 10)
    desk.rounds(2)
    assert standing(desk) == {
        "take_profit": (S.CANCELED, 3000, 0), "stop_loss": (S.FILLED, 3000, 3000), "entry": (S.FILLED, 3000, 3000)
    }  # fmt: skip
    assert by_role(desk)["stop_loss"].state.avg_px == 4795
    assert desk.held() == 0
    profit, stop = (row for row in desk.at_venue() if row.side == "sell")
    assert (profit.filled_qty + stop.filled_qty, profit.working) == (3000, False)


def test_an_entry_that_is_refused_takes_its_exits_with_it(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock, fallback=FallbackConfig(enabled=False))
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    costly = BracketRequest(entry=request(quantity=400_000), take_profit=4950, stop_loss=4800)
    entry, *exits = desk.manager.place_bracket(costly)
    assert entry.status is S.REJECTED
    assert [each.status for each in exits] == [S.DENIED, S.DENIED]
    assert desk.manager.orders() == ()
    desk.close()


def test_a_bracket_whose_exits_cannot_be_had_is_not_entered(desk):
    responses = desk.manager.place_bracket(bracket(take_profit=9_000))
    assert responses[0].status is S.DENIED
    assert "price band" in responses[0].message
    assert desk.at_venue() == ()
    assert desk.manager.orders() == ()


def test_an_entry_that_is_canceled_half_way_leaves_its_exits_for_what_it_bought(desk):
    entry, *_ = desk.manager.place_bracket(bracket())
    desk.trade(4865, 1200)
    desk.rounds()
    desk.manager.cancel(entry.order_id)
    desk.rounds()
    assert standing(desk)["take_profit"][:2] == (S.ACCEPTED, 1200)
    desk.quote(4950, 4960, bid_quantity=D(50_000))
    desk.rounds(2)
    assert desk.held() == 0
    assert desk.manager.orders() == ()


def test_a_trailing_stop_follows_and_gets_out(desk):
    desk.manager.place_bracket(bracket(take_profit=None, stop_loss=None, trailing_offset=50))
    desk.trade(4865, 3000)
    desk.rounds()
    triggers = []
    for price in (4880, 4920, 4900, 4875):
        desk.quote(price - 5, price + 5)
        desk.trade(price, 10)
        desk.rounds()
        triggers.append(by_role(desk)["stop_loss"].state.trigger_price)
    assert triggers == [4830, 4870, 4870, 4870]
    desk.quote(4860, 4880)
    desk.trade(4869, 10)
    desk.rounds(2)
    assert standing(desk)["stop_loss"] == (S.FILLED, 3000, 3000)
    assert desk.held() == 0


def test_a_stop_by_itself_is_held_back_and_survives_a_restart_with_where_it_had_come_to(desk):
    name = hold_stop(desk, order_type="trailing_stop", trigger_price=None, trailing_offset=40)
    desk.trade(4900, 10)
    desk.rounds()
    assert desk.manager.entry(name).state.trigger_price == 4860
    desk.open()
    (entry,) = desk.manager.orders()
    assert entry.is_held_back
    assert (entry.state.trigger_price, entry.intent.plan_id) == (4860, name)
    assert entry.intent.order.client_order_id == f"{name}-r2"
    assert desk.journal.reports(name)[-1].kind is ReportKind.TAKEN_OVER


def test_a_buy_stop_enters_when_the_market_has_risen(desk):
    name = desk.manager.place(request(order_type="stop_limit", price=4890, trigger_price=4880)).order_id
    desk.rounds()
    assert desk.at_venue() == ()
    desk.quote(4880, 4885)
    desk.trade(4882, 10)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.avg_px) == (S.FILLED, 4885)


def test_a_stale_market_triggers_nothing(desk):
    hold_stop(desk)
    fresh = desk.broker.quote(ISIN)
    desk.trade(4700 + 30, 10)
    desk.broker.quote = lambda _isin: fresh
    desk.rounds(10, pause_s=5)
    assert desk.at_venue() == ()


def test_a_trigger_that_is_held_back_can_be_moved_and_taken_back(desk):
    name = hold_stop(desk)
    desk.manager.replace(name, trigger_price=D(4840))
    assert desk.manager.entry(name).state.trigger_price == 4840
    assert desk.manager.cancel(name).status is S.DENIED
    desk.trade(4800, 10)
    desk.rounds(2)
    assert desk.at_venue() == ()


# --- an entry that was refused and went on


def sink(desk):
    """The market falls to the stop, and ten shares only are sold to the entry on the way."""
    desk.quote(4795, 4866, bid_quantity=D(50_000))
    desk.trade(4797, 10)


def refused_bracket(desk, reason=Reason.NOT_ENOUGH_MONEY):
    """A bracket whose entry is refused once, and goes on."""
    desk.refuse(reason, only=1)
    responses = desk.manager.place_bracket(bracket())
    desk.refuse(None)
    return responses


def test_an_entry_that_goes_on_smaller_keeps_its_exits(desk):
    entry, profit, stop = refused_bracket(desk)
    assert (entry.status, entry.is_success, profit.is_held, stop.is_held) == (S.REJECTED, True, True, True)
    (child,) = entry.children
    order = desk.manager.entry(child.order_id).intent.order
    assert (order.instructions.parent_id, order.role.value, child.status) == (entry.order_id, "entry", S.ACCEPTED)
    desk.open()
    desk.rounds(2)
    desk.trade(4865, 1000)
    desk.rounds(2)
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 1000, 0)
    assert standing(desk)["stop_loss"] == (S.INITIALIZED, 1000, 0)
    desk.trade(4865, 3000)
    desk.rounds(2)
    down(desk)
    desk.rounds(3)
    bought = desk.manager.track(child.order_id).filled_qty
    assert 0 < bought < 3000
    assert standing(desk)["stop_loss"] == (S.FILLED, bought, bought)
    assert desk.held() == 0
    assert desk.manager.orders() == ()


def test_what_went_on_is_a_brackets_also_when_it_is_canceled_or_asked_for_again(desk):
    entry, *_ = refused_bracket(desk)
    (child,) = entry.children
    desk.open()
    again, *exits = desk.manager.place_bracket(bracket())
    assert [each.order_id for each in again.children] == [child.order_id]
    assert [each.is_held for each in exits] == [True, True]
    assert len(desk.at_venue()) == 1
    desk.manager.cancel(child.order_id)
    desk.rounds(2)
    assert [standing(desk)[role][0] for role in ("take_profit", "stop_loss")] == [S.DENIED, S.DENIED]
    assert desk.manager.orders() == ()


def test_an_entry_that_goes_on_in_parts_is_protected_as_one(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock, fallback=FallbackConfig(split_threshold=D(1000)))
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    entry, *_ = refused_bracket(desk, Reason.QUANTITY_TOO_LARGE)
    parts = [child.order_id for child in entry.children]
    assert len(parts) == 3
    desk.trade(4865, 1500)
    desk.rounds(2)
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 1500, 0)
    assert standing(desk)["stop_loss"] == (S.INITIALIZED, 1500, 0)
    desk.manager.cancel(parts[2])
    desk.rounds()
    sink(desk)
    desk.rounds(4)
    # What was not bought yet is taken back.
    assert [desk.manager.track(part).status for part in parts] == [S.FILLED, S.CANCELED, S.CANCELED]
    assert desk.held() == 0
    assert desk.manager.orders() == ()
    desk.close()


def refused_life(folder, kill_at, after):
    """A bracket whose entry is refused and goes on, with one death in it, and a second process that goes on."""
    desk = Desk(folder, SteppedClock())
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    deeds = Deeds(kill_at, after=after)
    with suppress(Killed):
        desk.open(deeds)
        refused_bracket(desk)
        desk.trade(4865, 1000)
        desk.rounds(2)
    count = deeds.count
    desk.open()
    desk.refuse(None)
    with suppress(FirstbellError):
        desk.manager.place_bracket(bracket())
    desk.rounds(45)
    desk.quote(4860, 4870)
    desk.trade(4865, 20_000)
    desk.rounds(3)
    down(desk)
    desk.rounds(8)
    return desk, count


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it was done"])
def test_whenever_it_is_killed_a_bracket_whose_entry_went_on_sells_what_it_bought(tmp_path, after):
    (tmp_path / "whole").mkdir()
    whole, count = refused_life(tmp_path / "whole", None, after)
    whole.close()
    assert count > 10
    for number in range(1, count + 1):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        desk, _ = refused_life(folder, number, after)
        rows = desk.at_venue()
        assert max(Counter(row.client_order_id for row in rows).values(), default=1) == 1, number
        bought = sum(row.filled_qty for row in rows if row.side == "buy")
        assert bought <= 3000, (number, standing(desk))
        assert sum(row.filled_qty for row in rows if row.side == "sell") == bought, (number, standing(desk))
        assert desk.held() == 0
        assert not [entry for entry in desk.journal.entries() if entry.state.unresolved], number
        desk.close()


# --- what is bought after an exit has traded


def test_once_the_stop_has_come_the_rest_of_the_entry_is_taken_back(desk):
    entry, *_ = desk.manager.place_bracket(bracket(take_profit=None))
    desk.trade(4865, 1000)
    desk.rounds(2)
    sink(desk)
    desk.rounds(2)
    assert standing(desk)["stop_loss"] == (S.FILLED, 1010, 1010)
    gone = desk.manager.entry(entry.order_id).state
    assert (gone.status, gone.filled_qty) == (S.CANCELED, 1010)
    # The stop has not traded with the entry's own rest.
    assert by_role(desk)["stop_loss"].state.avg_px == 4795
    assert desk.journal.reports(entry.order_id)[-2].reason == "an exit of its position has begun to trade"
    assert desk.held() == 0
    assert desk.manager.orders() == ()


def test_where_the_profit_has_traded_what_was_bought_in_the_same_moment_has_a_profit_and_a_stop_too(desk):
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 1000)
    desk.rounds(2)
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 1000, 0)
    desk.trade(4865, 2000)
    desk.quote(4940, 4960)
    desk.trade(4950, 1000)
    desk.rounds(3)
    assert desk.held() == 2000
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 2000, 0)
    assert standing(desk)["stop_loss"] == (S.INITIALIZED, 2000, 0)
    desk.trade(4950, 2000)
    desk.rounds(3)
    assert desk.held() == 0
    assert desk.manager.orders() == ()


@pytest.mark.parametrize("falls", [False, True])
def test_exits_of_more_than_one_order_may_be_for_leave_one_after_the_other(desk, falls):
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 3000)
    describe = desk.broker.instrument
    desk.broker.instrument = lambda *args, **named: replace(describe(*args, **named), max_quantity=D(1200))
    desk.clock.sleep(120)
    desk.rounds(2)
    assert desk.held() == 3000
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 1200, 0)
    if falls:
        sink(desk)
    else:
        desk.quote(4955, 4960)
    desk.rounds(12)
    assert desk.held() == 0
    sold = [row.filled_qty for row in desk.at_venue() if row.side is Side.SELL and row.filled_qty]
    assert sold == [1200, 1200, 600]
    assert desk.manager.orders() == ()


@pytest.mark.parametrize("reopened", [False, True])
def test_what_was_bought_before_the_cancel_came_is_protected_by_a_further_exit(desk, reopened):
    entry, stop = desk.manager.place_bracket(bracket(take_profit=None))
    desk.trade(4865, 1000)
    desk.rounds(2)
    cancel = desk.broker.cancel

    def refuse(*_args):
        raise Refused("not now")

    desk.broker.cancel = refuse
    sink(desk)
    desk.rounds(2)
    assert desk.manager.track(stop.order_id).status is S.FILLED
    desk.quote(4860, 4870)
    desk.trade(4865, 20_000)
    desk.broker.cancel = cancel
    if reopened:
        desk.open()
    desk.rounds(2)
    assert desk.manager.track(entry.order_id).filled_qty == 3000
    (further,) = desk.manager.orders()
    order = further.intent.order
    assert further.is_held_back
    assert further.state.quantity == 3000 - desk.manager.track(stop.order_id).filled_qty
    assert (order.instructions.trigger_price, order.price, order.role.value) == (4800, 4800, "stop_loss")
    assert order.instructions.parent_id == entry.order_id
    desk.rounds(3)
    assert len(desk.manager.orders()) == 1
    down(desk)
    desk.rounds(3)
    assert desk.held() == 0
    assert desk.manager.orders() == ()


def test_an_exit_that_was_let_go_and_ended_before_it_had_traded_is_told_of_once(desk):
    _, stop = desk.manager.place_bracket(bracket(take_profit=None))
    desk.trade(4865, 3000)
    desk.rounds(2)
    left = partly_sold(desk, stop)
    assert desk.interventions == [(stop.order_id, f"it has ended, and {left} shares are held without an exit")]
    assert desk.held() == left


def test_a_stop_that_ended_before_it_had_traded_is_told_of_though_the_profit_goes_on(desk):
    *_, stop = desk.manager.place_bracket(bracket())
    desk.trade(4865, 3000)
    # Before the profit has come to its broker the stop's price has.
    left = partly_sold(desk, stop)
    assert standing(desk)["take_profit"] == (S.ACCEPTED, left, 0)
    assert desk.interventions == [(stop.order_id, f"it has ended, and {left} shares are held without a stop")]


@pytest.mark.parametrize("by", ["firstbell", "its broker"])
def test_only_of_a_stop_that_was_not_to_end_a_person_is_told(desk, by):
    *_, stop = desk.manager.place_bracket(bracket(stop_limit=4798))
    desk.trade(4865, 3000)
    # Its price comes first, and is gone at once: it rests at the broker.
    desk.trade(4797, 10)
    desk.quote(4790, 4799, bid_quantity=D(100_000))
    desk.rounds(2)
    resting = desk.manager.track(stop.order_id)
    assert (resting.status, resting.filled_qty) == (S.ACCEPTED, 0)
    if by == "firstbell":
        assert desk.manager.cancel(stop.order_id).is_success
    else:
        desk.broker.cancel(resting.venue_order_id)
    desk.rounds(5)
    assert standing(desk)["stop_loss"][0] is S.CANCELED
    assert standing(desk)["take_profit"][0] is S.ACCEPTED
    told = [(stop.order_id, "it has ended, and 3000 shares are held without a stop")]
    assert desk.interventions == ([] if by == "firstbell" else told)


# --- one cancels the other


def test_of_two_entries_the_first_that_trades_cancels_the_other(desk):
    low, high = request(price=4850, quantity=500), request(order_type="stop_limit", price=4900, trigger_price=4890)
    responses = desk.manager.place_oco(OcoRequest(orders=(low, high)))
    assert [response.status for response in responses] == [S.ACCEPTED, S.INITIALIZED]
    desk.quote(4840, 4850)
    desk.rounds(2)
    assert [desk.manager.track(each.order_id).status for each in responses] == [S.FILLED, S.DENIED]


def test_exits_of_what_is_held_already_sell_it_once(desk):
    desk.manager.place(request(price=4870, quantity=800))
    desk.rounds()
    profit = request(side="sell", price=4950, quantity=800, role="take_profit")
    stop = request(side="sell", order_type="stop", price=None, trigger_price=4800, quantity=800, role="stop_loss")
    responses = desk.manager.place_oco(OcoRequest(orders=(profit, stop)))
    assert [response.status for response in responses] == [S.ACCEPTED, S.INITIALIZED]
    desk.quote(4795, 4799)
    desk.trade(4797, 10)
    desk.rounds(3)
    assert desk.held() == 0
    assert [desk.manager.track(each.order_id).status for each in responses] == [S.CANCELED, S.FILLED]


def test_exits_of_what_is_held_that_are_made_smaller_stay_so(desk):
    desk.manager.place(request(price=4870, quantity=800))
    desk.rounds()
    profit = request(side="sell", price=4950, quantity=800, role="take_profit")
    stop = request(side="sell", order_type="stop", price=None, trigger_price=4800, quantity=800, role="stop_loss")
    first, second = desk.manager.place_oco(OcoRequest(orders=(profit, stop)))
    desk.manager.replace(first.order_id, quantity=500)
    desk.rounds(2)
    assert [desk.manager.entry(each.order_id).state.quantity for each in (first, second)] == [500, 500]
    desk.manager.replace(second.order_id, quantity=300)
    desk.rounds(2)
    assert [desk.manager.entry(each.order_id).state.quantity for each in (first, second)] == [300, 300]
    down(desk)
    desk.rounds(3)
    assert desk.held() == 500
    assert desk.manager.orders() == ()


def test_what_another_living_process_holds_back_is_its_own_business(desk, monkeypatch):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = hold_stop(desk)
    # The second process sees the first one alive.
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    desk.open()
    desk.quote(4700 + 30, 4740)
    desk.trade(4735, 10)
    desk.rounds(3)
    assert [entry.intent.order.client_order_id for entry in desk.manager.orders()] == [name]
    assert len(desk.at_venue()) == 1
    monkeypatch.undo()
    desk.rounds(2)
    assert desk.manager.orders() == ()
    assert desk.at_venue()[-1].client_order_id == f"{name}-r2"
    assert desk.held() == 0


def test_a_stop_whose_process_died_before_its_bytes_left_leaves_all_the_same(desk, monkeypatch):
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 3000)
    desk.rounds(2)
    down(desk)

    def die(*_args, **_kwargs):
        raise Killed

    monkeypatch.setattr(desk.broker, "send", die)
    with pytest.raises(Killed):
        desk.rounds(2)
    assert by_role(desk)["stop_loss"].state.status is S.SUBMITTED
    desk.open()
    # That it never came is known after a minute; until then nothing leaves.
    desk.rounds(20)
    assert desk.held() == 3000
    desk.rounds(30)
    assert desk.held() == 0
    assert by_role(desk)["stop_loss"].intent.order.client_order_id.endswith("-r2")
    assert desk.manager.orders() == ()


def beside(desk):
    """A second process on the same journal and market, which lives beside the first."""
    other = copy.copy(desk)
    other.journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
    other.open()
    return other


def test_what_another_process_places_changes_and_takes_back_is_heard(desk, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    other = beside(desk)
    name = hold_stop(desk, trigger_price=4850)
    working = desk.manager.place(request(price=4850)).order_id
    other.rounds()
    assert {entry.intent.order.client_order_id for entry in other.manager.orders()} == {name, working}
    other.manager.cancel(name)
    other.manager.cancel(working)
    desk.quote(4830, 4840)
    desk.trade(4835, 10)
    desk.rounds(2)
    assert desk.manager.orders() == ()
    assert [row.working for row in desk.at_venue()] == [False]
    other.close()


def test_one_that_has_just_been_let_go_is_not_taken_back_as_if_it_had_not(desk, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = hold_stop(desk, trigger_price=4850)
    other = beside(desk)
    desk.quote(4830, 4840)
    desk.trade(4835, 10)
    desk.rounds()
    (trader,) = other.manager.traders
    with pytest.raises(RunError, match="has just been let go"):
        # By what has been heard of it here.
        trader.cancel(trader.blotter.known(name))
    assert other.manager.entry(name).state.status in {S.ACCEPTED, S.FILLED}
    other.close()


def night(desk):
    """The next morning; what waits does not wait for it."""
    desk.clock = SteppedClock(desk.clock.wall_ns() + 24 * 3600 * 10**9)
    market, desk.market.clock = desk.market, desk.clock
    desk.open()
    assert desk.market is market
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    desk.rounds()


def test_a_stop_that_leaves_on_a_later_day_is_looked_for_in_that_days_list(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = hold_stop(desk)
    night(desk)
    asked = []
    listed = desk.broker.orders
    desk.broker.orders = lambda day: asked.append(day) or [row for row in listed(day) if row.created_at.date() == day]
    desk.quote(4790, 4795)
    desk.trade(4793, 10)
    desk.rounds(2)
    entry = desk.journal.entry(f"{name}-r2")
    assert entry.intent.order.day < asked[-1]
    assert (entry.state.status, desk.held()) == (S.FILLED, 0)


@pytest.mark.parametrize("after", [False, True], ids=["before it left", "after it left"])
@pytest.mark.parametrize("away_s", [0, 250, 350, 7200])
def test_a_stop_whose_process_died_while_it_left_on_a_later_day_sells_once(desk, monkeypatch, after, away_s):
    desk.manager.place(request(price=4870, quantity=20))
    desk.rounds()
    hold_stop(desk)
    night(desk)
    send = desk.broker.send

    def die(*args, **kwargs):
        if after:
            send(*args, **kwargs)
        raise Killed

    desk.quote(4790, 4795)
    desk.trade(4793, 10)
    monkeypatch.setattr(desk.broker, "send", die)
    with pytest.raises(Killed):
        desk.rounds(2)
    desk.clock.sleep(away_s)
    desk.open()
    desk.rounds(50)
    # One that never came leaves again, unless that was long ago: then a person is told.
    leaves = after or away_s == 0
    assert desk.held() == (10 if leaves else 20)
    assert not [each for each in desk.journal.entries() if each.state.unresolved]
    assert len([row for row in desk.at_venue() if row.side == "sell"]) == int(leaves)
    told = [why for _, why in desk.interventions if "never came to its broker" in why]
    assert len(told) == int(not leaves)


# --- killed at any of its deeds


def play(desk, deeds, trade_at):
    """A bracket's whole day in one process; `trade_at` says which exit its market comes to."""
    desk.open(deeds)
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 1000)
    desk.rounds()
    desk.trade(4865, 2000)
    desk.rounds(2)
    trade_at(desk)
    desk.rounds(4)


def down(desk):
    desk.quote(4795, 4799, bid_quantity=D(50_000))
    desk.trade(4797, 10)


def up(desk):
    desk.quote(4955, 4960, bid_quantity=D(50_000))


def life(folder, kill_at, after, trade_at):
    """The same with one death in it, and a second process that goes on: asks for the same, and looks after it."""
    desk = Desk(folder, SteppedClock())
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    with suppress(Killed):
        play(desk, Deeds(kill_at, after=after), trade_at)
    desk.open()
    with suppress(FirstbellError):
        desk.manager.place_bracket(bracket())
    desk.rounds(45)
    with suppress(FirstbellError):
        # What was absent for long enough may be asked for once more.
        desk.manager.place_bracket(bracket())
    desk.rounds(2)
    desk.quote(4860, 4870)
    desk.trade(4865, 20_000)
    desk.rounds(3)
    trade_at(desk)
    desk.rounds(8)
    return desk


def deeds_of(folder, trade_at):
    desk = Desk(folder, SteppedClock())
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    deeds = Deeds()
    play(desk, deeds, trade_at)
    desk.close()
    return deeds.count


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it was done"])
@pytest.mark.parametrize("trade_at", [down, up])
def test_whenever_it_is_killed_a_bracket_buys_once_and_sells_what_it_bought(tmp_path, trade_at, after):
    count = deeds_of(tmp_path / "whole", trade_at)
    assert count > 15
    for number in range(1, count + 1):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        desk = life(folder, number, after, trade_at)
        rows = desk.at_venue()
        names = Counter(row.client_order_id for row in rows)
        assert max(names.values()) == 1, (number, names)
        bought = sum(row.filled_qty for row in rows if row.side == "buy")
        sold = sum(row.filled_qty for row in rows if row.side == "sell")
        entries = [entry for entry in desk.journal.entries() if entry.intent.order.role.value == "entry"]
        assert bought in {0, 3000}, (number, standing(desk))
        assert sum(entry.state.filled_qty for entry in entries) == bought, (number, standing(desk))
        assert sold == bought, (number, standing(desk), desk.interventions)
        assert desk.held() == 0
        for entry in desk.journal.entries():
            assert not entry.state.unresolved, (number, entry)
        desk.close()


def test_of_an_entry_that_trades_in_parts_its_exit_is_changed_once_a_part_though_the_list_lags(desk):
    entry, profit, _stop = desk.manager.place_bracket(bracket())
    changes, change = [], desk.broker.replace
    desk.broker.replace = lambda name, order: changes.append(order.quantity) or change(name, order)
    listed, known = desk.broker.orders, []

    def of_the_exit_two_looks_late(day):
        rows = {row.venue_order_id: row for row in listed(day)}
        known.append(rows)
        old = known[max(len(known) - 3, 0)]
        return tuple(row if key == entry.venue_order_id else old.get(key, row) for key, row in rows.items())

    desk.broker.orders = of_the_exit_two_looks_late
    for _ in range(5):
        desk.trade(4865, 600)
        desk.rounds(3)
    desk.rounds(5)
    assert changes == [1200, 1800, 2400, 3000]
    name = profit.order_id
    assert standing(desk)["take_profit"] == (S.ACCEPTED, 3000, 0)
    assert [report.kind for report in desk.journal.reports(name)].count(ReportKind.REPLACED) <= 5
