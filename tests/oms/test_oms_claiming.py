"""Claiming while another process has an order of the same login in hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from oms_desk import Desk, request

from firstbell.journal.owner import this_process
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport


@pytest.fixture
def other(desk):
    """Another process's desk at the same market and journal, whose process lives."""
    made = Desk(desk.folder, desk.clock, desk.market, owner=this_process())
    yield made
    made.close()


def in_hand(other):
    """An order that the other process has claimed and not yet heard of."""
    claimed = []

    def silent(_send, prepared, **_options):
        claimed.append(prepared.order)
        raise KeyboardInterrupt

    other.broker.lost = silent
    with pytest.raises(KeyboardInterrupt):
        other.manager.place(request(quantity=7))
    other.broker.lost = None
    return claimed[0]


def end(other, order):
    """The other process hears that its order was refused."""
    at = instant(other.clock.wall_ns())
    other.journal.append([ExecutionReport(order.client_order_id, "r", ReportKind.DENIED, at, reason="no")])


class Waits:
    """Counts how often was waited, and does something at one of them."""

    def __init__(self, desk, at=None, do=None):
        self.count = 0
        self._wait = desk.interrupt.wait_until
        self._at, self._do = at, do
        desk.interrupt.wait_until = self

    def __call__(self, at_ns):
        self.count += 1
        if self.count == self._at:
            self._do()
        return self._wait(at_ns)


def test_an_order_that_another_process_is_sending_is_waited_for(desk, other):
    order = in_hand(other)
    waits = Waits(desk, 3, lambda: end(other, order))
    assert desk.manager.place(request(quantity=9)).status is OrderStatus.ACCEPTED
    assert waits.count >= 3


def test_it_is_not_waited_for_without_end(desk, other):
    order = in_hand(other)
    waits = Waits(desk)
    response = desk.manager.place(request(quantity=9))
    assert (response.status, response.order_id) == (OrderStatus.DENIED, None)
    assert order.client_order_id in response.message
    assert 50 <= waits.count <= 130
    assert len(desk.at_venue()) == 0


def test_one_that_has_been_on_its_way_for_long_is_not_waited_for(desk, other):
    in_hand(other)
    desk.clock.sleep(timedelta(seconds=7).total_seconds())
    waits = Waits(desk)
    assert desk.manager.place(request(quantity=9)).status is OrderStatus.DENIED
    assert waits.count == 0


def test_one_whose_process_is_dead_is_not_waited_for(desk):
    other = Desk(desk.folder, desk.clock, desk.market)
    in_hand(other)
    waits = Waits(desk)
    assert desk.manager.place(request(quantity=9)).status is OrderStatus.DENIED
    assert waits.count == 0
    other.close()


def test_a_stop_ends_the_waiting(desk, other):
    in_hand(other)
    waits = Waits(desk, 2, desk.interrupt.stop)
    assert desk.manager.place(request(quantity=9)).status is OrderStatus.DENIED
    assert waits.count <= 3
