"""A broker whose calls are counted: each is passed on as it is, and its end is seen."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.brokers.base import HttpBroker
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.errors import NoAnswer, NotSent, Refused, WrongPassword
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.orders.attended_broker import AttendedBroker
from firstbell.oms.orders.broker_health import BrokerHealth
from firstbell.oms.policies.retry import RetryConfig

D = Decimal
FOLD = "IRO1FOLD0001"
TODAY = date(2026, 11, 21)
ORDER = Order("fb-1", "A", "paper", FOLD, Side.BUY, D(4860), D(1000), TODAY)
LATER = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Noted:
    """Answers whatever is called with what it was called with, after so long; or fails."""

    def __init__(self, clock):
        self.clock = clock
        self.error = None

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.clock.sleep(0.003)
            if self.error is not None:
                raise self.error
            return name, args, kwargs

        return call


@pytest.fixture
def health(stepped_clock):
    stepped_clock.sleep(100)
    return BrokerHealth(stepped_clock, RetryConfig(base_delay=1, max_delay=8, jitter=0))


@pytest.fixture
def noted(stepped_clock):
    return Noted(stepped_clock)


@pytest.fixture
def attended(noted, health, stepped_clock):
    return AttendedBroker(noted, health, stepped_clock)


CALLS = [
    ("buying_power", (), {"fresh": True}),
    ("buying_power", (), {"fresh": False}),
    ("instrument", (FOLD,), {"fresh": True}),
    ("instrument", (FOLD,), {"fresh": False}),
    ("quote", (FOLD,), {}),
    ("estimate", (FOLD, Side.BUY, D(10), D(5)), {}),
    ("submit", (ORDER,), {}),
    ("replace", ("77", ORDER), {}),
    ("orders", (TODAY,), {}),
    ("open_orders", (), {}),
    ("fills", (TODAY,), {}),
    ("positions", (), {}),
    ("send", ("prepared",), {"timeout_s": 2.5}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_call_is_passed_on_as_it_is_and_what_it_took_is_seen(attended, health, name, args, kwargs):
    assert getattr(attended, name)(*args, **kwargs) == (name, args, kwargs)
    report = health.report()
    assert (report.calls, report.failures, report.round_trip_us) == (1, 0, 3000)


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_call_that_fails_is_counted_and_fails_for_its_caller(attended, noted, health, name, args, kwargs):
    for noted.error in (NoAnswer("silence"), NotSent("no DNS"), Refused("no")):
        with pytest.raises(type(noted.error)):
            getattr(attended, name)(*args, **kwargs)
    report = health.report()
    assert (report.calls, report.failures, report.last_error) == (3, 2, "no")


@pytest.mark.parametrize(
    ("name", "args"), [("prepare", (ORDER,)), ("prepare_proof", ()), ("read_answer", (200, {}, b"x"))]
)
def test_what_asks_nobody_is_not_counted(attended, health, name, args):
    assert getattr(attended, name)(*args) == (name, args, {})
    assert health.report().calls == 0


def test_unless_whoever_asks_says_so_an_answer_need_not_be_fresh(attended):
    assert attended.buying_power() == ("buying_power", (), {"fresh": False})
    assert attended.instrument(FOLD) == ("instrument", (FOLD,), {"fresh": False})


def test_a_broker_that_fails_by_our_own_mistake_is_not_to_blame(attended, noted, health):
    noted.error = ValueError("ours")
    with pytest.raises(ValueError, match="ours"):
        attended.orders(TODAY)
    assert (health.report().calls, health.report().last_error) == (0, None)


def test_a_log_in_is_counted_where_it_fails_alone(attended, noted, health):
    noted.error = WrongPassword("no such user")
    with pytest.raises(WrongPassword):
        attended.login()
    report = health.report()
    assert (report.calls, report.failures, report.last_error) == (1, 0, "no such user")
    assert report.token_ends_at is None


@pytest.fixture
def paper(health, stepped_clock):
    broker = PaperBroker(PaperMarket(clock=stepped_clock), "u", min_interval_ms=250)
    return AttendedBroker(broker, health, stepped_clock)


def test_a_token_lasts_as_long_as_is_asked_for_and_its_end_is_known(paper, health, stepped_clock):
    now = instant(stepped_clock.wall_ns())
    assert not paper.is_logged_in
    first = paper.login()
    assert paper.is_logged_in
    assert paper.login(lasting_until=first.ends_at) == first
    stepped_clock.sleep(60)
    later = paper.login(lasting_until=LATER)
    assert later.ends_at > first.ends_at > now
    report = health.report()
    assert (report.calls, report.token_ends_at) == (0, later.ends_at)
    paper.forget_token()
    assert not paper.is_logged_in


def test_an_order_lives_at_a_counted_broker_as_at_any_other(paper, health, stepped_clock):
    assert isinstance(paper, HttpBroker)
    assert (paper.code, paper.capabilities.min_interval_ms) == ("paper", 250)
    paper.login()
    stepped_clock.sleep(1)
    answer = paper.send(paper.prepare(ORDER), timeout_s=1)
    outcome = paper.read_answer(answer.status, answer.headers, answer.body)
    assert outcome.outcome is AttemptOutcome.ACCEPTED
    assert [row.client_order_id for row in paper.open_orders()] == ["fb-1"]
    paper.cancel(outcome.venue_order_id)
    assert paper.open_orders() == ()
    with pytest.raises(Refused):
        paper.cancel(outcome.venue_order_id)
    report = health.report()
    assert (report.calls, report.failures) == (5, 0)
    assert report.last_answer == instant(stepped_clock.wall_ns())
