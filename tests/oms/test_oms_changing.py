"""Cancels and changes as they are asked for: checked as a new order is, and told as responses."""

from __future__ import annotations

from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.brokers.base import Outcome
from firstbell.errors import CaptchaError, NoAnswer, NotSent, Refused, RunError
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome, OrderType
from firstbell.oms.orders.requests import BracketRequest, OcoRequest
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile
from firstbell.risk.verdict import ErrorCode

D = Decimal
S = OrderStatus
K = ReportKind
STOP = {"side": "sell", "order_type": "stop", "price": None, "trigger_price": 4800}
STOP_LIMIT = {**STOP, "order_type": "stop_limit", "price": 4790}


def state(desk, name):
    return desk.manager.entry(name).state


def kinds(desk, name):
    return [report.kind for report in desk.journal.reports(name)]


def raising(error):
    def fail(*_args, **_options):
        raise error

    return fail


def answering(*outcome):
    return lambda *_args: Outcome(*outcome)


# --- what is held back


@pytest.mark.parametrize(
    ("terms", "rule", "code"),
    [
        ({"trigger_price": 48400}, "price band: 48,400, allowed 4,", ErrorCode.PRICE_ERROR),
        ({"trigger_price": 4900}, "trigger price: 4,900, allowed below 4,865", ErrorCode.PRICE_ERROR),
        ({"trigger_price": "4800.7"}, "tick size: 4,800.7, allowed multiples of 1", ErrorCode.PRICE_ERROR),
        ({"price": 479}, "price band: 479, allowed 4,", ErrorCode.PRICE_ERROR),
        ({"price": 4801}, "limit and trigger: 4,801, allowed at most 4,800", ErrorCode.PRICE_ERROR),
        ({"quantity": 5_000_000}, "order size: 5,000,000, allowed 1 to ", ErrorCode.QUANTITY_ERROR),
    ],
)
def test_what_is_held_back_is_changed_to_nothing_that_could_not_be_placed(desk, terms, rule, code):
    name = desk.manager.place(request(**STOP_LIMIT)).order_id
    before = state(desk, name)
    response = desk.manager.replace(name, **terms)
    assert (response.order_id, response.is_success, response.is_held, response.error) == (name, False, True, code)
    assert rule in response.message
    assert rule in "; ".join(map(str, response.verdicts))
    assert state(desk, name) == before
    desk.rounds(3)
    assert (state(desk, name), desk.at_venue()) == (before, ())


def test_a_limit_of_the_users_stands_against_a_change_of_what_is_held_back(desk):
    desk.reopened(limits=Limits(max_total_value=D(5_000_000)))
    name = desk.manager.place(request(order_type="stop_limit", price=4900, trigger_price=4890, quantity=1000)).order_id
    response = desk.manager.replace(name, quantity=1100)
    assert (response.is_success, response.error) == (False, ErrorCode.RISK_LIMIT_BREACH)
    assert response.message == "max_total_value: 5,390,000, allowed at most 5,000,000"
    assert desk.manager.replace(name, quantity=1010).is_success
    assert state(desk, name).quantity == 1010


def test_a_term_that_an_order_has_not_cannot_be_changed(desk):
    stop = desk.manager.place(request(**STOP)).order_id
    with pytest.raises(RunError, match=f"{stop}: price: an order of type stop has none"):
        desk.manager.replace(stop, price=4790)
    assert state(desk, stop).price == 4800


def test_an_instrument_that_cannot_be_read_denies_a_change_of_what_is_held_back(desk):
    name = desk.manager.place(request(**STOP)).order_id
    desk.clock.sleep(120)
    desk.broker.instrument = raising(NoAnswer("silence"))
    response = desk.manager.replace(name, trigger_price=4810)
    assert (response.is_success, response.error, response.is_held) == (False, ErrorCode.NETWORK_ERROR, True)


def test_what_the_manager_changes_itself_is_held_up_by_no_check(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock)
    desk.quote(4860, 4870)
    desk.trade(4865, 10)
    trailing = request(side="sell", order_type="trailing_stop", price=None, trailing_offset=40, quantity=10)
    name = desk.manager.place(trailing).order_id
    entry, *_ = desk.manager.place_bracket(
        BracketRequest(entry=request(price=4865, quantity=3000), take_profit=4950, stop_loss=4800)
    )
    desk.trade(4865, 1200)
    judged = []
    (trader,) = desk.manager.traders
    trader.context.validator.validate_order = lambda *asked, **_known: judged.append(asked)
    desk.quote(4895, 4905)
    desk.trade(4900, 10)
    desk.rounds(2)
    assert state(desk, name).trigger_price == 4860
    family = desk.manager.orders()
    exits = [each for each in family if each.intent.order.instructions.parent_id == entry.order_id]
    assert {each.state.quantity for each in exits} == {1200}
    assert judged == []
    desk.close()


