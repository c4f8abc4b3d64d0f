from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.brokers.base import Outcome
from firstbell.errors import (
    BrokerError,
    CaptchaError,
    NoAnswer,
    NotSent,
    RateLimited,
    Refused,
    TokenEnded,
    Unreadable,
    WrongPassword,
)
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome, OrderOutcome, Side
from firstbell.oms.orders.response import OrderResponse
from firstbell.oms.policies import order_retry
from firstbell.oms.policies.fallback import FallbackConfig, Means, QuantityReduction, Splitting
from firstbell.oms.policies.order_retry import OrderRetryHandler
from firstbell.oms.policies.pricing import Market
from firstbell.oms.policies.retry import RetryConfig

D = Decimal
S = 1_000_000_000
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
INSTRUMENT = Instrument("I", "", "", PriceBand(D(4600), D(5400)), D(10), D(100), D(5))
MARKET = Market("XTEH", INSTRUMENT, Quote("I", AT, (Level(D(4980), D(1)),), (Level(D(5020), D(1)),)))
YES = Outcome(AttemptOutcome.ACCEPTED, venue_order_id="77")
LOST = Outcome(AttemptOutcome.UNRESOLVED, 9999, "?")
SOON = Outcome(AttemptOutcome.REJECTED, 1018, "too soon", again=True, kind=RefusalKind.RATE)


def no(kind=None):
    return Outcome(AttemptOutcome.REJECTED, 1, "no", kind=kind)


def order(quantity=100, price=5000):
    return Order("fb-1", "A", "gs", "I", Side.BUY, D(price), D(quantity), date(2026, 11, 21))


class Broker:
    """Answers each order with its next line, and notes what it was sent and when."""

    def __init__(self, clock, *lines):
        self.clock, self.lines, self.sent, self.at = clock, list(lines), [], []

    def __call__(self, order):
        self.sent.append(order)
        self.at.append(self.clock.now_ns / S)
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return line


def run(clock, broker, asked=None, *, market=MARKET, means=None, attempts=3, **fallback):
    handler = OrderRetryHandler(RetryConfig(max_attempts=attempts, jitter=0.0), FallbackConfig(**fallback), clock=clock)
    return handler.execute_with_retry(
        asked or order(),
        broker,
        market=None if market is None else lambda: market,
        means=None if means is None else lambda: means,
    )


def test_what_is_certainly_not_placed_is_sent_again_after_a_pause(stepped_clock):
    broker = Broker(stepped_clock, NotSent("DNS"), SOON, YES)
    result = run(stepped_clock, broker)
    assert (result.outcome, result.is_success, result.placed) == (YES, True, 100)
    assert broker.at == [0, 1, 3]
    assert broker.sent == [order()] * 3
    assert [each.outcome.outcome.name for each in result.tries] == ["NOT_SENT", "REJECTED", "ACCEPTED"]


@pytest.mark.parametrize("line", [LOST, NoAnswer("reset"), Unreadable("HTML"), BrokerError("?")], ids=repr)
def test_what_nobody_answered_is_never_sent_again(stepped_clock, line):
    broker = Broker(stepped_clock, line, YES)
    result = run(stepped_clock, broker)
    assert (result.outcome.outcome, result.is_success, result.placed) == (AttemptOutcome.UNRESOLVED, False, 0)
    assert len(broker.sent) == 1


@pytest.mark.parametrize("outcome", [AttemptOutcome.UNRESOLVED, AttemptOutcome.NOT_SENT])
@pytest.mark.parametrize("kind", RefusalKind)
def test_whatever_else_is_said_nothing_is_tried_instead_of_what_was_not_refused(stepped_clock, outcome, kind):
    broker = Broker(stepped_clock, Outcome(outcome, kind=kind), YES)
    result = run(stepped_clock, broker, order(250, 5003), attempts=1)
    assert (len(broker.sent), result.placed, result.intervention) == (1, 0, None)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (no(), None),
        (Refused("no", code=3), None),
        (WrongPassword("no"), RefusalKind.AUTHENTICATION),
        (TokenEnded("no"), RefusalKind.AUTHENTICATION),
        (Outcome(AttemptOutcome.REJECTED, again=True, token_ended=True), None),
    ],
    ids=repr,
)
def test_what_is_refused_for_good_or_needs_a_log_in_is_not_sent_again(stepped_clock, line, kind):
    broker = Broker(stepped_clock, line, YES)
    result = run(stepped_clock, broker)
    assert (result.outcome.outcome, result.outcome.kind) == (AttemptOutcome.REJECTED, kind)
    assert (len(broker.sent), result.intervention) == (1, None)


