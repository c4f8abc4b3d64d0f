"""What becomes of orders whose sending was cut short while their process lived on: nobody else asks for them."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest
from oms_desk import Desk, request

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.errors import JournalError, NoAnswer, Unwritten
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import Side
from firstbell.oms.orders.claiming import Claiming


class Store:
    """A journal's store whose next write fails: before it is made, or after, when nobody learns that it was."""

    def __init__(self, journal):
        self._store = journal._store
        self.fails = None
        journal._store = self

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write(self, work, plans=()):
        fails, self.fails = self.fails, None
        if fails == "for long":
            self.fails = fails
        if fails in {"before", "for long"}:
            raise JournalError("the database is gone")
        result = self._store.write(work, plans)
        if fails == "after":
            raise JournalError("the database is gone")
        return result


@pytest.fixture
def store(desk):
    return Store(desk.journal)


def fail_with_answer(desk, store, when):
    """The next order is taken, and what its broker answered cannot be written down."""

    def send(real, prepared, **options):
        answer = real(prepared, **options)
        store.fails = when
        desk.broker.lost = None
        return answer

    desk.broker.lost = send


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_order_whose_answer_could_not_be_written_down_is_asked_for(desk, store, when):
    fail_with_answer(desk, store, when)
    with pytest.raises(JournalError):
        desk.manager.place(request(quantity=7, key="a"))
    desk.rounds()
    (row,) = desk.at_venue()
    (entry,) = desk.manager.orders()
    assert (entry.state.status, entry.state.venue_order_id) == (OrderStatus.ACCEPTED, row.venue_order_id)
    assert not entry.state.unresolved


def test_meanwhile_nothing_of_its_login_leaves(desk, store):
    fail_with_answer(desk, store, "before")
    with pytest.raises(JournalError):
        desk.manager.place(request(quantity=7))
    (first,) = desk.manager.orders()
    response = desk.manager.place(request(quantity=9))
    assert (response.status, response.order_id) == (OrderStatus.DENIED, None)
    assert first.intent.order.client_order_id in response.message
    assert [row.quantity for row in desk.at_venue()] == [7]


def test_the_same_key_again_sends_nothing(desk, store):
    fail_with_answer(desk, store, "before")
    with pytest.raises(JournalError):
        desk.manager.place(request(quantity=7, key="a"))
    desk.manager.place(request(quantity=7, key="a"))
    desk.rounds()
    desk.manager.place(request(quantity=7, key="a"))
    assert [row.quantity for row in desk.at_venue()] == [7]


def test_one_that_was_stopped_by_hand_while_it_was_sent_is_asked_for(desk):
    def stopped(real, prepared, **options):
        real(prepared, **options)
        desk.broker.lost = None
        raise KeyboardInterrupt

    desk.broker.lost = stopped
    with pytest.raises(KeyboardInterrupt):
        desk.manager.place(request(quantity=7))
    assert desk.manager.place(request(quantity=9)).status is OrderStatus.DENIED
    desk.rounds()
    assert [entry.state.status for entry in desk.manager.orders()] == [OrderStatus.ACCEPTED]
    assert desk.manager.place(request(quantity=9)).status is OrderStatus.ACCEPTED


def test_a_claim_of_which_nobody_learned_never_leaves(desk, store):
    store.fails = "after"
    with pytest.raises(JournalError):
        desk.manager.place(request(quantity=7))
    desk.rounds()
    assert desk.manager.orders() == ()
    assert [entry.state.status for entry in desk.journal.entries()] == [OrderStatus.DENIED]
    assert desk.at_venue() == ()
    # Another process is not kept from sending.
    other = Desk(desk.folder, desk.clock, desk.market)
    assert other.manager.place(request(quantity=9)).status is OrderStatus.ACCEPTED
    other.close()


def test_a_stop_of_which_nobody_learned_is_not_held_back(desk, store):
    desk.reopened(lacks=["STOP"])
    store = Store(desk.journal)
    store.fails = "after"
    stop = request(order_type="stop", side="sell", price=None, trigger_price=4800)
    with pytest.raises(JournalError):
        desk.manager.place(stop)
    desk.rounds()
    desk.quote(4790, 4795)
    desk.trade(4790, 1)
    desk.rounds(3)
    desk.open()
    desk.rounds(3)
    assert desk.at_venue() == ()
    assert [entry.state.status for entry in desk.journal.entries()] == [OrderStatus.DENIED]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_stop_that_left_while_the_database_went_is_asked_for(desk, when):
    desk.reopened(lacks=["STOP"])
    assert desk.manager.place(request(order_type="stop", price=None, trigger_price=4880)).is_held
    fail_with_answer(desk, Store(desk.journal), when)
    desk.quote(4885, 4890)
    desk.trade(4885, 1)
    with pytest.raises(JournalError):
        desk.rounds()
    desk.rounds(2)
    (row,) = desk.at_venue()
    (entry,) = desk.journal.entries()
    assert entry.state.venue_order_id == row.venue_order_id
    assert row.quantity == 1000