# --- exits


def entered(desk, quantity=400):
    """A bracket that has bought so much; its profit, which rests at the broker, and its stop."""
    _, *exits = desk.manager.place_bracket(BracketRequest(entry=request(price=4865), take_profit=4950, stop_loss=4800))
    desk.trade(4865, quantity)
    desk.rounds()
    return [each.order_id for each in exits]


def sells(desk):
    return [row.quantity for row in desk.at_venue() if row.side == "sell"]


def test_no_more_is_put_on_sale_than_a_bracket_has_bought(desk):
    profit, _ = entered(desk)
    response = desk.manager.replace(profit, quantity=900)
    assert (response.is_success, response.status, response.error) == (False, S.ACCEPTED, ErrorCode.QUANTITY_ERROR)
    assert response.message == "exit quantity: 900, allowed at most 400, what there is to exit from"
    assert (sells(desk), state(desk, profit).status) == ([400], S.ACCEPTED)
    assert ReportKind.PENDING_REPLACE not in kinds(desk, profit)
    assert desk.manager.replace(profit, price=4940).is_success


def test_what_an_exit_has_sold_counts_as_part_of_it(desk):
    profit, _ = entered(desk)
    desk.quote(4950, 4960, bid_quantity=D(100))
    desk.rounds()
    assert state(desk, profit).filled_qty == 100
    assert not desk.manager.replace(profit, quantity=401).is_success
    assert sells(desk) == [400]


def test_what_another_exit_has_sold_is_not_sold_again(desk):
    desk.reopened(lacks={OrderType.MARKET})
    profit, stop = entered(desk, 1000)
    desk.quote(4950, 4960, bid_quantity=D(100))
    desk.rounds()
    desk.market.set_quote(ISIN, bid=None, ask=D(4795))
    desk.trade(4790, 10)
    desk.rounds(2)
    assert (state(desk, profit).status, state(desk, profit).filled_qty) == (S.CANCELED, 100)
    assert (state(desk, stop).status, state(desk, stop).quantity) == (S.ACCEPTED, 900)
    response = desk.manager.replace(stop, quantity=1000)
    assert response.message == "exit quantity: 1,000, allowed at most 900, what there is to exit from"


def test_an_exit_that_is_held_back_is_for_no_more_than_the_entry(desk):
    _, stop = entered(desk)
    response = desk.manager.replace(stop, quantity=1001)
    assert "exit quantity: 1,001, allowed at most 1,000" in response.message
    assert state(desk, stop).quantity == 400


def test_of_exits_that_share_a_position_none_is_made_larger_than_it(desk):
    desk.manager.place(request(price=4870, quantity=1000))
    desk.rounds()
    both = (
        request(side="sell", role="take_profit", price=4950, quantity=400),
        request(**STOP, role="stop_loss", quantity=400),
    )
    profit, _ = (each.order_id for each in desk.manager.place_oco(OcoRequest(orders=both)))
    desk.rounds()
    response = desk.manager.replace(profit, quantity=900)
    assert response.message == "exit quantity: 900, allowed at most 400, what there is to exit from"
    assert sells(desk) == [400]


def test_orders_of_a_group_that_end_no_position_may_be_made_larger(desk):
    low, high = request(price=4850, quantity=500), request(order_type="stop_limit", price=4900, trigger_price=4890)
    first, _ = desk.manager.place_oco(OcoRequest(orders=(low, high)))
    assert desk.manager.replace(first.order_id, quantity=700).is_success


# --- told as responses


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no such thing", host="paper", code=1502), ErrorCode.API_PLACEMENT_ERROR),
        (NotSent("no network"), ErrorCode.NETWORK_ERROR),
        (CaptchaError("nobody solved it"), ErrorCode.AUTHENTICATION_ERROR),
    ],
)
def test_what_stands_against_a_cancel_or_a_change_is_told_as_a_response(desk, error, code):
    name = desk.manager.place(request()).order_id
    desk.broker.cancel = desk.broker.replace = raising(error)
    for response in (desk.manager.cancel(name), desk.manager.replace(name, price=4850)):
        assert (response.order_id, response.status, response.error) == (name, S.ACCEPTED, code)
        assert (response.is_success, response.is_unresolved) == (False, False)
        assert str(error) in response.message
    assert kinds(desk, name)[-4:] == [K.PENDING_CANCEL, K.CANCEL_REJECTED, K.PENDING_REPLACE, K.REPLACE_REJECTED]
    assert state(desk, name).price == 4860