def test_attempts_end_and_the_last_outcome_is_told(stepped_clock):
    broker = Broker(stepped_clock, SOON, SOON, NotSent("DNS"), YES)
    result = run(stepped_clock, broker)
    assert (result.outcome.outcome, result.outcome.message) == (AttemptOutcome.NOT_SENT, "DNS")
    assert broker.lines == [YES]


def test_a_pause_that_the_broker_asks_for_is_kept_or_not_waited_for(stepped_clock):
    broker = Broker(stepped_clock, RateLimited("429", retry_after=12), YES)
    assert run(stepped_clock, broker).is_success
    assert broker.at == [0, 12]
    broker = Broker(stepped_clock, RateLimited("429", retry_after=31), YES)
    result = run(stepped_clock, broker)
    assert (result.outcome.kind, result.outcome.retry_after, len(broker.sent)) == (RefusalKind.RATE, 31, 1)


def test_what_is_not_the_brokers_doing_goes_to_the_caller(stepped_clock):
    with pytest.raises(CaptchaError):
        run(stepped_clock, Broker(stepped_clock, CaptchaError("nobody")))


def test_after_a_certain_refusal_something_else_is_tried_under_a_name_of_its_own(stepped_clock):
    broker = Broker(stepped_clock, no(RefusalKind.PRICE), no(RefusalKind.FUNDS), YES)
    result = run(stepped_clock, broker, order(100, 5003), means=Means(D(300_000)))
    assert (result.is_success, result.placed, result.intervention) == (True, 60, None)
    assert [(each.client_order_id, each.price, each.quantity) for each in broker.sent] == [
        ("fb-1", 5003, 100),
        ("fb-1-f1", 5000, 100),
        ("fb-1-f2", 5000, 60),
    ]


def test_without_a_market_nothing_else_is_tried(stepped_clock):
    broker = Broker(stepped_clock, no(RefusalKind.PRICE), YES)
    result = run(stepped_clock, broker, order(100, 5003), market=None)
    assert (len(broker.sent), result.is_success) == (1, False)


def test_parts_are_sent_one_after_the_other_up_to_the_first_that_is_not_accepted(stepped_clock):
    broker = Broker(stepped_clock, no(RefusalKind.QUANTITY_TOO_LARGE), YES, LOST, YES)
    result = run(stepped_clock, broker, order(250))
    assert [(each.client_order_id, each.quantity) for each in broker.sent] == [
        ("fb-1", 250),
        ("fb-1-f1", 85),
        ("fb-1-f2", 85),
    ]
    assert (result.outcome, result.placed, result.is_success) == (LOST, 85, False)
    assert [(each.client_order_id, each.quantity) for each in result.left] == [("fb-1-f3", 80)]


def test_after_a_part_that_is_refused_for_good_the_others_are_left(stepped_clock):
    broker = Broker(stepped_clock, no(RefusalKind.QUANTITY_TOO_LARGE), YES, no(RefusalKind.OTHER), YES)
    result = run(stepped_clock, broker, order(250))
    assert (len(broker.sent), result.placed, result.is_success) == (3, 85, False)
    assert ([each.quantity for each in result.left], result.intervention) == ([80], None)


def test_all_parts_accepted_are_the_whole(stepped_clock):
    broker = Broker(stepped_clock, no(RefusalKind.QUANTITY_TOO_LARGE), YES, SOON, YES, YES)
    result = run(stepped_clock, broker, order(250))
    assert (result.is_success, result.placed, result.left) == (True, 250, ())


def test_a_request_is_tried_as_an_order_is_and_its_key_goes_on(stepped_clock):
    asked = OrderRequest(instrument="I", side="buy", order_type="market", quantity=100, key="mine")
    broker = Broker(stepped_clock, no(RefusalKind.NO_MARKET_ORDERS), YES)
    assert run(stepped_clock, broker, asked).is_success
    assert [(each.key, each.price, each.order_type) for each in broker.sent] == [
        ("mine", None, "market"),
        ("mine-f1", 5070, "limit"),
    ]
    nameless = OrderRequest(instrument="I", side="buy", order_type="market", quantity=100)
    broker = Broker(stepped_clock, no(RefusalKind.NO_MARKET_ORDERS), YES)
    run(stepped_clock, broker, nameless)
    assert broker.sent[1].key is None


