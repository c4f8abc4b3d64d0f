"""What stands in a journal and in the order log, to the letter: both are read by others, and for years."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from journal_orders import AT, PLAN, intent, report

from firstbell.clock import SystemClock
from firstbell.errors import JournalDamaged
from firstbell.journal.address import Address
from firstbell.journal.base import Entry, Owner
from firstbell.journal.claims import OUT_OF_SIGHT_NS, Decision, decide, stands_against
from firstbell.journal.codec import read_instructions, read_report, write_instructions, write_report
from firstbell.journal.digest import DIGEST, TABLES, check, with_digest
from firstbell.journal.opening import open_journal
from firstbell.journal.postgres import PostgresJournal
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.identifiers import ClientOrderId
from firstbell.model.instructions import PLAIN, Instructions
from firstbell.model.order import fold
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, Fill
from firstbell.model.terms import AttemptOutcome, OrderRole

ATTEMPT = Attempt(2, AT, 412, AT, 8120, 200, 1017, "بسته", AttemptOutcome.REJECTED, "{}", 7, 8, too_early=True)
WRITTEN = (
    '{"number":2,"sent_at":"2026-11-21T05:15:00.123456+00:00","lateness_us":412,'
    '"answered_at":"2026-11-21T05:15:00.123456+00:00","round_trip_us":8120,"http_status":200,"code":1017,'
    '"message":"بسته","outcome":"REJECTED","raw":"{}","sent_ns":7,"arrival_ns":8,"too_early":true}'
)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "{}"),
        ({"reason": "why"}, '{"reason":"why"}'),
        ({"venue_order_id": "77", "cum_qty": Decimal("5.0")}, '{"venue_order_id":"77","cum_qty":"5.0"}'),
        (
            {"fill": Fill("t", Decimal(3), Decimal("5860.5"))},
            '{"fill":{"trade_id":"t","last_qty":"3","last_px":"5860.5"}}',
        ),
        (
            {"fill": Fill("t", Decimal(3), Decimal(5860), Decimal("21.70"))},
            '{"fill":{"trade_id":"t","last_qty":"3","last_px":"5860","fee":"21.70"}}',
        ),
        (
            {"price": Decimal("5861.0"), "quantity": Decimal(7), "trigger_price": Decimal(5900)},
            '{"price":"5861.0","quantity":"7","trigger_price":"5900"}',
        ),
        ({"attempt": ATTEMPT}, '{"attempt":' + WRITTEN + "}"),
        # Half a character, which no database takes, is written as its number.
        ({"reason": "بد \ud800"}, '{"reason":"\\u0628\\u062f \\ud800"}'),
    ],
)
def test_a_report_as_it_is_written_and_read(facts, text):
    told = report(ReportKind.REFUSED, **facts)
    assert write_report(told) == text
    assert read_report(PLAN, "run", "REFUSED", AT.isoformat(), text) == told


@pytest.mark.parametrize(
    ("instructions", "text"),
    [
        (PLAIN, None),
        (Instructions(trigger_price=Decimal("5900.0")), '{"trigger_price":"5900.0"}'),
        (
            Instructions(Decimal(1), Decimal(2), AT, OrderRole.STOP_LOSS, ClientOrderId(PLAN), "گروه"),
            (
                '{"trigger_price":"1","trailing_offset":"2","expires_at":"2026-11-21T05:15:00.123456+00:00",'
                '"role":"stop_loss","parent_id":"fb-20261121-0011aabbccdd-0","group":"گروه"}'
            ),
        ),
        (Instructions(group="\ud800"), '{"group":"\\ud800"}'),
    ],
)
def test_further_terms_as_they_are_written_and_read(instructions, text):
    assert write_instructions(instructions) == text
    assert read_instructions(text) == instructions


def test_an_attempt_of_a_version_that_did_not_know_too_early():
    text = '{"attempt":' + WRITTEN.replace(',"too_early":true', "") + "}"
    assert read_report(PLAN, "run", "REFUSED", AT.isoformat(), text).attempt.too_early is False


def test_what_cannot_be_read_is_named_and_not_quoted():
    words = f"^a report on {PLAN} in the journal cannot be read \\(ValueError\\); keep the file as it is"
    with pytest.raises(JournalDamaged, match=words):
        read_report(PLAN, "run", "REFUSED", AT.isoformat(), '{"reason": 5}')


def test_where_a_journal_is(tmp_path):
    sqlite = open_journal(None, tmp_path / "journal.db", SystemClock())
    assert isinstance(sqlite, SqliteJournal)
    url = "postgresql://me:pw@127.0.0.1:5/journal"
    for where in (url, Address.of(url)):
        assert isinstance(open_journal(where, tmp_path / "journal.db", SystemClock()), PostgresJournal)
    with pytest.raises(ValueError, match="postgresql://"):
        open_journal("mysql://me@host/journal", tmp_path / "journal.db", SystemClock())
    assert list(tmp_path.iterdir()) == []


HERE, ALSO_HERE, ELSEWHERE = Owner("here#1", 10, 1.0), Owner("here#1", 11, 1.0), Owner("elsewhere#1", 12, 1.0)
BELL_NS = 1_795_238_100_000_000_000


def held(owner, *kinds):
    planned = intent(bell_ns=BELL_NS)
    state = fold(planned.order, [report(kind) for kind in (ReportKind.INITIALIZED, *kinds)])
    return Entry(planned, state, "run", owner, datetime.fromtimestamp(0, UTC))


def test_what_is_said_of_a_dead_owner():
    before = decide(held(ALSO_HERE), HERE, BELL_NS - 1, lambda _: False)
    assert before.reason == "process 11 on here ended before the bell; nothing had left"
    after = decide(held(ALSO_HERE), HERE, BELL_NS, lambda _: False)
    assert after.reason == "process 11 on here ended after the bell without a word"


@pytest.mark.parametrize(("here", "taken"), [("elsewhere#1", False), ("here#1", True), (None, True)])
def test_who_sees_an_owner_die_may_take_over_from_him_to_the_end(here, taken):
    """A master claims for its workers: what counts is the machine that sees who lives, not the claimant's."""
    told = decide(held(ELSEWHERE), HERE, BELL_NS - 1, lambda _: False, out_of_sight_ns=OUT_OF_SIGHT_NS, here=here)
    assert (told.answer is Decision.TAKEN) is taken
    stands = stands_against(
        held(ELSEWHERE), HERE, BELL_NS - 1, lambda _: False, out_of_sight_ns=OUT_OF_SIGHT_NS, here=here
    )
    assert stands is taken


def test_out_of_sight_is_ten_seconds_and_by_default_nothing():
    assert OUT_OF_SIGHT_NS == 10 * 10**9
    assert decide(held(ELSEWHERE), HERE, BELL_NS - 1, lambda _: False).answer is Decision.FREE
    assert not stands_against(held(ELSEWHERE), HERE, BELL_NS - 1, lambda _: False)


NOTE = {"seq": 3, "run_id": "run", "account": "A", "kind": "warning", "text": "w", "client_order_id": None}


def test_a_digest_is_made_the_same_way_for_ever():
    row = with_digest("notes", NOTE)
    assert row == {**NOTE, DIGEST: "19d76a2fe14b1f70559fde24a18a2648"}
    check("notes", row)
    assert TABLES == ("runs", "orders", "reports", "notes")


@pytest.mark.parametrize("column", ["run_id", "account", "kind", "text", "client_order_id"])
def test_a_row_that_has_changed_is_named(column):
    row = {**with_digest("notes", NOTE), column: "other"}
    name = "other" if column == "run_id" else "run"
    with pytest.raises(JournalDamaged, match=rf"^row 3 of the journal's notes \({name}\) is not as it was written"):
        check("notes", row)