def test_a_change_that_its_broker_refuses_in_its_answer_is_no_success(desk):
    name = desk.manager.place(request()).order_id
    desk.broker.replace = answering(AttemptOutcome.REJECTED, 1501, "not that price")
    response = desk.manager.replace(name, price=4850)
    assert (response.is_success, response.status, response.message) == (False, S.ACCEPTED, "not that price")
    assert response.error is ErrorCode.API_PLACEMENT_ERROR


def test_after_a_change_that_its_broker_refused_it_is_seen_what_has_traded(desk):
    name = desk.manager.place(request(price=4861)).order_id

    def refuse(*_args):
        desk.trade(4861, 600)
        return Outcome(AttemptOutcome.REJECTED, 1503, "less than has traded")

    desk.broker.replace = refuse
    response = desk.manager.replace(name, quantity=500)
    assert (response.is_success, response.status, response.filled_qty) == (False, S.PARTIALLY_FILLED, 600)
    assert response.message == "less than has traded"


def test_a_cancel_without_an_answer_is_unresolved_until_a_list_tells(desk):
    name = desk.manager.place(request()).order_id
    desk.broker.cancel = raising(NoAnswer("silence"))
    response = desk.manager.cancel(name)
    assert (response.status, response.is_success, response.is_unresolved) == (S.PENDING_CANCEL, False, True)
    assert "it is not known yet" in response.message


@pytest.mark.parametrize("answer", [raising(NoAnswer("silence")), answering(AttemptOutcome.UNRESOLVED, 9, "hm")])
def test_a_change_without_an_answer_is_unresolved_until_a_list_tells(desk, answer):
    name = desk.manager.place(request()).order_id
    desk.broker.replace = answer
    response = desk.manager.replace(name, price=4850)
    assert (response.status, response.is_success, response.is_unresolved) == (S.PENDING_REPLACE, False, True)
    assert "it is not known yet" in response.message


def test_a_change_whose_answer_was_lost_is_a_success_where_the_list_shows_it(desk):
    name = desk.manager.place(request()).order_id
    change = desk.broker.replace

    def lost(*args):
        change(*args)
        raise NoAnswer("silence")

    desk.broker.replace = lost
    response = desk.manager.replace(name, price=4850)
    assert (response.status, response.is_success, response.is_unresolved) == (S.ACCEPTED, True, False)


def test_what_is_canceled_says_so_wherever_it_was(desk):
    working, held = (desk.manager.place(request(**terms)).order_id for terms in ({}, STOP))
    for name, status in ((working, S.CANCELED), (held, S.DENIED)):
        response = desk.manager.cancel(name)
        assert (response.status, response.is_success, response.is_unresolved) == (status, True, False)


def test_one_that_had_traded_before_the_cancel_came_was_not_canceled(desk):
    name = desk.manager.place(request(price=4861)).order_id
    desk.broker.cancel = lambda _name: desk.trade(4861, 1000)
    response = desk.manager.cancel(name)
    assert (response.status, response.is_success, response.filled_qty) == (S.FILLED, False, 1000)
    assert response.message == "it was not canceled: it is FILLED"


def test_what_cannot_be_taken_back_with_the_others_is_told_as_it_stands(desk):
    desk.manager.place(request())
    desk.broker.cancel = raising(NoAnswer("silence"))
    assert [each.is_unresolved for each in desk.manager.cancel_all()] == [True]
    (response,) = desk.manager.cancel_all()
    assert not response.is_success


def test_a_refused_resizing_of_an_exit_is_asked_for_again_only_after_a_pause(desk):
    entered(desk)
    asked = []

    def refuse(*args):
        asked.append(args)
        return Outcome(AttemptOutcome.REJECTED, 1017, "too soon")

    desk.broker.replace = refuse
    desk.trade(4865, 100)
    desk.rounds(5, pause_s=1)
    # After a second, after two, after four.
    assert len(asked) == 3
    desk.rounds(3, pause_s=1)
    assert len(asked) == 4


# --- nothing to change


