"""A round of watching: what the lists say is written down once, and nothing is counted that may be a sum."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import Desk, request

from firstbell.brokers.base import Outcome, PartlyUnreadable
from firstbell.errors import CaptchaError, NoAnswer, Refused
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.reconcile import Reconciler

D = Decimal
S = OrderStatus


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4850, 4870)
    yield made
    made.close()


def reports(desk, name):
    return [report.kind.value for report in desk.journal.reports(name)]


def test_a_list_that_says_nothing_new_writes_nothing(desk):
    name = desk.manager.place(request()).order_id
    before = reports(desk, name)
    desk.rounds(5)
    assert reports(desk, name) == before


def unnamed(desk, sums):
    """Have the broker list growing sums, each under a name of its own, as some do."""

    def fills(_day):
        (row,) = (each for each in desk.at_venue())
        rows = PAPER(_day)
        if not rows:
            return ()
        total = sums()
        fill = Fill(f"sum-{total}", total, D(4860))
        return (replace(rows[0], fill=fill, venue_order_id=row.venue_order_id, named=False),)

    PAPER = desk.broker.fills  # noqa: N806 - what it was
    desk.broker.fills = fills


def test_sums_without_a_name_count_once_while_the_order_works_and_when_it_is_done(desk):
    name = desk.manager.place(request()).order_id
    unnamed(desk, lambda: desk.at_venue()[0].filled_qty)
    desk.trade(4860, 400)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.priced_qty, state.avg_px) == (400, 400, 4860)
    desk.trade(4860, 600)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty, state.priced_qty, state.avg_px) == (S.FILLED, 1000, 1000, 4860)


def test_trades_that_come_after_their_order_is_done_are_asked_for_a_while(desk):
    name = desk.manager.place(request()).order_id
    told = desk.broker.fills
    desk.broker.fills = lambda _day: ()
    desk.trade(4860, 1000)
    desk.rounds(3)
    assert desk.manager.entry(name).state.avg_px is None
    desk.broker.fills = told
    desk.rounds()
    assert desk.manager.entry(name).state.avg_px == 4860


def test_a_change_that_nobody_answered_is_read_from_the_list(desk):
    name = desk.manager.place(request()).order_id
    change = desk.broker.replace

    def heard(*args):
        change(*args)
        raise NoAnswer("silence")

    desk.broker.replace = heard
    desk.manager.replace(name, price=D(4850))
    state = desk.manager.entry(name).state
    assert (state.status, state.price) == (S.ACCEPTED, 4850)


def test_a_change_that_was_never_heard_is_given_up_once_lists_that_lag_must_show_it(desk):
    name = desk.manager.place(request()).order_id

    def lost(*_args):
        raise NoAnswer("silence")

    desk.broker.replace = lost
    desk.manager.replace(name, price=D(4850))
    assert desk.manager.entry(name).state.status is S.PENDING_REPLACE
    desk.rounds(36)
    assert desk.manager.entry(name).state.status is S.PENDING_REPLACE
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.price) == (S.ACCEPTED, 4860)
    assert "its old terms" in state.reason


def lagging(desk, seconds):
    """Have the broker's list show what was there so long ago."""
    orders, told = desk.broker.orders, []

    def old(day):
        now_ns = desk.clock.monotonic_ns()
        told.append((now_ns, orders(day)))
        return [told[0][1], *(rows for at_ns, rows in told if at_ns <= now_ns - seconds * 1_000_000_000)][-1]

    desk.broker.orders = old
    desk.at_venue()


def test_a_change_that_was_heard_and_not_answered_is_not_known_until_a_list_that_lags_shows_it(desk):
    name = desk.manager.place(request()).order_id
    desk.rounds()
    change = desk.broker.replace

    def heard(*args):
        change(*args)
        raise NoAnswer("silence")

    desk.broker.replace = heard
    lagging(desk, 62)
    said = [desk.manager.replace(name, quantity=D(2000))]
    for _ in range(30):
        desk.rounds()
        said.append(desk.manager.track(name))
    assert {each.status for each in said} == {S.PENDING_REPLACE}
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.status, state.quantity) == (S.ACCEPTED, 2000)
    assert "REPLACE_REJECTED" not in reports(desk, name)


# --- cancels that no list shows


