"""The order log, to the letter: others read it, and for years."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from journal_orders import AT, PLAN, intent, order, report

from firstbell.errors import JournalError
from firstbell.journal.order_events import profit
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG, OrderLog
from firstbell.journal.order_words import words
from firstbell.journal.owner import this_process
from firstbell.model.instructions import Instructions
from firstbell.model.order import fold
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, Fill
from firstbell.model.terms import AttemptOutcome, OrderRole, OrderType, Side

K = ReportKind
EXIT_PLAN = PLAN.replace("0011", "2233")
ATTEMPT = Attempt(2, AT, 412, AT, 8120, 200, 1017, "بسته", AttemptOutcome.REJECTED, "{}", 7, 8, too_early=True)
BARE = {
    "at": "2026-11-21T05:15:00.123456+00:00",
    "run": "run",
    "report": "ACCEPTED",
    "event": "entry",
    "account": "Order_A",
    "broker_code": "gs",
    "instrument": "IRO1MHRN0001",
    "side": "buy",
    "role": "entry",
    "order_type": "limit",
    "price": 5860,
    "quantity": 170018,
    "trigger_price": None,
    "client_order_id": PLAN,
    "venue_order_id": "77",
    "filled_qty": 0,
    "avg_px": None,
    "last_qty": None,
    "last_px": None,
    "pnl": None,
    "reason": None,
}


class Lines:
    def __init__(self):
        self.written = []

    def write(self, event):
        self.written.append(event)


@pytest.fixture
def log(journal):
    lines = Lines()
    journal.subscribe(OrderLog(lines, journal))
    return lines


def claim(journal, name=PLAN, **changes):
    asked = intent(name)
    journal.claim(replace(asked, order=replace(asked.order, **changes)), "run", this_process())


def place(journal, name=PLAN):
    journal.append([report(K.SUBMITTED, name), report(K.ACCEPTED, name, venue_order_id="77")])


def fill(number, quantity, price, fee=None):
    return Fill(f"t{number}", Decimal(quantity), Decimal(price), None if fee is None else Decimal(fee))


def events(lines):
    return [(line["event"], line["report"], line["filled_qty"]) for line in lines.written if line["event"]]


def test_a_line_has_these_fields_in_this_order(journal, log):
    claim(journal)
    place(journal)
    assert log.written[-1] == BARE
    assert list(log.written[-1]) == list(BARE)
    assert (ORDER_LOG, TRADING_LOG) == ("orders.log", "trading_orders.log")


def test_an_answer_brings_three_more(journal, log):
    claim(journal)
    journal.append([report(K.SUBMITTED), report(K.REFUSED, attempt=ATTEMPT, reason="why")])
    more = {"report": "REFUSED", "event": None, "venue_order_id": None, "reason": "why"}
    assert log.written[-1] == {**BARE, **more, "attempt": 2, "code": 1017, "message": "بسته"}


@pytest.mark.parametrize(
    ("side", "role", "event"),
    [
        (Side.BUY, None, "entry"),
        (Side.SELL, None, "exit"),
        (Side.SELL, OrderRole.ENTRY, "entry"),
        (Side.SELL, OrderRole.STOP_LOSS, "stop_loss"),
        (Side.SELL, OrderRole.TAKE_PROFIT, "take_profit"),
    ],
)
def test_an_accepted_order_is_the_event_of_its_role_and_so_is_each_trade_of_it(journal, log, side, role, event):
    claim(journal, side=side, instructions=Instructions(role=role))
    place(journal)
    traded = report(K.PARTIALLY_FILLED, fill=fill(1, 18, "5850.5"))
    journal.append([traded])
    journal.append([report(K.FILLED, fill=fill(2, 170_000, 5860))])
    assert events(log) == [
        (event, "ACCEPTED", 0),
        (event, "PARTIALLY_FILLED", 18),
        (event, "FILLED", 170_018),
    ]
    facts = {name: log.written[-2][name] for name in ("last_qty", "last_px", "avg_px")}
    assert facts == {"last_qty": 18, "last_px": "5850.5", "avg_px": "5850.5"}


def test_what_is_told_again_is_no_event_again(journal, log):
    claim(journal)
    place(journal)
    traded = report(K.PARTIALLY_FILLED, fill=fill(1, 18, 5850))
    journal.append([report(K.ACCEPTED)])
    journal.append([traded, replace(traded, at=AT + timedelta(seconds=1))])
    assert events(log) == [("entry", "ACCEPTED", 0), ("entry", "PARTIALLY_FILLED", 18)]


def test_an_order_that_the_list_shows_traded_at_once_is_an_entry(journal, log):
    claim(journal)
    journal.append([report(K.SUBMITTED), report(K.PARTIALLY_FILLED, cum_qty=Decimal(5), venue_order_id="77")])
    assert events(log) == [("entry", "PARTIALLY_FILLED", 5)]


def test_an_order_that_the_list_first_shows_taken_off_the_book_is_a_cancel_alone(journal, log):
    claim(journal)
    journal.append([report(K.SUBMITTED), report(K.CANCELED, venue_order_id="77")])
    assert events(log) == [("cancel", "CANCELED", 0)]


@pytest.mark.parametrize(
    ("kind", "event", "facts"),
    [
        (K.CANCELED, "cancel", {}),
        (K.EXPIRED, "cancel", {}),
        (K.REPLACED, "modify", {"price": Decimal(5850), "quantity": Decimal(100)}),
        (K.REJECTED, "failed", {"reason": "بسته است"}),
        (K.PENDING_CANCEL, None, {}),
        (K.PENDING_REPLACE, None, {}),
        (K.TRIGGERED, None, {}),
    ],
)
def test_what_else_may_happen_to_a_placed_order(journal, log, kind, event, facts):
    claim(journal)
    place(journal)
    journal.append([report(kind, **facts)])
    line = log.written[-1]
    assert (line["event"], line["venue_order_id"]) == (event, "77")
    if kind is K.REPLACED:
        assert (line["price"], line["quantity"]) == (5850, 100)
        assert (line["new_price"], line["new_quantity"], "new_trigger_price" in line) == (5850, 100, False)


def test_a_brackets_exit_counts_what_went_on_for_its_refused_entry(journal, log):
    claim(journal)
    journal.append([report(K.SUBMITTED), report(K.REJECTED)])
    for name, one in (("one", fill(1, 100, 5800, 10)), ("two", fill(1, 100, 5900, 10))):
        claim(journal, name, instructions=Instructions(role=OrderRole.ENTRY, parent_id=PLAN))
        place(journal, name)
        journal.append([report(K.PARTIALLY_FILLED, name, fill=one)])
    claim(journal, EXIT_PLAN, side=Side.SELL, instructions=Instructions(role=OrderRole.TAKE_PROFIT, parent_id=PLAN))
    place(journal, EXIT_PLAN)
    journal.append([report(K.PARTIALLY_FILLED, EXIT_PLAN, fill=fill(3, 50, 6000, 6))])
    # Bought 200 at 5850 on average, for fees of 20; sold 50 at 6000.
    assert log.written[-1]["pnl"] == 50 * 150 - 6 - 5
    # Of an entry none of its own trades is a profit.
    assert [line["pnl"] for line in log.written if line["event"] == "entry"] == [None] * 4


@pytest.mark.parametrize("kind", [K.DENIED, K.WITHDRAWN, K.TAKEN_OVER, K.HANDED_OVER])
def test_what_never_left(journal, log, kind):
    claim(journal)
    journal.append([report(kind, reason="why")])
    assert log.written[-1]["event"] == {K.DENIED: "failed", K.WITHDRAWN: "cancel"}.get(kind)


def bracket(journal, entry_fills, exit_fills):
    claim(journal)
    place(journal)
    for one in entry_fills:
        journal.append([report(K.PARTIALLY_FILLED, fill=one)])
    claim(journal, EXIT_PLAN, side=Side.SELL, instructions=Instructions(role=OrderRole.TAKE_PROFIT, parent_id=PLAN))
    place(journal, EXIT_PLAN)
    for one in exit_fills:
        journal.append([report(K.PARTIALLY_FILLED, EXIT_PLAN, fill=one)])


def test_a_brackets_exit_tells_what_it_has_earned_fees_taken_off(journal, log):
    entry = [fill(1, 100, 5800, 10), fill(2, 200, "5830.3", "20.5")]
    bracket(journal, entry, [fill(1, 60, 5900, 6), fill(2, 40, "5910.5", 4)])
    # Sold 60 × 5900 + 40 × 5910.5; bought 100 of 300 that cost 1,746,060; fees 10 and a third of 30.5.
    first, second = [line["pnl"] for line in log.written if line["report"] == "PARTIALLY_FILLED"][-2:]
    assert first == "4775.9"
    assert second == "8379.833333333333333333333333"


def test_what_is_not_known_to_have_earned_is_null(journal, log):
    bracket(journal, [], [fill(1, 60, 5900, 1)])
    claim(journal, f"{PLAN}-alone", side=Side.SELL)
    place(journal, f"{PLAN}-alone")
    journal.append([report(K.PARTIALLY_FILLED, f"{PLAN}-alone", fill=fill(1, 60, 5900))])
    assert [line["pnl"] for line in log.written] == [None] * len(log.written)


def test_of_an_exit_without_a_parent_somebody_else_may_know(journal):
    lines = Lines()
    journal.subscribe(OrderLog(lines, journal, earned=lambda state: state.filled_qty * 2))
    claim(journal, side=Side.SELL)
    place(journal)
    journal.append([report(K.PARTIALLY_FILLED, fill=fill(1, 60, 5900))])
    assert [line["pnl"] for line in lines.written] == [None, None, None, 120]


def traded(*fills, side=Side.BUY, told=None):
    """An order with these trades; `told` is a sum that no trade was told of."""
    said = [report(K.PARTIALLY_FILLED, fill=one) for one in fills]
    said += [] if told is None else [report(K.PARTIALLY_FILLED, cum_qty=Decimal(told))]
    return fold(replace(order(), side=side), [report(K.SUBMITTED), report(K.ACCEPTED), *said])


def test_a_short_positions_profit_is_the_other_way_round():
    bought, sold = fill(2, 50, 5800, 2), fill(1, 100, 5900, 1)
    earned = profit(traded(bought), [bought], [(traded(sold, side=Side.SELL), [sold, sold])])
    assert earned == 50 * 100 - 2 - Decimal("0.5")


def test_what_has_a_price_or_a_fee_that_nobody_told_has_earned_nobody_knows_what():
    entry, out = fill(1, 100, 5800, 1), fill(2, 50, 5900, 2)
    entered, left = traded(entry), traded(out, side=Side.SELL)
    assert profit(left, [out], [(entered, [entry])]) == 50 * 100 - 2 - Decimal("0.5")
    assert profit(left, [out], [(traded(), [])]) is None
    assert profit(left, [out], [(traded(entry, told=101), [entry])]) is None
    assert profit(traded(out, side=Side.SELL, told=51), [out], [(entered, [entry])]) is None
    for_free = fill(3, 50, 5800, 0)
    assert profit(left, [out], [(traded(for_free), [for_free])]) == 50 * 100 - 2
    unsaid = fill(3, 1, 5900)
    assert profit(traded(out, unsaid, side=Side.SELL), [out, unsaid], [(entered, [entry])]) is None
    assert profit(left, [out], [(traded(entry, unsaid), [entry, unsaid])]) is None


def test_a_line_is_the_same_whenever_it_is_made(journal, log):
    """Though the entry went on trading afterwards, and though several reports were written at once."""
    bracket(journal, [fill(1, 100, 5800, 1)], [fill(1, 60, 5900, 1)])
    journal.append([replace(report(K.PARTIALLY_FILLED, fill=fill(3, 70_000, 5000)), at=AT + timedelta(seconds=9))])
    journal.append([report(K.PARTIALLY_FILLED, EXIT_PLAN, fill=fill(4, 1, 5000)), report(K.CANCELED, EXIT_PLAN)])
    assert [line["pnl"] for line in log.written if line["last_px"] == 5900] == ["5998.4"]
    made = OrderLog(Lines(), journal)
    _, reports = journal.reports_after(0)
    again = [made.line(each, journal.entry(each.client_order_id).intent.order) for each in reports]
    assert again == log.written


def test_a_journal_that_cannot_be_read_stops_nobody():
    lines = Lines()

    class Broken:
        def reports(self, name):
            raise JournalError(f"{name} cannot be read")

    OrderLog(lines, Broken())(report(K.ACCEPTED), order())
    (line,) = lines.written
    assert (line["report"], line["event"], line["filled_qty"]) == ("ACCEPTED", None, None)
    assert list(line) == list(BARE)


@pytest.mark.parametrize("kind", [K.ACCEPTED, K.FILLED, K.CANCELED, K.REPLACED])
def test_a_report_that_another_process_came_before_stops_nobody(kind):
    lines = Lines()
    late = report(kind, fill=fill(2, 5, 5900) if kind is K.FILLED else None)

    class Between:
        """The broker's no, and what else was said, have got in before it."""

        def reports(self, name):
            return (report(K.SUBMITTED, name), report(K.REJECTED, name), report(K.PENDING_CANCEL, name), late)

    OrderLog(lines, Between())(late, order())
    (line,) = lines.written
    assert (line["report"], line["event"], line["filled_qty"]) == (kind, None, None)
    assert list(line) == list(BARE)


