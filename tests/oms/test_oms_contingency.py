"""What orders that belong together ask for next: the exits of one position, and entries of which the first one wins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.journal.base import HELD_NS, Entry, Intent, Owner
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus
from firstbell.model.report import Attempt
from firstbell.model.terms import AttemptOutcome, OrderRole, OrderType, Side
from firstbell.oms.orders.contingency import (
    Adjust,
    Extend,
    Oversold,
    Release,
    Renew,
    Resize,
    Unprotected,
    Ways,
    Withdraw,
    next_steps,
)

D = Decimal
S = OrderStatus
DAY = date(2026, 11, 28)
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)
OWNER = Owner("h", 1, 1.0)
PROFIT_RESTS = Ways(
    rests=lambda entry: entry.intent.order.order_type is OrderType.LIMIT,
    is_hit=lambda entry: entry.state.triggered,
    can_replace=True,
)


def entry(name, role, *, side=Side.SELL, kind=OrderType.LIMIT, status=S.INITIALIZED, quantity=100, held=True, **facts):
    trigger = D(90) if kind.waits else None
    terms = Instructions(trigger_price=trigger, role=role, parent_id=None if role is OrderRole.ENTRY else "entry")
    order = Order(name, "A", "paper", "X", side, D(110), D(quantity), DAY, order_type=kind, instructions=terms)
    if "now" in facts:
        facts["changed"] = replace(OrderState(order).changed, quantity=D(facts.pop("now")))
    if "filled" in facts:
        facts["filled_qty"] = D(facts.pop("filled"))
    state = OrderState(order, status, **facts)
    return Entry(Intent(order, "l", name, HELD_NS if held else 0, None), state, "r", OWNER, AT)


def bought(filled, status=S.PARTIALLY_FILLED):
    return entry("entry", OrderRole.ENTRY, side=Side.BUY, status=status, held=False, filled=filled)


def closing(filled):
    """An entry whose rest is being taken back: it may still fill more."""
    return bought(filled, S.PENDING_CANCEL)


def profit(**facts):
    return entry("profit", OrderRole.TAKE_PROFIT, **facts)


def stop(**facts):
    return entry("stop", OrderRole.STOP_LOSS, kind=OrderType.STOP, **facts)


def steps(parent, *legs, ways=PROFIT_RESTS):
    return [
        (type(step), step.entry.intent.plan_id, getattr(step, "quantity", None))
        for step in next_steps(parent, legs, ways)
    ]


def test_before_the_entry_trades_nothing_leaves():
    assert steps(bought(0, S.ACCEPTED), profit(), stop()) == []


def test_what_has_filled_is_protected_and_no_more():
    assert steps(bought(40), profit(), stop()) == [(Adjust, "stop", 40), (Release, "profit", 40)]


def test_as_the_entry_goes_on_filling_its_exits_grow():
    legs = profit(status=S.ACCEPTED, now=40), stop(now=40)
    assert steps(bought(70), *legs) == [(Adjust, "stop", 70), (Resize, "profit", 70)]
    assert steps(bought(40), *legs) == []


def test_what_the_profit_has_sold_needs_no_stop():
    legs = profit(status=S.PARTIALLY_FILLED, now=70, filled=30), stop(now=70)
    assert steps(closing(70), *legs) == [(Adjust, "stop", 40)]


def test_a_stop_that_is_hit_waits_until_the_profit_is_off_the_book():
    hit = stop(now=70, triggered=True)
    assert steps(closing(70), profit(status=S.ACCEPTED, now=70), hit) == [(Withdraw, "profit", None)]
    assert steps(closing(70), profit(status=S.PENDING_CANCEL, now=70), hit) == []
    gone = profit(status=S.CANCELED, now=70, filled=20)
    assert steps(closing(70), gone, hit) == [(Release, "stop", 50)]


def test_while_anything_is_on_its_way_nothing_else_happens():
    for leg in (profit(status=S.SUBMITTED), profit(status=S.SUBMITTED, unresolved=True)):
        assert steps(closing(70), leg, stop(triggered=True)) == []


@pytest.mark.parametrize("status", [S.CANCELED, S.REJECTED, S.DENIED, S.EXPIRED])
def test_an_entry_that_never_traded_takes_its_exits_with_it(status):
    assert steps(bought(0, status), profit(), stop()) == [(Withdraw, "profit", None), (Withdraw, "stop", None)]


def test_a_closed_position_takes_back_the_other_exit():
    legs = profit(status=S.FILLED, filled=100), stop()
    assert steps(bought(100, S.FILLED), *legs) == [(Withdraw, "stop", None)]


def test_a_stop_that_was_let_go_stays_the_one_though_the_entry_fills_more():
    legs = profit(status=S.CANCELED, filled=0), stop(status=S.ACCEPTED, now=70, triggered=True, held=False)
    assert steps(closing(90), *legs) == [(Resize, "stop", 90)]


def test_where_the_broker_changes_nothing_the_profit_waits_for_the_whole_entry():
    rigid = replace(PROFIT_RESTS, can_replace=False)
    assert (Release, "profit", 40) not in steps(bought(40), profit(), stop(), ways=rigid)
    assert (Release, "profit", 100) in steps(bought(100, S.FILLED), profit(), stop(), ways=rigid)


def test_where_stops_rest_at_the_broker_the_profit_is_held_back():
    stops_rest = replace(PROFIT_RESTS, rests=lambda each: each.intent.order.order_type.waits)
    assert steps(bought(40), profit(), stop(), ways=stops_rest) == [(Adjust, "profit", 40), (Release, "stop", 40)]


def test_a_later_round_of_an_exit_stands_for_the_earlier_one():
    first = stop(status=S.DENIED)
    second = replace(first, state=OrderState(first.intent.order))
    assert steps(bought(40), profit(status=S.ACCEPTED, now=40), first, second) == [(Adjust, "stop", 40)]


def test_of_two_entries_the_one_that_trades_takes_back_the_other():
    def buy(name, price, **facts):
        made = entry(name, OrderRole.ENTRY, side=Side.BUY, **facts)
        return replace(made, intent=replace(made.intent, order=replace(made.intent.order, price=D(price))))

    both = buy("low", 95), buy("high", 105)
    assert steps(None, *both) == [(Release, "low", 100), (Release, "high", 100)]
    resting = buy("low", 95, status=S.ACCEPTED, held=False), buy("high", 105, status=S.ACCEPTED, held=False)
    assert steps(None, *resting) == []
    traded = buy("low", 95, status=S.PARTIALLY_FILLED, held=False, filled=10), resting[1]
    assert steps(None, *traded) == [(Withdraw, "high", None)]


def test_exits_without_an_entry_end_one_position_between_them():
    def exit_(made):
        terms = replace(made.intent.order.instructions, parent_id=None, group="g")
        order = replace(made.intent.order, instructions=terms)
        return replace(made, intent=replace(made.intent, order=order))

    assert steps(None, exit_(profit()), exit_(stop())) == [(Release, "profit", 100)]
    assert steps(None, exit_(profit(status=S.PARTIALLY_FILLED, filled=60, now=100)), exit_(stop(now=100))) == [
        (Adjust, "stop", 40)
    ]


def test_an_exit_that_never_came_to_its_broker_is_held_back_anew_while_there_is_something_to_protect():
    lost = stop(status=S.REJECTED, held=False, filled=0, given_up=True)
    assert steps(bought(100, S.FILLED), lost) == [(Renew, "stop", None)]
    assert steps(bought(100, S.FILLED), profit(status=S.FILLED, held=False, filled=100), lost) == []
    assert steps(bought(0, S.CANCELED), lost) == []


def test_an_exit_that_its_broker_has_refused_is_not_tried_for_ever():
    attempt = Attempt(1, AT, None, AT, 5, 200, 1010, None, AttemptOutcome.REJECTED)
    refused = stop(status=S.REJECTED, held=False, attempts=(attempt,))
    assert steps(bought(100, S.FILLED), refused) == []


def test_of_a_renewed_exit_its_last_round_counts():
    lost = stop(status=S.REJECTED, held=False, given_up=True)
    renewed = replace(
        lost, intent=replace(lost.intent, bell_ns=HELD_NS), state=replace(lost.state, status=S.INITIALIZED)
    )
    assert steps(bought(100, S.FILLED), lost, profit(status=S.ACCEPTED, held=False), renewed) == []


def test_what_earlier_rounds_of_an_exit_have_sold_counts():
    first = profit(status=S.CANCELED, held=False, filled=30)
    second = replace(first, intent=replace(first.intent, bell_ns=HELD_NS), state=OrderState(first.intent.order))
    assert steps(bought(100, S.FILLED), first, second, stop()) == [(Adjust, "stop", 70), (Release, "profit", 70)]


def test_of_two_exits_whose_prices_have_come_the_stop_leaves():
    waits = Ways(rests=lambda _entry: False, is_hit=lambda _entry: True, can_replace=True)
    assert steps(bought(100, S.FILLED), profit(), stop(), ways=waits) == [(Release, "stop", 100)]


# --- to the share, and in words


def test_exits_that_have_traded_more_than_their_entry_are_told():
    late = profit(status=S.CANCELED, filled=40, held=False)
    sold = stop(status=S.FILLED, filled=70, now=70, triggered=True, held=False)
    assert steps(bought(70, S.FILLED), late, sold) == [(Oversold, "entry", 40)]
    # While the stop still works it is made smaller, and nothing is amiss yet.
    working = stop(status=S.ACCEPTED, now=70, triggered=True, held=False)
    assert steps(bought(70, S.FILLED), late, working) == [(Resize, "stop", 30)]


def told(parent, *legs, ways=PROFIT_RESTS):
    """What is withdrawn, and why."""
    return [
        (step.entry.intent.plan_id, step.why) for step in next_steps(parent, legs, ways) if isinstance(step, Withdraw)
    ]


def grouped(made, **changes):
    """The same in a group without an entry."""
    terms = replace(made.intent.order.instructions, parent_id=None, group="g")
    order = replace(made.intent.order, instructions=terms, **changes)
    return replace(made, intent=replace(made.intent, order=order), state=replace(made.state, order=order))


def buy(name, **facts):
    """One of a group of entries."""
    return grouped(entry(name, OrderRole.ENTRY, side=Side.BUY, **facts))


def waits(name, **facts):
    """One of a group of entries that waits for its trigger."""
    return buy(name, kind=OrderType.STOP_LIMIT, **facts)


def test_one_share_is_protected_like_many():
    assert steps(closing(1), profit(), stop()) == [(Adjust, "stop", 1), (Release, "profit", 1)]
    lost = stop(status=S.REJECTED, held=False, given_up=True)
    assert steps(closing(1), lost) == [(Renew, "stop", None)]
    assert steps(closing(2), profit(status=S.PARTIALLY_FILLED, now=2, filled=1, held=False), stop(now=2)) == [
        (Adjust, "stop", 1)
    ]


def test_exits_are_taken_back_with_the_reason():
    nothing_traded = "its entry is CANCELED, and nothing of it had traded"
    assert told(bought(0, S.CANCELED), profit(), stop()) == [("profit", nothing_traded), ("stop", nothing_traded)]
    closed = profit(status=S.FILLED, held=False, filled=100)
    assert told(bought(100, S.FILLED), closed, stop()) == [("stop", "the position has been closed")]
    assert told(closing(70), profit(status=S.ACCEPTED, held=False, now=70), stop(now=70, triggered=True)) == [
        ("profit", "another exit of the same position takes its place")
    ]
    sold = stop(status=S.FILLED, held=False, filled=40, now=40)
    assert told(closing(40), sold, profit(status=S.ACCEPTED, held=False, now=40)) == [
        ("profit", "nothing of the position is left")
    ]


def test_exits_in_a_group_that_have_ended_their_position_take_back_the_rest():
    gone = grouped(profit(status=S.FILLED, held=False, filled=100))
    assert told(None, gone, grouped(stop())) == [("stop", "the position has been closed")]


def test_while_its_entry_may_go_on_an_exit_that_is_held_back_is_kept_though_nothing_is_left():
    sold = profit(status=S.FILLED, held=False, filled=40, now=40)
    assert steps(closing(40), sold, stop(now=40)) == []
    # What was bought meanwhile has its stop, and no profit any more.
    assert steps(closing(70), sold, stop(now=40)) == [(Adjust, "stop", 30), (Extend, "profit", 30)]


def test_what_is_to_be_canceled_already_is_neither_changed_nor_taken_back_again():
    asked = profit(status=S.PENDING_CANCEL, held=False, now=40)
    assert steps(closing(70), asked, stop(now=70)) == []
    assert steps(closing(40), asked, stop(now=40, triggered=True)) == []
    assert steps(bought(0, S.CANCELED), asked) == []
    sold = stop(status=S.FILLED, held=False, filled=40, now=40)
    assert steps(closing(40), sold, asked) == []
    first, second = buy("low", status=S.PARTIALLY_FILLED, held=False, filled=10), buy("high", status=S.PENDING_CANCEL)
    assert steps(None, first, second) == []


def test_what_is_being_changed_is_not_changed_again_but_taken_back_where_it_is_in_the_way():
    asked = profit(status=S.PENDING_REPLACE, held=False, now=40)
    assert steps(closing(70), asked, stop(now=70)) == []
    assert steps(closing(40), asked, stop(now=40, triggered=True)) == [(Withdraw, "profit", None)]
    assert steps(bought(0, S.CANCELED), asked) == [(Withdraw, "profit", None)]
    sold = stop(status=S.FILLED, held=False, filled=40, now=40)
    assert steps(closing(40), sold, asked) == [(Withdraw, "profit", None)]
    entry = bought(40, S.PENDING_REPLACE)
    assert steps(entry, stop(now=40, triggered=True))[0] == (Withdraw, "entry", None)


def test_what_a_partly_traded_exit_is_for_holds_what_it_has_traded():
    partly = profit(status=S.PARTIALLY_FILLED, held=False, now=70, filled=30)
    assert steps(closing(90), partly, stop(now=60)) == [(Resize, "profit", 90)]


def test_where_the_broker_changes_nothing_a_stop_whose_price_has_come_leaves_at_once():
    rigid = replace(PROFIT_RESTS, can_replace=False)
    hit = stop(now=40, triggered=True)
    assert steps(closing(40), profit(), hit, ways=rigid) == [(Adjust, "profit", 40), (Release, "stop", 40)]
    working = stop(status=S.ACCEPTED, held=False, now=40, triggered=True)
    assert steps(closing(70), working, ways=rigid) == []


def test_a_stop_that_was_let_go_comes_before_a_profit_whose_price_comes_later_and_no_profit_before_a_stop():
    gone = profit(status=S.ACCEPTED, held=False, now=70, triggered=True)
    assert steps(closing(70), gone, stop(now=70, triggered=True)) == [(Withdraw, "profit", None)]
    assert steps(None, gone, stop(now=100, triggered=True))[-1:] == [(Withdraw, "profit", None)]
    left = stop(status=S.ACCEPTED, held=False, now=70, triggered=True)
    assert steps(closing(70), profit(now=70, triggered=True), left) == []
    first = entry("first", OrderRole.EXIT, status=S.ACCEPTED, held=False, now=70)
    assert steps(closing(70), gone, first) == [(Withdraw, "first", None)]


def test_a_profit_whose_price_has_come_leaves_where_only_stops_rest():
    stops_rest = replace(PROFIT_RESTS, rests=lambda each: each.intent.order.order_type.waits)
    hit = profit(now=70, triggered=True)
    assert steps(closing(70), hit, stop(status=S.ACCEPTED, held=False, now=70), ways=stops_rest) == [
        (Withdraw, "stop", None)
    ]


def test_an_order_on_its_way_stops_a_group_too():
    low, high = buy("low", status=S.SUBMITTED, held=False), buy("high")
    assert steps(None, low, high) == []
    lost = grouped(stop(status=S.SUBMITTED, held=False))
    assert steps(None, grouped(profit()), lost) == []


def test_one_share_that_has_traded_decides_which_entry_it_is():
    low = buy("low", status=S.PARTIALLY_FILLED, held=False, filled=1)
    assert told(None, low, buy("high", status=S.ACCEPTED, held=False)) == [("high", "low was first")]
    done = buy("low", status=S.FILLED, held=False, filled=100)
    assert told(None, buy("high"), done) == [("high", "low was first")]
    assert steps(None, done, buy("high", status=S.CANCELED, held=False)) == []


def test_an_entry_whose_price_has_come_leaves_when_it_is_the_only_one_left():
    hit, low = waits("high", triggered=True), buy("low", status=S.ACCEPTED, held=False)
    assert steps(None, low, hit) == [(Withdraw, "low", None)]
    assert steps(None, buy("low", status=S.CANCELED, held=False), hit) == [(Release, "high", 100)]
    gone = waits("high", triggered=True, status=S.ACCEPTED, held=False)
    assert steps(None, buy("low", status=S.CANCELED, held=False), gone) == []
    assert steps(None, low, gone) == [(Withdraw, "low", None)]


def test_a_price_that_comes_to_an_order_at_the_broker_is_its_own_business():
    everywhere = replace(PROFIT_RESTS, is_hit=lambda _entry: True)
    resting = buy("low", status=S.ACCEPTED, held=False), buy("high", status=S.ACCEPTED, held=False)
    assert steps(None, *resting, ways=everywhere) == []
    assert steps(None, resting[0], waits("high", triggered=True), ways=everywhere) == [(Withdraw, "low", None)]


def test_what_rests_stays_while_the_one_whose_price_has_come_may_not_leave():
    halted = replace(PROFIT_RESTS, is_hit=lambda _entry: False)
    resting, third = buy("low", status=S.ACCEPTED, held=False), waits("third")
    assert steps(None, resting, waits("high", triggered=True), third, ways=halted) == [(Withdraw, "third", None)]


def test_of_a_group_of_entries_only_those_that_can_rest_are_let_go_and_only_once():
    assert steps(None, buy("low", now=30), waits("high")) == [(Release, "low", 30)]
    assert steps(None, buy("low", status=S.ACCEPTED, held=False), waits("high")) == []


@pytest.mark.parametrize("changes", [{"side": Side.BUY}, {"instrument": "Y"}])
def test_exits_of_two_positions_are_no_exits_of_one(changes):
    legs = grouped(profit()), grouped(profit(), **changes)
    legs = legs[0], replace(legs[1], intent=replace(legs[1].intent, plan_id="other"))
    # Each is let go for its own quantity, and the first that trades takes back the other.
    assert steps(None, *legs) == [(Release, "profit", 100), (Release, "other", 100)]


def test_an_exit_beside_an_order_of_another_role_ends_no_position_with_it():
    other = grouped(entry("other", OrderRole.ENTRY))
    assert steps(None, grouped(profit()), other) == [(Release, "profit", 100), (Release, "other", 100)]
    plain = grouped(entry("plain", OrderRole.EXIT))
    assert steps(None, grouped(profit()), plain)[-1] == (Release, "profit", 100)


def test_a_group_that_has_ended_asks_for_nothing():
    gone = buy("low", status=S.CANCELED, held=False), buy("high", status=S.DENIED)
    assert steps(None, *gone) == []


def test_exits_in_a_group_are_for_what_the_smallest_of_them_is_still_for():
    # Of an older journal: unequal ones are denied by now.
    small = grouped(stop(), quantity=D(60))
    assert steps(None, grouped(profit()), small) == [(Release, "profit", 60)]
    working = grouped(profit(status=S.ACCEPTED, held=False))
    assert steps(None, working, grouped(stop(now=50))) == [(Resize, "profit", 50)]
    assert steps(None, grouped(profit(status=S.ACCEPTED, held=False, now=50)), grouped(stop())) == [
        (Adjust, "stop", 50)
    ]
    both = grouped(profit(status=S.ACCEPTED, held=False, now=50)), grouped(stop(now=50))
    assert steps(None, *both) == []
    partly = grouped(profit(status=S.PARTIALLY_FILLED, held=False, now=50, filled=30))
    assert steps(None, partly, grouped(stop(now=50))) == [(Adjust, "stop", 20)]


def test_of_exits_in_a_group_a_late_trade_and_a_later_round_count():
    gone = grouped(profit(status=S.CANCELED, held=False, filled=30))
    # It was let go for 80, and then it was heard that the other had sold 30 and not 20.
    leaving = grouped(stop(status=S.ACCEPTED, held=False, now=80, triggered=True))
    assert steps(None, gone, leaving) == [(Resize, "stop", 70)]
    # A later round was claimed for what was left then, and 20 more of the same have been sold since.
    first = grouped(stop(status=S.DENIED))
    second = grouped(stop(now=80), quantity=D(80))
    partly = grouped(profit(status=S.PARTIALLY_FILLED, held=False, filled=40))
    assert steps(None, first, partly, second) == [(Adjust, "stop", 60)]


# --- an entry that went on as other orders, and what is bought after an exit has traded


def went_on(name, **facts):
    """What goes on for a refused entry."""
    made = entry(name, OrderRole.ENTRY, side=Side.BUY, held=False, **facts)
    terms = replace(made.intent.order.instructions, parent_id="entry")
    order = replace(made.intent.order, instructions=terms)
    return replace(made, intent=replace(made.intent, order=order), state=replace(made.state, order=order))


REFUSED = bought(0, S.REJECTED)


def test_what_goes_on_for_a_refused_entry_keeps_its_exits():
    for status in (S.INITIALIZED, S.SUBMITTED, S.ACCEPTED, S.PENDING_CANCEL):
        assert steps(REFUSED, profit(), stop(), went_on("part", status=status)) == []
    gone = went_on("part", status=S.CANCELED)
    assert told(REFUSED, profit(), gone) == [("profit", "its entry is CANCELED, and nothing of it had traded")]


def test_the_exits_are_for_what_all_parts_of_an_entry_have_bought_together():
    parts = went_on("one", status=S.FILLED, filled=40), went_on("two", status=S.PARTIALLY_FILLED, filled=15)
    assert steps(REFUSED, profit(), stop(), *parts) == [(Adjust, "stop", 55), (Release, "profit", 55)]
    rigid = replace(PROFIT_RESTS, can_replace=False)
    # It is over only when all of them are.
    assert (Release, "profit", 55) not in steps(REFUSED, profit(), stop(), *parts, ways=rigid)
    done = parts[0], went_on("two", status=S.CANCELED, filled=15)
    assert (Release, "profit", 55) in steps(REFUSED, profit(), stop(), *done, ways=rigid)


def test_a_part_that_never_came_is_not_held_back_as_if_it_were_an_exit():
    parts = went_on("one", status=S.FILLED, filled=40), went_on("two", status=S.REJECTED)
    assert steps(REFUSED, profit(status=S.ACCEPTED, held=False, now=40), stop(now=40), *parts) == []


@pytest.mark.parametrize(
    "leg",
    [
        stop(now=40, triggered=True, status=S.ACCEPTED, held=False),
        stop(now=40, triggered=True, status=S.SUBMITTED, held=False),
        profit(now=40, filled=10, status=S.PARTIALLY_FILLED, held=False),
        stop(now=40, filled=40, status=S.FILLED, held=False),
    ],
    ids=["let go", "on its way", "traded in part", "traded"],
)
def test_once_an_exit_has_begun_to_trade_nothing_more_is_bought(leg):
    assert steps(bought(40), leg) == [(Withdraw, "entry", None)]
    part = went_on("part", status=S.PARTIALLY_FILLED, filled=40)
    assert steps(REFUSED, leg, part) == [(Withdraw, "part", None)]
    assert steps(closing(40), leg) == []
    assert steps(bought(40, S.FILLED), leg) == []


def test_what_was_bought_after_the_exit_had_traded_gets_a_further_one():
    out = stop(status=S.FILLED, held=False, now=40, filled=40, triggered=True)
    assert steps(bought(100, S.FILLED), out) == [(Extend, "stop", 60)]
    gone = profit(status=S.CANCELED, held=False, now=40)
    assert steps(bought(100, S.FILLED), gone, out) == [(Extend, "stop", 60)]
    assert steps(bought(100, S.FILLED), profit(status=S.FILLED, held=False, filled=40), out) == [
        (Extend, "profit", 20),
        (Extend, "stop", 20),
    ]
    over = stop(status=S.DENIED, reason="the position has been closed, before it had left")
    assert steps(bought(100, S.FILLED), profit(status=S.FILLED, held=False, filled=40), over) == [
        (Extend, "profit", 60),
        (Extend, "stop", 60),
    ]
    by_hand = stop(status=S.DENIED, reason="canceled, as asked")
    assert steps(bought(100, S.FILLED), profit(status=S.FILLED, held=False, filled=40), by_hand) == [
        (Extend, "profit", 60)
    ]
    assert steps(bought(100, S.FILLED), profit(status=S.FILLED, held=False, filled=40)) == [(Extend, "profit", 60)]
    assert steps(bought(100, S.FILLED), profit(now=60), out) == [(Release, "profit", 60), (Extend, "stop", 60)]
    # The further one has ended its share, and more was bought yet.
    again = replace(out, intent=replace(out.intent, plan_id="further"))
    assert steps(bought(100, S.FILLED), out, again) == [(Extend, "further", 20)]


def test_what_nothing_protects_any_more_is_told_unless_it_was_taken_back_unseen_or_told_before():
    partly = stop(status=S.EXPIRED, held=False, now=40, filled=10, triggered=True)
    assert steps(bought(40, S.FILLED), partly) == [(Unprotected, "stop", 30)]
    assert steps(bought(40, S.FILLED), stop(status=S.CANCELED, held=False, now=40)) == []
    assert steps(bought(40, S.FILLED), stop(status=S.DENIED, triggered=True)) == []
    # One that rested at its broker and has gone from there, though nothing of it had traded.
    gone = profit(status=S.CANCELED, held=False, now=40, venue_order_id="7")
    assert steps(bought(40, S.FILLED), gone) == [(Unprotected, "profit", 40)]


def test_a_further_exit_that_ends_before_it_has_traded_in_full_is_told():
    out = stop(status=S.FILLED, held=False, now=40, filled=40, triggered=True)
    gone = stop(status=S.CANCELED, held=False, now=60, filled=20, triggered=True)
    further = replace(gone, intent=replace(gone.intent, plan_id="further"))
    assert steps(bought(100, S.FILLED), out, further) == [(Unprotected, "further", 40)]
    unseen = stop(status=S.DENIED, now=60, triggered=True)
    assert steps(bought(100, S.FILLED), out, replace(unseen, intent=replace(unseen.intent, plan_id="further"))) == []


def test_of_a_group_that_has_left_its_broker_with_something_left_it_is_told():
    rested = profit(status=S.CANCELED, held=False, venue_order_id="7")
    hit = stop(status=S.CANCELED, held=False, filled=20, triggered=True, venue_order_id="8")
    assert steps(None, rested, hit) == [(Unprotected, "stop", 80)]
    assert steps(None, rested, stop(status=S.FILLED, held=False, filled=100, venue_order_id="8")) == []
    assert steps(None, profit(status=S.DENIED), stop(status=S.DENIED)) == []


def test_a_stop_that_has_left_its_broker_is_told_though_the_profit_lives_on():
    gone = stop(status=S.CANCELED, held=False, now=40, filled=10, triggered=True, venue_order_id="8")
    ended = (Unprotected, "stop", 30)
    for lives in (profit(now=30), profit(status=S.ACCEPTED, held=False, now=30, venue_order_id="9")):
        assert ended in steps(bought(40, S.FILLED), lives, gone)
    rest = stop(status=S.CANCELED, held=False, filled=20, triggered=True, venue_order_id="8")
    assert (Unprotected, "stop", 80) in steps(None, profit(), rest)
    refused = stop(status=S.REJECTED, held=False, now=40, triggered=True)
    assert (Unprotected, "stop", 40) in steps(bought(40, S.FILLED), profit(now=40), refused)
    # What never left is no loss.
    assert steps(bought(40, S.FILLED), profit(now=40), stop(status=S.DENIED, triggered=True)) == [
        (Release, "profit", 40)
    ]


def test_the_price_of_an_exit_at_the_broker_does_not_count_against_one_that_is_held_back():
    everywhere = replace(PROFIT_RESTS, is_hit=lambda _entry: True)
    held = entry("exit", OrderRole.EXIT, now=70)
    assert steps(bought(70), profit(status=S.ACCEPTED, held=False, now=70), held, ways=everywhere) == [
        (Withdraw, "profit", None)
    ]


def test_a_stop_a_profit_and_another_exit_end_one_position_between_them():
    legs = grouped(profit()), grouped(stop()), grouped(entry("exit", OrderRole.EXIT))
    assert steps(None, *legs) == [(Release, "profit", 100)]