def count_cancels(desk, cancel):
    """Have the broker take cancels like this; the seconds at which it was asked."""
    asked = []

    def counted(name):
        asked.append(desk.clock.monotonic_ns() // 1_000_000_000)
        return cancel(name)

    desk.broker.cancel = counted
    return asked


def test_a_cancel_that_was_never_heard_is_asked_for_again(desk):
    name = desk.manager.place(request()).order_id
    cancel = desk.broker.cancel

    def lost(_name):
        raise NoAnswer("silence")

    desk.broker.cancel = lost
    assert desk.manager.cancel(name).is_unresolved
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.PENDING_CANCEL
    desk.broker.cancel = cancel
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.CANCELED


def test_a_cancel_is_asked_for_again_ever_more_seldom_and_at_last_given_up(desk):
    name = desk.manager.place(request()).order_id
    asked = count_cancels(desk, silent)
    desk.manager.cancel(name)
    desk.rounds(149, 1)
    assert [at - asked[0] for at in asked] == [0, 5, 15, 35, 75]
    assert desk.manager.entry(name).state.status is S.PENDING_CANCEL
    desk.rounds(5, 1)
    state = desk.manager.entry(name).state
    assert (state.status, len(asked)) == (S.ACCEPTED, 5)
    assert "still shows it working" in state.reason
    # Another cancel begins anew.
    desk.manager.cancel(name)
    desk.rounds(6, 1)
    assert len(asked) == 7


def test_how_long_a_cancel_has_been_waited_for_does_not_begin_anew_with_a_restart(desk):
    name = desk.manager.place(request()).order_id
    asked = count_cancels(desk, silent)
    desk.manager.cancel(name)
    for _ in range(40):
        desk.open()
        again = count_cancels(desk, silent)
        desk.rounds(2, 1)
        asked += again
    assert [at - asked[0] for at in asked] == [0, 5, 15, 35, 75]


def test_a_cancel_is_asked_for_again_though_the_clock_was_set_back(desk):
    name = desk.manager.place(request()).order_id
    count_cancels(desk, silent)
    desk.manager.cancel(name)
    desk.clock.suspend(-3600)
    desk.open()
    again = count_cancels(desk, silent)
    desk.rounds(8, 1)
    assert again == [6]


def test_a_cancel_that_was_made_stays_unknown_while_lists_lag_though_others_are_refused(desk):
    name = desk.manager.place(request()).order_id
    desk.rounds()
    cancel = desk.broker.cancel
    lagging(desk, 62)

    def once(name):
        if len(asked) > 1:
            raise Refused("1502")
        cancel(name)

    asked = count_cancels(desk, once)
    said = [desk.manager.cancel(name)]
    for second in range(60):
        desk.rounds(1, 1)
        if second % 7 == 0:
            said.append(desk.manager.cancel(name))
        assert desk.manager.entry(name).state.status is S.PENDING_CANCEL
    assert all((each.is_success, each.is_unresolved, each.error) == (False, True, None) for each in said)
    assert "it is not known yet what became of it" in said[-1].message
    assert said[-1].message.endswith("asked again: 1502")
    desk.rounds(4, 1)
    assert desk.manager.entry(name).state.status is S.CANCELED
    assert "CANCEL_REJECTED" not in reports(desk, name)


def test_a_cancel_that_another_process_has_seen_through_meanwhile_is_not_asked_for_again(desk):
    name = desk.manager.place(request()).order_id
    asked = count_cancels(desk, silent)
    desk.manager.cancel(name)
    orders = desk.broker.orders

    def seen(day):
        rows = orders(day)
        at = instant(desk.clock.wall_ns())
        desk.journal.append([ExecutionReport(name, "other", ReportKind.CANCELED, at)])
        desk.broker.orders = orders
        return rows

    desk.rounds(2)
    desk.broker.orders = seen
    desk.rounds(1)
    assert (desk.manager.entry(name).state.status, len(asked)) == (S.CANCELED, 1)
    assert desk.broker.orders is orders


def test_a_cancel_that_was_refused_says_nothing_of_a_change_before_it(desk):
    name = desk.manager.place(request()).order_id
    desk.broker.replace = silent
    desk.manager.replace(name, quantity=D(2000))

    def no(_name):
        raise Refused("not now")

    desk.broker.cancel = no
    response = desk.manager.cancel(name)
    assert (response.status, response.is_success, response.is_unresolved) == (S.PENDING_REPLACE, False, True)
    assert response.message == "not now"
    desk.rounds(36)
    assert desk.manager.entry(name).state.status is S.PENDING_REPLACE
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.ACCEPTED


# --- orders that no list tells of


def test_a_person_is_told_once_of_an_order_that_was_changed_by_hand_while_it_was_unresolved(desk):
    desk.reopened(lacks={"client_order_ids"})

    def cut(send, prepared, **options):
        send(prepared, **options)
        raise NoAnswer("cut")

    desk.broker.lost = cut
    orders = desk.broker.orders
    desk.broker.orders = lambda day: tuple(replace(row, quantity=D(900), client_order_id=None) for row in orders(day))
    desk.broker.open_orders = tuple
    name = desk.manager.place(request()).order_id
    desk.rounds(37)
    assert desk.interventions == []
    desk.rounds(30)
    ((told, why),) = desk.interventions
    assert told == name
    assert f"order {desk.at_venue()[0].venue_order_id} of the same instrument and side may be it" in why
    assert desk.manager.track(name).is_unresolved
    # Once it looks like itself again, it is found.
    desk.broker.orders = orders
    desk.rounds()
    assert desk.manager.track(name).status is S.ACCEPTED


# --- what is not said is not known, and what is said is counted once


def trader_of(desk):
    (trader,) = desk.manager.traders
    return trader


def silent(*_args, **_kwargs):
    raise NoAnswer("silence")


def locked_out(*_args, **_kwargs):
    raise CaptchaError("no captcha")


either = pytest.mark.parametrize("fail", [silent, locked_out])


def test_a_list_that_says_nothing_new_is_no_deed(desk):
    desk.manager.place(request())
    desk.rounds()
    before = desk.broker.deeds.count
    desk.rounds(5)
    assert desk.broker.deeds.count == before


def test_an_accepted_order_that_its_list_does_not_show_still_works_and_nobody_else_is_asked(desk):
    name = desk.manager.place(request()).order_id
    asked = []
    desk.broker.open_orders = lambda: asked.append("open orders") or ()
    listed = desk.broker.orders
    desk.broker.orders = lambda _day: ()
    desk.rounds(60)
    assert desk.manager.entry(name).state.status is S.ACCEPTED
    assert asked == []
    desk.broker.orders = listed
    desk.trade(4860, 1000)
    desk.rounds()
    assert desk.manager.entry(name).state.status is S.FILLED


def test_an_order_that_is_missing_in_the_list_hides_no_other(desk):
    first = desk.manager.place(request()).order_id
    second = desk.manager.place(request(price=4861)).order_id
    listed = desk.broker.orders
    desk.broker.orders = lambda day: tuple(row for row in listed(day) if row.client_order_id != first)
    desk.trade(4861, 400)
    desk.rounds()
    assert desk.manager.entry(second).state.filled_qty == 400
    assert desk.manager.entry(first).state.status is S.ACCEPTED


def test_an_order_of_which_nobody_knows_hides_no_other(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    stop = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4830, "quantity": 10}
    lost = desk.manager.place(request(**stop)).order_id
    other = desk.manager.place(request(price=4861, quantity=500)).order_id
    desk.broker.lost = silent
    desk.trade(4820, 10)
    desk.rounds()
    assert desk.manager.entry(lost).state.unresolved
    desk.broker.lost = None
    desk.quote(4850, 4870)
    desk.trade(4861, 200)
    desk.rounds()
    assert desk.manager.entry(other).state.filled_qty == 210


def test_a_day_whose_list_cannot_be_read_hides_no_other_day(desk):
    desk.interrupt.wait_until = desk.clock.move_to
    first = desk.manager.place(request(time_in_force="gtc")).order_id
    yesterday = desk.manager.entry(first).intent.order.day
    desk.clock.sleep(24 * 3600)
    desk.rounds()
    second = desk.manager.place(request(price=4861)).order_id
    listed = desk.broker.orders
    desk.broker.orders = lambda day: silent() if day == yesterday else listed(day)
    desk.trade(4861, 400)
    desk.rounds()
    assert desk.manager.entry(second).state.filled_qty == 400
    # Nor do those that can be read hide that it cannot.
    desk.rounds(60)
    ((_, why),) = desk.interventions
    assert f"the list of its orders of {yesterday} could not be read for" in why


@either
def test_a_person_is_told_once_each_time_where_the_list_cannot_be_read_for_long(desk, fail):
    name = desk.manager.place(request()).order_id
    watch, listed = trader_of(desk).watch, desk.broker.orders
    desk.trade(4860, 400)
    for times in (1, 2):
        desk.broker.orders = fail
        for pause_s, told in ((0, 0), (74, 0), (2, 1), (300, 1)):
            desk.clock.sleep(pause_s)
            watch.look()
            assert len(desk.interventions) == times - 1 + told
        assert desk.manager.entry(name).state.filled_qty == (0 if times == 1 else 400)
        desk.broker.orders = listed
        watch.look()
        assert desk.manager.entry(name).state.filled_qty == 400
    account, why = desk.interventions[0]
    assert (account, "nothing is known of them" in why) == ("Order_A", True)


def test_a_row_that_cannot_be_read_hides_none_of_the_others_and_no_order_is_absent(desk):
    name = desk.manager.place(request()).order_id
    desk.broker.lost = silent
    unknown = desk.manager.place(request(price=4730)).order_id
    desk.broker.lost = None
    listed = desk.broker.orders

    def partly(day):
        raise PartlyUnreadable("row of an order: price is missing (1 of 2 rows)", listed(day))

    desk.broker.orders = partly
    desk.trade(4860, 400)
    desk.rounds(100)
    assert desk.manager.entry(name).state.filled_qty == 400
    assert desk.manager.entry(unknown).state.unresolved, "it is not taken for absent"
    ((account, why),) = desk.interventions
    assert account == "Order_A"
    assert "what can be read of it counts" in why
    assert "price is missing" in why
    assert desk.manager.health()["Order_A"].is_well
    desk.broker.orders = listed
    desk.rounds(60)
    assert desk.manager.entry(unknown).state.status is OrderStatus.REJECTED


def test_what_can_be_read_of_a_list_resolves_what_nobody_has_answered(desk):
    listed = desk.broker.orders

    def partly(day):
        raise PartlyUnreadable("row of an order: price is missing (1 of 2 rows)", listed(day))

    desk.broker.orders = partly

    def unheard(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    desk.broker.lost = unheard
    first, second = (desk.manager.place(request(price=price)).order_id for price in (4730, 4731))
    assert desk.manager.entry(first).state.unresolved
    desk.rounds()
    assert desk.manager.entry(first).state.status is OrderStatus.ACCEPTED
    desk.broker.lost = unheard
    second = desk.manager.place(request(price=4731)).order_id
    (login,) = (trader.login.key for trader in desk.manager.traders)
    told = Reconciler({login: desk.broker}, desk.journal, desk.clock, "later").look()
    assert desk.journal.entry(second).state.status is OrderStatus.ACCEPTED
    assert "not all of its list can be read, so nothing is absent" in told.unreachable[login]


def test_of_a_list_that_need_not_be_read_any_more_nobody_is_told(desk):
    name = desk.manager.place(request()).order_id
    listed = desk.broker.orders
    desk.broker.orders = silent
    desk.rounds()
    at = instant(desk.clock.wall_ns())
    desk.journal.append([ExecutionReport(name, "other", ReportKind.CANCELED, at, reason="by another process")])
    desk.broker.orders = listed
    desk.rounds(3)
    desk.clock.sleep(3600)
    desk.manager.place(request())
    desk.broker.orders = silent
    desk.rounds(30)
    assert desk.interventions == []


def nameless(desk, **terms):
    """Place an order whose answer brings no name of the broker's."""
    read = desk.broker.read_answer
    desk.broker.read_answer = lambda *_args: Outcome(AttemptOutcome.ACCEPTED)
    response = desk.manager.place(request(**terms))
    desk.broker.read_answer = read
    return response


@pytest.mark.parametrize("by_our_name", [True, False])
def test_an_accepted_order_without_a_name_gets_it_from_the_list_however_that_tells_it(
    tmp_path, stepped_clock, by_our_name
):
    desk = Desk(tmp_path, stepped_clock, lacks=() if by_our_name else {"client_order_ids"})
    desk.quote(4850, 4870)
    if not by_our_name:
        listed = desk.broker.orders
        desk.broker.orders = lambda day: tuple(replace(row, client_order_id=None) for row in listed(day))
    response = nameless(desk)
    assert (response.status, response.venue_order_id) == (S.ACCEPTED, None)
    desk.rounds()
    (row,) = desk.at_venue()
    assert desk.manager.entry(response.order_id).state.venue_order_id == row.venue_order_id
    assert desk.manager.cancel(response.order_id).status is S.CANCELED
    desk.close()


def test_an_order_is_found_by_its_brokers_name_before_ours(desk):
    first = desk.manager.place(request()).order_id
    second = desk.manager.place(request(price=4861)).order_id
    listed = desk.broker.orders

    def mixed(day):
        rows = listed(day)
        return tuple(replace(row, client_order_id=first) for row in rows)

    desk.broker.orders = mixed
    desk.trade(4861, 400)
    desk.rounds()
    assert desk.manager.entry(first).state.filled_qty == 0
    assert desk.manager.entry(second).state.filled_qty == 400


def test_each_order_has_the_trades_that_bear_its_name(desk):
    first = desk.manager.place(request(price=4861, quantity=100)).order_id
    second = desk.manager.place(request(price=4862, quantity=100)).order_id
    told = desk.broker.fills
    # One trade that is nobody's.
    desk.broker.fills = lambda day: (replace(told(day)[0], venue_order_id=None), *told(day))
    desk.trade(4861, 200)
    desk.rounds(2)
    prices = [desk.manager.entry(name).state.avg_px for name in (first, second)]
    assert prices == [4861, 4862]


@either
def test_trades_that_cannot_be_read_now_are_read_later(desk, fail):
    name = desk.manager.place(request()).order_id
    told = desk.broker.fills
    desk.broker.fills = fail
    desk.trade(4860, 400)
    desk.rounds()
    assert desk.manager.entry(name).state.avg_px is None
    desk.broker.fills = told
    desk.clock.sleep(60)
    desk.rounds()
    assert desk.manager.entry(name).state.avg_px == 4860


@pytest.mark.parametrize("pause_s", [0.5, 2, 5])
def test_trades_that_are_never_named_are_asked_for_longer_than_lists_lag_and_not_for_ever(desk, pause_s):
    name = desk.manager.place(request()).order_id
    asked = []
    desk.broker.fills = lambda _day: asked.append(1) or ()
    desk.trade(4860, 1000)
    desk.rounds(400, pause_s=pause_s)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty, state.avg_px) == (S.FILLED, 1000, None)
    assert len(asked) * pause_s == pytest.approx(150, abs=2 * pause_s)


def test_trades_that_are_told_as_late_as_lists_may_lag_are_counted(desk):
    name, told = desk.manager.place(request()).order_id, desk.broker.fills
    desk.broker.fills = lambda _day: ()
    desk.trade(4860, 1000)
    desk.rounds(37)
    assert desk.manager.entry(name).state.avg_px is None
    desk.broker.fills = told
    desk.rounds()
    assert desk.manager.entry(name).state.avg_px == 4860


def test_once_every_trade_is_known_none_is_asked_for(desk):
    desk.manager.place(request())
    asked, told = [], desk.broker.fills
    desk.broker.fills = lambda day: asked.append(1) or told(day)
    desk.trade(4860, 1000)
    desk.rounds()
    assert len(asked) == 1
    desk.rounds(5)
    assert len(asked) == 1


def test_sums_that_do_not_make_up_what_has_traded_count_for_nothing(desk):
    name = desk.manager.place(request()).order_id
    unnamed(desk, lambda: desk.at_venue()[0].filled_qty - 1)
    desk.trade(4860, 1000)
    desk.rounds(3)
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty, state.priced_qty) == (S.FILLED, 1000, 0)


