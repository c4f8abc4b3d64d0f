"""From reports to what is said: every kind, each thing once, and never an error into the journal."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import pytest
from alerts_orders import AT, NAME, K, fill, intent, order, report

from firstbell.alerts import words
from firstbell.alerts.base import Importance
from firstbell.alerts.orders import OrderAlerts
from firstbell.alerts.tail import Tail, answers_are_in
from firstbell.alerts.telegram_text import pages
from firstbell.clock import SystemClock
from firstbell.config.alert_settings import AlertKind
from firstbell.journal.base import HELD_NS
from firstbell.journal.base import Entry as BaseEntry
from firstbell.journal.opening import open_journal
from firstbell.journal.owner import this_process
from firstbell.model.instructions import Instructions
from firstbell.model.order import OrderState
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import OrderRole, OrderType, Side

Entry = partial(BaseEntry, run_id="run", owner=this_process(), claimed_at=AT)
LINE = "Order_A (shahr): buy 170,018 MHRN IRO1MHRN0001 at 5,860"
OURS = f"ours {NAME}"
ID = f"id 77, {OURS}"
SENT = (report(K.SUBMITTED),)
AT_BROKER = (*SENT, report(K.ACCEPTED, venue_order_id="77"))


def tell(alerts, *reports, its=None):
    """Tell of reports, as the journal does."""
    state = OrderState(order() if its is None else its)
    for each in reports:
        before, state = state, state.after(each)
        alerts(each, before, state)
    return state


def told_of(said, *reports, its=None):
    """What is told of the last of some reports on an order."""
    state = OrderState(order() if its is None else its)
    for each in reports[:-1]:
        state = state.after(each)
    OrderAlerts(said.append, symbols={"IRO1MHRN0001": "MHRN"})(reports[-1], state, state.after(reports[-1]))
    return [(message.title, message.lines) for message in said]


@pytest.fixture
def said():
    return []


@pytest.fixture
def alerts(said):
    return OrderAlerts(said.append, symbols={"IRO1MHRN0001": "MHRN"})


@pytest.mark.parametrize(
    ("before", "last", "title", "line", "more"),
    [
        (SENT, report(K.ACCEPTED, venue_order_id="77"), "Confirmed", LINE, (ID,)),
        (SENT, report(K.REJECTED, reason="no\n money"), "Rejected", LINE, ("no money", OURS)),
        ((), report(K.DENIED, reason="max: 10 > 5"), "Not sent", LINE, ("max: 10 > 5", OURS)),
        (
            SENT,
            report(K.UNRESOLVED),
            "Unresolved",
            LINE,
            ("Nobody has said what became of it; its broker's lists are asked.", OURS),
        ),
        (AT_BROKER, report(K.TRIGGERED), "Stop triggered", LINE, (ID,)),
        (AT_BROKER, report(K.CANCELED, reason="as asked"), "Canceled", LINE, ("as asked", ID)),
        (AT_BROKER, report(K.EXPIRED), "Expired", LINE, (ID,)),
        ((), report(K.WITHDRAWN), "Taken back", LINE, (OURS,)),
        (
            (*AT_BROKER, report(K.PENDING_REPLACE)),
            report(K.REPLACED, price=Decimal("5850.50"), quantity=Decimal(9)),
            "Changed",
            "Order_A (shahr): buy 9 MHRN IRO1MHRN0001 at 5,850.5",
            ("before: quantity 170,018, price 5,860", ID),
        ),
        (AT_BROKER, report(K.REPLACED), "Changed", LINE, (ID,)),
        (
            (*AT_BROKER, report(K.PENDING_CANCEL)),
            report(K.CANCEL_REJECTED, reason="too late"),
            "Not canceled",
            LINE,
            ("too late", ID),
        ),
        (
            (*AT_BROKER, report(K.PENDING_REPLACE)),
            report(K.REPLACE_REJECTED, reason="frozen"),
            "Not changed",
            LINE,
            ("frozen", ID),
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_each_report(said, before, last, title, line, more):
    assert told_of(said, *before, last) == [(title, (line, *more))]


def part(trade_id, quantity, price=5860):
    return report(K.PARTIALLY_FILLED, fill=fill(trade_id, quantity, price))


def total(kind, quantity):
    return report(kind, cum_qty=Decimal(quantity))


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        (
            # The broker calls each trade a part; the last one completes the order.
            (part("1", 400, 5850), part("2", 600, 5849)),
            [
                ("Filled in part", "400 at 5,850; 400 of 1,000 so far"),
                ("Filled", "600 at 5,849; 1,000 in all, at 5,849.4 on average"),
            ],
        ),
        ((part("1", 1000, 5850),), [("Filled", "1,000 at 5,850")]),
        (
            (part("1", 400), part("1", 400), total(K.PARTIALLY_FILLED, 400)),
            [("Filled in part", "400 at 5,860; 400 of 1,000 so far")],
        ),
        (
            # Sums first, and then the trades that are in them.
            (total(K.PARTIALLY_FILLED, 400), total(K.FILLED, 1000), part("1", 400, 5850), part("2", 600, 5849)),
            [
                ("Filled in part", "400 of 1,000 so far"),
                ("Filled", "1,000 in all, at prices that nobody has told yet"),
                ("Price", "1,000 in all, told of before, at 5,849.4 on average"),
            ],
        ),
        (
            (total(K.PARTIALLY_FILLED, 400), part("1", 400, 5850), part("2", 600, 5849)),
            [
                ("Filled in part", "400 of 1,000 so far"),
                ("Filled", "600 at 5,849; 1,000 in all, at 5,849.4 on average"),
            ],
        ),
        (
            # The last one first.
            (report(K.FILLED, fill=fill("2", 600, 5849)), part("1", 400, 5850)),
            [
                ("Filled", "600 at 5,849; 600 of 1,000 so far"),
                ("Filled", "400 at 5,850; 1,000 in all, at 5,849.4 on average"),
            ],
        ),
        (
            (part("1", 400), report(K.CANCELED, cum_qty=Decimal(400))),
            [
                ("Filled in part", "400 at 5,860; 400 of 1,000 so far"),
                ("Canceled", "400 of it had traded, at 5,860 on average"),
            ],
        ),
        (
            (report(K.CANCELED, cum_qty=Decimal(400)), part("1", 400)),
            [
                ("Filled in part", "400 of 1,000 so far"),
                ("Canceled", "400 of it had traded"),
                ("Price", "400 in all, told of before, at 5,860 on average"),
            ],
        ),
        (
            (report(K.CANCELED, cum_qty=Decimal(1000)),),
            [("Filled", "1,000 in all, at prices that nobody has told yet")],
        ),
        (
            # Changed to what has traded already.
            (part("1", 400), report(K.PENDING_REPLACE), report(K.REPLACED, quantity=Decimal(400))),
            [
                ("Filled in part", "400 at 5,860; 400 of 1,000 so far"),
                ("Filled", "400 in all, at 5,860 on average"),
                ("Changed", "before: quantity 1,000"),
            ],
        ),
    ],
)  # fmt: skip
def test_what_has_traded_is_told_once_and_by_what_it_makes_of_the_order(alerts, said, reports, told):
    whole = replace(order(), quantity=Decimal(1000))
    tell(alerts, *AT_BROKER, *reports, its=whole)
    assert [(message.title, message.lines[1]) for message in said] == [("Confirmed", ID), *told]
    assert {message.lines[-1] for message in said} == {ID}, "each names the order as its broker does"


def test_an_order_is_told_with_the_terms_that_it_has_now(alerts, said):
    changed = report(K.REPLACED, price=Decimal(5850), quantity=Decimal(600))
    tell(
        alerts,
        report(K.REPLACED, quantity=Decimal(334)),
        *SENT,
        AT_BROKER[-1],
        changed,
        part("1", 5),
        report(K.CANCELED),
    )
    assert [(message.title, message.lines[0].partition("buy ")[2]) for message in said] == [
        ("Changed", "334 MHRN IRO1MHRN0001 at 5,860"),
        ("Confirmed", "334 MHRN IRO1MHRN0001 at 5,860"),
        ("Changed", "600 MHRN IRO1MHRN0001 at 5,850"),
        ("Filled in part", "600 MHRN IRO1MHRN0001 at 5,850"),
        ("Canceled", "600 MHRN IRO1MHRN0001 at 5,850"),
    ]


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ((), K.INITIALIZED), ((), K.SUBMITTED), (SENT, K.REFUSED), (AT_BROKER, K.PENDING_CANCEL),
        (AT_BROKER, K.PENDING_REPLACE), ((), K.TAKEN_OVER), ((), K.HANDED_OVER),
    ],
)  # fmt: skip
def test_steps_on_the_way_are_not_told(said, before, kind):
    assert told_of(said, *before, report(kind)) == []


def test_the_same_thing_is_told_once(alerts, said):
    tell(alerts, *SENT, report(K.UNRESOLVED), report(K.UNRESOLVED), report(K.ACCEPTED), AT_BROKER[-1], AT_BROKER[-1])
    other = replace(order(), client_order_id="fb-other")
    tell(alerts, report(K.SUBMITTED, "fb-other"), report(K.ACCEPTED, "fb-other"), its=other)
    assert [message.title for message in said] == ["Unresolved", "Confirmed", "Confirmed"]


def test_a_trailing_stop_that_follows_the_market_is_no_news(alerts, said):
    trailing = order(order_type=OrderType.TRAILING_STOP, instructions=Instructions(trailing_offset=Decimal(100)))
    tell(alerts, report(K.REPLACED, trigger_price=Decimal(5700)), its=trailing)
    assert said == []
    tell(alerts, report(K.REPLACED, quantity=Decimal(100)), its=trailing)
    assert said[0].title == "Changed"


def test_only_what_is_wanted_is_told(said):
    alerts = OrderAlerts(said.append, [AlertKind.FAILED])
    tell(alerts, report(K.DENIED))
    tell(alerts, *SENT, report(K.UNRESOLVED), AT_BROKER[-1], part("1", 5), report(K.CANCELED))
    tell(alerts, *SENT, report(K.REJECTED))
    assert {message.title for message in said} == {"Rejected", "Not sent", "Unresolved"}
    assert {message.importance for message in said} == {Importance.HIGH}


def test_a_fault_in_telling_does_not_reach_the_journal(caplog):
    OrderAlerts(lambda _: None)(report(K.ACCEPTED), None, None)
    assert "a fault of firstbell's own" in caplog.text


def test_each_report_is_told(alerts, said):
    for number in range(2000):
        each = report(K.ACCEPTED, f"fb-{number}", venue_order_id=str(number))
        before = OrderState(order(f"fb-{number}")).after(report(K.SUBMITTED, f"fb-{number}"))
        after = before.after(each)
        alerts(each, before, after)
    assert len(said) == 2000


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
    entries = [Entry(intent(f"fb-{n}"), OrderState(order(f"fb-{n}"), venue_order_id=str(n))) for n in range(100)]
    message = words.orders("Today", entries, {})
    assert len(message.lines) == words.MOST_LINES + 1
    assert message.lines[0].endswith("id 99, ours fb-99")
    assert message.lines[-1] == "… and 60 more"
    assert words.orders("Today", [], {}).lines == ("None.",)


def test_an_order_that_is_held_back_or_never_left_is_listed_as_such_with_the_reason():
    held = Entry(replace(intent(), bell_ns=HELD_NS), OrderState(order()))
    assert words.orders("Today", [held], {}).lines == (f"held back: {LINE.replace('MHRN ', '')}; {OURS}",)
    denied = Entry(intent(), OrderState(order(), OrderStatus.DENIED, reason="max:\n 10 > 5"))
    assert words.orders("Today", [denied], {}).lines == (f"DENIED: {LINE.replace('MHRN ', '')} (max: 10 > 5); {OURS}",)


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
    tell(alerts, *SENT, report(K.REJECTED, reason="<موجودی> & \u202eکافی"))
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
    tail = Tail(
        open_journal(None, tmp_path / "journal.db", SystemClock()),
        "run",
        lambda each, before, after: heard.append((each, before, after)),
    )
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
    assert all(after == before.after(each) for each, before, after in heard)
    assert heard[-1][2].status is OrderStatus.FILLED
    assert [(each.client_order_id, each.kind.value) for each, _, _ in heard] == [
        ("fb-1", "INITIALIZED"), ("fb-2", "INITIALIZED"),
        ("fb-1", "SUBMITTED"), ("fb-1", "ACCEPTED"), ("fb-2", "SUBMITTED"),
        ("fb-old", "ACCEPTED"), ("fb-2", "UNRESOLVED"), ("fb-1", "PARTIALLY_FILLED"),
        ("fb-1", "FILLED"),
    ]  # fmt: skip


def test_a_follower_of_a_journal_has_durable_reports_told(journal, alerts, said):
    journal.follow(alerts)
    claimed(journal, NAME)
    journal.append([report(K.SUBMITTED), report(K.ACCEPTED, venue_order_id="77")])
    assert [message.title for message in said] == ["Confirmed"]


def denied(**terms):
    return OrderRequest(instrument="IRO1MHRN0001", side="sell", quantity=1000, **terms)


ACCOUNT = SimpleNamespace(name="Order_A", broker_code="shahr")


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (denied(order_type="limit", price=9850), "sell 1,000 MHRN IRO1MHRN0001 at 9,850"),
        (denied(order_type="market"), "sell 1,000 MHRN IRO1MHRN0001 at the market"),
        (
            denied(order_type="stop", trigger_price=4800, role="stop_loss"),
            "stop loss: sell 1,000 MHRN IRO1MHRN0001 at the market, once 4,800 has traded",
        ),
    ],
)
def test_a_request_that_is_denied_is_told_and_matters_least(alerts, said, request_, what):
    alerts.denied(ACCOUNT, request_, "price band:\n 9,850")
    (message,) = said
    assert (message.title, message.lines) == ("Denied", (f"Order_A (shahr): {what}", "price band: 9,850"))
    assert message.importance is Importance.LOW, "a program that is denied all day drops nobody else's message"


def test_who_does_not_want_to_hear_of_failures_hears_of_no_denials_and_a_fault_stops_nothing(said, caplog):
    OrderAlerts(said.append, [AlertKind.FILLS]).denied(ACCOUNT, denied(order_type="market"), "no")
    OrderAlerts(said.append).denied(ACCOUNT, None, "no")
    assert said == []
    assert "a fault of firstbell's own" in caplog.text


def test_a_stop_that_has_left_is_told_with_the_price_that_it_left_at(alerts, said):
    stop = order(side=Side.SELL, order_type=OrderType.STOP, instructions=Instructions(trigger_price=Decimal(5800)))
    left = report(K.REPLACED, price=Decimal(5600))
    tell(alerts, report(K.TRIGGERED), left, *AT_BROKER, its=stop)
    line = "Order_A (shahr): sell 170,018 MHRN IRO1MHRN0001 at the market, once 5,800 has traded"
    assert [each.lines[0] for each in said] == [line, f"{line}; left at 5,600", f"{line}; left at 5,600"]
    assert not any("before" in line for each in said for line in each.lines)