def test_an_entry_that_cannot_be_read_back_leaves_the_profit_out(journal, log):
    bracket(journal, [fill(1, 100, 5800, 1)], [])
    told = report(K.FILLED, EXIT_PLAN, fill=fill(1, 170_018, 5900, 1))

    class Between:
        def __getattr__(self, name):
            return getattr(journal, name)

        def reports(self, name):
            known = journal.reports(name)
            return (*known, report(K.REJECTED, name)) if name == PLAN else known

    leaving = journal.entry(EXIT_PLAN).intent.order
    assert OrderLog(log, journal).line(told, leaving)["pnl"] is not None
    line = OrderLog(log, Between()).line(told, leaving)
    assert (line["event"], line["pnl"]) == ("take_profit", None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            (
                "2026-11-21T05:15:00.123456+00:00 ENTRY       Order_A (gs) buy 170,018 IRO1MHRN0001 at 5,860, id 77, "
                f"our id {PLAN}"
            ),
        ),
        (
            {
                "event": "take_profit",
                "last_qty": 60,
                "last_px": "5900.5",
                "filled_qty": 60,
                "avg_px": "5900.5",
                "pnl": "-4775.9",
            },
            (
                "2026-11-21T05:15:00.123456+00:00 TAKE PROFIT Order_A (gs) buy 170,018 IRO1MHRN0001 at 5,860, id 77, "
                f"our id {PLAN}, traded 60 at 5,900.5, filled 60 at 5,900.5 on average, profit -4,775.9"
            ),
        ),
        (
            {"event": "failed", "venue_order_id": None, "client_order_id": None, "code": 1017, "reason": "بسته است"},
            (
                "2026-11-21T05:15:00.123456+00:00 FAILED      Order_A (gs) buy 170,018 IRO1MHRN0001 at 5,860, "
                "code 1017, بسته است"
            ),
        ),
        (
            {"order_type": "stop", "trigger_price": 5900},
            (
                "2026-11-21T05:15:00.123456+00:00 ENTRY       Order_A (gs) buy 170,018 IRO1MHRN0001 stop from 5,900, "
                f"id 77, our id {PLAN}"
            ),
        ),
        (
            {"order_type": "stop_limit", "trigger_price": 5900},
            (
                "2026-11-21T05:15:00.123456+00:00 ENTRY       Order_A (gs) buy 170,018 IRO1MHRN0001 stop limit "
                f"at 5,860 from 5,900, id 77, our id {PLAN}"
            ),
        ),
    ],
)
def test_a_line_for_people(changes, text):
    assert words({**BARE, **changes}) == text


