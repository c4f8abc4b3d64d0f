"""Figures for Prometheus: right, bounded, without secrets, and on this machine alone."""

from __future__ import annotations

import re
import socket
import threading
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from firstbell.errors import JournalError, RunError
from firstbell.log import hide
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.metrics import OrderMetrics
from firstbell.oms.metrics_page import MetricsPage

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 21)


def order(name="a", account="A"):
    return Order(name, account, "gs", "IRO1FOLD0001", Side.BUY, Decimal(5860), Decimal(100), DAY)


def tell(metrics, kind, ms=0, name="a", account="A", **facts):
    at = AT + timedelta(milliseconds=ms)
    metrics(ExecutionReport(name, "run", kind, at, **facts), order(name, account))


def attempt(number, outcome, us=None):
    return Attempt(number, AT, 0, AT, us, 200, None, None, outcome)


def read(text):
    """Every sample by its name and labels."""
    return {
        (sample.name.removeprefix("firstbell_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.fixture
def metrics():
    return OrderMetrics()


@pytest.fixture
def page(metrics):
    with MetricsPage(metrics.registry, 0) as page:
        yield page


def ask(url, **headers):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers, timeout=10)


def get(url):
    answer = ask(url)
    answer.raise_for_status()
    return answer.text


def test_orders_are_counted_by_their_first_answer(metrics):
    for number, answers in enumerate(
        [
            (ReportKind.ACCEPTED, ReportKind.ACCEPTED, ReportKind.FILLED),
            (ReportKind.FILLED,),
            (ReportKind.REFUSED, ReportKind.UNRESOLVED, ReportKind.REJECTED),
            (ReportKind.DENIED,),
            (ReportKind.UNRESOLVED,),
        ]
    ):
        for kind in (ReportKind.INITIALIZED, ReportKind.SUBMITTED, *answers):
            tell(metrics, kind, name=f"o{number}")
    found = read(metrics.text())
    assert found["orders_answered_total", "A", "accepted"] == 2
    assert found["orders_answered_total", "A", "rejected"] == 1
    assert found["orders_answered_total", "A", "denied"] == 1
    assert found["reports_total", "A", "ACCEPTED"] == 2
    assert found["order_success_ratio",] == 0.5
    assert metrics.figures()["answered"] == {"accepted": 2, "rejected": 1, "denied": 1}
    assert metrics.figures()["success_rate"] == 0.5


def test_before_the_first_answer_there_is_no_rate(metrics):
    assert metrics.figures()["success_rate"] is None
    assert ("order_success_ratio",) not in read(metrics.text())
    assert metrics.figures()["latency_s"]["placement"] == {"p50": None, "p90": None, "p99": None}


def test_an_answer_to_an_order_that_was_never_claimed_here_is_not_counted(metrics):
    tell(metrics, ReportKind.ACCEPTED)
    assert metrics.figures()["answered"] == {}


def test_an_answer_that_is_heard_of_before_its_claim_is_counted_once_the_claim_is(metrics):
    tell(metrics, ReportKind.ACCEPTED, ms=40)
    tell(metrics, ReportKind.FILLED, ms=90)
    tell(metrics, ReportKind.INITIALIZED)
    tell(metrics, ReportKind.CANCELED, ms=95)
    assert metrics.figures()["answered"] == {"accepted": 1}
    found = read(metrics.text())
    assert (found["placement_seconds_count",], found["placement_seconds_sum",]) == (1, pytest.approx(0.04))


def test_placement_is_from_claim_to_answer_and_of_what_was_held_back_from_its_trigger(metrics):
    tell(metrics, ReportKind.INITIALIZED)
    tell(metrics, ReportKind.ACCEPTED, ms=40)
    tell(metrics, ReportKind.INITIALIZED, name="held")
    tell(metrics, ReportKind.TRIGGERED, ms=3_600_000, name="held")
    tell(metrics, ReportKind.SUBMITTED, ms=3_600_001, name="held")
    tell(metrics, ReportKind.ACCEPTED, ms=3_600_060, name="held")
    tell(metrics, ReportKind.TRIGGERED, ms=3_600_070, name="held")
    tell(metrics, ReportKind.INITIALIZED, name="denied")
    tell(metrics, ReportKind.DENIED, ms=9000, name="denied")
    found = read(metrics.text())
    assert (found["placement_seconds_count",], found["placement_seconds_sum",]) == (2, pytest.approx(0.1))


def test_a_clock_that_was_set_back_makes_no_negative_latency(metrics):
    tell(metrics, ReportKind.INITIALIZED, ms=50)
    tell(metrics, ReportKind.ACCEPTED, ms=0)
    assert read(metrics.text())["placement_seconds_sum",] == 0


def test_attempts_and_retries_are_counted(metrics):
    tell(metrics, ReportKind.REFUSED, attempt=attempt(1, AttemptOutcome.REJECTED, 8000))
    tell(metrics, ReportKind.REFUSED, attempt=attempt(2, AttemptOutcome.NOT_SENT))
    tell(metrics, ReportKind.ACCEPTED, attempt=attempt(3, AttemptOutcome.ACCEPTED, 4000))
    tell(metrics, ReportKind.FILLED, fill=Fill("1", Decimal(100), Decimal(5860)))
    found = read(metrics.text())
    assert found["attempts_total", "A", "rejected"] == found["attempts_total", "A", "not_sent"] == 1
    assert found["retries_total", "A"] == metrics.figures()["retries"] == 2
    assert found["trades_total", "A"] == 1
    assert (found["round_trip_seconds_count",], found["round_trip_seconds_sum",]) == (2, pytest.approx(0.012))


def test_percentiles_lie_within_the_bucket_that_they_fall_into(metrics):
    for micros in [60] * 50 + [250] * 40 + [800] * 9 + [30_000_000]:
        metrics.observe_overhead(micros / 1e6)
        metrics.observe_validation(0.00003)
    found = metrics.figures()["latency_s"]
    assert found["overhead"]["p50"] == pytest.approx(0.0001)
    assert 0.0002 <= found["overhead"]["p90"] <= 0.0003
    assert 0.00075 <= found["overhead"]["p99"] <= 0.001
    assert 0.00002 < found["validation"]["p50"] < 0.00005
    for _ in range(1000):
        metrics.observe_overhead(99)
    assert metrics.figures()["latency_s"]["overhead"]["p99"] == 1.0


SUMMARY = {
    "open_positions": 2,
    "positions": [
        {"account": "A", "quantity": Decimal(5), "stale": False, "realized_pnl": Decimal(7), "fees": Decimal(2)}
        | {"unrealized_pnl": Decimal("-12.5"), "estimated": True},
        {"account": "A", "quantity": Decimal(-5), "stale": True, "realized_pnl": Decimal(0), "fees": Decimal(1)}
        | {"unrealized_pnl": None, "estimated": False},
        {"account": "B", "quantity": Decimal(0), "stale": True, "realized_pnl": Decimal(3), "fees": Decimal(0)}
        | {"unrealized_pnl": Decimal(0), "estimated": False},
    ],
    "day_pnl": Decimal(-5),
    "daily_loss": Decimal(5),
    "drawdown": Decimal(9),
    "limit_reached": "max_drawdown",
    "state": "REDUCING",
}


def test_what_others_know_is_asked_when_it_is_read(metrics, page):
    waiting = [3]
    metrics.watch(orders=lambda: {"ACCEPTED": 4, "PARTIALLY_FILLED": 1}, alerts=lambda: waiting[0])
    metrics.watch(positions=lambda: SUMMARY)
    waiting[0] = 5
    found = read(get(page.url))
    assert found["alerts_queued",] == 5
    assert found["orders", "ACCEPTED"] == 4
    assert (found["positions_open",], found["positions_stale",], found["positions_estimated",]) == (2, 1, 1)
    assert "# HELP firstbell_orders Open orders by status." in get(page.url)
    assert (found["profit_realized", "A"], found["profit_realized", "B"]) == (7, 3)
    assert (found["profit_unrealized", "A"], found["fees", "A"]) == (-12.5, 3)
    assert (found["profit_day",], found["daily_loss_used",], found["drawdown",]) == (-5, 5, 9)
    assert found["limit_reached",] == 1
    states = [found["trading_state", state] for state in ("ACTIVE", "REDUCING", "HALTED")]
    assert states == [0, 1, 0]


def test_what_is_not_known_is_left_out_and_the_rest_is_told(metrics, page, caplog):
    metrics.watch(positions=lambda: {**SUMMARY, "day_pnl": None, "daily_loss": None, "limit_reached": None})
    found = read(get(page.url))
    assert ("profit_day",) not in found
    assert found["limit_reached",] == 0

    def broken():
        raise JournalError("the disk is gone")

    metrics.watch(positions=broken)
    tell(metrics, ReportKind.SUBMITTED)
    found = read(get(page.url))
    assert found["reports_total", "A", "SUBMITTED"] == 1
    assert "the positions' figures cannot be told: the disk is gone" in caplog.text


def test_the_figures_have_no_secret_and_no_order_in_them(metrics, page):
    hide("s3cret-token")
    raw = Attempt(1, AT, 0, AT, 5, 200, 7, "s3cret-token", AttemptOutcome.REJECTED, raw="s3cret-token")
    tell(metrics, ReportKind.INITIALIZED, name="fb-order-1", account="Order_s3cret-token")
    tell(
        metrics,
        ReportKind.REJECTED,
        name="fb-order-1",
        account="Order_s3cret-token",
        attempt=raw,
        reason="s3cret-token",
    )
    text = get(page.url)
    assert "orders_answered_total" in text
    for planted in ("s3cret", "fb-order-1", "IRO1FOLD0001"):
        assert planted not in text
    # Its price: as a number of its own, for an instant's digits may have the same four among them.
    assert not re.search(r"(?<!\d)5860(?!\d)", text)


def test_the_figures_do_not_grow_with_the_orders(metrics, monkeypatch):
    monkeypatch.setattr("firstbell.oms.metrics._MOST_UNANSWERED", 1000)
    orders = [order(account=f"A{number}") for number in range(300)]
    answered = attempt(1, AttemptOutcome.ACCEPTED, 9)

    def run(first, last):
        for number in range(first, last):
            mine = orders[number % 300]
            metrics(ExecutionReport(f"o{number}", "run", ReportKind.INITIALIZED, AT), mine)
            metrics.observe_overhead(number % 97 / 1e5)
            if number % 3:
                metrics(ExecutionReport(f"o{number}", "run", ReportKind.ACCEPTED, AT, attempt=answered), mine)

    run(0, 6000)
    lines = len(metrics.text().splitlines())
    tracemalloc.start()
    run(6000, 8000)
    before, _ = tracemalloc.get_traced_memory()
    run(8000, 19_999)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(metrics.text().splitlines()) == lines
    assert len(metrics._unanswered) == 1000
    assert after - before < 110_000
    accounts = {name for key in read(metrics.text()) if key[0] == "reports_total" for name in key[1:]}
    assert len(accounts) == 201 + len({"INITIALIZED", "ACCEPTED"})
    assert "other" in accounts


def test_threads_count_together(metrics):
    def count(part):
        for number in range(500):
            tell(metrics, ReportKind.INITIALIZED, name=f"{part}-{number}")
            tell(metrics, ReportKind.ACCEPTED, name=f"{part}-{number}")

    threads = [threading.Thread(target=count, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.figures()["answered"] == {"accepted": 2000}


def test_the_page_is_on_this_machine_alone(page):
    with socket.create_connection(("127.0.0.1", page.port), timeout=5) as here:
        assert here.getpeername()[0] == "127.0.0.1"
    assert page._server.socket.getsockname()[0] == "127.0.0.1"
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match=r"refused|assign"):
            socket.create_connection((address, page.port), timeout=5)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:9"])
def test_a_page_of_another_site_cannot_read_it(page, host):
    answer = ask(page.url, Host=host)
    assert (answer.status_code, answer.text) == (403, "for this machine only\n")
    assert get(page.url.replace("127.0.0.1", "localhost")).startswith("# HELP")


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/favicon.ico", "/metrics/../x", "/x?/metrics"])
def test_there_is_no_other_page(page, path):
    answer = ask(f"http://127.0.0.1:{page.port}{path}")
    assert (answer.status_code, answer.text) == (404, "the figures are at /metrics\n")
    assert get(f"{page.url}?name=x").startswith("# HELP")


def test_a_port_that_is_taken_is_said(page, metrics):
    with pytest.raises(RunError, match=rf"cannot be shown on 127\.0\.0\.1:{page.port}: Address already in use"):
        MetricsPage(metrics.registry, page.port)


def test_once_closed_it_is_gone(metrics):
    with MetricsPage(metrics.registry, 0) as page:
        assert get(page.url)
    with pytest.raises(requests.ConnectionError):
        get(page.url)
    assert not any(thread.name == "firstbell-metrics" for thread in threading.enumerate())


def test_whoever_hangs_up_in_the_middle_disturbs_nobody(page, capfd):
    for sent in (b"", b"GET /metrics HTTP/1.1\r\nHo", b"\xff\xfe\x00\r\n\r\n", b"GET " + b"a" * 70_000):
        with socket.create_connection(("127.0.0.1", page.port), timeout=5) as caller:
            caller.sendall(sent)
    assert get(page.url)
    assert "Traceback" not in capfd.readouterr().err


def test_a_trade_that_two_processes_tell_of_is_one_trade(metrics):
    for trade in ("t1", "t1", "t2", "t1"):
        tell(metrics, ReportKind.PARTIALLY_FILLED, fill=Fill(trade, Decimal(3), Decimal(10)))
    tell(metrics, ReportKind.PARTIALLY_FILLED, name="b", fill=Fill("t1", Decimal(3), Decimal(10)))
    assert metrics.registry.get_sample_value("firstbell_trades_total", {"account": "A"}) == 3
