"""From reports to what is said: every kind, each thing once, and never an error into the journal."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from alerts_orders import NAME, K, fill, intent, order, report

from firstbell.alerts import words
from firstbell.alerts.base import Importance
from firstbell.alerts.orders import OrderAlerts
from firstbell.alerts.tail import Tail, answers_are_in
from firstbell.alerts.telegram_text import pages
from firstbell.clock import SystemClock
from firstbell.config.models import AlertKind
from firstbell.journal.opening import open_journal
from firstbell.journal.owner import this_process
from firstbell.model.instructions import Instructions
from firstbell.model.order import OrderState
from firstbell.model.terms import OrderRole, OrderType, Side

LINE = "Order_A (shahr): buy 170,018 MHRN IRO1MHRN0001 at 5,860"
OURS = f"ours {NAME}"


@pytest.fixture
def said():
    return []


@pytest.fixture
def alerts(said):
    return OrderAlerts(said.append, symbols={"IRO1MHRN0001": "MHRN"})


@pytest.mark.parametrize(
    ("kind", "facts", "title", "more"),
    [
        (K.ACCEPTED, {"venue_order_id": "77"}, "Confirmed", (f"id 77, {OURS}",)),
        (K.REJECTED, {"reason": "no\n money"}, "Rejected", ("no money", OURS)),
        (K.DENIED, {"reason": "max_order_value: 10 > 5"}, "Not sent", ("max_order_value: 10 > 5", OURS)),
        (K.UNRESOLVED, {}, "Unresolved", ("Nobody has said what became of it; its broker's lists are asked.", OURS)),
        (
            K.PARTIALLY_FILLED,
            {"fill": fill("1", 5000), "cum_qty": Decimal(12000)},
            "Filled in part",
            ("5,000 at 5,860; 12,000 of 170,018 so far", OURS),
        ),
        (K.FILLED, {"fill": fill("2", 170018, 5850)}, "Filled", ("170,018 at 5,850", OURS)),
        (K.TRIGGERED, {}, "Stop triggered", (OURS,)),
        (K.CANCELED, {}, "Canceled", (OURS,)),
        (K.EXPIRED, {}, "Expired", (OURS,)),
        (
            K.REPLACED,
            {"price": Decimal("5850.50"), "quantity": Decimal(9)},
            "Changed",
            ("now quantity 9, price 5,850.5", OURS),
        ),
        (K.WITHDRAWN, {}, "Taken back", (OURS,)),
        (K.CANCEL_REJECTED, {"reason": "too late"}, "Not canceled", ("too late", OURS)),
        (K.REPLACE_REJECTED, {"reason": "frozen"}, "Not changed", ("frozen", OURS)),
    ],
)  # fmt: skip
def test_what_is_said_of_each_report(alerts, said, kind, facts, title, more):
    alerts(report(kind, **facts), order())
    assert [(message.title, message.lines) for message in said] == [(title, (LINE, *more))]


@pytest.mark.parametrize(
    "kind", [K.INITIALIZED, K.SUBMITTED, K.REFUSED, K.PENDING_CANCEL, K.PENDING_REPLACE, K.TAKEN_OVER]
)
def test_steps_on_the_way_are_not_told(alerts, said, kind):
    alerts(report(kind), order())
    assert said == []


def test_every_kind_of_report_is_either_told_or_a_step(alerts, said):
    for kind in K:
        alerts(report(kind), order())
    assert len(said) == len(K) - 6


def test_the_same_thing_is_told_once(alerts, said):
    for _ in range(2):
        alerts(report(K.ACCEPTED), order())
        alerts(report(K.ACCEPTED, venue_order_id="77"), order())
        alerts(report(K.PARTIALLY_FILLED, fill=fill("1", 5)), order())
        alerts(report(K.PARTIALLY_FILLED, fill=fill("2", 5)), order())
        alerts(report(K.PARTIALLY_FILLED, cum_qty=Decimal(20)), order())
        alerts(report(K.UNRESOLVED), order())
    alerts(report(K.ACCEPTED, "fb-other"), order("fb-other"))
    assert [message.title for message in said] == ["Confirmed", *["Filled in part"] * 3, "Unresolved", "Confirmed"]


def test_a_trailing_stop_that_follows_the_market_is_no_news(alerts, said):
    trailing = order(order_type=OrderType.TRAILING_STOP, instructions=Instructions(trailing_offset=Decimal(100)))
    alerts(report(K.REPLACED, trigger_price=Decimal(5700)), trailing)
    assert said == []
    alerts(report(K.REPLACED, quantity=Decimal(100)), trailing)
    assert said[0].title == "Changed"


def test_only_what_is_wanted_is_told(said):
    alerts = OrderAlerts(said.append, [AlertKind.FAILED])
    for kind in K:
        alerts(report(kind), order())
    assert {message.title for message in said} == {"Rejected", "Not sent", "Unresolved"}
    assert {message.importance for message in said} == {Importance.HIGH}


def test_a_fault_in_telling_does_not_reach_the_journal(caplog):
    OrderAlerts(lambda _: None)(report(K.ACCEPTED), None)
    assert "a fault of firstbell's own" in caplog.text


def test_telling_a_report_takes_microseconds(alerts):
    taken_ns = []
    for number in range(2000):
        each, its = report(K.ACCEPTED, f"fb-{number}", venue_order_id=str(number)), order(f"fb-{number}")
        began = time.perf_counter_ns()
        alerts(each, its)
        taken_ns.append(time.perf_counter_ns() - began)
    assert statistics.median(taken_ns) < 50_000


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, "buy 170,018 IRO1MHRN0001 at 5,860"),
        ({"order_type": OrderType.MARKET}, "buy 170,018 IRO1MHRN0001 at the market"),
        (
            {
                "order_type": OrderType.STOP,
                "instructions": Instructions(trigger_price=Decimal(5800), role=OrderRole.STOP_LOSS),
            },
            "stop loss: sell 170,018 IRO1MHRN0001 at the market, once 5,800 has traded",
        ),
        (
            {"order_type": OrderType.STOP_LIMIT, "instructions": Instructions(trigger_price=Decimal(5800))},
            "sell 170,018 IRO1MHRN0001 at 5,860, once 5,800 has traded",
        ),
        (
            {"order_type": OrderType.TRAILING_STOP, "instructions": Instructions(trailing_offset=Decimal(100))},
            "sell 170,018 IRO1MHRN0001 at the market, 100 behind the best price",
        ),
    ],
)  # fmt: skip
def test_an_order_in_one_line(terms, expected):
    side = Side.SELL if "instructions" in terms else Side.BUY
    assert words.order_line(order(side=side, **terms)) == f"Order_A (shahr): {expected}"


def test_orders_with_their_standing_the_newest_first_and_not_without_end():
    states = [OrderState(order(f"fb-{n}"), venue_order_id=str(n)) for n in range(100)]
    message = words.orders("Today", states, {})
    assert len(message.lines) == words.MOST_LINES + 1
    assert message.lines[0].endswith("id 99, ours fb-99")
    assert message.lines[-1] == "… and 60 more"
    assert words.orders("Today", [], {}).lines == ("None.",)


def test_readiness_names_those_who_may_not_go_first():
    rows = [words.Ready("A", "gs", "buy 5 at 1", go=True), words.Ready("B", "bbi", "no token", go=False)]
    message = words.readiness("Armed", order_at(), rows)
    assert message.lines == (
        "1 of 2 go; the bell is at 05:15:00 on 2026-11-21",
        "NO-GO B (bbi): no token",
        "go A (gs): buy 5 at 1",
    )
    assert message.importance is Importance.HIGH


def order_at():
    return report(K.ACCEPTED).at


def test_a_summary_says_what_went_wrong_first():
    row = {"broker_code": "gs", "instrument": "I", "side": "buy"}
    good = {
        **row,
        "account": "A",
        "price": 5860,
        "quantity": 170018,
        "venue_order_id": "7",
        "outcome": "accepted",
        "reason": None,
    }
    bad = {
        **row,
        "account": "B",
        "price": None,
        "quantity": None,
        "venue_order_id": None,
        "outcome": "not_sent",
        "reason": "no\ttoken",
    }
    document = {
        "run": "r1",
        "summary": {"configured": 2, "accepted": 1, "rejected": 0, "unresolved": 0, "not_sent": 1},
        "lateness": {"median_us": 412},
        "orders": [good, bad],
    }  # fmt: skip
    assert words.summary(document).lines == (
        "2 configured: 1 accepted, 1 not sent",
        "not sent B (gs): buy I: no token",
        "accepted A (gs): buy 170,018 at 5,860 I, id 7",
        "late, median: 0.4 ms",
    )


def test_what_is_said_survives_being_set_for_telegram(alerts, said):
    alerts(report(K.REJECTED, reason="<موجودی> & \u202eکافی"), order())
    assert pages(said)[0].text.splitlines()[2] == "&lt;موجودی&gt; &amp; \\u202eکافی"


@pytest.fixture
def journal(tmp_path):
    journal = open_journal(None, tmp_path / "journal.db", SystemClock())
    yield journal
    journal.close()


def claimed(journal, name, run="run"):
    journal.claim(intent(name), run, this_process())


def test_a_tail_hands_on_each_report_of_its_run_once(journal, tmp_path):
    claimed(journal, "fb-old", "earlier")
    journal.append([report(K.SUBMITTED, "fb-old"), report(K.UNRESOLVED, "fb-old")])
    heard = []
    tail = Tail(open_journal(None, tmp_path / "journal.db", SystemClock()), "run", lambda each, _: heard.append(each))
    assert tail.look() == ()
    assert heard == []
    claimed(journal, "fb-1")
    claimed(journal, "fb-2")
    claimed(journal, "fb-other", "another")
    assert not answers_are_in(tail.look())
    journal.append([report(K.SUBMITTED, "fb-1"), report(K.ACCEPTED, "fb-1", venue_order_id="7")])
    journal.append([report(K.SUBMITTED, "fb-2"), report(K.SUBMITTED, "fb-other")])
    assert not answers_are_in(tail.look())
    journal.append([report(K.UNRESOLVED, "fb-2"), report(K.ACCEPTED, "fb-old", venue_order_id="3")])
    assert answers_are_in(tail.look())
    journal.append([report(K.PARTIALLY_FILLED, "fb-1", cum_qty=Decimal(3))])
    by_a_command = replace(report(K.PENDING_CANCEL, "fb-1"), run_id="command")
    journal.append([by_a_command, replace(by_a_command, kind=K.CANCEL_REJECTED)])
    for _ in range(3):
        tail.look()
    journal.append([report(K.FILLED, "fb-1", fill=fill("1", 170018))])
    tail.look()
    assert [(each.client_order_id, each.kind.value) for each in heard] == [
        ("fb-1", "INITIALIZED"), ("fb-2", "INITIALIZED"),
        ("fb-1", "SUBMITTED"), ("fb-1", "ACCEPTED"), ("fb-2", "SUBMITTED"),
        ("fb-old", "ACCEPTED"), ("fb-2", "UNRESOLVED"), ("fb-1", "PARTIALLY_FILLED"),
        ("fb-1", "FILLED"),
    ]  # fmt: skip


def test_a_subscriber_of_a_journal_has_durable_reports_told(journal, alerts, said):
    journal.subscribe(alerts)
    claimed(journal, NAME)
    journal.append([report(K.SUBMITTED), report(K.ACCEPTED, venue_order_id="77")])
    assert [message.title for message in said] == ["Confirmed"]
