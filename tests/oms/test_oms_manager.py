"""The order manager on paper: placing, changing, canceling, and what it does about refusals and silence."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from oms_desk import ACCOUNT, ISIN, Desk, request

from firstbell.config.order_settings import TradingMode
from firstbell.errors import NoAnswer, RunError
from firstbell.model.identifiers import BrokerCode
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderOutcome, OrderType, TimeInForce
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile
from firstbell.risk.verdict import ErrorCode

D = Decimal
S = OrderStatus


@pytest.fixture
def desk(tmp_path, stepped_clock):
    made = Desk(tmp_path, stepped_clock)
    made.quote(4860, 4870)
    yield made
    made.close()


def test_an_order_is_placed_tracked_filled_in_parts_and_done(desk):
    response = desk.manager.place(request())
    assert response.is_success
    assert (response.status, response.venue_order_id) == (S.ACCEPTED, desk.at_venue()[0].venue_order_id)
    assert [entry.intent.order.client_order_id for entry in desk.manager.orders()] == [response.order_id]
    desk.trade(4860, 10_400)  # the crowd's own 10,000 stand first
    desk.rounds()
    told = desk.manager.track(response.order_id)
    assert (told.status, told.filled_qty, told.avg_px) == (S.PARTIALLY_FILLED, 400, 4860)
    desk.trade(4860, 600)
    desk.rounds()
    told = desk.manager.track(response.order_id)
    assert (told.status, told.filled_qty, told.avg_px, told.is_done) == (S.FILLED, 1000, 4860, True)
    assert desk.manager.orders() == ()
    assert desk.held() == 1000


def test_an_order_is_changed_at_its_broker_and_canceled(desk):
    name = desk.manager.place(request()).order_id
    desk.manager.replace(name, price=D(4850), quantity=D(700))
    (row,) = desk.at_venue()
    assert (row.price, row.quantity) == (4850, 700)
    state = desk.manager.entry(name).state
    assert (state.status, state.price, state.quantity) == (S.ACCEPTED, 4850, 700)
    assert desk.manager.cancel(name).status is S.CANCELED
    assert not desk.at_venue()[0].working
    with pytest.raises(RunError, match="nothing to cancel"):
        desk.manager.cancel(name)
    with pytest.raises(RunError, match="nothing to change"):
        desk.manager.replace(name, price=D(4850))


def test_a_change_beyond_a_limit_of_the_users_never_leaves(desk):
    desk.reopened(limits=Limits(max_order_value=D(5_000_000)))
    name = desk.manager.place(request()).order_id
    response = desk.manager.replace(name, quantity=D(2000))
    assert (response.is_success, response.status, response.error) == (False, S.ACCEPTED, ErrorCode.RISK_LIMIT_BREACH)
    assert "max_order_value: 9,720,000, allowed at most 5,000,000" in response.message
    assert desk.at_venue()[0].quantity == 1000
    assert desk.manager.track(name).status is S.ACCEPTED


def test_what_is_changed_by_hand_at_the_broker_is_seen(desk):
    name = desk.manager.place(request()).order_id
    desk.market.change("u", int(desk.at_venue()[0].venue_order_id), D(4855), D(900))
    desk.rounds()
    state = desk.manager.entry(name).state
    assert (state.price, state.quantity, state.leaves_qty) == (4855, 900, 900)


def test_the_same_key_is_the_same_order_however_often_it_is_asked_for(desk):
    first = desk.manager.place(request(key="mine"))
    again = desk.manager.place(request(key="mine"))
    assert again.order_id == first.order_id
    desk.open()
    assert desk.manager.place(request(key="mine")).order_id == first.order_id
    assert len(desk.at_venue()) == 1
    assert desk.manager.place(request(key="another")).order_id != first.order_id
    assert len(desk.at_venue()) == 2


def test_everything_that_is_wrong_is_told_at_once_and_nothing_leaves(desk):
    response = desk.manager.place(request(price="5999", quantity="999999"))
    assert (response.status, response.outcome, response.order_id) == (S.DENIED, OrderOutcome.NOT_SENT, None)
    assert {verdict.code for verdict in response.verdicts} >= {ErrorCode.PRICE_ERROR, ErrorCode.QUANTITY_ERROR}
    assert desk.at_venue() == ()
    assert desk.journal.entries() == ()


def test_a_limit_of_the_days_counts_what_works_already(desk):
    desk.reopened(limits=Limits(max_total_value=D(8_000_000)))
    assert desk.manager.place(request()).is_success
    denied = desk.manager.place(request())
    assert denied.error is ErrorCode.RISK_LIMIT_BREACH
    assert "max_total_value: 9,720,000, allowed at most 8,000,000" in denied.message
    assert len(desk.at_venue()) == 1


def test_real_money_is_asked_for_in_two_places(desk):
    real = replace_account(broker_code=BrokerCode("shahr"), isin=ISIN)
    desk.reopened(account=real)
    with pytest.raises(RunError, match="trades with real money at shahr"):
        desk.manager.place(request())
    desk.reopened(account=real, mode=TradingMode.LIVE)
    assert desk.manager.place(request()).is_success


def replace_account(**changes):
    return ACCOUNT.model_copy(update=changes)


def test_an_account_has_to_be_named_where_there_are_several_and_be_there(desk):
    with pytest.raises(RunError, match="there is no account Order_B; there are Order_A"):
        desk.manager.place(request(account="Order_B"))
    with pytest.raises(RunError, match="there is no order x"):
        desk.manager.cancel("x")


def test_a_market_order_trades_and_where_there_are_none_a_limit_crosses(desk):
    first = desk.manager.place(request(order_type="market", price=None))
    desk.rounds()
    assert desk.manager.track(first.order_id).avg_px == 4870
    desk.reopened(lacks={OrderType.MARKET})
    second = desk.manager.place(request(order_type="market", price=None))
    desk.rounds()
    told = desk.manager.track(second.order_id)
    assert (told.status, told.avg_px) == (S.FILLED, 4870)
    row = next(each for each in desk.at_venue() if each.venue_order_id == told.venue_order_id)
    assert 4870 <= row.price <= 4870 * D("1.011")


def test_without_anybody_to_trade_with_there_is_no_market_order(desk):
    desk.market.set_quote(ISIN, bid=D(4860))
    response = desk.manager.place(request(order_type="market", price=None))
    assert response.status is S.DENIED
    assert desk.at_venue() == ()


def test_an_answer_that_got_lost_is_found_in_the_list_and_nothing_is_sent_meanwhile(desk):
    def lose(send, prepared, *, timeout_s):
        send(prepared, timeout_s=timeout_s)
        raise NoAnswer("the connection was cut")

    desk.broker.lost = lose
    response = desk.manager.place(request())
    assert response.is_unresolved
    assert not response.is_success
    desk.broker.lost = None
    other = desk.manager.place(request())
    assert other.status is S.DENIED
    assert "unresolved; nothing new until it is known" in other.message
    assert len(desk.at_venue()) == 1
    desk.rounds()
    assert desk.manager.track(response.order_id).status is S.ACCEPTED
    assert desk.manager.place(request()).is_success


def test_an_order_that_never_arrived_is_known_to_be_absent_only_after_a_long_time(desk):
    def lose(_send, _prepared, *, timeout_s):
        del timeout_s
        raise NoAnswer("the connection was cut")

    desk.broker.lost = lose
    response = desk.manager.place(request())
    desk.broker.lost = None
    desk.rounds(30)
    assert desk.manager.track(response.order_id).is_unresolved
    desk.rounds(10)
    told = desk.manager.track(response.order_id)
    assert told.status is S.REJECTED
    assert "absent from the broker's list" in told.message
    assert desk.at_venue() == ()


def test_what_costs_too_much_is_placed_for_less(desk):
    desk.reopened(limits=Limits())
    money = desk.broker.buying_power()
    response = desk.manager.place(request(quantity=300_000))
    assert response.status is S.REJECTED
    (child,) = response.children
    assert child.is_success
    (row,) = desk.at_venue()
    each = 4860 * D("1.003712")
    assert row.quantity * each <= money < (row.quantity + 1) * each
    assert response.is_success


def test_nothing_is_tried_instead_where_the_user_does_not_want_it(desk):
    desk.reopened(fallback=FallbackConfig(enabled=False))
    response = desk.manager.place(request(quantity=300_000))
    assert (response.status, response.children) == (S.REJECTED, ())
    assert response.error is ErrorCode.API_PLACEMENT_ERROR
    assert desk.at_venue() == ()


def test_a_halt_lets_nothing_leave_and_cancels_pass(desk):
    name = desk.manager.place(request()).order_id
    file = HaltFile.of(desk.folder)
    file.write(Halt(datetime(2026, 11, 28, tzinfo=UTC), "me", "wrong price"))
    response = desk.manager.place(request())
    assert response.status is S.DENIED
    assert "halted" in response.message
    changed = desk.manager.replace(name, price=D(4850))
    assert (changed.is_success, changed.status) == (False, S.ACCEPTED)
    assert "halted" in changed.message
    assert len(desk.at_venue()) == 1
    assert desk.manager.cancel(name).status is S.CANCELED
    file.remove()
    desk.interrupt.resume()
    assert desk.manager.place(request()).is_success


def test_a_broker_without_client_ids_is_read_by_what_was_there_before(desk):
    desk.reopened(lacks={"client_order_ids"})
    assert desk.manager.place(request()).is_success
    response = desk.manager.place(request())
    entry = desk.manager.entry(response.order_id)
    assert entry.intent.known_ids == {min(row.venue_order_id for row in desk.at_venue())}


def test_immediate_or_cancel_is_kept_here_where_the_broker_has_it_not(desk):
    desk.reopened(lacks={TimeInForce.IOC})
    name = desk.manager.place(request(time_in_force="ioc", price=4865)).order_id
    desk.rounds()
    assert desk.manager.track(name).status is S.CANCELED


def test_good_till_a_time_ends_then(desk):
    ends = datetime.fromtimestamp(desk.clock.wall_ns() / 1e9 + 60, UTC)
    name = desk.manager.place(request(time_in_force="gtd", expires_at=ends, price=4865)).order_id
    desk.rounds(20)
    assert desk.manager.track(name).status is S.ACCEPTED
    desk.rounds(12)
    assert desk.manager.track(name).status is S.CANCELED


def test_what_nobody_can_do_is_denied(desk):
    desk.reopened(lacks={TimeInForce.FOK})
    response = desk.manager.place(request(time_in_force="fok"))
    assert response.error is ErrorCode.VALIDATION_ERROR
    assert response.message.startswith("time in force at this broker: fok, allowed at_the_open, day, ")
    assert desk.at_venue() == ()


def test_what_nobody_can_do_is_told_with_all_the_rest_that_is_wrong(desk):
    desk.reopened(lacks={TimeInForce.FOK})
    response = desk.manager.place(request(time_in_force="fok", price=9003))
    assert [each.rule for each in response.verdicts][:2] == ["time in force at this broker", "price band"]
    assert response.error is ErrorCode.VALIDATION_ERROR


def test_the_interval_of_the_broker_is_kept_between_two_orders(desk):
    desk.reopened(min_interval_ms=350)
    sent = []

    def note(send, prepared, *, timeout_s):
        sent.append(desk.clock.monotonic_ns())
        return send(prepared, timeout_s=timeout_s)

    desk.broker.lost = note
    desk.interrupt.wait_until = desk.clock.move_to
    for _ in range(3):
        assert desk.manager.place(request()).is_success
    assert [round((later - earlier) / 1000) for earlier, later in itertools.pairwise(sent)] == [350_000, 350_000]


def test_everything_open_is_taken_back_at_once(desk):
    for _ in range(3):
        desk.manager.place(request())
    assert {each.status for each in desk.manager.cancel_all()} == {S.CANCELED}
    assert not any(row.working for row in desk.at_venue())


def test_an_instrument_that_the_broker_does_not_know_is_a_symbol_error(desk):
    response = desk.manager.place(request(instrument="IRO1NONE0001"))
    assert (response.order_id, response.status, response.error) == (None, "DENIED", "SYMBOL_ERROR")
    assert desk.at_venue() == ()


def test_a_change_reads_numbers_as_a_request_does(desk):
    name = desk.manager.place(request()).order_id
    assert desk.manager.replace(name, price="4850", quantity=900).status == S.ACCEPTED
    state = desk.manager.entry(name).state
    assert (state.price, state.quantity) == (D(4850), D(900))
    for name_of, wrong in (("price", 4850.0), ("price", -1), ("quantity", 0), ("trigger_price", "much")):
        with pytest.raises(ValueError, match=name_of):
            desk.manager.replace(name, **{name_of: wrong})
    assert desk.manager.entry(name).state == state


def test_an_order_that_was_denied_before_it_got_a_name_is_no_other(desk):
    stop = {"order_type": "stop", "side": "sell", "price": None, "trigger_price": 4800}
    held = desk.manager.place(request(**stop))
    assert held.is_held
    denied = desk.manager.place(request(price=9000))
    assert denied.order_id is None
    for deed in (desk.manager.cancel, desk.manager.track, desk.manager.entry):
        with pytest.raises(RunError, match="without a name"):
            deed(denied.order_id)
    with pytest.raises(RunError, match="without a name"):
        desk.manager.replace(denied.order_id, price=4850)
    assert desk.manager.track(held.order_id).is_held
