"""The orders by whose names a key is found on a later day, without looking at any other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from oms_desk import request

from firstbell.journal.base import AT_ONCE_NS, HELD_NS, Entry, Intent, Owner
from firstbell.model.identifiers import request_order_id
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.oms.orders.lasting import Lasting, may_last

D = Decimal
S = OrderStatus
MONDAY, TUESDAY = date(2026, 11, 30), date(2026, 12, 1)
AT = datetime(2026, 11, 30, 8, tzinfo=UTC)


def name(day, key):
    return request_order_id(day, "paper", "u", key)


def entry(key="k", *, day=MONDAY, status=S.ACCEPTED, held=False, time_in_force=TimeInForce.GTC, parent=None, **facts):
    order = Order(
        name(day, key),
        "A",
        "paper",
        "X",
        Side.SELL,
        D(110),
        D(10),
        day,
        order_type=OrderType.LIMIT,
        time_in_force=time_in_force,
        instructions=Instructions(parent_id=parent),
    )
    intent = Intent(order, "l", order.client_order_id, HELD_NS if held else AT_ONCE_NS, None)
    return Entry(intent, OrderState(order, status, **facts), "r", Owner("h", 1, 1.0), AT)


@pytest.mark.parametrize(
    ("facts", "lasts"),
    [
        ({}, True),
        ({"time_in_force": TimeInForce.GTD}, True),
        ({"time_in_force": TimeInForce.DAY}, False),
        ({"time_in_force": TimeInForce.DAY, "held": True, "status": S.INITIALIZED}, True),
        ({"time_in_force": TimeInForce.DAY, "held": True, "status": S.ACCEPTED}, True),
        ({"status": S.FILLED}, False),
        ({"status": S.CANCELED, "held": True}, False),
        ({"status": S.CANCELED, "held": True, "submitted_at": AT}, True),
    ],
)
def test_what_is_held_back_lasts_and_what_works_for_longer_than_a_day(facts, lasts):
    lasting = Lasting()
    lasting.put(entry(**facts))
    assert may_last(entry(**facts)) is lasts
    assert lasting.days() == ((MONDAY,) if lasts else ())


def test_it_is_found_by_its_own_name_and_by_that_of_what_it_protects():
    lasting, exit_ = Lasting(), entry("k/stop", parent=name(MONDAY, "k"))
    lasting.put(exit_)
    assert lasting.named(MONDAY, [name(MONDAY, "k")]) == (exit_,)
    assert lasting.named(MONDAY, [name(MONDAY, "k/stop")]) == (exit_,)
    assert lasting.named(MONDAY, [name(MONDAY, "other")]) == ()
    assert lasting.named(TUESDAY, [name(TUESDAY, "k")]) == ()


def test_it_is_there_as_it_was_put_in_last_and_leaves_nothing_behind():
    lasting, working = Lasting(), entry()
    lasting.put(working)
    filled_in_part = replace(working, state=replace(working.state, filled_qty=D(3)))
    lasting.put(filled_in_part)
    other = entry("k/1", day=TUESDAY, parent=name(TUESDAY, "k"))
    lasting.put(other)
    assert lasting.named(MONDAY, [name(MONDAY, "k")]) == (filled_in_part,)
    assert set(lasting.days()) == {MONDAY, TUESDAY}
    lasting.put(replace(working, state=replace(working.state, status=S.FILLED)))
    assert lasting.days() == (TUESDAY,)
    lasting.drop(other)
    lasting.drop(other)
    assert lasting.days() == ()


def test_under_a_new_key_nothing_is_looked_for(desk, monkeypatch):
    looked = []
    entries = type(desk.journal).entry
    monkeypatch.setattr(
        type(desk.journal), "entry", lambda journal, name: looked.append(name) or entries(journal, name)
    )
    assert desk.manager.place(request(price=4865)).is_success
    assert looked == []
    desk.manager.place(request(price=4865, key="k"))
    assert looked


def test_what_is_forgotten_is_still_found_where_an_earlier_day_named_it():
    lasting, old, new = Lasting(), entry(status=S.FILLED, submitted_at=AT), entry("n", day=TUESDAY)
    lasting.put(old)
    lasting.put(new)
    lasting.forget(new, TUESDAY)
    lasting.forget(old, TUESDAY)
    assert lasting.days() == (MONDAY,)
    lasting.forget(old, MONDAY)
    assert lasting.days() == ()


def test_what_had_ended_long_before_is_taken_out_with_a_new_day_and_what_works_stays():
    lasting, working = Lasting(), entry("w")
    lasting.put(working)
    lasting.put(entry(status=S.FILLED, submitted_at=AT, ended_at=AT))
    lasting.new_day(TUESDAY)
    assert len(lasting.named(MONDAY, [name(MONDAY, "k"), name(MONDAY, "w")])) == 2
    lasting.new_day(date(2027, 1, 15))
    assert lasting.named(MONDAY, [name(MONDAY, "k"), name(MONDAY, "w")]) == (working,)
