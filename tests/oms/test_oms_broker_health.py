"""How a broker does: counted from its calls, and left alone for a while where it does not answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from oms_desk import Desk, request

from firstbell.brokers.base import HttpBroker
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.errors import NoAnswer, NotSent, RateLimited, Refused
from firstbell.model.instant import instant
from firstbell.oms.orders import health_file
from firstbell.oms.orders.attended_broker import AttendedBroker
from firstbell.oms.orders.broker_health import BrokerHealth, HealthReport
from firstbell.oms.orders.health_file import HealthFile
from firstbell.oms.policies.retry import RetryConfig


@pytest.fixture
def health(stepped_clock):
    return BrokerHealth(stepped_clock, RetryConfig(base_delay=1, max_delay=8, jitter=0))


def test_before_the_first_call_nothing_is_known(health):
    report = health.report()
    assert (report.calls, report.error_rate, report.last_answer, report.is_well) == (0, None, None, False)
    assert report == HealthReport()
    assert health.may_ask()


def test_the_error_rate_is_of_the_last_hundred_calls(health):
    for _ in range(50):
        health.failed(NoAnswer("silence"))
    for _ in range(75):
        health.answered(1_500_000)
    report = health.report()
    assert (report.calls, report.failures, report.error_rate, report.round_trip_us) == (100, 25, 0.25, 1500)
    assert report.is_well
    assert report.last_error == "silence"


def test_a_refusal_is_an_answer(health):
    health.failed(Refused("not enough money"))
    report = health.report()
    assert (report.failures, report.is_well, report.last_error) == (0, True, "not enough money")
    assert report.last_answer is not None
    assert health.may_ask()


def test_one_that_does_not_answer_is_left_alone_longer_each_time_and_never_longer_than_that(health, stepped_clock):
    pauses = []
    for _ in range(6):
        health.failed(NotSent("refused"))
        began = stepped_clock.monotonic_ns()
        while not health.may_ask():
            stepped_clock.sleep(0.25)
        pauses.append((stepped_clock.monotonic_ns() - began) / 1e9)
    assert pauses == [1, 2, 4, 8, 8, 8]
    health.answered(1)
    health.failed(NotSent("refused"))
    assert (health.report().asked_again_at - datetime.fromtimestamp(stepped_clock.wall_ns() / 1e9, UTC)).seconds <= 1


def test_an_unresolved_order_is_asked_for_all_the_same_but_for_a_pause_that_the_broker_wants(health, stepped_clock):
    health.failed(NoAnswer("silence"))
    assert not health.may_ask()
    assert health.may_ask(urgent=True)
    health.failed(RateLimited("a pause", retry_after=5))
    assert not health.may_ask(urgent=True)
    stepped_clock.sleep(5)
    assert health.may_ask(urgent=True)


def test_a_broker_with_its_calls_counted_is_a_broker_like_any_other(health, stepped_clock):
    broker = AttendedBroker(PaperBroker(PaperMarket(clock=stepped_clock), "u"), health, stepped_clock)
    assert isinstance(broker, HttpBroker)
    broker.login()
    with pytest.raises(Refused):
        broker.instrument("IRO1NONE0001")
    assert broker.buying_power() == 1_000_000_000
    report = health.report()
    assert (report.calls, report.failures) == (2, 0)
    assert report.token_ends_at is not None


def test_while_a_broker_is_down_its_list_is_not_asked_for_each_round(tmp_path, stepped_clock):
    desk = Desk(tmp_path, stepped_clock)
    desk.quote(4860, 4870)
    desk.manager.place(request())
    asked = []

    def down(_day):
        asked.append(stepped_clock.monotonic_ns())
        raise NotSent("connection refused")

    desk.broker.orders = down
    desk.rounds(20, pause_s=0.5)
    assert 3 <= len(asked) <= 6
    assert desk.manager.health()["Order_A"].failures == len(asked)
    del desk.broker.orders
    desk.rounds(20, pause_s=0.5)
    assert desk.manager.health()["Order_A"].is_well
    desk.close()


def test_what_is_written_down_is_what_is_read(tmp_path, stepped_clock, health):
    health.failed(NoAnswer("silence"))
    health.answered(2_000_000)
    assert health_file.read(tmp_path) is None
    HealthFile(tmp_path, stepped_clock, lambda: {"A": health.report()}).keep()
    at, accounts = health_file.read(tmp_path)
    assert at.timestamp() == pytest.approx(stepped_clock.wall_ns() / 1e9)
    assert accounts == {"A": health.report()}
    (tmp_path / health_file.FILE).write_text("{")
    assert health_file.read(tmp_path) is None


def test_a_call_that_fails_is_remembered_with_its_words_and_its_time(health, stepped_clock):
    stepped_clock.sleep(7)
    health.failed(NoAnswer("silence"))
    failed_at = instant(stepped_clock.wall_ns())
    report = health.report()
    assert (report.last_error, report.last_error_at, report.last_answer) == ("silence", failed_at, None)
    assert (report.calls, report.failures, report.failures_in_a_row, report.error_rate) == (1, 1, 1, 1.0)
    assert (report.round_trip_us, report.is_well) == (None, False)
    stepped_clock.sleep(7)
    health.answered(1_999)
    report = health.report()
    assert (report.last_error, report.last_error_at) == ("silence", failed_at)
    assert (report.last_answer, report.round_trip_us) == (instant(stepped_clock.wall_ns()), 1)
    assert (report.calls, report.failures, report.failures_in_a_row, report.is_well) == (2, 1, 0, True)


def test_it_is_told_until_when_it_is_left_alone_and_nothing_once_that_is_over(health, stepped_clock):
    assert health.report().asked_again_at is None
    health.failed(NoAnswer("silence"))
    until = instant(stepped_clock.wall_ns() + 1_000_000_000)
    assert health.report().asked_again_at == until
    stepped_clock.sleep(0.75)
    assert health.report().asked_again_at == until
    stepped_clock.move_to(stepped_clock.now_ns + 249_999_999)
    assert health.report().asked_again_at == until
    assert not health.may_ask()
    stepped_clock.move_to(stepped_clock.now_ns + 1)
    assert health.report().asked_again_at is None
    assert health.may_ask()


def test_an_answer_ends_the_pause_and_the_next_one_is_as_short_as_the_first(health, stepped_clock):
    for _ in range(3):
        health.failed(NoAnswer("silence"))
    assert health.report().failures_in_a_row == 3
    health.answered(1)
    assert health.may_ask()
    health.failed(NoAnswer("silence"))
    assert health.report().asked_again_at == instant(stepped_clock.wall_ns() + 1_000_000_000)


def test_a_pause_that_the_broker_asks_for_is_kept_whatever_it_answers_meanwhile(health, stepped_clock):
    health.failed(RateLimited("a pause", retry_after=2.5))
    asked_again_at = instant(stepped_clock.wall_ns() + 2_500_000_000)
    assert health.report().asked_again_at == asked_again_at
    assert (health.report().failures, health.report().is_well) == (0, True)
    health.answered(1)
    health.failed(NoAnswer("silence"))
    assert health.report().asked_again_at == asked_again_at
    stepped_clock.sleep(2.25)
    assert not health.may_ask()
    assert not health.may_ask(urgent=True)
    stepped_clock.sleep(0.25)
    assert health.may_ask()


def test_where_the_broker_does_not_say_how_long_it_is_the_first_pause(health, stepped_clock):
    for _ in range(3):
        health.failed(RateLimited("a pause"))
    assert health.report().asked_again_at == instant(stepped_clock.wall_ns() + 1_000_000_000)
    health.failed(RateLimited("none", retry_after=0))
    assert health.may_ask()


def test_the_longer_of_two_pauses_holds(health, stepped_clock):
    health.failed(RateLimited("a pause", retry_after=0.5))
    health.failed(NoAnswer("silence"))
    assert health.report().asked_again_at == instant(stepped_clock.wall_ns() + 1_000_000_000)
    stepped_clock.sleep(0.5)
    assert health.may_ask(urgent=True)
    assert not health.may_ask()


EVERYTHING = HealthReport(
    last_answer=datetime(2026, 11, 28, 8, 1, tzinfo=UTC),
    last_error="silence",
    last_error_at=datetime(2026, 11, 28, 8, 2, tzinfo=UTC),
    calls=7,
    failures=5,
    failures_in_a_row=3,
    token_ends_at=datetime(2026, 11, 28, 8, 3, tzinfo=UTC),
    asked_again_at=datetime(2026, 11, 28, 8, 4, tzinfo=UTC),
    round_trip_us=1234,
)


def test_every_figure_is_written_down_and_read_and_so_is_what_nobody_knows(tmp_path, stepped_clock):
    reports = {"A": EVERYTHING, "B": HealthReport()}
    HealthFile(tmp_path, stepped_clock, lambda: reports).keep()
    at, accounts = health_file.read(tmp_path)
    assert at == instant(stepped_clock.wall_ns())
    assert accounts == reports
    assert accounts["B"].error_rate is None


def test_it_is_written_down_every_five_seconds_however_many_rounds_there_are(tmp_path, stepped_clock):
    asked = []

    def health():
        asked.append(stepped_clock.now_ns)
        return {"A": HealthReport(calls=len(asked))}

    file = HealthFile(tmp_path, stepped_clock, health)
    file.keep()
    for _ in range(11):
        file.keep()
        stepped_clock.sleep(1)
    assert [each // 1_000_000_000 for each in asked] == [0, 5, 10]
    assert health_file.read(tmp_path)[1]["A"].calls == 3


def test_what_cannot_be_written_or_read_is_logged_and_stops_nobody(tmp_path, stepped_clock, caplog):
    (tmp_path / health_file.FILE).mkdir()
    HealthFile(tmp_path, stepped_clock, dict).keep()
    assert health_file.FILE in caplog.text
    caplog.clear()
    assert health_file.read(tmp_path) is None
    assert health_file.FILE in caplog.text


def test_where_nothing_was_written_down_nothing_is_wrong(tmp_path, caplog):
    assert health_file.read(tmp_path) is None
    assert caplog.text == ""


@pytest.mark.parametrize("text", ['{"accounts": {}}', '{"at": "then", "accounts": {}}', '{"at": null, "accounts": 1}'])
def test_what_is_no_such_file_tells_nothing(tmp_path, text):
    (tmp_path / health_file.FILE).write_text(text)
    assert health_file.read(tmp_path) is None