# --- what was there before


def test_the_list_of_before_is_not_asked_for_again_within_its_time_and_knows_what_came_since(desk):
    watch, asked, listed = trader_of(desk).watch, [], desk.broker.orders
    desk.broker.orders = lambda day: asked.append(day) or listed(day)
    second = 1_000_000_000
    desk.clock.sleep(60)
    assert watch.known_ids(5 * second) == frozenset()
    response = desk.manager.place(request())
    desk.clock.sleep(5)
    assert watch.known_ids(5 * second) == {response.venue_order_id}
    assert len(asked) == 1
    by_hand = desk.broker.submit(replace(desk.manager.entry(response.order_id).intent.order, client_order_id="hand"))
    assert by_hand.venue_order_id not in watch.known_ids(5 * second)
    desk.clock.sleep(0.1)
    assert by_hand.venue_order_id in watch.known_ids(5 * second)
    assert len(asked) == 2


@either
def test_where_the_list_cannot_be_read_nobody_knows_what_was_there_before(desk, fail):
    watch, listed = trader_of(desk).watch, desk.broker.orders
    desk.broker.orders = fail
    assert watch.known_ids(0) is None
    desk.broker.orders = listed
    assert watch.known_ids(0) == frozenset()
    # What was read too long ago is no answer either.
    desk.broker.orders = fail
    desk.clock.sleep(1)
    assert watch.known_ids(0) is None


