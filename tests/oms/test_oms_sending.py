"""Sending and changing: limits count an order once, intervals hold between processes, and a token may end."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import NotSent, RunError
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderType
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile

D = Decimal
S = OrderStatus


@pytest.fixture
def desk_with(tmp_path, stepped_clock):
    made = []

    def make(**options):
        desk = Desk(tmp_path, stepped_clock, **options)
        desk.quote(4850, 4870)
        desk.trade(4865, 10)
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.close()


def test_an_order_that_leaves_later_is_not_counted_twice(desk_with):
    desk = desk_with(limits=Limits(max_orders_per_account=2))
    assert desk.manager.place(request(price=4870, quantity=10)).is_success
    desk.rounds()
    stop = desk.manager.place(request(side="sell", order_type="stop", price=None, trigger_price=4840, quantity=10))
    assert stop.is_held
    desk.quote(4830, 4835)
    desk.trade(4832, 10)
    desk.rounds(2)
    assert desk.manager.entry(stop.order_id).state.status is S.FILLED
    denied = desk.manager.place(request(quantity=10))
    assert "orders" in denied.message
    assert denied.status is S.DENIED


def test_a_change_counts_the_order_with_its_new_terms_alone(desk_with):
    desk = desk_with(limits=Limits(max_orders_per_account=1, max_total_value=D(4860 * 1500)))
    name = desk.manager.place(request(price=4860, quantity=1000)).order_id
    assert desk.manager.replace(name, quantity=D(1500)).is_success
    assert desk.manager.entry(name).state.quantity == 1500
    with pytest.raises(NotSent, match="value"):
        desk.manager.replace(name, quantity=D(1501))
    assert desk.manager.entry(name).state.status is S.ACCEPTED


def test_no_change_leaves_while_trading_is_halted(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "me", "by hand"))
    with pytest.raises(NotSent, match="halted"):
        desk.manager.replace(name, price=D(4855))
    assert [row.price for row in desk.at_venue()] == [4860]


def test_what_has_traded_already_cannot_be_asked_for(desk_with):
    desk = desk_with()
    name = desk.manager.place(request(quantity=1000)).order_id
    desk.trade(4860, 400)
    desk.rounds()
    with pytest.raises(RunError, match="cancel it"):
        desk.manager.replace(name, quantity=D(400))
    assert desk.manager.replace(name, quantity=D(401)).is_success


def test_the_brokers_interval_holds_from_one_process_to_the_next(desk_with):
    desk = desk_with(min_interval_ms=700)
    desk.manager.place(request(quantity=10))
    before_ns = desk.clock.monotonic_ns()
    desk.open()
    waited = []
    desk.manager.interrupt.wait_until = lambda at_ns: waited.append(at_ns) or desk.clock.move_to(at_ns)
    desk.manager.place(request(quantity=20))
    assert max(waited) - before_ns >= 690_000_000


def test_a_change_keeps_the_brokers_interval_and_is_kept_to_by_the_next_one(desk_with):
    desk = desk_with(min_interval_ms=700)
    name = desk.manager.place(request(quantity=10)).order_id
    waited = []
    desk.manager.interrupt.wait_until = lambda at_ns: waited.append(at_ns) or desk.clock.move_to(at_ns)
    times = []
    for price in (4855, 4856):
        desk.manager.replace(name, price=D(price))
        times.append(desk.clock.monotonic_ns())
    assert times[1] - times[0] >= 700_000_000


def test_a_change_that_is_refused_for_its_token_is_asked_for_once_more(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    change, tries = desk.broker.replace, []

    def ended(*args):
        tries.append(args)
        if len(tries) == 1:
            desk.market.tokens.end_all("u")
        return change(*args)

    desk.broker.replace = ended
    desk.manager.replace(name, price=D(4855))
    assert desk.manager.entry(name).state.price == 4855
    assert len(tries) == 2


def test_where_nobody_bids_a_stop_waits_at_the_worst_price_that_is_allowed(desk_with):
    desk = desk_with(lacks={OrderType.MARKET})
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = desk.manager.place(
        request(side="sell", order_type="stop", price=None, trigger_price=4840, quantity=10)
    ).order_id
    desk.market.set_quote("IRO1FOLD0001", bid=None, ask=D(4835))
    desk.trade(4832, 10)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert state.status is S.ACCEPTED, state.reason
    assert 4724 <= state.price < 4840


def test_an_order_that_another_process_wrote_of_meanwhile_stops_no_other_orders_reports(desk_with):
    desk = desk_with()
    mine = desk.manager.place(request(quantity=1000)).order_id
    other = desk.manager.place(request(quantity=1000, price=4861)).order_id
    journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
    at = instant(desk.clock.wall_ns())
    journal.append([ExecutionReport(mine, "other", ReportKind.CANCELED, at)])
    journal.close()
    desk.trade(4860, 1500)
    desk.rounds()
    assert desk.manager.entry(other).state.filled_qty == 1000
    assert desk.manager.entry(mine).state.status is S.CANCELED


def test_how_long_the_broker_was_waited_for_is_known(desk_with):
    desk = desk_with()
    send = desk.broker.send

    def slow(*args, **kwargs):
        answer = send(*args, **kwargs)
        desk.clock.sleep(0.25)
        return replace(answer, round_trip_ns=answer.round_trip_ns + 250_000_000)

    desk.broker.send = slow
    desk.manager.place(request())
    (trader,) = desk.manager._traders.values()
    assert trader.sender.broker_ns >= 250_000_000
