"""A key makes a request one order of the day, also where a fallback has taken the first order's place."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from oms_desk import Desk, Killed, request

from firstbell.errors import NoAnswer, RunError
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market import calendar
from firstbell.model.instant import TEHRAN
from firstbell.model.order_status import OrderStatus
from firstbell.oms.orders.key_orders import KeyOrders
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.simulator.rules import Reason
from stepped_clock import SteppedClock

D = Decimal
S = OrderStatus
COSTLY = {"quantity": 300_000, "key": "k"}
"""More than there is money for: as much as there is money for is placed instead."""
BEFORE = "it was asked for before; nothing was sent"


def quantities(desk):
    return [row.quantity for row in desk.at_venue()]


def refuse_first(desk, answer):
    """Have the broker refuse the first order for its size; what it says to the others is `answer`."""
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    first = desk.broker.lost

    def say(send, prepared, *, timeout_s):
        if prepared.order.quantity == 1000:
            return first(send, prepared, timeout_s=timeout_s)
        return answer(send, prepared, timeout_s=timeout_s)

    desk.broker.lost = say


def ended(desk, first):
    """What becomes of the child, by name."""
    name = first.children[0].order_id
    return {
        "works": lambda: None,
        "canceled": lambda: desk.manager.cancel(name),
        "filled": lambda: (desk.trade(4860, 1_000_000), desk.rounds()),
    }


@pytest.mark.parametrize("fate", ["works", "canceled", "filled"])
def test_what_a_fallback_has_placed_is_the_keys_order_also_in_another_process(desk, fate):
    first = desk.manager.place(request(**COSTLY))
    assert (first.status, first.is_success, len(first.children)) == (S.REJECTED, True, 1)
    ended(desk, first)[fate]()
    placed = quantities(desk)
    assert len(placed) == 1
    for _ in range(2):
        desk.open()
        again = desk.manager.place(request(**COSTLY))
        assert (again.order_id, again.message, again.is_success) == (first.order_id, BEFORE, True)
        assert [child.order_id for child in again.children] == [first.children[0].order_id]
        assert quantities(desk) == placed
    assert len(desk.journal.entries()) == 2


def test_what_a_fallback_has_sent_and_nobody_knows_of_is_not_sent_again(desk):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(400)))

    def silent(*_args, **_kwargs):
        raise NoAnswer("silence")

    refuse_first(desk, silent)
    first = desk.manager.place(request(key="k"))
    assert first.is_unresolved
    desk.open()
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, again.is_unresolved, again.is_success) == (first.order_id, True, False)
    assert desk.at_venue() == ()
    assert len(desk.journal.entries()) == 2


def test_some_of_several_parts_are_enough(desk):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(400)))
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    first = desk.manager.place(request(key="k"))
    for child in first.children[:2]:
        desk.manager.cancel(child.order_id)
    again = desk.manager.place(request(key="k"))
    assert [child.status for child in again.children] == [S.CANCELED, S.CANCELED, S.ACCEPTED]
    assert len(quantities(desk)) == 3


def test_a_key_whose_every_order_was_refused_for_certain_may_be_asked_for_again(desk):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(400)))
    desk.refuse(Reason.QUANTITY_TOO_LARGE)
    first = desk.manager.place(request(key="k"))
    assert not first.is_success
    assert first.children
    desk.refuse()
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, again.status) == (f"{first.order_id}-r2", S.ACCEPTED)
    assert quantities(desk) == [1000]
    assert desk.manager.place(request(key="k")).order_id == again.order_id
    assert quantities(desk) == [1000]


def test_a_part_of_a_later_round_is_found_as_well(desk):
    desk.reopened(fallback=FallbackConfig(manual_intervention_threshold=2))
    desk.refuse(Reason.NOT_ENOUGH_MONEY, only=2)
    assert not desk.manager.place(request(key="k")).is_success
    desk.refuse(Reason.NOT_ENOUGH_MONEY, only=1)
    second = desk.manager.place(request(key="k"))
    assert second.is_success
    assert second.children[0].order_id.endswith("-r2")
    placed = quantities(desk)
    desk.refuse()
    desk.open()
    assert desk.manager.place(request(key="k")).children[0].order_id == second.children[0].order_id
    assert quantities(desk) == placed


def test_it_is_told_how_the_order_stands_also_where_it_could_not_be_placed_now(desk):
    first = desk.manager.place(request(key="k"))
    desk.quote(4990, 5000)
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, again.status, again.message) == (first.order_id, S.ACCEPTED, BEFORE)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"price": 4850}, "price 4860, not 4850"),
        ({"side": "sell"}, "side buy, not sell"),
        ({"quantity": 999}, "quantity 1000, not 999"),
        ({"time_in_force": "ioc"}, "time in force day, not ioc"),
        ({"order_type": "market", "price": None}, "type limit, not market"),
        ({"instrument": "IRO1NONE0001"}, "instrument IRO1FOLD0001, not IRO1NONE0001"),
        ({"role": "stop_loss", "side": "buy"}, "role entry, not stop_loss"),
        (
            {"time_in_force": "gtd", "expires_at": datetime(2026, 11, 21, 12, tzinfo=TEHRAN)},
            "until none, not 2026-11-21 12:00:00+03:30",
        ),
    ],
)
def test_a_key_that_stands_for_other_terms_sends_nothing_and_is_no_success(desk, terms, words):
    first = desk.manager.place(request(key="k"))
    again = desk.manager.place(request(key="k", **terms))
    assert (again.order_id, again.is_success, again.status) == (first.order_id, False, S.ACCEPTED)
    assert words in again.message
    assert len(desk.at_venue()) == 1


def test_an_order_that_was_changed_since_is_known_by_what_was_asked_for(desk):
    first = desk.manager.place(request(key="k"))
    desk.manager.replace(first.order_id, price=4855)
    assert desk.manager.place(request(key="k")).is_success
    assert desk.manager.place(request(key="k", price=4855)).is_success
    again = desk.manager.place(request(key="k", price=4850))
    assert not again.is_success
    assert again.message.endswith("today: price 4860, not 4850")


def test_that_an_order_has_ended_meanwhile_is_told_with_it(desk):
    first = desk.manager.place(request(key="k"))
    desk.manager.cancel(first.order_id)
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, again.status) == (first.order_id, S.CANCELED)
    assert again.message == f"{BEFORE}; it is CANCELED by now"


def test_what_is_held_back_is_told_of_whoever_holds_it_and_whatever_is_checked_now(desk, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    stop = request(key="s", order_type="stop", price=None, trigger_price=4900)
    first = desk.manager.place(stop)
    desk.open()
    # The broker does not know it any more: a new one would be denied.
    desk.broker.instrument = silent
    again = desk.manager.place(stop)
    assert (again.order_id, again.is_held, again.is_success) == (first.order_id, True, True)
    assert again.message == BEFORE
    assert len(desk.journal.entries()) == 1


@pytest.mark.parametrize("alone", [True, False])
def test_a_bracket_whose_entry_another_process_holds_back_is_told_of_as_it_stands(desk, monkeypatch, alone):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    entry = request(key="b", order_type="stop", price=None, trigger_price=4900)
    asked = BracketRequest(entry=entry, take_profit=4950, stop_loss=4800)
    first = desk.manager.place_bracket(asked)
    assert [each.is_held for each in first] == [True] * 3
    desk.manager.close()
    desk.open()
    if not alone:
        # It is taken over.
        desk.rounds()
    again = desk.manager.place_bracket(asked)
    assert [each.is_success for each in again] == [True] * 3
    for other in (replace(asked, take_profit=None), replace(asked, take_profit=D(4960))):
        assert not desk.manager.place_bracket(other)[0].is_success
    assert len([each for each in desk.manager.orders() if each.is_held_back]) == 3


def silent(*_args, **_options):
    raise NoAnswer("silence")


def between_its_look_and_its_claim(other, monkeypatch, deed):
    """Have something done once the other process has looked at the key, before it claims anything."""
    look, done, theirs = KeyOrders.asked_before, [], next(iter(other.manager.traders)).blotter

    def looking(self, key):
        before = look(self, key)
        if self.blotter is theirs and not done:
            done.append(None)
            done[0] = deed()
        return before

    monkeypatch.setattr(KeyOrders, "asked_before", looking)
    return done


def test_what_a_fallback_made_between_the_look_and_the_claim_leaves_nothing_for_another_process(desk, monkeypatch):
    other = Desk(desk.folder, desk.clock, desk.market, owner=this_process())
    done = between_its_look_and_its_claim(other, monkeypatch, lambda: desk.manager.place(request(**COSTLY)))
    again = other.manager.place(request(**COSTLY))
    assert done[0].is_success
    assert again.is_success
    assert [child.order_id for child in again.children] == [done[0].children[0].order_id]
    assert len(quantities(desk)) == 1
    other.close()


def test_an_entry_never_leaves_without_exits_that_another_process_has_taken_back(desk, monkeypatch):
    """One process's entry is refused and its exits are taken back while the other one waits for it."""
    monkeypatch.setattr("firstbell.journal.sqlite.is_alive", lambda _owner: True)
    no_fallback = FallbackConfig(enabled=False)
    desk.reopened(fallback=no_fallback)
    other = Desk(desk.folder, desk.clock, desk.market, fallback=no_fallback)
    asked = BracketRequest(entry=request(key="b"), take_profit=4950, stop_loss=4800)
    waits, over, told = threading.Event(), threading.Event(), []
    wait = other.interrupt.wait_until

    def waiting(until_ns):
        waits.set()
        assert over.wait(30)
        return wait(until_ns)

    other.interrupt.wait_until = waiting
    second = threading.Thread(target=lambda: told.append(other.manager.place_bracket(asked)))
    desk.refuse(Reason.NOT_ENOUGH_MONEY)
    refuse = desk.broker.lost

    def meanwhile(send, prepared, **options):
        second.start()
        assert waits.wait(30)
        return refuse(send, prepared, **options)

    desk.broker.lost = meanwhile
    desk.manager.place_bracket(asked)
    over.set()
    second.join(30)
    (entry, *exits) = told[0]
    assert not entry.is_success
    assert not any(each.is_success for each in exits)
    assert desk.at_venue() == ()
    # Asked again afterwards it is placed, exits and all.
    placed = other.manager.place_bracket(asked)
    assert [each.is_success for each in placed] == [True, True, True]
    other.close()