def test_the_list_of_a_day_that_ended_while_it_was_read_says_nothing_of_today(desk):
    watch, listed = trader_of(desk).watch, desk.broker.orders

    def slowly(day):
        desk.clock.sleep(24 * 3600)
        return listed(day)

    desk.broker.orders = slowly
    assert watch.known_ids(0) is None


def test_whoever_cannot_log_in_has_read_no_list(desk):
    desk.manager.place(request())
    watch = trader_of(desk).watch
    desk.broker.orders = lambda _day: ()
    desk.broker.login = locked_out
    watch.look()
    assert watch.known_ids(0) is None
    desk.clock.sleep(76)
    watch.look()
    assert len(desk.interventions) == 1


def test_what_another_process_writes_while_the_list_is_read_stops_no_other_orders_reports(desk):
    first = desk.manager.place(request(price=4861)).order_id
    second = desk.manager.place(request(price=4862)).order_id
    desk.market.cancel("u", int(desk.manager.entry(first).state.venue_order_id))
    desk.trade(4862, 400)
    listed = desk.broker.orders

    def quicker(day):
        journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
        at = instant(desk.clock.wall_ns())
        journal.append([ExecutionReport(first, "other", ReportKind.CANCELED, at, reason="by the other")])
        journal.close()
        desk.broker.orders = listed
        return listed(day)

    desk.broker.orders = quicker
    desk.clock.sleep(1)
    trader_of(desk).watch.look()
    assert desk.manager.entry(second).state.filled_qty == 400
    assert (desk.manager.track(first).status, desk.manager.track(first).message) == (S.CANCELED, "by the other")
    assert reports(desk, first).count("CANCELED") == 1


