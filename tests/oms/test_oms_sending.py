"""Sending and changing: limits count an order once, intervals hold between processes, and a token may end."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from oms_desk import ISIN, Desk, request

from firstbell.brokers.base import Outcome
from firstbell.errors import CaptchaError, NoAnswer, NotSent, Refused, RunError
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.price_band import PriceBand
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import AttemptOutcome, OrderType
from firstbell.oms.policies.retry import RetryConfig
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile
from firstbell.simulator.rules import Reason

D = Decimal
S = OrderStatus


@pytest.fixture
def desk_with(tmp_path, stepped_clock):
    made = []

    def make(**options):
        desk = Desk(tmp_path, stepped_clock, **options)
        desk.quote(4850, 4870)
        desk.trade(4865, 10)
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.close()


def test_an_order_that_leaves_later_is_not_counted_twice(desk_with):
    desk = desk_with(limits=Limits(max_orders_per_account=2))
    assert desk.manager.place(request(price=4870, quantity=10)).is_success
    desk.rounds()
    stop = desk.manager.place(request(side="sell", order_type="stop", price=None, trigger_price=4840, quantity=10))
    assert stop.is_held
    desk.quote(4830, 4835)
    desk.trade(4832, 10)
    desk.rounds(2)
    assert desk.manager.entry(stop.order_id).state.status is S.FILLED
    denied = desk.manager.place(request(quantity=10))
    assert "orders" in denied.message
    assert denied.status is S.DENIED


def test_a_change_counts_the_order_with_its_new_terms_alone(desk_with):
    desk = desk_with(limits=Limits(max_orders_per_account=1, max_total_value=D(4860 * 1500)))
    name = desk.manager.place(request(price=4860, quantity=1000)).order_id
    assert desk.manager.replace(name, quantity=D(1500)).is_success
    assert desk.manager.entry(name).state.quantity == 1500
    said_no(desk.manager.replace(name, quantity=D(1501)), "value")
    assert desk.manager.entry(name).state.status is S.ACCEPTED


def test_no_change_leaves_while_trading_is_halted(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "me", "by hand"))
    said_no(desk.manager.replace(name, price=D(4855)), "halted")
    assert [row.price for row in desk.at_venue()] == [4860]


def test_what_has_traded_already_cannot_be_asked_for(desk_with):
    desk = desk_with()
    name = desk.manager.place(request(quantity=1000)).order_id
    desk.trade(4860, 400)
    desk.rounds()
    with pytest.raises(RunError, match="cancel it"):
        desk.manager.replace(name, quantity=D(400))
    assert desk.manager.replace(name, quantity=D(401)).is_success


def test_the_brokers_interval_holds_from_one_process_to_the_next(desk_with):
    desk = desk_with(min_interval_ms=700)
    desk.manager.place(request(quantity=10))
    before_ns = desk.clock.monotonic_ns()
    desk.open()
    waited = []
    desk.manager.interrupt.wait_until = lambda at_ns: waited.append(at_ns) or desk.clock.move_to(at_ns)
    desk.manager.place(request(quantity=20))
    assert max(waited) - before_ns >= 690_000_000


def test_a_change_keeps_the_brokers_interval_and_is_kept_to_by_the_next_one(desk_with):
    desk = desk_with(min_interval_ms=700)
    name = desk.manager.place(request(quantity=10)).order_id
    waited = []
    desk.manager.interrupt.wait_until = lambda at_ns: waited.append(at_ns) or desk.clock.move_to(at_ns)
    times = []
    for price in (4855, 4856):
        desk.manager.replace(name, price=D(price))
        times.append(desk.clock.monotonic_ns())
    assert times[1] - times[0] >= 700_000_000


def test_a_change_that_is_refused_for_its_token_is_asked_for_once_more(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    change, tries = desk.broker.replace, []

    def ended(*args):
        tries.append(args)
        if len(tries) == 1:
            desk.market.tokens.end_all("u")
        return change(*args)

    desk.broker.replace = ended
    desk.manager.replace(name, price=D(4855))
    assert desk.manager.entry(name).state.price == 4855
    assert len(tries) == 2


def test_where_nobody_bids_a_stop_waits_at_the_worst_price_that_is_allowed(desk_with):
    desk = desk_with(lacks={OrderType.MARKET})
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = desk.manager.place(
        request(side="sell", order_type="stop", price=None, trigger_price=4840, quantity=10)
    ).order_id
    desk.market.set_quote("IRO1FOLD0001", bid=None, ask=D(4835))
    desk.trade(4832, 10)
    desk.rounds(2)
    state = desk.manager.entry(name).state
    assert state.status is S.ACCEPTED, state.reason
    assert 4724 <= state.price < 4840


def test_an_order_that_another_process_wrote_of_meanwhile_stops_no_other_orders_reports(desk_with):
    desk = desk_with()
    mine = desk.manager.place(request(quantity=1000)).order_id
    other = desk.manager.place(request(quantity=1000, price=4861)).order_id
    journal = SqliteJournal(desk.folder / "journal.db", desk.clock)
    at = instant(desk.clock.wall_ns())
    journal.append([ExecutionReport(mine, "other", ReportKind.CANCELED, at)])
    journal.close()
    desk.trade(4860, 1500)
    desk.rounds()
    assert desk.manager.entry(other).state.filled_qty == 1000
    assert desk.manager.entry(mine).state.status is S.CANCELED


def test_how_long_the_broker_was_waited_for_is_known(desk_with):
    desk = desk_with()
    send = desk.broker.send

    def slow(*args, **kwargs):
        answer = send(*args, **kwargs)
        desk.clock.sleep(0.25)
        return replace(answer, round_trip_ns=answer.round_trip_ns + 250_000_000)

    desk.broker.send = slow
    desk.manager.place(request())
    (trader,) = desk.manager._traders.values()
    assert trader.sender.broker_ns >= 250_000_000


# --- what leaves, and what is written of it


def said_no(response, words):
    assert (response.is_success, response.is_unresolved) == (False, False)
    assert words in response.message


def kinds(desk, name):
    return [report.kind for report in desk.journal.reports(name)]


def trader_of(desk):
    (trader,) = desk.manager.traders
    return trader


def change(desk, name, price=4855, quantity=1000):
    """Change by the sender itself; what the answer meant."""
    trader = trader_of(desk)
    return trader.sender.change(trader.blotter.entry(name), D(price), D(quantity), trader.market.instrument(ISIN))


def test_an_order_that_two_limits_deny_names_both(desk_with):
    desk = desk_with(limits=Limits(max_orders_per_account=1, max_total_value=D(5_000_000)))
    desk.manager.place(request())
    denied = desk.manager.place(request())
    assert denied.message == (
        "max_total_value: 9,720,000, allowed at most 5,000,000; max_orders_per_account: 2, allowed at most 1"
    )


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("prepare", ValueError("no such price")),
        ("prepare", NotSent("no token")),
        ("login", NoAnswer("silence")),
        ("login", CaptchaError("no captcha")),
    ],
)
def test_an_order_that_cannot_be_prepared_is_denied_and_nothing_leaves(desk_with, step, error):
    desk = desk_with()
    desk.manager.place(request())

    def fail(*_args, **_kwargs):
        raise error

    before = getattr(desk.broker, step)
    setattr(desk.broker, step, fail)
    response = desk.manager.place(request(key="k"))
    setattr(desk.broker, step, before)
    assert response.status is S.DENIED
    assert response.message == f"it could not be prepared: {error}"
    assert kinds(desk, response.order_id)[-1] is ReportKind.DENIED
    assert len(desk.at_venue()) == 1
    assert trader_of(desk).sender.last_outcome is None
    # Nothing has left, so it may be asked for again.
    assert desk.manager.place(request(key="k")).is_success


def test_an_order_is_tried_again_while_it_is_too_soon_and_no_more_often_than_configured(desk_with):
    desk = desk_with(retry=RetryConfig(max_attempts=4, base_delay=0.5))
    desk.interrupt.wait_until = desk.clock.move_to
    desk.refuse(Reason.TOO_SOON, only=3)
    response = desk.manager.place(request())
    assert response.is_success
    assert len(desk.manager.entry(response.order_id).state.attempts) == 4
    desk.refuse(Reason.TOO_SOON)
    given_up = desk.manager.place(request())
    assert given_up.status is S.REJECTED
    assert len(desk.manager.entry(given_up.order_id).state.attempts) == 4


def test_an_order_is_tried_again_for_a_minute_at_most(desk_with):
    desk = desk_with(min_interval_ms=350, retry=RetryConfig(max_attempts=1000, base_delay=7, max_delay=7, jitter=0))
    desk.interrupt.wait_until = desk.clock.move_to
    began_ns = desk.clock.monotonic_ns()
    desk.refuse(Reason.TOO_SOON)
    response = desk.manager.place(request())
    assert response.status is S.REJECTED
    tried = len(desk.manager.entry(response.order_id).state.attempts)
    assert 8 <= tried <= 20
    assert 50e9 < desk.clock.monotonic_ns() - began_ns <= 60e9


def test_a_change_is_written_down_before_and_after(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    asked = []
    ask = desk.broker.replace

    def note(venue_order_id, order):
        asked.append((venue_order_id, order.price, order.quantity, order.order_type))
        assert kinds(desk, name)[-1] is ReportKind.PENDING_REPLACE
        return ask(venue_order_id, order)

    desk.broker.replace = note
    outcome = change(desk, name, 4855, 900)
    assert outcome.outcome is AttemptOutcome.ACCEPTED
    (row,) = desk.at_venue()
    assert asked == [(row.venue_order_id, 4855, 900, OrderType.LIMIT)]
    last = desk.journal.reports(name)[-1]
    assert (last.kind, last.price, last.quantity, last.venue_order_id) == (
        ReportKind.REPLACED,
        4855,
        900,
        row.venue_order_id,
    )


def test_a_stop_that_works_as_a_limit_is_changed_as_one(desk_with):
    desk = desk_with()
    name = desk.manager.place(request(order_type="stop_limit", price=4880, trigger_price=4880)).order_id
    desk.quote(4875, 4890)
    desk.trade(4880, 10)
    desk.rounds(2)
    assert desk.manager.entry(name).state.status is S.ACCEPTED
    asked = []
    ask = desk.broker.replace
    desk.broker.replace = lambda venue_id, order: asked.append(order.order_type) or ask(venue_id, order)
    assert desk.manager.replace(name, price=D(4885)).status is S.ACCEPTED
    assert asked == [OrderType.LIMIT]


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (Outcome(AttemptOutcome.REJECTED, 9, "not now"), S.ACCEPTED, "not now"),
        (Outcome(AttemptOutcome.REJECTED, 9), S.ACCEPTED, "the broker said no"),
        (Outcome(AttemptOutcome.UNRESOLVED, 9, "hm"), S.PENDING_REPLACE, None),
    ],
)
def test_a_change_stands_as_the_answer_says_and_what_it_does_not_say_is_not_known(desk_with, outcome, status, reason):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    desk.broker.replace = lambda *_args: outcome
    assert change(desk, name) == outcome
    state = desk.manager.entry(name).state
    assert (state.status, state.price) == (status, 4860)
    last = desk.journal.reports(name)[-1]
    assert last.reason == reason
    assert last.kind is (ReportKind.PENDING_REPLACE if reason is None else ReportKind.REPLACE_REJECTED)


def test_a_change_that_its_broker_refuses_leaves_the_order_as_it_is(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id

    def refuse(*_args):
        raise Refused("not now", host="paper", code=1)

    desk.broker.replace = refuse
    said_no(desk.manager.replace(name, price=D(4855)), "not now")
    last = desk.journal.reports(name)[-1]
    assert (last.kind, desk.manager.entry(name).state.status) == (ReportKind.REPLACE_REJECTED, S.ACCEPTED)
    assert "not now" in last.reason


def test_a_change_without_an_answer_waits_for_the_list(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id

    def silent(*_args):
        raise NoAnswer("silence")

    desk.broker.replace = silent
    assert change(desk, name) is None
    assert kinds(desk, name)[-1] is ReportKind.PENDING_REPLACE


def test_an_order_that_its_broker_has_not_named_yet_cannot_be_changed(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    trader = trader_of(desk)
    entry = trader.blotter.entry(name)
    nameless = replace(entry, state=replace(entry.state, venue_order_id=None))
    with pytest.raises(NotSent, match=f"{name} has no id of the broker's yet"):
        trader.sender.change(nameless, D(4855), D(1000), trader.market.instrument(ISIN))
    assert ReportKind.PENDING_REPLACE not in kinds(desk, name)


def test_a_change_that_two_rules_deny_names_both_and_is_written_down_as_refused(desk_with):
    desk = desk_with(limits=Limits(max_order_value=D(5_000_000), max_order_quantity=D(1100)))
    name = desk.manager.place(request()).order_id
    message = desk.manager.replace(name, quantity=D(1200)).message
    assert message == (
        "max_order_value: 5,832,000, allowed at most 5,000,000; max_order_quantity: 1,200, allowed at most 1,100"
    )
    last = desk.journal.reports(name)[-1]
    assert (last.kind, last.reason) == (ReportKind.REPLACE_REJECTED, message)


def test_halted_no_change_waits_for_its_turn(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    HaltFile.of(desk.folder).write(Halt(instant(desk.clock.wall_ns()), "me", "by hand"))
    waited = []
    desk.interrupt.wait_until = waited.append
    said_no(desk.manager.replace(name, price=D(4855)), "before the change")
    assert waited == []
    assert "by hand" in desk.journal.reports(name)[-1].reason


def test_a_halt_while_a_change_waits_for_its_turn_ends_it(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    asked = []
    desk.broker.replace = lambda *args: asked.append(args)
    desk.interrupt.wait_until = lambda _at_ns: True
    said_no(desk.manager.replace(name, price=D(4855)), "stopped before the change")
    assert asked == []
    assert desk.manager.entry(name).state.status is S.ACCEPTED


def test_a_change_whose_token_is_refused_twice_is_given_up(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id
    ask, tries = desk.broker.replace, []

    def ended(*args):
        tries.append(args)
        desk.market.tokens.end_all("u")
        return ask(*args)

    desk.broker.replace = ended
    assert change(desk, name).token_ended
    assert len(tries) == 2
    assert kinds(desk, name)[-1] is ReportKind.REPLACE_REJECTED
    assert desk.manager.entry(name).state.status is S.ACCEPTED


def test_a_change_that_got_no_answer_keeps_the_interval_too(desk_with):
    desk = desk_with(min_interval_ms=700)
    name = desk.manager.place(request()).order_id
    desk.clock.sleep(5)

    def silent(*_args):
        raise NoAnswer("silence")

    desk.broker.replace = silent
    change(desk, name)
    now_ns = desk.clock.monotonic_ns()
    assert trader_of(desk).pacer.earliest(now_ns) - now_ns == 700_000_000


def test_an_order_that_leaves_is_counted_once_where_a_limit_was_narrowed_meanwhile(desk_with):
    desk = desk_with()
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    desk.manager.place(request(side="buy", order_type="stop", price=None, trigger_price=4890, quantity=10))
    desk.options = {"limits": Limits(max_orders_per_account=1)}
    desk.open()
    desk.quote(4895, 4900)
    desk.trade(4898, 10)
    desk.rounds(2)
    # The one that has traded and the stop itself are two.
    (name, why), *_ = desk.interventions
    assert desk.journal.entry(name).state.status is S.DENIED
    assert "max_orders_per_account: 2, allowed at most 1" in why
    assert why.startswith("it was let go and did not stay: ")
    assert desk.held() == 10


def test_the_value_of_a_buy_that_leaves_is_counted_once(desk_with):
    worth = D(4890) * 100
    desk = desk_with(limits=Limits(max_total_value=2 * worth))
    held = desk.manager.place(request(order_type="stop_limit", price=4890, trigger_price=4880, quantity=100))
    assert desk.manager.place(request(price=4860, quantity=100)).is_success
    desk.quote(4880, 4885)
    desk.trade(4882, 10)
    desk.rounds(2)
    assert desk.manager.entry(held.order_id).state.status is S.FILLED
    desk.options = {}
    desk.open()
    other = desk.manager.place(request(order_type="stop_limit", price=4990, trigger_price=4980, quantity=100))
    desk.options = {"limits": Limits(max_total_value=2 * worth)}
    desk.open()
    desk.quote(4980, 4985)
    desk.trade(4982, 10)
    desk.rounds(2)
    state = desk.journal.entry(f"{other.order_id}-r2").state
    assert (state.status, state.filled_qty) == (S.DENIED, 0)
    assert "max_total_value" in state.reason


def test_a_sell_that_is_changed_takes_nothing_off_what_is_bought(desk_with):
    desk = desk_with(limits=Limits(max_total_value=D(4870) * 100))
    desk.manager.place(request(price=4870, quantity=100))
    desk.rounds()
    sell = desk.manager.place(request(side="sell", price=4900, quantity=100)).order_id
    assert desk.manager.replace(sell, price=D(4890)).is_success
    assert desk.manager.place(request(price=4860, quantity=1)).status is S.DENIED


def test_an_order_is_written_with_a_living_token(desk_with):
    desk = desk_with()
    desk.clock.sleep(1)
    assert desk.manager.place(request()).is_success
    # Within the moment in which nothing has to be asked before it.
    desk.broker.forget_token()
    assert desk.manager.place(request()).is_success


def test_whoever_cannot_log_in_has_asked_for_no_change(desk_with):
    desk = desk_with()
    name = desk.manager.place(request()).order_id

    def locked_out(**_kwargs):
        raise CaptchaError("no captcha")

    desk.broker.login = locked_out
    with pytest.raises(CaptchaError, match="no captcha"):
        change(desk, name)
    assert ReportKind.PENDING_REPLACE not in kinds(desk, name)


def test_a_stop_that_cannot_be_prepared_is_told_to_a_person(desk_with):
    desk = desk_with()
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = desk.manager.place(
        request(side="sell", order_type="stop", price=None, trigger_price=4840, quantity=10)
    ).order_id

    def fail(_order):
        raise ValueError("no such price")

    desk.broker.prepare = fail
    desk.quote(4830, 4835)
    desk.trade(4832, 10)
    desk.rounds()
    assert desk.interventions == [
        (name, "it was let go and did not stay: it could not be prepared: no such price; it is tried again"),
    ]
    assert desk.journal.entry(name).state.status is S.DENIED
    # It goes on under another name, and is found by its first.
    assert desk.manager.track(name).is_held


def falling(desk, *bids):
    """Quotes that fall from one look to the next."""
    looks, quote = list(bids), desk.broker.quote

    def fall(isin):
        bid = looks.pop(0) if len(looks) > 1 else looks[0]
        desk.quote(bid, bid + 5)
        return replace(quote(isin), last_price=D(bid))

    desk.broker.quote = fall


def test_a_stop_is_priced_by_the_market_of_now(desk_with):
    desk = desk_with(lacks={OrderType.MARKET})
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = desk.manager.place(
        request(side="sell", order_type="stop", price=None, trigger_price=4850, quantity=10)
    ).order_id
    falling(desk, 4845, 4800)
    desk.rounds()
    assert 4800 * D("0.989") <= desk.manager.entry(name).state.price <= 4760


def test_a_stop_beyond_the_whole_band_does_not_leave_and_a_person_is_told(desk_with):
    desk = desk_with(lacks={OrderType.MARKET})
    desk.manager.place(request(price=4870, quantity=10))
    desk.rounds()
    name = desk.manager.place(
        request(side="sell", order_type="stop", price=None, trigger_price=4850, quantity=10)
    ).order_id
    desk.clock.sleep(120)
    read = desk.broker.instrument
    desk.broker.instrument = lambda *args, **how: replace(read(*args, **how), band=PriceBand(D(4000), D(4500)))
    desk.market.set_quote(ISIN, bid=None, ask=D(4835))
    desk.trade(4832, 10)
    desk.rounds()
    ((who, why),) = desk.interventions
    assert who == name
    assert "price band" in why
    assert desk.held() == 10


def test_a_change_is_counted_beside_the_other_orders(desk_with):
    desk = desk_with(limits=Limits(max_total_value=D(4860) * 2100))
    desk.manager.place(request(price=4860, quantity=1000))
    second = desk.manager.place(request(price=4860, quantity=1000)).order_id
    assert desk.manager.replace(second, quantity=1100).is_success
    said_no(desk.manager.replace(second, quantity=1101), "max_total_value")
    desk.options = {"limits": Limits(max_orders_per_account=1)}
    desk.open()
    said_no(desk.manager.replace(second, quantity=1000), "max_orders_per_account: 2, allowed at most 1")
