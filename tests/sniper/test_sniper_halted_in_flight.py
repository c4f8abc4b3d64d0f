"""A halt while an order is being written: what the system has taken is awaited, what it has not never leaves."""

from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal

import gevent
import pytest
from gevent.event import Event
from sniper_hosts import OK, Hosts

from firstbell.brokers.base import PreparedOrder
from firstbell.errors import NoAnswer
from firstbell.model.order import Order
from firstbell.model.terms import Side
from firstbell.oms.decision import Budget
from firstbell.sniper.carrier import LaneCarrier
from firstbell.sniper.volley import Volley

FOREVER = 2**62
ORDER = Order("fb-1", "A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(1), Decimal(1), date(2026, 11, 21))
# More than any system takes at once.
LARGE = b"x" * (16 << 20)


class HaltsOnFiring(Volley):
    """A volley whose run is halted in the moment in which it has fired, or never."""

    def __init__(self, halts):
        self._halted = Event()
        self._halts = halts
        super().__init__(self)

    def is_set(self):
        return self._halted.is_set()

    def when_set(self, call):
        self._halted.rawlink(lambda _: call())

    def fire(self, shot):
        super().fire(shot)
        if self._halts:
            self._halted.set()


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    yield hosts
    hosts.close_all()


@pytest.fixture
def fired(hosts, monkeypatch):
    """Fire a body at a host that begins to read a moment later; what came back, and what the host got whole."""
    # So much takes its time on a machine that has much else to do.
    monkeypatch.setattr("firstbell.sniper.carrier.ANSWER_WITHIN_S", 60)
    carriers = []

    def fired_(body, *, halts):
        gate = threading.Event()

        def script(connection):
            gate.wait(20)
            if connection.request() is not None:
                connection.send(OK)

        host = hosts.serve(script)
        carrier = LaneCarrier(HaltsOnFiring(halts), None, Budget(9, FOREVER, FOREVER))
        carriers.append(carrier)
        gevent.spawn_later(0.2, gate.set)
        try:
            answer = carrier.carry(PreparedOrder(ORDER, "POST", host.url, "/order", {}, body), 0)
        except NoAnswer:
            answer = None
        gate.set()
        carrier.close()
        assert host.ended.get(timeout=20) == 1
        return answer, len(host.requests)

    yield fired_
    for carrier in carriers:
        carrier.close()


def test_what_the_system_has_not_taken_when_it_is_halted_never_leaves(fired):
    assert fired(LARGE, halts=True) == (None, 0)


def test_what_it_has_taken_is_awaited_all_the_same(fired):
    answer, whole = fired(b"order", halts=True)
    assert (answer.status, whole) == (200, 1)


def test_without_a_halt_the_rest_is_sent_too(fired):
    answer, whole = fired(LARGE, halts=False)
    assert (answer.status, whole) == (200, 1)