def test_what_another_process_places_under_the_key_meanwhile_leaves_nothing_for_a_fallback(desk, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "alive", lambda _journal, _owner: True)
    other = copy.copy(desk)
    other.journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
    other.open()
    power = desk.broker.buying_power

    def ask(*, fresh=False):
        # The first order has been refused, and it is being asked what may be tried instead.
        assert other.manager.place(request(key="k")).is_success
        return power(fresh=fresh)

    desk.broker.buying_power = ask
    desk.refuse(Reason.NOT_ENOUGH_MONEY, only=1)
    response = desk.manager.place(request(key="k"))
    (child,) = response.children
    assert (child.order_id, child.status) == (None, S.DENIED)
    assert "1,000 work" in child.message
    assert quantities(desk) == [1000]


def test_an_entry_whose_part_is_there_keeps_its_exits_and_is_not_entered_again(desk):
    asked = BracketRequest(entry=request(**COSTLY), take_profit=4950, stop_loss=4800)
    entry, *exits = desk.manager.place_bracket(asked)
    assert entry.children[0].status is S.ACCEPTED
    placed, made = quantities(desk), len(desk.journal.entries())
    again = desk.manager.place_bracket(asked)
    assert [each.order_id for each in again] == [entry.order_id, *(each.order_id for each in exits)]
    assert again[0].children[0].order_id == entry.children[0].order_id
    assert (quantities(desk), len(desk.journal.entries())) == (placed, made)