def test_what_another_process_has_priced_is_not_asked_for(desk):
    name = desk.manager.place(request(price=4861)).order_id
    told = desk.broker.fills
    desk.broker.fills = silent
    desk.trade(4861, 400)
    desk.rounds()
    (trade,) = told(desk.manager.entry(name).intent.order.day)
    journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
    at = instant(desk.clock.wall_ns())
    journal.append([ExecutionReport(name, "other", ReportKind.PARTIALLY_FILLED, at, fill=trade.fill)])
    journal.close()
    asked = []
    desk.broker.fills = lambda day: asked.append(day) or told(day)
    desk.clock.sleep(60)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.avg_px) == (400, 4861)
    assert asked == []


def test_of_what_is_held_back_alone_no_list_tells(desk):
    desk.trade(4860, 10)
    stop = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800, "quantity": 10}
    assert desk.manager.place(request(**stop)).is_held
    asked = []
    desk.broker.orders = lambda day: asked.append(day) or ()
    desk.rounds(3)
    assert asked == []


def test_a_trade_with_a_name_beside_a_sum_without_one_counts_for_nothing_yet(desk):
    name = desk.manager.place(request()).order_id
    told = desk.broker.fills

    def mixed(day):
        return tuple(
            replace(fill, named=named, fill=replace(fill.fill, trade_id=f"{fill.fill.trade_id}-{named}"))
            for fill in told(day)
            for named in (True, False)
        )

    desk.broker.fills = mixed
    desk.trade(4860, 400)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert (state.filled_qty, state.priced_qty) == (400, 0)


