"""Trades that a broker lists without their order: counted where only one order can be theirs, and never otherwise."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.errors import NoAnswer
from firstbell.model.order_status import OrderStatus
from firstbell.model.report import Fill

D = Decimal
S = OrderStatus


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


class Loose:
    """The broker's trades without the names of their orders."""

    def __init__(self, desk, *, named=False, cheaper=0):
        self._desk, self._named, self._cheaper = desk, named, D(cheaper)
        self.asked = 0
        self.told = desk.broker.fills
        desk.broker.fills = self.fills

    def fills(self, day):
        self.asked += 1
        return tuple(self._loose(each) for each in self.told(day))

    def _loose(self, each):
        fill = replace(each.fill, last_px=each.fill.last_px - self._cheaper)
        return replace(each, venue_order_id=None, named=self._named, fill=fill)


def state(desk, name):
    return desk.journal.entry(name).state


def by_hand(desk, like, price):
    """An order that somebody makes at the broker past us."""
    order = desk.manager.entry(like).intent.order
    return desk.broker.submit(replace(order, client_order_id=f"by hand at {price}", price=D(price)))


def test_the_one_order_of_its_instrument_side_and_day_has_them(desk):
    Loose(desk, cheaper=7)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 400)
    desk.rounds(2)
    assert (state(desk, name).filled_qty, state(desk, name).priced_qty, state(desk, name).avg_px) == (400, 400, 4855)
    desk.trade(4862, 600)
    desk.rounds(2)
    now = state(desk, name)
    assert (now.status, now.filled_qty, now.priced_qty, now.avg_px) == (S.FILLED, 1000, 1000, 4855)


def test_what_traded_before_its_price_was_made_better_is_priced_all_the_same(desk):
    loose = Loose(desk, named=True)
    name = desk.manager.place(request(price=4862)).order_id
    desk.rounds()
    desk.broker.fills = lambda _day: ()
    desk.trade(4862, 400)
    desk.manager.replace(name, price=4855)
    desk.rounds(2)
    assert (state(desk, name).filled_qty, state(desk, name).priced_qty) == (400, 0)
    desk.broker.fills = loose.fills
    desk.rounds(2)
    assert (state(desk, name).priced_qty, state(desk, name).avg_px) == (400, 4862)


class Numbered(Loose):
    """Trades whose numbers begin anew each day."""

    def fills(self, day):
        rows = enumerate(super().fills(day), 1)
        return tuple(replace(each, fill=replace(each.fill, trade_id=str(number))) for number, each in rows)


@pytest.mark.parametrize("is_priced", [True, False])
def test_numbers_that_begin_anew_each_day_are_other_trades_each_day(desk, is_priced):
    numbered = Numbered(desk, named=True)
    for day in range(3):
        name = desk.manager.place(request(price=4862, quantity=400)).order_id
        # What was never priced on a day that is over keeps nobody from knowing the next one's.
        desk.broker.fills = numbered.fills if is_priced or day else lambda _day: ()
        desk.trade(4862, 400)
        desk.rounds(2)
        assert state(desk, name).priced_qty == (400 if is_priced or day else 0)
        desk.clock.sleep(86_400)


class Summed(Loose):
    """One row for each instrument and side, that grows, as some brokers have it: `value` is what it comes to."""

    def __init__(self, desk, *, fee=None):
        super().__init__(desk)
        self.value, self._fee = D(0), fee

    def fills(self, day):
        rows = super().fills(day)
        if not rows:
            return ()
        quantity = sum(each.fill.last_qty for each in rows)
        fee = None if self._fee is None else D(self._fee) * quantity
        fill = Fill(f"{quantity} {self.value}", quantity, self.value / quantity, fee)
        return (replace(rows[0], fill=fill),)


def test_a_sum_that_grows_tells_the_price_of_what_was_added(desk):
    summed = Summed(desk, fee=2)
    name = desk.manager.place(request(price=4862)).order_id
    for quantity, price in ((400, 4850), (200, 4860)):
        desk.trade(4862, quantity)
        summed.value += quantity * D(price)
        desk.rounds(2)
    now = state(desk, name)
    assert (now.priced_qty, now.filled_value, now.fees) == (600, 400 * 4850 + 200 * 4860, 1200)
    two = desk.manager.place(request(price=4863, quantity=50)).order_id
    desk.trade(4862, 400)
    desk.trade(4863, 50)
    summed.value += 400 * D(4870) + 50 * D(4861)
    # Two orders have traded, and nobody says what of it either has.
    desk.rounds(2)
    assert [state(desk, each).priced_qty for each in (name, two)] == [600, 0]


def test_what_two_orders_have_traded_one_after_the_other_is_told_apart(desk):
    summed, found = Summed(desk), []
    for price in (4862, 4863):
        found.append(desk.manager.place(request(price=price, quantity=30)).order_id)
        desk.trade(price, 30)
        summed.value += 30 * D(price - 1)
        desk.rounds(2)
    assert [(state(desk, each).priced_qty, state(desk, each).avg_px) for each in found] == [(30, 4861), (30, 4862)]