def test_a_bracket_that_is_over_is_not_claimed_anew_when_it_is_asked_for_again(desk):
    asked = BracketRequest(entry=request(price=4865, key="b"), take_profit=4950, stop_loss=4800)
    desk.manager.place_bracket(asked)
    desk.trade(4865, 1000)
    desk.rounds()
    desk.quote(4950, 4960, bid_quantity=D(50_000))
    desk.rounds(2)
    assert desk.manager.orders() == ()
    made = len(desk.journal.entries())
    entry, profit, stop = desk.manager.place_bracket(asked)
    assert (entry.status, profit.status, stop.status) == (S.FILLED, S.FILLED, S.DENIED)
    assert len(desk.journal.entries()) == made
    assert desk.manager.orders() == ()


def test_one_of_a_group_whose_key_was_placed_by_a_fallback_is_not_placed_again(desk):
    desk.manager.place(request(**COSTLY))
    placed = quantities(desk)
    both = request(key="k"), request(price=4850, quantity=500)
    desk.manager.place_oco(OcoRequest(orders=both))
    desk.rounds(2)
    assert quantities(desk) == placed


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"stop_loss": 4700}, "its stop loss: trigger price 4800, not 4700"),
        ({"take_profit": 4960}, "its take profit: price 4950, not 4960"),
        ({"stop_loss": None}, "it has a stop loss"),
        ({"take_profit": None}, "it has a take profit"),
        ({"stop_limit": 4790}, "its stop loss: type stop, not stop_limit; its stop loss: price 4800, not 4790"),
    ],
)
def test_a_bracket_that_is_asked_for_with_other_exits_is_no_success(desk, other, told):
    terms = {"take_profit": 4950, "stop_loss": 4800}
    entry = request(key="b")
    first, *_ = desk.manager.place_bracket(BracketRequest(entry=entry, **terms))
    again, *exits = desk.manager.place_bracket(BracketRequest(entry=entry, **(terms | other)))
    assert (again.order_id, again.is_success) == (first.order_id, False)
    assert again.message == f"nothing was sent: the key b stands for other terms today: {told}"
    assert len(exits) == 2
    assert desk.manager.place_bracket(BracketRequest(entry=entry, **terms))[0].is_success


