"""What a person says became of an order that no list tells of, and what of it is not believed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.errors import NoAnswer, RunError
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.oms.settling import Settling

D = Decimal
S = OrderStatus


@pytest.fixture
def nameless(tmp_path, stepped_clock):
    """A desk at a broker that carries no names of ours, so that orders are found by their terms."""
    made = Desk(tmp_path, stepped_clock, lacks={"client_order_ids"})
    made.quote(4860, 4870)
    made.trade(4865, 10)
    orders = made.broker.orders
    made.broker.orders = lambda day: tuple(replace(row, client_order_id=None) for row in orders(day))
    yield made
    made.close()


def unanswered(desk, *, heard=True):
    """An order of which nobody has said what became; its name."""

    def cut(send, prepared, *, timeout_s):
        if heard:
            send(prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    desk.broker.lost = cut
    response = desk.manager.place(request(price=4800, quantity=1000))
    desk.broker.lost = None
    assert response.is_unresolved
    return response.order_id


def changed_by_hand(desk, name, **terms):
    """Somebody changes the login's newest order on the broker's own page; its id there."""
    row = max(desk.at_venue(), key=lambda each: int(each.venue_order_id))
    person = PaperBroker(desk.market, "u")
    person.replace(row.venue_order_id, replace(desk.manager.entry(name).intent.order, **terms))
    return row.venue_order_id


def settling(desk):
    return Settling(desk.broker, desk.journal, desk.clock, "by-hand")


def test_an_order_that_was_changed_by_hand_is_taken_up_under_its_id_with_the_terms_that_it_has(nameless):
    name = unanswered(nameless)
    there = changed_by_hand(nameless, name, price=D(4790), quantity=D(700))
    nameless.rounds(60)
    assert nameless.manager.entry(name).state.unresolved
    assert nameless.manager.place(request(quantity=1)).status is S.DENIED
    now = settling(nameless).is_there(name, there)
    assert (now.state.status, now.state.venue_order_id) == (S.ACCEPTED, there)
    assert (now.state.price, now.state.quantity, now.state.unresolved) == (4790, 700, False)
    # The login goes on, and what trades there is counted.
    nameless.rounds()
    assert nameless.manager.place(request(quantity=1)).status is S.ACCEPTED
    nameless.trade(4790, 20_000)
    nameless.rounds(2)
    assert nameless.manager.entry(name).state.filled_qty > 0


def test_what_has_traded_by_then_is_counted(nameless):
    name = unanswered(nameless)
    there = changed_by_hand(nameless, name, price=D(4865))
    nameless.trade(4865, 300)
    now = settling(nameless).is_there(name, there)
    assert now.state.filled_qty == 300


def test_an_order_that_never_came_is_settled_once_lists_cannot_be_late_any_more(nameless):
    other = nameless.manager.place(request(price=4730, quantity=5))
    name = unanswered(nameless, heard=False)
    nameless.clock.sleep(10)
    with pytest.raises(RunError, match="lists may be late, and .* ask again in 65 s"):
        settling(nameless).never_placed(name)
    nameless.clock.sleep(65)
    now = settling(nameless).never_placed(name)
    assert (now.state.status, now.state.unresolved) == (S.REJECTED, False)
    assert now.state.reason == "it never came to its broker, as settled by hand"
    nameless.rounds()
    assert nameless.manager.track(other.order_id).status is S.ACCEPTED
    assert nameless.manager.place(request(quantity=1)).status is S.ACCEPTED


def test_that_an_order_never_came_is_not_believed_where_the_list_shows_it(nameless):
    name = unanswered(nameless)
    nameless.clock.sleep(80)
    with pytest.raises(RunError, match="of the broker's list is it: `firstbell orders reconcile` takes it up"):
        settling(nameless).never_placed(name)
    assert nameless.manager.entry(name).state.unresolved


def test_only_an_id_that_can_be_it_is_believed(nameless):
    before = nameless.manager.place(request(price=4730, quantity=5))
    known = nameless.manager.entry(before.order_id).state.venue_order_id
    name = unanswered(nameless)
    changed_by_hand(nameless, name, price=D(4790))
    with pytest.raises(RunError, match="has no order 999"):
        settling(nameless).is_there(name, "999")
    with pytest.raises(RunError, match=f"{known} is another order of firstbell's"):
        settling(nameless).is_there(name, known)
    rows = nameless.broker.orders
    nameless.broker.orders = lambda day: tuple(replace(row, side=row.side.opposite) for row in rows(day))
    there = str(int(known) + 1)
    with pytest.raises(RunError, match=f"{there} is a sell of IRO1FOLD0001, and not a buy of IRO1FOLD0001"):
        settling(nameless).is_there(name, there)
    assert nameless.manager.entry(name).state.unresolved


def test_what_was_there_before_the_order_left_is_not_it(nameless):
    stranger = PaperBroker(nameless.market, "u")
    first = nameless.manager.place(request(price=4730, quantity=5))
    order = replace(nameless.manager.entry(first.order_id).intent.order, client_order_id="by-hand", price=D(4740))
    stranger.login()
    answer = stranger.send(stranger.prepare(order), timeout_s=1)
    assert answer.status == 200
    strange = max(nameless.at_venue(), key=lambda each: int(each.venue_order_id)).venue_order_id
    nameless.rounds(1)
    name = unanswered(nameless)
    with pytest.raises(RunError, match=f"{strange} was there before this order left"):
        settling(nameless).is_there(name, strange)


def test_what_is_known_cannot_be_settled(nameless):
    known = nameless.manager.place(request()).order_id
    for settle in (lambda: settling(nameless).never_placed(known), lambda: settling(nameless).is_there(known, "1")):
        with pytest.raises(RunError, match="is ACCEPTED: there is nothing to settle"):
            settle()
    with pytest.raises(RunError, match="the journal knows no order nobody"):
        settling(nameless).never_placed("nobody")


def test_a_list_that_cannot_be_read_settles_nothing(nameless):
    name = unanswered(nameless)
    nameless.clock.sleep(80)

    def silence(_day):
        raise NoAnswer("silence")

    nameless.broker.orders = silence
    with pytest.raises(NoAnswer):
        settling(nameless).never_placed(name)
    with pytest.raises(NoAnswer):
        settling(nameless).is_there(name, "1")
    assert ReportKind.REJECTED not in [report.kind for report in nameless.journal.reports(name)]
