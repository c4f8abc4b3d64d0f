"""From a request to orders: what is checked, priced and named, what may be tried instead, and what is taken back."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from oms_desk import ACCOUNT, ISIN, Desk, request

from firstbell.brokers.base import Holding
from firstbell.errors import CaptchaError, NoAnswer, NotSent
from firstbell.market import calendar
from firstbell.market.hours import Hours
from firstbell.model.identifiers import request_order_id
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import OrderOutcome, OrderRole, OrderType, Side
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile, TradingState
from firstbell.risk.verdict import ErrorCode
from firstbell.simulator.rules import Reason

D = Decimal
S = OrderStatus
OTHER = "IRO1BMLT0001"
STOP = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4840, "quantity": 10}


def bracket(**terms):
    entry = request(quantity=3000, price=4865, key="b")
    return BracketRequest(entry=entry, **{"take_profit": 4950, "stop_loss": 4800, **terms})


def order(desk, response):
    return desk.manager.entry(response.order_id).intent.order


def state(desk, response):
    return desk.manager.entry(response.order_id).state


def halt(desk):
    HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "me", "by hand"))


# --- checked, priced, named


def test_what_is_denied_before_it_has_a_name_is_told_with_every_reason(desk):
    asked = request(price="4861.5", quantity="999999")
    response = desk.manager.place(asked)
    told = [str(verdict) for verdict in response.verdicts]
    assert len(told) > 1
    assert response.message == "; ".join(told)
    assert response.error is response.verdicts[0].code
    assert desk.denied == [("Order_A", asked, response.message)]
    desk.manager.place(request())
    assert len(desk.denied) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(NoAnswer("silence"), ErrorCode.NETWORK_ERROR), (CaptchaError("no captcha"), ErrorCode.AUTHENTICATION_ERROR)],
)
def test_an_instrument_that_cannot_be_read_now_is_no_unknown_one(desk, error, code):
    def fail(*_args, **_kwargs):
        raise error

    desk.broker.instrument = fail
    response = desk.manager.place(request())
    assert (response.status, response.order_id, response.error) == (S.DENIED, None, code)
    assert response.message == f"{ISIN} could not be read: {error}"
    assert desk.at_venue() == ()


def test_an_instrument_may_be_asked_for_by_its_symbol_and_is_checked_and_written_by_its_isin(desk):
    response = desk.manager.place(request(instrument="فولاد"))
    assert response.is_success
    assert order(desk, response).instrument == ISIN
    assert desk.manager.place(request(instrument="فولاد", price=9000)).status is S.DENIED


def test_an_order_without_a_limit_is_judged_by_a_quote_of_now(desk):
    asked = []
    quote = desk.broker.quote
    desk.broker.quote = lambda isin: asked.append(isin) or quote(isin)
    desk.clock.sleep(1)
    desk.manager.place(request())
    desk.manager.place(request())
    assert len(asked) == 1
    desk.manager.place(request(order_type="market", price=None, quantity=10))
    assert len(asked) == 2


def test_how_long_an_order_took_here_leaves_out_how_long_its_broker_took(desk):
    began_ns = time.perf_counter_ns()
    desk.manager.place(request())
    whole_ns = time.perf_counter_ns() - began_ns
    names = [name for name, _ in desk.observed]
    assert names == ["validation", "overhead"]
    assert all(0 < took_ns <= whole_ns for _, took_ns in desk.observed)
    send = desk.broker.send

    def slow(*args, **kwargs):
        return replace(send(*args, **kwargs), round_trip_ns=3_600_000_000_000)

    desk.broker.send = slow
    desk.manager.place(request())
    # More than all of it was the broker's: what is left is nothing.
    assert desk.observed[-1] == ("overhead", 0)
    desk.broker.send = send
    desk.manager.place(request())
    assert desk.observed[-1][1] > 0


def test_a_stop_is_valued_at_its_trigger_and_a_limit_at_its_limit(desk):
    assert order(desk, desk.manager.place(request(**STOP))).price == 4840
    both = request(order_type="stop_limit", price=4900, trigger_price=4890)
    assert order(desk, desk.manager.place(both)).price == 4900


def test_a_market_order_is_valued_at_a_price_at_which_it_would_trade(desk):
    response = desk.manager.place(request(order_type="market", price=None))
    assert 4870 <= order(desk, response).price <= 4870 * D("1.011")


@pytest.mark.parametrize(("side", "trigger", "lowest"), [("sell", 4825, 4724), ("buy", 4905, 5065)])
def test_a_trailing_stop_begins_its_offset_away_from_the_last_price_and_no_lower_than_the_band(
    desk, side, trigger, lowest
):
    terms = {"side": side, "order_type": "trailing_stop", "price": None, "quantity": 10}
    near = desk.manager.place(request(**terms, trailing_offset=40))
    assert state(desk, near).trigger_price == trigger
    assert order(desk, near).price == 4865
    far = desk.manager.place(request(**terms, trailing_offset=200))
    assert state(desk, far).trigger_price == lowest


def test_a_trailing_stop_with_a_trigger_of_its_own_begins_there(desk):
    terms = {"side": "sell", "order_type": "trailing_stop", "price": None, "quantity": 10}
    response = desk.manager.place(request(**terms, trailing_offset=40, trigger_price=4800))
    assert state(desk, response).trigger_price == 4800


def test_where_nothing_has_traded_a_trailing_stop_begins_at_what_it_would_trade_at(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock)
    desk.quote(4860, 4870)
    response = desk.manager.place(
        request(side="sell", order_type="trailing_stop", price=None, trailing_offset=40, quantity=10)
    )
    assert state(desk, response).trigger_price == 4820
    desk.close()


def closing(**terms):
    return request(side="sell", role="exit", key="end", quantity=10, **terms)


def test_an_order_for_which_no_price_is_known_is_denied(desk):
    def silent(_isin):
        raise NoAnswer("silence")

    desk.broker.quote = silent
    for terms in ({"order_type": "market"}, {"order_type": "trailing_stop", "trailing_offset": 40}):
        response = desk.manager.close_position("Order_A", closing(price=None, **terms))
        assert (response.status, response.error) == (S.DENIED, ErrorCode.PRICE_ERROR)
        assert response.message == "no price is known at which it would trade"
    assert desk.journal.entries() == ()


def test_what_ends_a_position_is_placed_whatever_the_checks_say_of_the_market(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    old = replace(desk.broker.quote(ISIN), at=instant(desk.clock.wall_ns()) - timedelta(minutes=5))
    desk.broker.quote = lambda _isin: old
    assert desk.manager.place(request(side="sell", order_type="market", price=None, quantity=10)).status is S.DENIED
    assert desk.manager.close_position("Order_A", closing(order_type="market", price=None)).is_success
    desk.rounds()
    assert desk.held() == 0


def test_what_ends_a_position_waits_at_the_worst_price_allowed_where_nobody_is_there_to_trade_with(desk):
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    desk.reopened(lacks={OrderType.MARKET})
    desk.market.set_quote(ISIN, ask=D(4850))
    assert desk.manager.place(request(side="sell", order_type="market", price=None, quantity=10)).status is S.DENIED
    response = desk.manager.close_position("Order_A", closing(order_type="market", price=None))
    assert response.status is S.ACCEPTED
    low = desk.broker.instrument(ISIN).band.low
    # The market last traded at 4,870, and the config allows 5 %.
    assert desk.manager.entry(response.order_id).state.price == max(low, math.ceil(D(4870) * D("0.95")))
    desk.quote(4724, 4850)
    desk.rounds()
    assert desk.held() == 0


def test_what_ends_a_position_and_is_more_than_one_order_may_be_for_leaves_in_parts(desk):
    describe = desk.broker.instrument
    desk.broker.instrument = lambda *args, **named: replace(describe(*args, **named), max_quantity=D(40))
    for _ in range(3):
        desk.manager.place(request(price=4870, quantity=35))
    desk.rounds()
    assert desk.held() == 105
    ending = closing(order_type="market", price=None)
    response = desk.manager.close_position("Order_A", replace(ending, quantity=D(105)))
    assert response.is_success
    desk.rounds()
    assert desk.held() == 0
    sold = [row.quantity for row in desk.at_venue() if row.side is Side.SELL]
    assert sold == [40, 40, 25]
    # Asked for once more, nothing is sent.
    desk.manager.close_position("Order_A", replace(ending, quantity=D(105)))
    assert len(desk.at_venue()) == 6


def test_who_closes_positions_tells_by_himself_what_stood_against_it(desk):
    # Somebody has sold by hand what these orders had bought.
    desk.refuse(Reason.NOT_ENOUGH_SHARES)
    response = desk.manager.close_position("Order_A", closing(order_type="market", price=None))
    assert response.message.endswith(
        "a person has to look: the broker has 0 shares of it to sell, which makes no order"
    )
    assert desk.interventions == []


def test_what_ends_a_position_is_not_sent_while_the_market_is_closed(desk):
    desk.reopened(hours=Hours(calendar("XTEH")))
    desk.clock.suspend(12 * 3600)
    response = desk.manager.close_position("Order_A", closing(order_type="market", price=None))
    assert (response.order_id, response.error) == (None, ErrorCode.MARKET_HOURS_ERROR)


def test_what_stands_before_an_order_that_rests_is_told_where_the_book_is_shown(desk):
    first = desk.manager.place(request(price=4860))
    assert first.queue.quantity == 10_000
    assert (first.queue.side, first.queue.price) == (Side.BUY, 4860)
    assert desk.manager.place(request(**STOP)).queue is None
    desk.reopened(lacks={"shows_book"})
    assert desk.manager.place(request(price=4860)).queue is None
    desk.reopened()

    def silent(_isin):
        raise NoAnswer("silence")

    desk.broker.quote = silent
    unseen = desk.manager.place(request(price=4860))
    assert (unseen.status, unseen.queue) == (S.ACCEPTED, None)


# --- refused


def test_parts_are_placed_one_after_the_other_under_names_of_the_requests_own(desk):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(400)))
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    response = desk.manager.place(request(quantity=1000, key="k"))
    assert (response.status, response.is_success) == (S.REJECTED, True)
    assert [child.status for child in response.children] == [S.ACCEPTED] * 3
    assert [row.quantity for row in desk.at_venue()] == [334, 333, 333]
    today = instant(desk.clock.wall_ns()).date()
    names = [request_order_id(today, "paper", "u", f"k/{number}") for number in (1, 2, 3)]
    assert [child.order_id for child in response.children] == names


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_ORDER, Reason.NO_CHANGES_NOW])
def test_after_a_part_that_is_refused_no_further_part_is_placed(desk, reason):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(400)))
    send = desk.broker.send
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    large = desk.broker.lost
    desk.refuse(reason, first=1, only=1)
    later = desk.broker.lost

    def say(send, prepared, *, timeout_s):
        if prepared.order.quantity == 1000:
            return large(send, prepared, timeout_s=timeout_s)
        return later(send, prepared, timeout_s=timeout_s)

    desk.broker.lost = say
    response = desk.manager.place(request(quantity=1000))
    assert [child.status for child in response.children] == [S.ACCEPTED, S.REJECTED]
    assert [row.quantity for row in desk.at_venue()] == [334]
    assert desk.broker.send == send


def test_after_a_part_of_which_nobody_knows_no_further_part_is_placed(desk):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(400)))
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    large = desk.broker.lost

    def say(send, prepared, *, timeout_s):
        if prepared.order.quantity == 1000:
            return large(send, prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    desk.broker.lost = say
    response = desk.manager.place(request(quantity=1000))
    (child,) = response.children
    assert child.is_unresolved
    assert response.is_unresolved
    assert not response.is_success


def test_one_request_comes_to_thirty_orders_at_most_and_then_a_person_is_told_once(desk):
    desk.reopened(fallback=FallbackConfig(split_threshold=D(100), max_parts=40))
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    response = desk.manager.place(request(quantity=3500))
    assert len(response.children) == 29
    assert len(desk.at_venue()) == 29
    assert desk.interventions == [(response.order_id, "it has come to 30 orders")]


def test_a_person_has_to_look_after_so_many_refusals_of_one_request(desk):
    desk.reopened(fallback=FallbackConfig(manual_intervention_threshold=2))
    desk.refuse(Reason.NOT_ENOUGH_MONEY)
    response = desk.manager.place(request())
    assert response.status is S.REJECTED
    assert response.error is ErrorCode.API_PLACEMENT_ERROR
    (child,) = response.children
    assert child.status is S.REJECTED
    assert child.message.endswith("; a person has to look: refused 2 times, a person looks after 2")
    assert child.message.startswith(state(desk, child).reason)
    assert desk.interventions == [(child.order_id, "refused 2 times, a person looks after 2")]
    # Each request is counted by itself.
    again = desk.manager.place(request())
    assert len(again.children) == 1


def test_a_refusal_that_nothing_helps_is_told_as_it_is(desk):
    desk.refuse(Reason.UNKNOWN_ORDER)
    response = desk.manager.place(request())
    assert (response.status, response.children, response.queue) == (S.REJECTED, (), None)
    assert (response.outcome, response.error) == (OrderOutcome.REJECTED, ErrorCode.API_PLACEMENT_ERROR)
    assert "because of UNKNOWN_ORDER" in response.message
    assert desk.interventions == []


def test_no_more_is_sold_than_is_held_of_that_instrument_alone(desk):
    desk.market.set_quote(OTHER, bid=D(2330), ask=D(2340))
    desk.manager.place(request(instrument=OTHER, price=2340, quantity=500))
    desk.manager.place(request(price=4870, quantity=70))
    desk.rounds()
    response = desk.manager.place(request(side="sell", price=4900, quantity=100))
    assert response.status is S.REJECTED
    (child,) = response.children
    assert order(desk, child).quantity == 70
    assert [row.quantity for row in desk.at_venue() if row.side == "sell"] == [70]


def test_what_there_is_to_spend_is_asked_for_anew_after_a_refusal(desk):
    asked, power = [], desk.broker.buying_power

    def ask(*, fresh=False):
        asked.append(fresh)
        return power(fresh=fresh)

    desk.broker.buying_power = ask
    assert desk.manager.place(request()).is_success
    assert asked == []
    assert desk.manager.place(request(quantity=300_000)).children
    assert asked == [True]


@pytest.mark.parametrize("error", [NoAnswer("silence"), CaptchaError("no captcha"), ValueError("no number")])
def test_where_it_cannot_be_read_what_there_is_to_sell_a_person_has_to_look(desk, error):
    def fail():
        raise error

    desk.broker.positions = fail
    response = desk.manager.place(request(side="sell", price=4900, quantity=100))
    assert (response.status, response.children) == (S.REJECTED, ())
    assert response.message.endswith("there is not enough to trade with, and how much there is is not known")
    assert len(desk.interventions) == 1


# --- brackets and groups


def test_a_bracket_is_named_after_its_key_and_its_exits_after_the_entry(desk):
    entry, profit, stop = desk.manager.place_bracket(bracket())
    today = instant(desk.clock.wall_ns()).date()
    names = [request_order_id(today, "paper", "u", key) for key in ("b", "b/take_profit", "b/stop_loss")]
    assert [each.order_id for each in (entry, profit, stop)] == names
    assert [order(desk, each).instructions.role for each in (entry, profit, stop)] == [
        OrderRole.ENTRY,
        OrderRole.TAKE_PROFIT,
        OrderRole.STOP_LOSS,
    ]
    assert [order(desk, each).instructions.parent_id for each in (entry, profit, stop)] == [None, names[0], names[0]]
    assert (order(desk, stop).price, state(desk, stop).trigger_price) == (4800, 4800)


def test_a_bracket_without_a_key_belongs_together_all_the_same(desk):
    asked = BracketRequest(entry=request(quantity=3000, price=4865), take_profit=4950, stop_loss=4800)
    for _ in range(2):
        entry, *exits = desk.manager.place_bracket(asked)
        assert [order(desk, each).instructions.parent_id for each in exits] == [entry.order_id] * 2
    assert len(desk.at_venue()) == 2


def test_a_brackets_exits_are_taken_whatever_the_checks_say_of_the_market(desk):
    old = replace(desk.broker.quote(ISIN), at=instant(desk.clock.wall_ns()) - timedelta(minutes=5))
    desk.broker.quote = lambda _isin: old
    # A stop by itself is not: nobody knows where the market is.
    assert "max_quote_age" in desk.manager.place(request(**STOP)).message
    responses = desk.manager.place_bracket(bracket())
    assert [each.status for each in responses] == [S.ACCEPTED, S.INITIALIZED, S.INITIALIZED]


def test_a_bracket_whose_entry_fails_the_checks_claims_nothing(desk):
    entry = request(quantity=3000, price=4866, key="b", trigger_price=None)
    wrong = BracketRequest(entry=replace(entry, price=D("4866.5")), take_profit=4950, stop_loss=4800)
    (response,) = desk.manager.place_bracket(wrong)
    assert (response.status, response.order_id) == (S.DENIED, None)
    assert desk.journal.entries() == ()
    assert [why for _, _, why in desk.denied] == [response.message]


def test_a_bracket_of_which_one_exit_is_denied_takes_back_the_other_and_is_not_entered(desk):
    desk.reopened(limits=Limits(max_orders_per_account=1))
    entry, profit, stop = desk.manager.place_bracket(bracket())
    assert (entry.status, entry.order_id, entry.error) == (S.DENIED, None, ErrorCode.RISK_LIMIT_BREACH)
    assert entry.message == f"its exits cannot be had: {stop.message}"
    assert (stop.status, stop.order_id, stop.error) == (S.DENIED, None, ErrorCode.RISK_LIMIT_BREACH)
    # The other is told of as it stands now, and not as held back.
    assert not profit.is_held
    assert (profit.status, profit.message) == (S.DENIED, "what it belongs with did not come, before it had left")
    assert state(desk, profit).status is S.DENIED
    assert desk.manager.orders() == ()
    assert desk.at_venue() == ()


def test_an_entry_that_does_not_stay_takes_back_its_exits_and_says_so(desk):
    halt(desk)
    entry, *exits = desk.manager.place_bracket(bracket())
    assert entry.status is S.DENIED
    assert [(each.status, each.message) for each in exits] == [
        (S.DENIED, "what it belongs with did not come, before it had left")
    ] * 2
    assert desk.manager.orders() == ()


def test_an_entry_of_which_nobody_knows_keeps_its_exits(desk):
    def lost(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    desk.broker.lost = lost
    entry, *exits = desk.manager.place_bracket(bracket())
    assert entry.is_unresolved
    assert all(each.is_held for each in exits)
    desk.broker.lost = None
    desk.trade(4865, 3000)
    desk.rounds(2)
    assert [row.quantity for row in desk.at_venue() if row.side == "sell"] == [3000]


def test_all_that_is_wrong_with_a_bracket_is_told_at_once_and_nothing_of_it_is_claimed(desk):
    (entry,) = desk.manager.place_bracket(bracket(take_profit="4950.5", stop_loss=4799))
    assert entry.error is ErrorCode.PRICE_ERROR
    assert [each.rule for each in entry.verdicts] == ["tick size"]
    assert entry.message.startswith("its take profit: tick size: 4,950.5")
    off_tick = request(quantity=3000, price=D("4865.5"), key="b")
    (entry,) = desk.manager.place_bracket(BracketRequest(entry=off_tick, take_profit="99999", stop_loss=D("4799.5")))
    assert [each.rule for each in entry.verdicts][:1] == ["tick size"]
    assert "; its take profit: price band: 99,999" in entry.message
    assert "; its stop loss: tick size: 4,799.5" in entry.message
    assert desk.journal.entries() == ()
    assert len(desk.denied) == 2


def test_a_bracket_that_is_asked_for_again_keeps_what_protects_it(desk):
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 3000)
    desk.rounds(2)
    entry, profit, stop = desk.manager.place_bracket(bracket())
    assert (entry.status, profit.status, stop.status) == (S.FILLED, S.ACCEPTED, S.INITIALIZED)
    assert stop.is_held
    assert state(desk, stop).status is S.INITIALIZED
    assert len(desk.at_venue()) == 2


def test_a_bracket_that_is_asked_for_again_beyond_a_limit_keeps_what_protects_it(desk):
    desk.manager.place_bracket(bracket())
    desk.trade(4865, 1000)
    desk.rounds(2)
    desk.reopened(limits=Limits(max_total_value=D(1_000_000)))
    entry, *_ = desk.manager.place_bracket(bracket())
    assert entry.status is S.PARTIALLY_FILLED
    desk.rounds(2)
    assert {e.intent.order.role: e.state.quantity for e in desk.manager.orders()} == {
        OrderRole.ENTRY: 3000, OrderRole.TAKE_PROFIT: 1000, OrderRole.STOP_LOSS: 1000
    }  # fmt: skip


def test_a_request_that_went_on_as_another_order_is_not_placed_beside_it(desk):
    asked = request(key="k", quantity=3000)
    desk.refuse(Reason.NOT_ENOUGH_MONEY, only=1)
    first = desk.manager.place(asked)
    assert (first.status, first.is_success, len(first.children)) == (S.REJECTED, True, 1)
    desk.refuse(None)
    for _ in range(2):
        again = desk.manager.place(asked)
        assert (again.status, again.is_success) == (S.REJECTED, True)
        assert [child.order_id for child in again.children] == [first.children[0].order_id]
        assert len(desk.at_venue()) == 1
        desk.open()


def test_exits_of_one_position_for_unequal_quantities_are_denied_also_where_one_is_called_by_its_symbol(desk):
    desk.manager.place(request(price=4870))
    desk.rounds()
    profit = request(side="sell", price=4950, quantity=400, instrument="فولاد")
    stop = request(side="sell", order_type="stop", price=None, trigger_price=4800)
    responses = desk.manager.place_oco(OcoRequest(orders=(profit, stop)))
    assert [each.status for each in responses] == [S.DENIED, S.DENIED]
    why = "exits of one position are each for all of it; these are for 400, 1000"
    assert all(each.message.startswith(why) for each in responses)
    assert desk.manager.orders() == ()
    assert len(desk.at_venue()) == 1


def test_a_group_of_which_one_is_denied_takes_back_the_others(desk):
    desk.reopened(limits=Limits(max_orders_per_account=1))
    both = request(price=4850, quantity=500), request(price=4840, quantity=500)
    first, second = desk.manager.place_oco(OcoRequest(orders=both))
    assert (second.status, second.order_id, second.error) == (S.DENIED, None, ErrorCode.RISK_LIMIT_BREACH)
    assert first.status is S.DENIED
    assert desk.manager.orders() == ()
    assert desk.at_venue() == ()


def test_the_orders_of_a_group_are_checked_and_keep_their_own_keys(desk):
    both = request(price=4850, quantity=500, key="mine"), request(price=9000, quantity=500)
    first, second = desk.manager.place_oco(OcoRequest(orders=both))
    today = instant(desk.clock.wall_ns()).date()
    assert first.order_id == request_order_id(today, "paper", "u", "mine")
    assert (first.status, second.status, second.order_id) == (S.DENIED, S.DENIED, None)
    assert "price band" in second.message


def test_what_is_asked_for_in_a_group_is_checked_against_the_market(desk):
    # It would be triggered at once.
    wrong = request(side="sell", order_type="stop", price=None, trigger_price=4900, quantity=500)
    first, second = desk.manager.place_oco(OcoRequest(orders=(request(price=4850), wrong)))
    assert (first.status, second.status, second.order_id) == (S.DENIED, S.DENIED, None)
    assert second.verdicts
    assert desk.at_venue() == ()


def test_the_orders_of_a_group_are_several_though_they_ask_for_the_same(desk):
    first, second = desk.manager.place_oco(OcoRequest(orders=(request(price=4850), request(price=4850))))
    assert first.order_id != second.order_id
    groups = {order(desk, each).instructions.group for each in (first, second)}
    assert len(groups) == 1
    assert len(desk.at_venue()) == 2
    later, _ = desk.manager.place_oco(OcoRequest(orders=(request(price=4840), request(price=4830))))
    assert order(desk, later).instructions.group not in groups


def test_a_group_is_let_go_by_what_holds_it_together_and_not_when_it_is_placed(desk):
    halt(desk)
    responses = desk.manager.place_oco(OcoRequest(orders=(request(price=4850), request(price=4840))))
    assert [each.status for each in responses] == [S.INITIALIZED] * 2
    assert desk.at_venue() == ()
    kinds = [report.kind for report in desk.journal.reports(responses[0].order_id)]
    assert ReportKind.SUBMITTED not in kinds


def test_a_name_is_an_accounts_own(desk):
    response = desk.manager.place(request(key="k"))
    today = instant(desk.clock.wall_ns()).date()
    assert response.order_id == request_order_id(today, ACCOUNT.broker_code, ACCOUNT.username, "k")
    made = order(desk, response)
    assert (made.account, made.broker_code, made.day) == ("Order_A", "paper", today)


def test_an_order_that_could_not_leave_is_tried_instead_by_nothing(desk):
    def down(*_args, **_kwargs):
        raise NotSent("no network")

    desk.broker.lost = down
    response = desk.manager.place(request())
    assert not response.is_success
    assert response.children == ()
    assert desk.at_venue() == ()


def test_terms_that_were_asked_for_reach_the_journal(desk):
    until = instant(desk.clock.wall_ns()) + timedelta(minutes=10)
    asked = request(
        order_type="stop_limit", price=4900, trigger_price=4890, time_in_force="gtd", expires_at=until, role="entry"
    )
    made = order(desk, desk.manager.place(asked))
    terms = made.instructions
    assert (made.order_type, made.time_in_force) == (OrderType.STOP_LIMIT, "gtd")
    assert (terms.trigger_price, terms.expires_at, terms.role) == (4890, until, OrderRole.ENTRY)
    assert (terms.parent_id, terms.group) == (None, None)


# --- what is known may be old


def moved(desk, **facts):
    """Have the broker describe the instrument otherwise from now on, though its cache has not heard of it."""
    describe, asked = desk.broker.instrument, []

    def instrument(name, *, fresh=False):
        asked.append(fresh)
        described = describe(name, fresh=fresh)
        return replace(described, **facts) if fresh else described

    desk.broker.instrument = instrument
    return asked


def test_nothing_is_denied_by_a_description_that_is_old(desk):
    asked = moved(desk, band=PriceBand(D(4724), D(5100)))
    assert desk.manager.place(request(price=5050, quantity=10)).status in {S.ACCEPTED, S.REJECTED}
    assert asked == [False, True]
    # What stands against it still is said, by the description of now; and it is not asked for in every breath.
    desk.clock.sleep(2)
    denied = desk.manager.place(request(price=5200, quantity=10))
    assert denied.status is S.DENIED
    assert "allowed 4,724 to 5,100" in denied.message
    desk.manager.place(request(price=5200, quantity=10))
    desk.manager.place(request(price=4860, quantity=10))
    assert asked == [False, True, True]


def test_what_cannot_be_described_anew_is_judged_by_what_is_known(desk):
    describe = desk.broker.instrument

    def instrument(name, *, fresh=False):
        if fresh:
            raise NoAnswer("silence")
        return describe(name)

    desk.broker.instrument = instrument
    denied = desk.manager.place(request(price=5050, quantity=10))
    assert (denied.status, "4,724 to 5,010" in denied.message) == (S.DENIED, True)


def test_after_a_refusal_the_other_order_is_made_by_the_market_of_now(desk):
    asked = moved(desk, max_quantity=D(400))
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    response = desk.manager.place(request(quantity=1000))
    assert response.status is S.REJECTED
    assert [order(desk, each).quantity for each in response.children] == [334, 333, 333]
    assert asked == [False, True]


def test_where_nothing_may_be_tried_nothing_is_asked_for(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock, fallback=FallbackConfig(enabled=False))
    desk.quote(4860, 4870)
    asked = moved(desk)
    desk.refuse(Reason.QUANTITY_TOO_LARGE, only=1)
    assert desk.manager.place(request(quantity=1000)).status is S.REJECTED
    assert asked == [False]
    desk.close()


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_what_a_halt_or_a_limit_on_losses_keeps_back_has_the_code_of_a_limit(desk, state):
    HaltFile.of(desk.folder, state).write(Halt(datetime(2026, 11, 21, tzinfo=UTC), "me", "why", state))
    response = desk.manager.place(request())
    assert (response.status, response.error) == (OrderStatus.DENIED, ErrorCode.RISK_LIMIT_BREACH)
    assert desk.at_venue() == ()


def test_an_answer_that_did_not_come_back_has_the_code_of_the_network(desk):
    def lose(_send, _prepared, **_options):
        raise NoAnswer("silence")

    desk.broker.lost = lose
    response = desk.manager.place(request())
    assert (response.is_unresolved, response.error) == (True, ErrorCode.NETWORK_ERROR)


@pytest.fixture
def holder(desk):
    """A desk that holds 100 shares."""
    desk.manager.place(request(price=4870, quantity=100))
    desk.rounds(2)
    assert desk.held() == 100
    return desk


def test_a_sell_is_for_no_more_than_is_held_and_not_on_sale_already(holder):
    """What was bought today counts twice where the list shows it already: rather too much than too little."""
    sell = {"side": "sell", "price": 4990}
    denied = holder.manager.place(request(**sell, quantity=201))
    assert (denied.status, denied.error, denied.order_id) == (S.DENIED, ErrorCode.QUANTITY_ERROR, None)
    assert "holdings: 201, allowed at most 200" in denied.message
    assert holder.manager.place(request(**sell, quantity=100)).is_success
    assert "holdings: 101, allowed at most 100" in holder.manager.place(request(**sell, quantity=101)).message


def test_nothing_is_denied_by_what_was_held_a_minute_ago(holder):
    sell = {"side": "sell", "price": 4990}
    assert not holder.manager.place(request(**sell, quantity=500)).is_success
    # Bought by hand, of which only the broker's list tells.
    holder.broker.positions = lambda: (Holding(ISIN, D(500)),)
    assert holder.manager.place(request(**sell, quantity=500)).status is not S.DENIED


def test_where_nobody_says_what_is_held_the_broker_judges(holder):
    def fail():
        raise NoAnswer("silence")

    holder.broker.positions = fail
    assert holder.manager.place(request(side="sell", price=4990, quantity=500)).status is S.REJECTED


def test_what_is_held_back_may_be_for_shares_that_are_still_to_be_bought(desk):
    desk.reopened(lacks=["STOP"])
    assert desk.manager.place(request(**STOP)).is_held