def test_trades_with_names_of_their_own_count_while_it_works(desk):
    Loose(desk, named=True)
    name = desk.manager.place(request(price=4862)).order_id
    for quantity, priced in ((400, 400), (100, 500)):
        desk.trade(4862, quantity)
        desk.rounds(2)
        assert (state(desk, name).priced_qty, state(desk, name).avg_px) == (priced, 4862)


def test_the_next_order_has_the_trades_that_are_not_counted_yet(desk):
    Loose(desk)
    one = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 1000)
    desk.rounds(2)
    two = desk.manager.place(request(price=4863)).order_id
    desk.trade(4863, 1000)
    desk.rounds(2)
    assert [state(desk, name).avg_px for name in (one, two)] == [4862, 4863]


@pytest.mark.parametrize("listed", [1, 2])
def test_of_two_orders_without_prices_neither_has_them(desk, listed):
    loose = Loose(desk)
    names = [desk.manager.place(request(price=price)).order_id for price in (4862, 4863)]
    desk.trade(4862, 2000)
    told = loose.told
    # The trades of one of them may be listed later, and be as many.
    loose.told = lambda day: sorted(told(day), key=lambda each: each.fill.last_px)[:listed]
    desk.rounds(40)
    assert [(state(desk, name).filled_qty, state(desk, name).priced_qty) for name in names] == [(1000, 0)] * 2


def test_what_somebody_traded_by_hand_is_not_taken_for_an_orders(desk):
    loose = Loose(desk)
    name = desk.manager.place(request(price=4862)).order_id
    by_hand(desk, name, 4861)
    desk.trade(4861, 2000)
    # The trades of ours are not listed yet, those of the other are, and are as many.
    told = loose.told
    ours = state(desk, name).venue_order_id
    loose.told = lambda day: tuple(each for each in told(day) if each.venue_order_id != ours)
    desk.rounds(40)
    assert (state(desk, name).filled_qty, state(desk, name).priced_qty) == (1000, 0)


def test_a_sum_that_does_not_fit_counts_for_nothing(desk):
    loose = Loose(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 400)
    desk.trade(4862, 600)
    told = loose.told
    loose.told = lambda day: told(day)[:1]
    desk.rounds(3)
    assert state(desk, name).priced_qty == 0
    loose.told = told
    desk.rounds()
    assert state(desk, name).priced_qty == 1000


def test_a_price_that_its_limit_forbids_is_another_orders(desk):
    Loose(desk, cheaper=-1)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 1000)
    desk.rounds(3)
    assert state(desk, name).priced_qty == 0


@pytest.mark.parametrize("side", ["instrument", "side"])
def test_trades_of_another_instrument_or_side_are_not_its(desk, side):
    loose = Loose(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 1000)
    told = loose.told
    other = {"instrument": "IRO1MHRN0001"} if side == "instrument" else {"side": "sell"}
    loose.told = lambda day: tuple(replace(each, **other) for each in told(day))
    desk.rounds(3)
    assert state(desk, name).priced_qty == 0


def test_without_the_list_of_orders_nobody_knows_whose_they_are(desk):
    loose = Loose(desk)
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 1000)
    listed, told = desk.broker.orders, loose.told

    def silent(_day):
        raise NoAnswer("silence")

    def then_silence(day):
        desk.broker.orders = silent
        return told(day)

    loose.told = then_silence
    desk.rounds()
    assert (state(desk, name).filled_qty, state(desk, name).priced_qty) == (1000, 0)
    desk.broker.orders, loose.told = listed, told
    desk.clock.sleep(60)
    desk.rounds()
    assert state(desk, name).priced_qty == 1000


def test_what_was_filled_before_a_restart_is_priced_after_it_and_not_asked_for_for_ever(desk):
    desk.broker.fills = lambda _day: ()
    name = desk.manager.place(request(price=4862)).order_id
    desk.trade(4862, 1000)
    desk.rounds()
    assert (state(desk, name).status, state(desk, name).priced_qty) == (S.FILLED, 0)
    desk.open()
    asked = []
    desk.broker.fills = lambda _day: asked.append(1) or ()
    desk.rounds(100)
    assert 74 <= len(asked) <= 76
    desk.open()
    Loose(desk)
    desk.rounds()
    assert state(desk, name).avg_px == 4862


def test_beside_an_order_by_hand_that_works_nobody_knows_whose_a_trade_is(desk):
    loose = Loose(desk, named=True)
    name = desk.manager.place(request(price=4862, quantity=100)).order_id
    row = by_hand(desk, name, 4855)
    desk.trade(4862, 100)
    desk.rounds(2)
    assert (state(desk, name).filled_qty, state(desk, name).priced_qty) == (100, 0)
    desk.broker.cancel(row.venue_order_id)
    desk.rounds(2)
    assert state(desk, name).priced_qty == 100
    assert loose.asked


def test_what_lasts_for_days_is_priced_on_each_of_them(desk):
    Loose(desk, named=True)
    name = desk.manager.place(request(price=4862, quantity=600, time_in_force="gtc")).order_id
    desk.clock.sleep(86_400)
    for quantity in (100, 200, 300):
        desk.trade(4862, quantity)
        desk.rounds(2)
        assert state(desk, name).priced_qty == state(desk, name).filled_qty
    assert state(desk, name).status is S.FILLED