def test_a_plain_order_is_no_bracket_when_it_is_asked_for_again_with_exits(desk):
    desk.manager.place(request(key="b"))
    asked = BracketRequest(entry=request(key="b"), take_profit=4950, stop_loss=4800)
    (entry,) = desk.manager.place_bracket(asked)
    assert not entry.is_success
    assert entry.message.endswith("today: it has no take profit; it has no stop loss")


@pytest.mark.parametrize(
    ("asked", "other", "told"),
    [
        ({"order_type": "stop", "trigger_price": 4900}, {"trigger_price": 4910}, "trigger price 4900, not 4910"),
        (
            {"order_type": "trailing_stop", "trailing_offset": 50},
            {"trailing_offset": 60},
            "trailing offset 50, not 60",
        ),
    ],
)
def test_what_is_held_back_is_no_success_either_with_other_terms(desk, asked, other, told):
    first = desk.manager.place(request(price=None, key="k", **asked))
    assert first.is_held
    again = desk.manager.place(request(price=None, key="k", **(asked | other)))
    assert (again.order_id, again.is_success) == (first.order_id, False)
    assert again.message.endswith(f"today: {told}")
    desk.quote(4855, 4865)
    desk.rounds(2)
    assert desk.manager.place(request(price=None, key="k", **asked)).is_success


