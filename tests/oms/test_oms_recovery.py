"""Recovery: what a dead owner left behind is judged by when he died and how surely that is known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.journal.base import Intent, Owner
from firstbell.journal.claims import OUT_OF_SIGHT_NS
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome, Side
from firstbell.oms.recovery import recover

S = 1_000_000_000
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
ELSEWHERE = Owner("elsewhere#1", 7, 1.0)
OTHER = Owner("elsewhere#1", 8, 1.0)
# A connection that ends is not a process that ends: so long before the bell an owner out of sight may still look.
IN_DOUBT_NS = 15 * S


class Shared(SqliteJournal):
    """A journal that several machines share, of which some owners are known to live."""

    is_local = False

    def __init__(self, path, clock):
        super().__init__(path, clock)
        self.living = set()
        self.asked = []

    def alive(self, owner):
        self.asked.append(owner)
        return owner in self.living


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = Shared(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


def claimed(journal, name, bell_ns, owner=ELSEWHERE, *kinds):
    order = Order(name, "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21))
    journal.claim(Intent(order, f"login of {name}", name, bell_ns, None), "run", owner)
    journal.append([ExecutionReport(name, "run", kind, AT) for kind in kinds])


def state(journal, name):
    return journal.entry(name).state


def test_the_living_keep_their_orders_and_are_asked_for_once(journal, stepped_clock):
    claimed(journal, "a", 0)
    claimed(journal, "b", 0)
    journal.living = {ELSEWHERE}
    assert recover(journal, stepped_clock, "later") == ()
    assert journal.asked == [ELSEWHERE]
    assert state(journal, "a").status is OrderStatus.INITIALIZED


def test_who_has_stopped_sending_is_not_asked_for(journal, stepped_clock):
    claimed(journal, "a", 0)
    journal.living = {ELSEWHERE}
    (entry,) = recover(journal, stepped_clock, "later", ended=ELSEWHERE)
    assert entry.intent.order.client_order_id == "a"
    assert journal.asked == []


def test_only_those_who_are_gone_are_judged_where_they_are_named(journal, stepped_clock):
    claimed(journal, "a", 0)
    claimed(journal, "b", 0, OTHER)
    left = recover(journal, stepped_clock, "later", gone={OTHER: stepped_clock.wall_ns()})
    assert [entry.intent.order.client_order_id for entry in left] == ["b"]
    assert state(journal, "a").status is OrderStatus.INITIALIZED
    assert journal.asked == []


def test_what_had_left_without_an_answer_is_unresolved_whenever_he_died(journal, stepped_clock):
    claimed(journal, "a", stepped_clock.wall_ns() + 3600 * S, ELSEWHERE, ReportKind.SUBMITTED)
    (entry,) = recover(journal, stepped_clock, "later")
    assert entry.state.outcome is OrderOutcome.UNRESOLVED
    assert entry.state.reason == f"{ELSEWHERE} ended after the bell without a word"


def test_what_is_unresolved_already_is_listed_and_not_written_again(journal, stepped_clock):
    claimed(journal, "a", 0, ELSEWHERE, ReportKind.SUBMITTED, ReportKind.UNRESOLVED)
    before = journal.entry("a")
    assert recover(journal, stepped_clock, "later") == (before,)
    assert journal.entry("a") == before


@pytest.mark.parametrize(("early_ns", "denied"), [(1, True), (0, False), (-1, False)])
def test_of_one_seen_to_be_dead_it_counts_when_he_died(journal, stepped_clock, early_ns, denied):
    here = Owner(this_process().host, 7, 1.0)
    bell_ns = stepped_clock.wall_ns() + 10 * S
    claimed(journal, "a", bell_ns, here)
    stepped_clock.sleep(60)
    recover(journal, stepped_clock, "later", gone={here: bell_ns - early_ns}, more="; it goes to another")
    if denied:
        assert state(journal, "a").status is OrderStatus.DENIED
        assert state(journal, "a").reason == f"{here} ended before the bell; nothing had left; it goes to another"
    else:
        assert state(journal, "a").outcome is OrderOutcome.UNRESOLVED


def test_one_out_of_sight_is_left_alone_shortly_before_his_bell(journal, stepped_clock):
    bell_ns = stepped_clock.wall_ns() + 3600 * S
    doubt_ns = OUT_OF_SIGHT_NS + IN_DOUBT_NS
    for pid, (name, left_ns) in enumerate({"sure": doubt_ns + 1, "doubt": doubt_ns, "last": 1, "rung": 0}.items()):
        owner = Owner("elsewhere#1", pid, 1.0)
        claimed(journal, name, bell_ns, owner)
        stepped_clock.move_to(3600 * S - left_ns)
        recover(journal, stepped_clock, "later", gone={owner: 0})
    assert state(journal, "sure").status is OrderStatus.DENIED
    assert state(journal, "doubt").status is OrderStatus.INITIALIZED
    assert state(journal, "last").status is OrderStatus.INITIALIZED
    assert state(journal, "rung").outcome is OrderOutcome.UNRESOLVED