# --- lists that lag


def lag(desk, seconds):
    """Have the broker's list show what it was so long ago."""
    listed, known = desk.broker.orders, []

    def old(day):
        now_s = desk.clock.monotonic_ns() / 1_000_000_000
        known.append((now_s, listed(day)))
        seen = [rows for at_s, rows in known if at_s <= now_s - seconds]
        return seen[-1] if seen else known[0][1]

    desk.broker.orders = old


def test_a_list_that_lags_undoes_no_change_that_was_accepted_also_after_a_restart(desk):
    name = desk.manager.place(request(price=4861)).order_id
    desk.rounds()
    lag(desk, 5)
    desk.rounds()
    desk.manager.replace(name, price=4862, quantity=1500)
    told, before = reports(desk, name), desk.broker.orders
    desk.rounds(2, 1.0)
    desk.open()
    desk.broker.orders = before
    desk.rounds(6, 1.0)
    state = desk.manager.entry(name).state
    assert (state.price, state.quantity) == (4862, 1500)
    assert reports(desk, name) == told
    assert told.count("REPLACED") == 1


def test_what_was_changed_by_hand_after_an_accepted_change_is_believed_at_once(desk):
    name = desk.manager.place(request(price=4861)).order_id
    desk.manager.replace(name, price=4862)
    entry = desk.manager.entry(name)
    desk.broker.replace(entry.state.venue_order_id, replace(entry.intent.order, price=D(4863)))
    desk.rounds()
    assert desk.manager.entry(name).state.price == 4863


