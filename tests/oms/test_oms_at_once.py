"""What several processes do about one order at the same time: each is told how it stands, and nothing is undone."""

from __future__ import annotations

import pytest
from oms_desk import Desk, request

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.errors import Refused, RunError
from firstbell.journal.owner import this_process
from firstbell.model.order_status import OrderStatus

S = OrderStatus


@pytest.fixture
def other(desk):
    made = Desk(desk.folder, desk.clock, desk.market, owner=this_process())
    yield made
    made.close()


@pytest.fixture
def order(desk, other):
    name = desk.manager.place(request(quantity=1000)).order_id
    other.rounds()
    return name


def during(desk, call, deed):
    """Have something done while this desk's broker is being asked."""
    real, done = getattr(PaperBroker, call), []

    def asked(*args):
        if not done:
            done.append(None)
            done[0] = deed()
        return real(desk.broker, *args)

    setattr(desk.broker, call, asked)
    return done


def kinds(desk, name):
    return [report.kind.value for report in desk.journal.reports(name)]


def test_of_two_changes_at_once_the_second_is_not_made_and_no_term_is_lost(desk, other, order):

    def second():
        with pytest.raises(RunError, match="PENDING_REPLACE"):
            other.manager.replace(order, quantity=500)

    done = during(desk, "replace", second)
    assert desk.manager.replace(order, quantity=2000).is_made
    assert done
    assert [row.quantity for row in desk.at_venue()] == [2000]
    assert desk.journal.entry(order).state.quantity == 2000


def test_a_change_goes_by_how_the_order_stands_now_and_not_when_it_was_last_heard_of(desk, other, order):
    assert desk.manager.replace(order, quantity=2000).is_made
    # The other one has not heard of it yet.
    assert other.manager.replace(order, price=4855).is_made
    (row,) = desk.at_venue()
    assert (row.price, row.quantity) == (4855, 2000)


def test_a_cancel_that_is_asked_for_twice_at_once_is_told_as_it_stands_by_both(desk, other, order):
    done = during(desk, "cancel", lambda: other.manager.cancel(order))
    first = desk.manager.cancel(order)
    assert (first.status, done[0].status) == (S.CANCELED, S.CANCELED)
    assert (first.is_made, done[0].is_made) == (True, True)
    assert "CANCEL_REJECTED" not in kinds(desk, order)


def test_a_second_cancel_that_is_refused_says_nothing_of_the_first(desk, other, order):
    """The first one's answer is still on its way when the second one is refused."""

    def refused(*_args):
        raise Refused("it is being canceled", host="paper")

    other.broker.cancel = refused
    done = during(desk, "cancel", lambda: other.manager.cancel(order))
    desk.manager.cancel(order)
    assert done[0].status is S.PENDING_CANCEL
    assert "CANCEL_REJECTED" not in kinds(desk, order)
    assert desk.journal.entry(order).state.status is S.CANCELED


def stop(**terms):
    return request(side="sell", order_type="stop", price=None, trigger_price=4800, quantity=10, **terms)


@pytest.fixture
def held(desk):
    """The name under which a stop was held back by a process that is dead now; another one has taken it over."""
    desk.reopened(lacks=["STOP"])
    name = desk.manager.place(stop(key="s")).order_id
    desk.open()
    desk.open()
    assert desk.journal.entry(name).state.status is S.DENIED
    return name


def test_what_was_taken_over_is_found_by_its_first_name(desk, held):
    found = desk.manager.entry(held)
    assert (found.intent.plan_id, found.is_held_back) == (held, True)
    assert found.intent.order.client_order_id == f"{held}-r3"
    assert desk.manager.replace(held, trigger_price=4790).is_made
    assert desk.manager.cancel(held).is_made
    desk.quote(4780, 4785)
    desk.trade(4780, 1)
    desk.rounds(2)
    assert desk.at_venue() == ()
    assert desk.manager.orders() == ()


def test_what_another_process_holds_back_is_told_as_it_stands_where_its_key_is_asked_for_again(desk, held, monkeypatch):
    monkeypatch.setattr("firstbell.journal.sqlite.is_alive", lambda _owner: True)
    other = Desk(desk.folder, desk.clock, desk.market, lacks=["STOP"])
    again = other.manager.place(stop(key="s"))
    assert (again.order_id, again.is_held, again.is_success) == (f"{held}-r3", True, True)
    assert other.denied == []
    other.close()