def exits_of(desk):
    """A profit at the broker and a stop held back, of which one cancels the other, under keys; 100 are held."""
    desk.manager.place(request(quantity=100, price=4870))
    desk.rounds()
    profit = request(side="sell", quantity=100, price=4950, key="profit")
    stop = request(side="sell", quantity=100, order_type="stop", price=None, trigger_price=4800, key="stop")
    return OcoRequest(orders=(profit, stop))


def test_a_group_that_is_asked_for_again_keeps_what_it_holds_back(desk):
    asked = exits_of(desk)
    first = desk.manager.place_oco(asked)
    assert [(each.status, each.is_held) for each in first] == [(S.ACCEPTED, False), (S.INITIALIZED, True)]
    again = desk.manager.place_oco(asked)
    assert [(each.order_id, each.status, each.is_held) for each in again] == [
        (each.order_id, each.status, each.is_held) for each in first
    ]
    desk.open()
    desk.rounds()
    made = len(desk.journal.entries())
    assert [each.is_success for each in desk.manager.place_oco(asked)] == [True, True]
    assert len(desk.journal.entries()) == made
    desk.quote(4790, 4795, bid_quantity=D(50_000))
    desk.trade(4792, 10)
    desk.rounds(3)
    assert desk.held() == 0


def test_what_was_refused_of_a_group_is_placed_again_in_the_same_group(desk):
    asked = exits_of(desk)
    desk.refuse(Reason.UNKNOWN_ORDER, only=1)
    profit, stop = desk.manager.place_oco(asked)
    assert (profit.status, stop.is_held) == (S.REJECTED, True)
    desk.refuse()
    profit, stop = desk.manager.place_oco(asked)
    assert (profit.status, stop.is_held) == (S.ACCEPTED, True)
    groups = {each.intent.order.instructions.group for each in desk.journal.entries()} - {None}
    assert len(groups) == 1


def test_what_was_refused_of_a_group_comes_to_the_process_that_holds_the_others_back(desk):
    desk.reopened(owner=this_process())
    asked, watcher = exits_of(desk), desk.manager
    desk.refuse(Reason.UNKNOWN_ORDER, only=1)
    _, stop = watcher.place_oco(asked)
    desk.reopened()
    desk.refuse()
    profit, still = desk.manager.place_oco(asked)
    assert (profit.is_held, still.order_id, still.is_held) == (True, stop.order_id, True)
    desk.clock.sleep(2)
    watcher.poll()
    assert desk.journal.entry(f"{profit.order_id}").state.status is S.DENIED
    assert watcher.track(profit.order_id).status is S.ACCEPTED
    desk.quote(4790, 4795, bid_quantity=D(50_000))
    desk.trade(4792, 10)
    for _ in range(3):
        desk.clock.sleep(2)
        watcher.poll()
    assert desk.held() == 0
    assert [row.filled_qty for row in desk.at_venue() if row.side == "sell"] == [0, 100]


@pytest.mark.parametrize("other", [{"trigger_price": 4700}, {"order_type": "stop_limit", "price": 4790}])
def test_a_group_that_is_asked_for_again_with_other_terms_is_no_success(desk, other):
    asked = exits_of(desk)
    desk.manager.place_oco(asked)
    profit, stop = asked.orders
    again = desk.manager.place_oco(OcoRequest(orders=(profit, replace(stop, **other))))
    assert [each.is_success for each in again] == [True, False]
    assert "the key stop stands for other terms today" in again[1].message
    made = len(desk.journal.entries())
    desk.open()
    again = desk.manager.place_oco(OcoRequest(orders=(replace(profit, price=4960), stop)))
    assert [each.is_success for each in again] == [False, True]
    # What the process before held back was taken over, and nothing else was made.
    assert len(desk.journal.entries()) == made + 1


