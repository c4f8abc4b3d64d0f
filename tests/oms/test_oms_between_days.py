"""An order that is sent just before the end of a session, or of a day, and answered after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial

import pytest
from oms_desk import ISIN, Desk, Killed, request

from firstbell.brokers.base import VenueFill
from firstbell.brokers.paper.market import PaperMarket
from firstbell.errors import NoAnswer, RunError
from firstbell.market import calendar
from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours
from firstbell.model.instant import TEHRAN
from firstbell.model.order_status import OrderStatus
from firstbell.model.report import Fill
from firstbell.model.terms import Side
from firstbell.oms.orders.requests import BracketRequest
from firstbell.oms.reconcile import PATIENCE_S, Reconciler
from firstbell.oms.settling import Settling
from stepped_clock import SteppedClock

D = Decimal
S = OrderStatus


def moment(*at):
    return int(datetime(2026, 11, *at, tzinfo=TEHRAN).timestamp()) * 1_000_000_000


def go_to(clock, *at):
    clock.move_to(moment(*at) - clock.wall_ns() + clock.now_ns)


def test_what_an_ended_session_has_made_of_an_order_is_read_from_its_own_day(tmp_path):
    """Nobody has answered it, so it may have come after the session's end, and be for the next one."""
    clock, days = SteppedClock(moment(21, 11, 0, 0)), calendar("XTEH")
    market = PaperMarket(clock=clock, days=days, money=D(10) ** 10)
    desk = Desk(tmp_path, clock, market, hours=Hours(days))
    desk.quote(4860, 4870)
    desk.trade(4865, 1000)
    desk.manager.place(request(price=4870, quantity=100))
    for at in ((21, 12, 40, 0), (21, 12, 46, 0), (21, 12, 59, 59)):
        go_to(clock, *at)
        desk.manager.poll()
    market.quote(ISIN)

    def silent(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        market.trade(ISIN, D(4865), D(400))
        clock.sleep(1.5)
        raise NoAnswer("silence")

    desk.broker.lost = silent
    placed = desk.manager.place(request(price=4865, quantity=1000))
    assert placed.is_unresolved
    desk.broker.lost = None
    # Nobody looks any more on that day.
    go_to(clock, 22, 9, 30, 0)
    desk.open()
    desk.quote(4860, 4870)
    desk.rounds(60)
    state = desk.manager.entry(placed.order_id).state
    assert (state.status, state.unresolved, state.filled_qty) == (S.CANCELED, False, 400)
    assert desk.interventions == []
    desk.close()


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("time_in_force", ["day", "gtc"])
def test_an_order_that_midnight_has_overtaken_is_found_in_the_next_days_list(tmp_path, time_in_force, answered):
    clock = SteppedClock(moment(21, 23, 59, 59))
    desk = Desk(tmp_path, clock, hours=Hours(always_open(TEHRAN, market="XTEH")))
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    clock.sleep(0.9)

    def slow(send, prepared, *, timeout_s):
        clock.sleep(0.3)
        answer = send(prepared, timeout_s=timeout_s)
        if answered:
            return answer
        raise NoAnswer("silence")

    desk.broker.lost = slow
    placed = desk.manager.place(request(price=4850, quantity=1000, time_in_force=time_in_force))
    desk.broker.lost = None
    if time_in_force == "gtc":
        desk.rounds(3)
        go_to(clock, 23, 10, 0, 0)
    desk.quote(4850, 4860)
    desk.trade(4850, 12_000)
    if time_in_force == "day":
        go_to(clock, 23, 10, 0, 0)
    desk.open()
    desk.rounds(60)
    state = desk.manager.entry(placed.order_id).state
    assert (state.status, state.unresolved, state.filled_qty) == (S.FILLED, False, 1000)
    assert desk.interventions == []
    desk.close()


@pytest.fixture
def always(tmp_path):
    """A desk in a market that is always open, at some time of the exchange's."""
    made = []

    def begin(*at, **options):
        clock = SteppedClock(moment(*at))
        market = PaperMarket(clock=clock, money=D(10) ** 10, holdings={ISIN: D(5000)})
        desk = Desk(tmp_path, clock, market, hours=Hours(always_open(TEHRAN, market="XTEH")), **options)
        desk.quote(4860, 4870)
        desk.trade(4865, 10)
        made.append(desk)
        return desk

    yield begin
    for desk in made:
        desk.close()


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_what_was_being_sent_at_midnight_when_its_process_died_is_looked_for_on_both_days(always, kind):
    desk = always(21, 23, 59, 50)
    # An order of that day, so that its list is one of that day for sure.
    desk.manager.place(request(price=4730, quantity=7))
    stop = {"side": "sell", "order_type": "stop_limit", "trigger_price": 4850, "price": 4848}
    if kind == "stop":
        held = desk.manager.place(request(**stop))
        assert held.is_held

    def late(send, prepared, *, timeout_s):
        go_to(desk.clock, 22, 0, 0, 1)
        send(prepared, timeout_s=timeout_s)
        raise Killed

    desk.broker.lost = late
    if kind == "stop":
        desk.quote(4848, 4855)
        desk.trade(4849, 10)
    sends = partial(desk.rounds, 3, 1) if kind == "stop" else partial(desk.manager.place, request(price=4850, key="k"))
    with pytest.raises(Killed):
        sends()
    desk.open()
    desk.broker.lost = None
    desk.rounds(90)
    names = [entry.intent.order.client_order_id for entry in desk.journal.entries()]
    asked = held.order_id if kind == "stop" else names[-1]
    state = desk.manager.entry(asked).state
    assert (state.status in {S.ACCEPTED, S.FILLED}, state.unresolved) == (True, False)
    if kind == "limit":
        assert not desk.manager.place(request(price=4850, key="k")).is_success or len(desk.at_venue()) == 1
    assert sum(row.quantity for row in desk.at_venue() if row.quantity == 1000) == 1000
    assert desk.interventions == []


def test_a_bracket_keeps_its_exits_though_midnight_came_while_its_entry_was_sent(always):
    desk = always(21, 23, 59, 50)
    desk.manager.place(request(price=4730, quantity=7))

    def late(send, prepared, *, timeout_s):
        go_to(desk.clock, 22, 0, 0, 1)
        send(prepared, timeout_s=timeout_s)
        raise Killed

    desk.broker.lost = late
    with pytest.raises(Killed):
        desk.manager.place_bracket(BracketRequest(entry=request(price=4870), take_profit=4950, stop_loss=4800))
    desk.open()
    desk.broker.lost = None
    desk.rounds(90)
    sells = [entry for entry in desk.manager.orders() if entry.intent.order.side is Side.SELL]
    assert [entry.state.quantity for entry in sells] == [1000, 1000]


class Dated:
    """A broker's lists of an order that was sent in the evening, in the list of one day alone."""

    def __init__(self, desk, day):
        self._row = next(row for row in desk.at_venue() if row.quantity == 1000)
        self._day, self.filled, self.works = day, D(0), True
        self.name = self._row.venue_order_id

    def at(self, desk):
        desk.broker.orders = self.orders
        desk.broker.fills = lambda _day: ()
        desk.broker.open_orders = lambda: tuple(row for row in self.orders(self._day) if row.working)

    def orders(self, day):
        works = self.works and self.filled < 1000
        row = replace(self._row, client_order_id=None, filled_qty=self.filled, working=works, status="x")
        return (row,) if day == self._day else ()


@pytest.mark.parametrize("looked_at", [(24, 10, 0, 0), (25, 10, 0, 0)])
@pytest.mark.parametrize("who", ["rounds", "reconciling"])
@pytest.mark.parametrize("listed_on", [23, 24])
@pytest.mark.parametrize("answered", [True, False])
def test_an_order_of_the_evening_is_found_whichever_days_list_it_is_in(tmp_path, answered, listed_on, who, looked_at):
    clock = SteppedClock(moment(23, 16, 0, 0))
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)

    def send(send, prepared, *, timeout_s):
        answer = send(prepared, timeout_s=timeout_s)
        if answered:
            return answer
        raise NoAnswer("silence")

    desk.broker.lost = send
    placed = desk.manager.place(request())
    desk.broker.lost = None
    lists = Dated(desk, date(2026, 11, listed_on))
    lists.filled = D(1000)
    go_to(clock, *looked_at)
    desk.open()
    lists.at(desk)
    if who == "rounds":
        desk.rounds(60)
    else:
        (login,) = (trader.login.key for trader in desk.manager.traders)
        reconciler = Reconciler({login: desk.broker}, desk.journal, clock, "later", calendar=calendar("XTEH"))
        assert reconciler.until_known(PATIENCE_S, lambda _: None).to_look_at == {}
    state = desk.journal.entry(placed.order_id).state
    assert (state.status, state.filled_qty) == (S.FILLED, 1000)
    assert desk.interventions == []
    desk.close()