@pytest.mark.parametrize(
    "line", [{}, {"event": [1]}, {"quantity": "many", "price": {}}, {"filled_qty": [], "avg_px": "NaN"}, {"at": 5}]
)
def test_whatever_stands_in_a_line_is_written_somehow(line):
    assert isinstance(words(json.loads(json.dumps(line))), str)


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        ("بسته", "بسته", "code 1017, بسته"),
        ("بسته", "the broker said: بسته", "code 1017, the broker said: بسته"),
        ("بازار بسته است", "بسته", "code 1017, بازار بسته است"),
        ("بسته", "why", "code 1017, بسته, why"),
        ("بسته", None, "code 1017, بسته"),
        (None, "why", "code 1017, why"),
        (None, None, "code 1017"),
    ],
)
def test_what_the_broker_said_is_said_once(message, reason, said):
    line = {**BARE, "event": "failed", "code": 1017, "message": message, "reason": reason}
    assert words(line).endswith(f", our id {PLAN}, {said}")


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-11-21T05:15:00.123456+00:00", "2026-11-21T08:45:00.123456+03:30"),
        ("2026-11-21T05:15:00.123456", "2026-11-21T05:15:00.123456"),
        ("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59+00:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_people_are_told_the_exchanges_time(at, told):
    assert words({**BARE, "at": at}, ZoneInfo("Asia/Tehran")).split(" ENTRY")[0] == told


def test_what_a_change_has_made_of_an_order_is_said_to_people():
    line = {**BARE, "event": "modify", "order_type": "stop", "trigger_price": 4900}
    assert words({**line, "new_price": 4832, "new_quantity": 784}).endswith(
        f" stop from 4,900, now for 784 at 4,832, id 77, our id {PLAN}"
    )
    assert words({**line, "new_trigger_price": "4900.5"}).endswith(f", now from 4,900.5, id 77, our id {PLAN}")


def test_a_market_order_has_no_price_for_people(journal, log):
    claim(journal, order_type=OrderType.MARKET)
    place(journal)
    assert "IRO1MHRN0001 market, id 77" in words(log.written[-1])


@pytest.mark.parametrize("terms", [{"order_type": OrderType.STOP}, {"instructions": Instructions(group="g")}])
def test_what_was_held_back_leaves_with_the_terms_that_it_has_come_to(journal, log, terms):
    claim(journal, **{"instructions": Instructions(trigger_price=Decimal(4850)), **terms})
    journal.append([report(K.REPLACED, price=Decimal(4782), quantity=Decimal(9))])
    place(journal)
    assert [(line["report"], line["price"], line["quantity"]) for line in log.written[1:]] == [
        ("REPLACED", 4782, 9),
        ("SUBMITTED", 4782, 9),
        ("ACCEPTED", 4782, 9),
    ]