def test_a_person_is_asked_for_where_nothing_can_be_tried(stepped_clock):
    result = run(stepped_clock, Broker(stepped_clock, no(RefusalKind.DUPLICATE)))
    assert "already" in result.intervention.reason
    twice = [no(RefusalKind.FUNDS)] * 2
    result = run(stepped_clock, Broker(stepped_clock, *twice), means=Means(D(10**9)), manual_intervention_threshold=2)
    assert "refused 2 times" in result.intervention.reason
    assert len(result.tries) == 2


def test_a_fallback_that_would_make_more_of_it_than_was_asked_for_is_for_a_person(stepped_clock, monkeypatch):
    too_much = [Splitting((D(60), D(40))), QuantityReduction(D(65))]
    monkeypatch.setattr(order_retry, "propose", lambda *_: too_much.pop(0))
    broker = Broker(stepped_clock, no(RefusalKind.QUANTITY), no(RefusalKind.QUANTITY), YES)
    result = run(stepped_clock, broker)
    # With the part that waits it would be 105 of 100.
    assert result.intervention.reason.startswith("exposure: 105 more of 100")
    assert ([each.quantity for each in broker.sent], [each.quantity for each in result.left]) == ([100, 60], [40])
    assert (result.placed, result.is_success) == (0, False)


def test_what_was_placed_is_not_free_for_a_fallback(stepped_clock, monkeypatch):
    too_much = [Splitting((D(60), D(40))), QuantityReduction(D(45))]
    monkeypatch.setattr(order_retry, "propose", lambda *_: too_much.pop(0))
    broker = Broker(stepped_clock, no(RefusalKind.QUANTITY), YES, no(RefusalKind.QUANTITY), YES)
    result = run(stepped_clock, broker)
    assert "45 more of 100, of which 0 have traded, 60 work" in result.intervention.reason
    assert (len(broker.sent), result.placed) == (3, 60)


def test_each_order_that_is_made_has_a_name_of_its_own_and_parts_keep_their_turn(stepped_clock):
    lines = [no(RefusalKind.QUANTITY_TOO_LARGE), YES, no(RefusalKind.PRICE), YES, YES]
    broker = Broker(stepped_clock, *lines)
    assert run(stepped_clock, broker, order(250)).is_success
    assert [(each.client_order_id, each.quantity, each.price) for each in broker.sent] == [
        ("fb-1", 250, 5000),
        ("fb-1-f1", 85, 5000),
        ("fb-1-f2", 85, 5000),
        ("fb-1-f4", 85, 5070),
        ("fb-1-f3", 80, 5000),
    ]


def test_what_a_broker_raised_is_told_in_its_words_and_with_its_code(stepped_clock):
    for error, code in ((Refused("no money", code=3), 3), (WrongPassword("no", code=4), 4), (NoAnswer("cut"), None)):
        outcome = run(stepped_clock, Broker(stepped_clock, error)).outcome
        assert (outcome.message, outcome.code) == (str(error), code)


def test_a_pause_shorter_than_the_strategys_is_not_all_that_is_waited(stepped_clock):
    broker = Broker(stepped_clock, RateLimited("429", retry_after=0.5), YES)
    assert run(stepped_clock, broker).is_success
    assert broker.at == [0, 1]


def test_a_pause_as_long_as_the_longest_is_waited_for(stepped_clock):
    broker = Broker(stepped_clock, RateLimited("429", retry_after=30), YES)
    assert run(stepped_clock, broker).is_success
    assert broker.at == [0, 30]


def test_where_no_pause_is_asked_for_it_is_the_strategys(stepped_clock):
    broker = Broker(stepped_clock, RateLimited("429"), NotSent("DNS"), YES)
    handler = OrderRetryHandler(
        RetryConfig(base_delay=0.25, max_delay=0.5, jitter=0.0), FallbackConfig(), clock=stepped_clock
    )
    assert handler.execute_with_retry(order(), broker).is_success
    assert broker.at == [0, 0.25, 0.75]