@pytest.mark.parametrize("made", [(21, 9, 0, 0), (22, 9, 0, 0)])
def test_what_traded_of_a_stop_is_counted_late_whenever_it_was_made(always, made):
    desk = always(*made)
    stop = {"side": "sell", "order_type": "stop_limit", "trigger_price": 4850, "price": 4848}
    name = desk.manager.place(request(**stop)).order_id
    go_to(desk.clock, 22, 10, 0, 0)
    desk.rounds(2)
    desk.quote(4840, 4870)
    desk.trade(4850, 10)
    desk.rounds(2)
    venue = desk.manager.entry(name).state.venue_order_id
    listed = desk.broker.orders
    desk.broker.orders = lambda day: tuple(
        replace(row, filled_qty=D(0)) if row.venue_order_id == venue else row for row in listed(day)
    )
    desk.trade(4848, 400)
    desk.manager.cancel(name)
    desk.rounds(2)
    # The next process is told rightly, once something else has its list read.
    desk.open()
    desk.broker.orders = type(desk.broker).orders.__get__(desk.broker)
    desk.manager.place(request(price=4730, quantity=7))
    desk.rounds(60)
    assert desk.manager.entry(name).state.filled_qty == 400


@pytest.mark.parametrize("made", [(21, 9, 0, 0), (22, 9, 0, 0)])
def test_a_stop_of_another_day_is_known_to_be_ours_where_it_stands_in_the_way(always, made):
    """The list could not be read as another sell was sent, and that one never came."""
    desk = always(*made)
    stop = {"side": "sell", "order_type": "stop_limit", "trigger_price": 4850, "price": 4838, "quantity": 500}
    name = desk.manager.place(request(**stop)).order_id
    go_to(desk.clock, 22, 10, 0, 0)
    desk.rounds(2)
    desk.quote(4840, 4850)
    desk.trade(4849, 10)
    desk.rounds(30)

    def away(*_args, **_options):
        raise NoAnswer("no network")

    there = desk.broker.orders, desk.broker.open_orders
    desk.broker.orders = desk.broker.open_orders = desk.broker.lost = away
    lost = desk.manager.place(request(side="sell", price=4900, quantity=300))
    assert lost.is_unresolved
    (desk.broker.orders, desk.broker.open_orders), desk.broker.lost = there, None
    settling = Settling(desk.broker, desk.journal, desk.clock, "later")
    with pytest.raises(RunError, match="is another order of firstbell's"):
        settling.is_there(lost.order_id, desk.manager.entry(name).state.venue_order_id)
    desk.rounds(90)
    assert desk.manager.entry(lost.order_id).state.status is S.REJECTED
    assert desk.interventions == []