def test_what_was_never_claimed_of_a_group_comes_to_it_when_it_is_asked_for_again(desk):
    asked = exits_of(desk)
    claim, claimed = desk.journal.claim, []

    def die(*args, **options):
        if claimed:
            raise Killed
        claimed.append(args)
        return claim(*args, **options)

    desk.journal.claim = die
    with pytest.raises(Killed):
        desk.manager.place_oco(asked)
    desk.open()
    desk.rounds(2)
    profit, stop = desk.manager.place_oco(asked)
    assert (profit.status, stop.is_held, stop.is_success) == (S.ACCEPTED, True, True)
    desk.quote(4790, 4795, bid_quantity=D(50_000))
    desk.trade(4792, 10)
    desk.rounds(3)
    assert desk.held() == 0
    assert [row.filled_qty for row in desk.at_venue() if row.side == "sell"] == [0, 100]


def test_an_order_that_is_held_back_alone_is_in_no_group(desk):
    asked = exits_of(desk)
    desk.manager.place(asked.orders[1])
    again = desk.manager.place_oco(asked)
    assert [each.is_success for each in again] == [False, False]
    assert "it belongs with no other order" in again[1].message
    desk.trade(4950, 1000)
    desk.rounds(2)
    assert desk.held() == 100
    assert [each.intent.order.order_type.value for each in desk.manager.orders()] == ["stop"]


def test_what_a_group_held_back_before_stays_so_when_another_of_it_cannot_be_had(desk):
    asked = exits_of(desk)
    desk.refuse(Reason.UNKNOWN_ORDER, only=1)
    _, stop = desk.manager.place_oco(asked)
    desk.refuse()
    profit = replace(asked.orders[0], quantity=100, price=9_000)
    again = desk.manager.place_oco(OcoRequest(orders=(profit, asked.orders[1])))
    assert [each.is_success for each in again] == [False, True]
    assert desk.journal.entry(stop.order_id).is_held_back


@pytest.mark.parametrize("placed", ["alone", "a bracket", "a group"])
def test_nobody_can_call_an_order_like_a_part_of_another(desk, placed):
    asked, manager = request(key="k/1"), desk.manager
    place = {
        "alone": lambda: manager.place(asked),
        "a bracket": lambda: manager.place_bracket(BracketRequest(entry=asked, take_profit=4950, stop_loss=4800)),
        "a group": lambda: manager.place_oco(OcoRequest(orders=(request(key="k"), asked))),
    }[placed]
    with pytest.raises(RunError, match="the key k/1: a key has no /"):
        place()
    assert desk.journal.entries() == ()