def test_what_was_changed_back_by_hand_is_believed_after_a_while(desk):
    name = desk.manager.place(request(price=4861)).order_id
    desk.manager.replace(name, price=4862)
    entry = desk.manager.entry(name)
    desk.broker.replace(entry.state.venue_order_id, replace(entry.intent.order, price=D(4861)))
    desk.rounds(37)
    assert desk.manager.entry(name).state.price == 4862
    desk.rounds()
    assert desk.manager.entry(name).state.price == 4861


def trades_told(desk, name):
    """What was written of an order since it was accepted: kind, trade's quantity, sum."""
    kinds = {"PARTIALLY_FILLED", "FILLED", "REPLACED"}
    return [
        (each.kind.value, None if each.fill is None else each.fill.last_qty, each.cum_qty)
        for each in desk.journal.reports(name)
        if each.kind.value in kinds
    ]


def test_each_trade_is_told_once_and_with_its_price(desk):
    name = desk.manager.place(request()).order_id
    desk.trade(4860, 400)
    desk.rounds()
    desk.trade(4860, 350)
    desk.trade(4859, 250)
    desk.rounds(3)
    assert trades_told(desk, name) == [("PARTIALLY_FILLED", each, None) for each in (400, 350, 250)]
    assert desk.manager.entry(name).state.status is S.FILLED


def test_trades_without_an_order_are_not_asked_for_before_the_sum_is_written(desk):
    told, asked = desk.broker.fills, []

    def loose(day):
        asked.append(desk.manager.entry(name).state.filled_qty)
        return tuple(replace(fill, venue_order_id=None) for fill in told(day))

    desk.broker.fills = loose
    name = desk.manager.place(request()).order_id
    for quantity in (400, 350):
        desk.trade(4860, quantity)
        desk.rounds()
    # Once it is known that they name no order, they are asked for behind the sum alone.
    assert asked == [0, 750]
    assert trades_told(desk, name)[:2] == [("PARTIALLY_FILLED", None, 400), ("PARTIALLY_FILLED", 400, None)]


def test_an_order_that_has_grown_elsewhere_is_not_taken_for_filled_by_its_trades(desk):
    name = desk.manager.place(request(quantity=400)).order_id
    entry = desk.manager.entry(name)
    desk.broker.replace(entry.state.venue_order_id, replace(entry.intent.order, quantity=D(1000)))
    desk.trade(4860, 600)
    desk.rounds()
    state = desk.manager.entry(name).state
    assert (state.status, state.filled_qty, state.quantity) == (S.PARTIALLY_FILLED, 600, 1000)
    assert trades_told(desk, name)[0][0] == "REPLACED"