@pytest.fixture
def evening(tmp_path):
    """A desk after the session of the 23rd."""
    desk = Desk(tmp_path, SteppedClock(moment(23, 16, 0, 0)), calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    yield desk
    desk.close()


def silent_after(send, prepared, *, timeout_s):
    send(prepared, timeout_s=timeout_s)
    raise NoAnswer("silence")


def test_in_the_evening_nothing_is_absent_while_the_open_orders_cannot_be_read(evening):
    """The list in which it stands may be that of the next session's day."""
    evening.broker.lost = silent_after
    placed = evening.manager.place(request())
    evening.broker.lost = None
    lists = Dated(evening, date(2026, 11, 24))
    lists.at(evening)

    def away():
        raise NoAnswer("no network")

    evening.broker.open_orders = away
    evening.rounds(90)
    assert evening.manager.entry(placed.order_id).state.unresolved
    go_to(evening.clock, 24, 10, 0, 0)
    lists.filled = D(1000)
    evening.rounds(3)
    state = evening.manager.entry(placed.order_id).state
    assert (state.status, state.filled_qty, state.unresolved) == (S.FILLED, 1000, False)


@pytest.mark.parametrize("shown_on", [23, 24])
def test_what_traded_of_an_order_of_the_evening_is_counted_late(evening, shown_on):
    placed = evening.manager.place(request())
    evening.manager.place(request(price=4730, quantity=7, time_in_force="gtc"))
    lists = Dated(evening, date(2026, 11, shown_on))
    go_to(evening.clock, 24, 10, 0, 0)
    lists.at(evening)
    lists.works = False
    evening.rounds(2)
    assert evening.manager.entry(placed.order_id).state.status is S.CANCELED
    lists.filled = D(400)
    evening.rounds(3)
    assert evening.manager.entry(placed.order_id).state.filled_qty == 400


def test_an_old_list_that_goes_on_showing_an_order_as_it_was_takes_nothing_back(evening):
    placed = evening.manager.place(request())
    old, new = (Dated(evening, date(2026, 11, day)) for day in (23, 24))
    go_to(evening.clock, 24, 10, 0, 0)
    new.filled = D(400)
    new.at(evening)
    evening.broker.orders = lambda day: old.orders(day) or new.orders(day)
    evening.rounds(90)
    assert evening.manager.entry(placed.order_id).state.filled_qty == 400
    assert evening.interventions == []


def test_another_order_of_the_same_number_is_another_order(evening):
    placed = evening.manager.place(request())
    lists = Dated(evening, date(2026, 11, 23))
    go_to(evening.clock, 24, 10, 0, 0)
    lists.at(evening)
    (mine,) = lists.orders(date(2026, 11, 23))
    other = replace(mine, instrument="IRO1MHRN0001", side=Side.SELL, quantity=D(50), filled_qty=D(50), working=False)
    evening.broker.orders = lambda day: (other,) if day == date(2026, 11, 24) else lists.orders(day)
    evening.rounds(5)
    state = evening.manager.entry(placed.order_id).state
    assert (state.status, state.filled_qty) == (S.ACCEPTED, 0)


def test_a_trade_that_is_named_anew_of_an_order_of_the_evening_counts_once(evening):
    placed = evening.manager.place(request(price=4862))
    lists = Dated(evening, date(2026, 11, 23))
    go_to(evening.clock, 24, 10, 0, 0)
    lists.at(evening)
    evening.market.trade(ISIN, D(4862), D(1))
    trades = []
    evening.broker.fills = lambda _day: tuple(
        VenueFill(ISIN, Side.BUY, Fill(name, D(qty), D(px)), lists.name, named=True) for name, qty, px in trades
    )
    for filled, *shown in (
        (400, ("T1", 400, 4840)),
        (1000, ("X1", 400, 4840)),
        (1000, ("X1", 400, 4840), ("X2", 600, 4860)),
    ):
        lists.filled, trades[:] = D(filled), shown
        evening.rounds(2)
    state = evening.manager.entry(placed.order_id).state
    assert (state.filled_qty, state.priced_qty, state.filled_value) == (1000, 1000, 400 * 4840 + 600 * 4860)


def test_a_list_of_today_says_nothing_of_what_was_lost_yesterday(tmp_path):
    """Though it shows an order of yesterday that lasts."""
    desk = Desk(tmp_path, SteppedClock(moment(23, 10, 0, 0)), calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    desk.manager.place(request(price=4730, quantity=7, time_in_force="gtc"))
    gtc = desk.at_venue()
    desk.broker.lost = silent_after
    lost = desk.manager.place(request())
    desk.broker.lost = None
    go_to(desk.clock, 24, 10, 0, 0)
    desk.open()
    desk.broker.orders = lambda _day: gtc
    desk.broker.open_orders = lambda: gtc
    desk.rounds(90)
    state = desk.manager.entry(lost.order_id).state
    assert (state.status, state.unresolved) == (S.EXPIRED, True)
    ((name, why),) = desk.interventions
    assert (name, "no list shows that day any more" in why) == (lost.order_id, True)
    desk.close()
