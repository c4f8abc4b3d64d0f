"""Whoever makes no rounds asks once at which prices it has traded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oms_desk import request

from firstbell.errors import NoAnswer
from firstbell.market.always_open import always_open
from firstbell.model.order_status import OrderStatus
from firstbell.oms.orders.told_prices import read_prices
from firstbell.oms.reconcile import Reconciler

D = Decimal


def login_of(desk, name):
    return desk.journal.entry(name).intent.login


def asked(desk, name):
    """Ask for prices; how often the day's trades were read for that."""
    fills, reads = type(desk.broker).fills, []
    desk.broker.fills = lambda day: reads.append(day) or fills(desk.broker, day)
    read_prices(desk.manager._context, login_of(desk, name), desk.broker)
    return len(reads)


def average(desk, name):
    return desk.journal.entry(name).state.avg_px


@pytest.mark.parametrize("canceled", [False, True])
def test_what_a_list_of_orders_has_told_gets_its_prices(desk, canceled):
    desk.quote(4850, 4870, ask_quantity=D(400))
    name = desk.manager.place(request(price=4870, quantity=1000)).order_id
    if canceled:
        desk.broker.cancel(desk.journal.entry(name).state.venue_order_id)
    login = login_of(desk, name)
    Reconciler({login: desk.broker}, desk.journal, desk.clock, "me", calendar=always_open(market="XTEH")).look()
    state = desk.journal.entry(name).state
    assert (state.filled_qty, state.priced_qty, state.status == OrderStatus.CANCELED) == (400, 0, canceled)
    assert asked(desk, name) == 1
    assert average(desk, name) == 4870
    # Every price is known now.
    assert asked(desk, name) == 0


def test_trades_that_cannot_be_read_stop_nothing(desk):
    name = desk.manager.place(request(price=4890, quantity=1000)).order_id
    login = login_of(desk, name)
    Reconciler({login: desk.broker}, desk.journal, desk.clock, "me", calendar=always_open(market="XTEH")).look()

    def silent(_day):
        raise NoAnswer("silence")

    desk.broker.fills = silent
    read_prices(desk.manager._context, login, desk.broker)
    assert desk.journal.entry(name).state.priced_qty == 0