@pytest.mark.parametrize(
    ("asked", "again", "is_one"),
    [
        # The market is closed from 12:30 on, and all day on Thursday and Friday.
        ("2026-11-23 16:00", "2026-11-24 08:50", True),
        ("2026-11-23 16:00", "2026-11-24 16:00", False),
        ("2026-11-23 10:00", "2026-11-24 08:50", False),
        ("2026-11-23 10:00", "2026-11-23 16:00", True),
        ("2026-11-25 16:00", "2026-11-28 08:50", True),
        ("2026-11-26 10:00", "2026-11-28 08:50", True),
        ("2026-11-27 23:59", "2026-11-28 12:00", True),
        ("2026-11-25 12:00", "2026-11-28 08:50", False),
        ("2026-11-28 03:00", "2026-11-28 08:50", True),
    ],
)
def test_a_key_is_one_order_of_the_day_that_it_is_for(tmp_path, asked, again, is_one):
    at = datetime.fromisoformat(asked).replace(tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    # When orders are taken is left to the broker.
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    first = desk.manager.place(request(key="k"))
    clock.sleep((datetime.fromisoformat(again).replace(tzinfo=TEHRAN) - at).total_seconds())
    desk.quote(4860, 4870)
    second = desk.manager.place(request(key="k"))
    assert (second.order_id == first.order_id) is is_one
    assert len(desk.journal.entries()) == (1 if is_one else 2)
    desk.close()


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_a_key_that_came_to_nothing_in_a_session_is_the_next_ones_once_it_is_taken_in_the_evening(tmp_path, kind):
    at = datetime(2026, 11, 23, 10, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    asked = request(key="k")
    if kind == "stop":
        asked = request(key="k", order_type="stop", price=None, trigger_price=4900)
        desk.manager.cancel(desk.manager.place(asked).order_id)
    else:
        desk.refuse(Reason.UNKNOWN_ORDER, only=1)
        assert desk.manager.place(asked).status is S.REJECTED
        desk.refuse()
    clock.suspend(6 * 3600)
    desk.quote(4860, 4870)
    evening = desk.manager.place(asked)
    assert evening.is_success
    clock.suspend(17.5 * 3600)
    desk.quote(4860, 4870)
    again = desk.manager.place(asked)
    assert (again.order_id, again.message) == (evening.order_id, BEFORE)
    assert len(desk.journal.entries()) == 2
    desk.close()


def test_a_stop_that_left_in_the_evening_is_the_next_sessions(tmp_path):
    at = datetime(2026, 11, 23, 10, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    asked = request(key="k", order_type="stop_limit", price=4890, trigger_price=4880, quantity=10)
    first = desk.manager.place(asked)
    clock.suspend(6 * 3600)
    desk.quote(4884, 4895)
    desk.trade(4885, 10)
    desk.rounds(2)
    assert desk.manager.track(first.order_id).status is S.ACCEPTED
    clock.suspend(17.5 * 3600)
    desk.quote(4860, 4870)
    assert desk.manager.place(asked).order_id == first.order_id
    assert len(desk.journal.entries()) == 1
    desk.close()


@pytest.mark.parametrize("claims_last", ["the one before midnight", "the one after midnight"])
def test_while_midnight_passes_two_processes_place_one_order_of_a_key(tmp_path, monkeypatch, claims_last):
    """Each names the order by its own day, and looks before the other has claimed it."""
    before = datetime(2026, 11, 23, 23, 59, 59, tzinfo=TEHRAN)
    clock = SteppedClock(int(before.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    other = Desk(tmp_path, clock, desk.market, owner=this_process(), calendar=calendar("XTEH"))

    def deed():
        step = 2 if claims_last == "the one before midnight" else -2
        clock.suspend(step)
        placed = desk.manager.place(request(key="k"))
        clock.suspend(max(-step, 0))
        return placed

    done = between_its_look_and_its_claim(other, monkeypatch, deed)
    if claims_last == "the one after midnight":
        clock.suspend(2)
    again = other.manager.place(request(key="k"))
    assert done[0].is_success
    assert (again.order_id, again.status) == (done[0].order_id, S.ACCEPTED)
    denied = [each for each in desk.journal.entries() if each.state.status is S.DENIED]
    assert ["exposure: 1,000 more of 1,000" in str(each.state.reason) for each in denied] == [True]
    assert [each.state.status for each in desk.journal.entries() if each.state.attempts] == [S.ACCEPTED]
    other.close()
    desk.close()


def test_while_midnight_passes_two_processes_hold_one_stop_of_a_key(tmp_path, monkeypatch):
    before = datetime(2026, 11, 23, 23, 59, 59, tzinfo=TEHRAN)
    clock = SteppedClock(int(before.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    other = Desk(tmp_path, clock, desk.market, owner=this_process(), calendar=calendar("XTEH"))
    stop = request(key="k", side="sell", order_type="stop", price=None, trigger_price=4800)
    done = between_its_look_and_its_claim(other, monkeypatch, lambda: clock.suspend(2) or desk.manager.place(stop))
    again = other.manager.place(stop)
    assert done[0].is_held
    assert (again.order_id, again.is_held) == (done[0].order_id, True)
    assert [each.is_held_back for each in desk.journal.entries()] == [True, False]
    other.close()
    desk.close()


def test_an_order_of_a_key_is_one_for_a_clock_that_is_set_back_over_midnight(tmp_path):
    after = datetime(2026, 11, 24, 0, 0, 5, tzinfo=TEHRAN)
    clock = SteppedClock(int(after.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    first = desk.manager.place(request(key="k"))
    clock.suspend(-10)
    again = desk.manager.place(request(key="k"))
    assert (again.order_id, len(desk.journal.entries())) == (first.order_id, 1)
    desk.close()


@pytest.mark.parametrize("kind", ["stop", "gtc", "bracket"])
def test_a_key_is_one_order_on_a_later_day_also_for_a_process_that_makes_no_rounds(tmp_path, kind):
    at = datetime(2026, 11, 23, 10, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    silent = Desk(tmp_path, clock, desk.market, owner=this_process(), calendar=calendar("XTEH"))

    def asked(manager):
        if kind == "bracket":
            entry = request(key="k", time_in_force="gtc")
            return manager.place_bracket(BracketRequest(entry=entry, take_profit=4950, stop_loss=4800))[0]
        stop = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800}
        return manager.place(request(key="k", **(stop if kind == "stop" else {"time_in_force": "gtc"})))

    first = asked(desk.manager)
    clock.suspend(24 * 3600)
    desk.quote(4860, 4870)
    assert asked(silent.manager).order_id == first.order_id
    assert len([each for each in desk.journal.entries() if each.state.status is not S.DENIED]) == (
        3 if kind == "bracket" else 1
    )
    silent.close()
    desk.close()


def test_the_day_before_is_another_order_of_a_key_also_right_after_midnight(tmp_path):
    at = datetime(2026, 11, 23, 11, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    first = desk.manager.place(request(key="k"))
    clock.sleep(13 * 3600 + 60)
    desk.quote(4860, 4870)
    second = desk.manager.place(request(key="k"))
    assert (second.is_success, second.order_id == first.order_id) == (True, False)
    desk.close()


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("kind", ["stop", "gtc", "bracket"])
def test_a_key_is_one_order_for_as_long_as_that_lasts(tmp_path, kind, restarted):
    at = datetime(2026, 11, 23, 10, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    asked = {
        "stop": request(key="k", side="sell", order_type="stop", price=None, trigger_price=4800),
        "gtc": request(key="k", price=4840, time_in_force="gtc"),
        "bracket": BracketRequest(entry=request(key="k", price=4870), take_profit=4950, stop_loss=4800),
    }[kind]

    def place():
        return (desk.manager.place_bracket if kind == "bracket" else desk.manager.place)(asked)

    first = place()
    desk.rounds(3)
    clock.suspend(24 * 3600)
    if restarted:
        desk.open()
    desk.quote(4860, 4870)
    desk.rounds(3)
    made = len(desk.journal.entries())
    again = place()
    if kind == "bracket":
        assert [each.order_id for each in again[:2]] == [each.order_id for each in first[:2]]
        again, first = again[0], first[0]
    assert (again.is_success, again.message) == (True, BEFORE)
    assert again.order_id.startswith(first.order_id)
    assert len(desk.journal.entries()) == made
    for entry in desk.manager.orders():
        desk.manager.cancel(entry.intent.order.client_order_id)
    desk.rounds(2)
    assert desk.manager.orders() == ()
    anew = place()
    anew = anew[0] if kind == "bracket" else anew
    assert (anew.is_success, anew.message == BEFORE) == (True, False), "once nothing of it is left it is another order"
    desk.close()


def test_what_may_have_ended_with_its_day_keeps_no_key(tmp_path):
    at = datetime(2026, 11, 23, 10, tzinfo=TEHRAN)
    clock = SteppedClock(int(at.timestamp()) * 1_000_000_000)
    desk = Desk(tmp_path, clock, calendar=calendar("XTEH"))
    desk.quote(4860, 4870)
    first = desk.manager.place(request(key="k", price=4840))
    clock.suspend(23 * 3600)
    desk.quote(4860, 4870)
    assert desk.manager.entry(first.order_id).state.status is S.ACCEPTED, "nobody has looked since"
    second = desk.manager.place(request(key="k", price=4840))
    assert (second.is_success, second.order_id == first.order_id) == (True, False)
    desk.close()