@pytest.mark.parametrize("terms", [{"price": 4860}, {"quantity": 1000}, {"price": "4860.0", "quantity": 1000}])
def test_terms_that_an_order_has_already_are_not_sent(desk, terms):
    name = desk.manager.place(request()).order_id
    asked, before = [], kinds(desk, name)
    desk.broker.replace = lambda *args: asked.append(args)
    response = desk.manager.replace(name, **terms)
    assert (response.is_success, response.status) == (True, S.ACCEPTED)
    assert response.message == "nothing would change: these are its terms already; nothing was sent"
    assert (asked, kinds(desk, name)) == ([], before)


def test_terms_that_what_is_held_back_has_already_are_not_written(desk):
    name = desk.manager.place(request(**STOP)).order_id
    before = kinds(desk, name)
    response = desk.manager.replace(name, trigger_price=4800)
    assert (response.is_success, response.message[:20]) == (True, "nothing would change")
    assert kinds(desk, name) == before


def test_a_change_of_nothing_is_a_mistake(desk):
    for terms in ({}, STOP):
        name = desk.manager.place(request(**terms)).order_id
        with pytest.raises(RunError, match="say what is to change: price, quantity or trigger_price"):
            desk.manager.replace(name)


def test_one_that_has_ended_is_not_said_to_have_its_terms_already(desk):
    name = desk.manager.place(request()).order_id
    desk.manager.cancel(name)
    with pytest.raises(RunError, match="nothing to change"):
        desk.manager.replace(name, price=4860)


# --- whoever is being ended


@pytest.mark.parametrize("is_halt", [False, True])
@pytest.mark.parametrize("what", ["cancel", "replace"])
def test_whoever_is_being_ended_waits_for_no_list(desk, what, is_halt):
    name = desk.manager.place(request(price=4850)).order_id
    looks, orders = [], desk.broker.orders
    desk.broker.orders = lambda day: (looks.append(day), orders(day))[1]

    def hangs(*_args, **_options):
        if is_halt:
            HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "somebody", "so"))
        else:
            desk.interrupt.stop()
        raise NoAnswer("the answer did not come")

    desk.broker.cancel = desk.broker.lost = hangs
    if what == "cancel":
        assert desk.manager.cancel(name).is_unresolved
    else:
        assert desk.manager.replace(name, price=4851).is_unresolved
    assert bool(looks) is is_halt


PACE = Outcome(AttemptOutcome.REJECTED, again=True, retry_after=2.0, kind=RefusalKind.RATE)
LONG = Outcome(AttemptOutcome.REJECTED, again=True, retry_after=60.0, kind=RefusalKind.RATE)
LOGIN = Outcome(AttemptOutcome.REJECTED, again=True, token_ended=True, kind=RefusalKind.AUTHENTICATION)
CLOSED = Outcome(AttemptOutcome.REJECTED, 1017, "closed", kind=RefusalKind.MARKET_CLOSED)


@pytest.mark.parametrize(
    ("outcome", "code", "words", "times"),
    [
        (PACE, ErrorCode.RATE_LIMIT_ERROR, "the broker asks for a pause of 2 s", 2),
        (LONG, ErrorCode.RATE_LIMIT_ERROR, "the broker asks for a pause of 60 s", 1),
        (LOGIN, ErrorCode.AUTHENTICATION_ERROR, "the broker takes neither the token nor a new one", 2),
        (CLOSED, ErrorCode.MARKET_HOURS_ERROR, "closed", 1),
    ],
)
def test_a_refused_change_says_what_stood_against_it(desk, outcome, code, words, times):
    placed = desk.manager.place(request())
    asked = []
    desk.broker.replace = lambda *_args: asked.append(desk.clock.monotonic_ns()) or outcome
    answer = desk.manager.replace(placed.order_id, price=4861)
    assert (answer.is_success, answer.error, answer.message) == (False, code, words)
    assert len(asked) == times
    assert state(desk, placed.order_id).status is S.ACCEPTED
    if outcome is PACE:
        assert asked[1] - asked[0] >= 2_000_000_000


def test_a_short_pause_is_waited_out_before_a_change_and_a_long_one_is_told(desk):
    placed = desk.manager.place(request())
    change, said = desk.broker.replace, [PACE]
    desk.broker.replace = lambda *args: said.pop() if said else change(*args)
    assert desk.manager.replace(placed.order_id, price=4861).is_success
    said.append(LONG)
    assert not desk.manager.replace(placed.order_id, price=4862).is_success
    answer = desk.manager.replace(placed.order_id, price=4863)
    assert (answer.error, answer.message) == (
        ErrorCode.RATE_LIMIT_ERROR,
        "the broker has asked for a pause, of which 60 s are left",
    )
    assert [row.price for row in desk.at_venue()] == [4861]