def response(status, outcome):
    return OrderResponse("fb-1", status, outcome, "said the manager", venue_order_id="77", quantity=D(100))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (response(OrderStatus.ACCEPTED, OrderOutcome.ACCEPTED), AttemptOutcome.ACCEPTED),
        (response(OrderStatus.REJECTED, OrderOutcome.REJECTED), AttemptOutcome.REJECTED),
        (response(OrderStatus.DENIED, OrderOutcome.NOT_SENT), AttemptOutcome.REJECTED),
        (response(OrderStatus.SUBMITTED, OrderOutcome.UNRESOLVED), AttemptOutcome.UNRESOLVED),
    ],
)
def test_a_managers_place_is_called_once(stepped_clock, line, expected):
    broker = Broker(stepped_clock, line, YES)
    result = run(stepped_clock, broker)
    assert (result.outcome.outcome, result.outcome.message) == (expected, "said the manager")
    assert len(broker.sent) == 1
    assert result.placed == (100 if expected is AttemptOutcome.ACCEPTED else 0)


def test_what_says_nothing_of_the_order_leaves_it_unresolved(stepped_clock):
    broker = Broker(stepped_clock, None, YES)
    result = run(stepped_clock, broker)
    assert result.outcome.outcome is AttemptOutcome.UNRESOLVED
    assert "brought NoneType" in result.outcome.message
    assert len(broker.sent) == 1


def test_pauses_are_spread_by_the_chance_that_is_given(stepped_clock):
    def at(seed):
        chance, began = Random(seed), stepped_clock.now_ns  # noqa: S311 - it spreads pauses
        handler = OrderRetryHandler(RetryConfig(jitter=0.5), FallbackConfig(), clock=stepped_clock, chance=chance)
        broker = Broker(stepped_clock, NotSent("DNS"), NotSent("DNS"), YES)
        handler.execute_with_retry(order(), broker)
        return [round(each - began / S, 6) for each in broker.at]

    assert at(7) == at(7) != at(8)


def test_after_what_was_not_sent_nothing_else_is_tried_though_there_is_a_market(stepped_clock):
    broker = Broker(stepped_clock, NotSent("DNS"), YES)
    result = run(stepped_clock, broker, attempts=1)
    assert (result.outcome.outcome, len(broker.sent), result.left) == (AttemptOutcome.NOT_SENT, 1, ())


LINES = st.sampled_from(
    [YES, LOST, SOON, NotSent("DNS"), NoAnswer("reset"), *(no(kind) for kind in RefusalKind), no(), Refused("no")]
)


@given(st.lists(LINES, min_size=1, max_size=40), st.integers(2, 60), st.sampled_from([4400, 4600, 5003, 5020, 5600]))
def test_whatever_is_answered_no_more_is_placed_than_was_asked_for(lines, lots, price):
    class Still:
        now_ns = 0

        def sleep(self, seconds):
            assert 0 <= seconds <= 30

    asked = order(lots * 5, price)
    broker = Broker(Still(), *lines, *[LOST])
    result = run(broker.clock, broker, asked, means=Means(D(400_000)), split_threshold=D(40))
    outcomes = [(each.order, each.outcome.outcome) for each in result.tries]
    unknown = [each for each, outcome in outcomes if outcome is AttemptOutcome.UNRESOLVED]
    accepted = [each for each, outcome in outcomes if outcome is AttemptOutcome.ACCEPTED]
    assert result.placed == sum(each.quantity for each in accepted)
    assert sum(each.quantity for each in (*accepted, *unknown)) <= asked.quantity
    assert sum(each.quantity for each in (*accepted, *unknown, *result.left)) <= asked.quantity
    # Nothing follows what nobody answered, and no name is accepted twice.
    assert all(outcome is not AttemptOutcome.UNRESOLVED for _, outcome in outcomes[:-1])
    names = [each.client_order_id for each in (*accepted, *unknown)]
    assert len(names) == len(set(names))


def test_of_what_a_manager_placed_less_of_only_that_is_counted(stepped_clock):
    refused = replace(response(OrderStatus.REJECTED, OrderOutcome.REJECTED), quantity=D(100))
    less = replace(response(OrderStatus.ACCEPTED, OrderOutcome.ACCEPTED), quantity=D(61))
    result = run(stepped_clock, Broker(stepped_clock, replace(refused, children=(less,))))
    assert (result.is_success, result.placed, result.tries[0].placed) == (True, 61, 61)