def test_a_cancel_whose_beginning_nobody_learned_is_known_in_the_next_round(desk, store):
    placed = desk.manager.place(request(quantity=7))
    store.fails = "after"
    with pytest.raises(JournalError):
        desk.manager.cancel(placed.order_id)
    desk.rounds()
    assert desk.manager.track(placed.order_id).status is OrderStatus.PENDING_CANCEL
    # It is asked for again, as any cancel that got lost.
    desk.rounds(5)
    assert desk.at_venue()[0].working is False
    assert desk.manager.orders() == ()


def test_what_may_have_left_is_told_from_what_certainly_has_not(desk, store):
    placed = desk.manager.place(request(quantity=7))
    store.fails = "before"
    with pytest.raises(JournalError) as error:
        desk.manager.place(request(quantity=8))
    assert not isinstance(error.value, Unwritten)
    fail_with_answer(desk, store, "before")
    with pytest.raises(Unwritten, match="may have come to its broker") as told:
        desk.manager.place(request(quantity=9))
    assert told.value.client_order_id in {e.intent.order.client_order_id for e in desk.manager.orders()}
    desk.rounds()
    for deed in (partial(desk.manager.replace, price=4861), desk.manager.cancel):
        store.fails = "before"
        with pytest.raises(JournalError) as error:
            deed(placed.order_id)
        assert not isinstance(error.value, Unwritten)


@pytest.mark.parametrize("deed", ["replace", "cancel"])
def test_on_a_full_disk_what_never_left_is_not_told_as_what_may_have(desk, store, deed):
    """Though there is news of it that could not be written down either."""
    placed = desk.manager.place(request(quantity=7))
    desk.rounds()
    desk.trade(4860, 10_000 + 3)
    store.fails = "for long"
    before = desk.broker.left
    with pytest.raises(JournalError) as error:
        desk.manager.replace(placed.order_id, price=4861) if deed == "replace" else desk.manager.cancel(placed.order_id)
    assert not isinstance(error.value, Unwritten)
    assert desk.broker.left == before
    store.fails = None
    desk.rounds()
    state = desk.manager.entry(placed.order_id).state
    assert (state.status, state.filled_qty) == (OrderStatus.PARTIALLY_FILLED, 3)


@pytest.mark.parametrize("deed", ["replace", "cancel"])
def test_a_change_and_a_cancel_that_left_are_told_likewise(desk, store, deed):
    placed = desk.manager.place(request(quantity=7))
    method = getattr(desk.broker, deed)

    def then_the_database_goes(*args):
        answer = method(*args)
        store.fails = "before"
        return answer

    setattr(desk.broker, deed, then_the_database_goes)
    with pytest.raises(Unwritten) as told:
        desk.manager.replace(placed.order_id, price=4861) if deed == "replace" else desk.manager.cancel(placed.order_id)
    assert told.value.client_order_id == placed.order_id


def by_hand(desk, **terms):
    """Place an order past the desk, as its user does on the broker's own page."""
    asked = {"side": "sell", "quantity": 10, "price": 4840, **terms}
    order = Order(
        client_order_id=f"hand{asked['price']}",
        account="Order_A",
        broker_code="paper",
        instrument=request().instrument,
        side=Side(asked["side"]),
        price=Decimal(asked["price"]),
        quantity=Decimal(asked["quantity"]),
        day=instant(desk.clock.wall_ns()).date(),
    )
    desk.broker.login()
    PaperBroker.send(desk.broker, desk.broker.prepare(order), timeout_s=1)


@pytest.mark.parametrize("known", [True, False])
def test_a_stop_that_got_lost_is_not_found_in_what_was_there_when_it_left(desk, known, monkeypatch):
    desk.reopened(lacks=["STOP_LIMIT", "client_order_ids"])
    desk.manager.place(request(price=4870, quantity=20))
    desk.quote(4850, 4870)
    desk.trade(4870, 500)
    desk.rounds(2)
    stop = request(order_type="stop_limit", side="sell", price=4840, trigger_price=4845, quantity=10)
    held = desk.manager.place(stop)
    assert held.is_held
    desk.rounds()
    by_hand(desk)
    desk.clock.sleep(3600)
    desk.rounds()

    def lose(_send, _prepared, **_options):
        raise NoAnswer("silence")

    desk.broker.lost = lose
    if not known:
        monkeypatch.setattr(Claiming, "known_ids", lambda _self: None)
    desk.quote(4840, 4843)
    desk.trade(4843, 1)
    desk.rounds(3)
    state = desk.manager.entry(held.order_id).state
    assert (state.unresolved, state.filled_qty, state.venue_order_id) == (True, 0, None)
    desk.broker.lost = None
    monkeypatch.undo()
    desk.rounds(45)
    if known:
        # It was lost for certain, and leaves once more.
        assert sum(row.quantity == 10 and row.price == 4840 for row in desk.at_venue()) == 2
        assert desk.held() == 0
    else:
        # Nobody knows, and then: the other one may be it. A person was told of both.
        assert [name for name, _ in desk.interventions] == [held.order_id] * 2
