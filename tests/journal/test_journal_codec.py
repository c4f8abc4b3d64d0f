"""What is written into the journal comes back as it was; what was not written there is damage, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.errors import JournalDamaged
from firstbell.journal.base import Intent, Owner, RunLine, RunRecord
from firstbell.journal.codec import read_report, write_report
from firstbell.journal.digest import with_digest
from firstbell.journal.rows import order_row, read_entry, read_reports, read_run, report_row, run_row
from firstbell.model.instructions import PLAIN, Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderRole, OrderType, Side, TimeInForce

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
# Two halves side by side are one character: no reader of JSON ever gives them as two.
TEXTS = st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Cc", "Nd"]), max_size=4).filter(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1970, 1, 3), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - zones are drawn
NUMBERS = st.decimals(
    min_value=-(10**20), max_value=10**20, allow_nan=False, allow_infinity=False, places=6
) | st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(1, 10**9), st.integers(-20, 20))
POSITIVE = NUMBERS.map(abs).filter(bool)
WHOLE = st.integers(-(2**63), 2**63)
FILLS = st.builds(Fill, TEXTS, NUMBERS, NUMBERS, st.none() | NUMBERS)
ATTEMPTS = st.builds(
    Attempt,
    st.integers(1, 999),
    st.none() | INSTANTS,
    st.none() | WHOLE,
    st.none() | INSTANTS,
    st.none() | WHOLE,
    st.none() | st.integers(0, 999),
    st.none() | WHOLE,
    st.none() | TEXTS,
    st.sampled_from(AttemptOutcome),
    st.none() | TEXTS,
    st.none() | WHOLE,
    st.none() | WHOLE,
    st.booleans(),
)
REPORTS = st.builds(
    ExecutionReport,
    st.just("name"),
    st.just("run"),
    st.sampled_from(ReportKind),
    INSTANTS,
    st.none() | TEXTS,
    st.none() | ATTEMPTS,
    st.none() | FILLS,
    st.none() | NUMBERS,
    st.none() | TEXTS,
    st.none() | NUMBERS,
    st.none() | NUMBERS,
    st.none() | NUMBERS,
    st.none() | st.frozensets(TEXTS, max_size=5),
)
INSTRUCTIONS = st.just(PLAIN) | st.builds(
    Instructions,
    st.none() | POSITIVE,
    st.none() | POSITIVE,
    st.none() | INSTANTS,
    st.none() | st.sampled_from(OrderRole),
    st.none() | TEXTS,
    st.none() | TEXTS,
)
ORDERS = st.builds(
    Order,
    st.just("name"),
    TEXTS,
    TEXTS,
    TEXTS,
    st.sampled_from(Side),
    POSITIVE,
    POSITIVE,
    st.dates(date(2020, 1, 1), date(2200, 1, 1)),
    st.sampled_from(OrderType),
    st.sampled_from(TimeInForce),
    INSTRUCTIONS,
)
INTENTS = st.builds(Intent, ORDERS, TEXTS, TEXTS, st.integers(0, 2**62), st.none() | st.frozensets(TEXTS, max_size=4))
OWNERS = st.builds(Owner, TEXTS, st.integers(0, 2**22), st.floats(0, 2**40))


def numbered(row):
    return {"seq": 1, **row}


@given(REPORTS)
def test_a_report_comes_back_as_it_was(report):
    (found,) = read_reports([numbered(report_row(report))])["name"]
    assert found == report
    assert found.at.isoformat() == report.at.isoformat()
    for name in ("cum_qty", "price", "quantity", "trigger_price"):
        assert str(getattr(found, name)) == str(getattr(report, name))
    if report.fill is not None:
        assert str(found.fill.fee) == str(report.fill.fee)


@given(INTENTS, OWNERS, INSTANTS, st.integers(1, 9))
def test_an_order_comes_back_as_it_was(intent, owner, claimed_at, round_):
    row = order_row(intent, intent.order, round_=round_, run_id="run", owner=owner, claimed_at=claimed_at)
    entry = read_entry(numbered(row), ())
    assert (entry.intent, entry.owner, entry.claimed_at) == (intent, owner, claimed_at)
    assert (str(entry.intent.order.price), entry.state.order) == (str(intent.order.price), intent.order)


@given(INSTANTS, st.lists(st.builds(RunLine, TEXTS, TEXTS, TEXTS, st.sampled_from(Side)), max_size=4))
def test_a_run_comes_back_as_it_was(bell, lines):
    record = RunRecord("run", bell, tuple(lines), "results")
    assert read_run(numbered(run_row(record))) == record


ATTEMPT = json.loads(
    write_report(
        ExecutionReport(
            "name",
            "run",
            ReportKind.ACCEPTED,
            AT,
            attempt=Attempt(1, AT, 412, AT, 8120, 200, None, "ok", AttemptOutcome.ACCEPTED, "{}", 1, 2, False),
        )
    )
)["attempt"]


def fill(**changes):
    return {"fill": {"trade_id": "t", "last_qty": "1", "last_px": "5860", **changes}}


def attempt(**changes):
    return {"attempt": {**ATTEMPT, **changes}}


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "[]",
        "7",
        "null",
        "{",
        '{"a": 1, "a": 1}',
        '{"cum_qty": NaN}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"x": ' + "1" * 5000 + "}",
        '{"x": 1e99999999999999999999}',
        *(
            json.dumps(facts)
            for facts in (
                {"venue_order_id": 77},
                {"venue_order_id": ["77"]},
                {"reason": {}},
                {"reason": 5},
                *(
                    {"cum_qty": bad}
                    for bad in (
                        1,
                        1.5,
                        True,
                        "",
                        "NaN",
                        "Infinity",
                        "sNaN",
                        "1_0",
                        "۱۲",
                        " 1",
                        "1e5",
                        "1E999999999",
                        "1" * 101,
                    )
                ),
                {"fill": 1},
                {"fill": []},
                {"fill": {}},
                fill(trade_id=5),
                fill(trade_id=None),
                fill(last_qty=None),
                fill(last_qty=1),
                fill(last_px="NaN"),
                fill(last_px="1E99999999"),
                fill(fee=0),
                fill(fee="NaN"),
                {"price": 5860},
                {"quantity": "many"},
                {"trigger_price": "Infinity"},
                {"attempt": "x"},
                {"attempt": {}},
                attempt(number=None),
                attempt(number="1"),
                attempt(number=True),
                attempt(outcome="PERHAPS"),
                attempt(outcome=None),
                attempt(outcome=[]),
                attempt(sent_at=5),
                attempt(sent_at="yesterday"),
                attempt(sent_at="2026-11-21T05:15:00"),
                attempt(answered_at="9999-12-31T23:59:59-05:00"),
                attempt(lateness_us="late"),
                attempt(lateness_us=1.5),
                attempt(http_status=True),
                attempt(code="E7"),
                attempt(message=5),
                attempt(raw={}),
                attempt(arrival_ns="x"),
                attempt(too_early=1),
                attempt(too_early="no"),
            )
        ),
    ],
)
def test_facts_that_were_not_written_here_are_damage(facts):
    with pytest.raises(JournalDamaged, match="cannot be read"):
        read_report("name", "run", "ACCEPTED", AT.isoformat(), facts)


@pytest.mark.parametrize("at", ["", "yesterday", "2026-11-21", "2026-11-21T05:15:00", "0001-01-01T00:00:00+00:00"])
def test_a_report_without_an_instant_is_damage(at):
    with pytest.raises(JournalDamaged, match="cannot be read"):
        read_report("name", "run", "ACCEPTED", at, "{}")


ORDER = order_row(
    Intent(Order("name", "A", "gs", "I", Side.BUY, Decimal(5860), Decimal(9), AT.date()), "l", "name", 1, None),
    Order("name", "A", "gs", "I", Side.BUY, Decimal(5860), Decimal(9), AT.date()),
    round_=1,
    run_id="run",
    owner=Owner("h", 1, 1.0),
    claimed_at=AT,
)


@pytest.mark.parametrize(
    "changed",
    [
        {"side": "both"},
        {"price": "NaN"},
        {"price": "0"},
        {"price": "-1"},
        {"price": "1E999999999"},
        {"price": "۵۸۶۰"},
        {"price": "1_000"},
        {"quantity": "Infinity"},
        {"day": "20261121"},
        {"day": "2026-W47-6"},
        {"day": "2026-13-01"},
        {"order_type": "whatever"},
        {"time_in_force": "ever"},
        {"known_ids": "{}"},
        {"known_ids": "[1]"},
        {"known_ids": '[["1"]]'},
        {"known_ids": "[" * 100_000},
        {"known_ids": '"12"'},
        {"claimed_at": "2026-11-21T05:15:00"},
        *(
            {"instructions": bad}
            for bad in (
                "",
                "null",
                "[]",
                "[" * 100_000,
                '{"trigger_price": 5860}',
                '{"trigger_price": "-1"}',
                '{"trailing_offset": "NaN"}',
                '{"expires_at": "2026-11-21T12:30:00"}',
                '{"role": "whatever"}',
                '{"role": 1}',
                '{"parent_id": 5}',
                '{"group": []}',
            )
        ),
    ],
)
def test_an_order_that_was_not_written_here_is_damage(changed):
    with pytest.raises(JournalDamaged, match="cannot be read"):
        read_entry(numbered(with_digest("orders", {**ORDER, **changed})), ())


@pytest.mark.parametrize(
    "changed",
    [
        {"bell": "2026-11-21T08:45:00"},
        {"bell": "soon"},
        {"lines": "{}"},
        {"lines": '["abcd"]'},
        {"lines": '{"abcd": 1}'},
        {"lines": '[["a", "b", "c", 1]]'},
        {"lines": '[["a", "b", "c"]]'},
        {"lines": '[["a", "b", "c", "both"]]'},
        {"lines": '[[["a"], "b", "c", "buy"]]'},
        {"lines": "[" * 100_000},
    ],
)
def test_a_run_that_was_not_written_here_is_damage(changed):
    row = run_row(RunRecord("run", AT, (), "results"))
    with pytest.raises(JournalDamaged, match="cannot be read"):
        read_run(numbered(with_digest("runs", {**row, **changed})))
