from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from datetime import date
from decimal import Decimal

import pytest
from journal_orders import AT, DAY, DEAD, PLAN, SQL_ERRORS, accepted, intent, order, report

from firstbell.errors import JournalDamaged, JournalError
from firstbell.journal.base import HELD_NS, AlreadyPlaced, Claimed, Held, Note, Owner, ReportMisfit, RunLine, RunRecord
from firstbell.journal.digest import with_digest
from firstbell.journal.owner import _started, this_process
from firstbell.model.order import OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import Fill
from firstbell.model.terms import OrderOutcome, Side


def test_a_claim_is_granted_once_and_survives_a_restart(journal, place):
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order == order()
    again = journal.claim(intent(), "run", this_process())
    assert isinstance(again, Held)
    assert again.ours
    journal.close()
    entry = place.open().entry(order().client_order_id)
    assert entry.intent == intent()
    assert entry.state.status is OrderStatus.INITIALIZED
    assert entry.run_id == "run"


def test_a_living_owner_keeps_its_claim(journal):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = Owner(this_process().host, child.pid, _started(child.pid))
        assert isinstance(journal.claim(intent(), "other", owner), Claimed)
        answer = journal.claim(intent(), "run", this_process())
        assert isinstance(answer, Held)
        assert not answer.ours
        assert answer.entry.owner == owner
        assert not answer.entry.state.unresolved
    finally:
        child.communicate()


OTHER_PLAN = PLAN.replace("0011", "2233")


def our_parent():
    """Another process that lives."""
    return Owner(this_process().host, os.getppid(), _started(os.getppid()))


def test_a_living_owner_keeps_the_whole_login(journal):
    journal.claim(intent(), "other", our_parent())
    answer = journal.claim(intent(OTHER_PLAN), "run", this_process())
    assert isinstance(answer, Held)
    assert (answer.entry.intent.plan_id, answer.entry.owner, answer.ours) == (PLAN, our_parent(), False)
    assert isinstance(journal.claim(intent(OTHER_PLAN), "other", our_parent()), Claimed)


def test_an_unresolved_order_holds_its_whole_login(journal):
    journal.claim(intent(), "other", our_parent())
    journal.append([report(ReportKind.UNRESOLVED)])
    answer = journal.claim(intent(OTHER_PLAN), "run", this_process())
    assert isinstance(answer, Held)
    assert answer.entry.state.unresolved
    accepted(journal)
    assert isinstance(journal.claim(intent(OTHER_PLAN), "run", this_process()), Claimed)


def test_what_a_dead_owner_left_before_its_bell_holds_no_login(journal):
    journal.claim(intent(), "other", DEAD)
    assert isinstance(journal.claim(intent(OTHER_PLAN), "run", this_process()), Claimed)


def test_a_dead_owners_claim_is_taken_over_before_its_bell(journal):
    journal.claim(intent(), "other", DEAD)
    answer = journal.claim(intent(), "run", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order.client_order_id == order().client_order_id + "-r2"
    first = journal.entry(order().client_order_id)
    assert first.state.status is OrderStatus.DENIED
    assert "before the bell" in first.state.reason


def test_a_dead_owners_claim_is_unresolved_after_its_bell(journal):
    journal.claim(intent(bell_ns=1), "other", DEAD)
    answer = journal.claim(intent(bell_ns=1), "run", this_process())
    assert isinstance(answer, Held)
    assert answer.entry.state.unresolved
    assert answer.entry.state.outcome is OrderOutcome.UNRESOLVED
    assert [e.intent.order.client_order_id for e in journal.open_entries()] == [order().client_order_id]


def test_what_a_living_owner_has_left_to_others_is_taken_over_as_it_stands(journal):
    name = order().client_order_id
    journal.claim(intent(bell_ns=HELD_NS), "other", our_parent())
    left = journal.entry(name)
    assert isinstance(journal.claim(intent(bell_ns=HELD_NS), "run", this_process()), Held)
    journal.append([report(ReportKind.HANDED_OVER)])
    assert journal.entry(name).is_handed_over
    with pytest.raises(ReportMisfit):
        # By how it stood before.
        journal.claim(intent(bell_ns=HELD_NS), "run", this_process(), where=left.state)
    assert journal.entry(name).is_handed_over
    answer = journal.claim(intent(bell_ns=HELD_NS), "run", this_process(), where=journal.entry(name).state)
    assert isinstance(answer, Claimed)
    assert [each.kind for each in journal.reports(name)][1:] == [ReportKind.HANDED_OVER, ReportKind.TAKEN_OVER]
    later = journal.entry(answer.order.client_order_id)
    assert (later.round, later.is_held_by(this_process())) == (2, True)


def test_nothing_is_claimed_in_place_of_what_never_was(journal):
    with pytest.raises(ReportMisfit):
        journal.claim(intent(), "run", this_process(), where=OrderState(order()))
    assert journal.entries() == ()
    assert journal.failed_writes == 0


def test_a_placed_plan_is_never_claimed_again(journal):
    journal.claim(intent(), "run", this_process())
    accepted(journal)
    answer = journal.claim(intent(), "later", this_process())
    assert isinstance(answer, AlreadyPlaced)
    assert answer.entry.state.venue_order_id == "77"


def test_a_certainly_refused_plan_may_be_claimed_again_under_a_new_name(journal):
    journal.claim(intent(), "run", this_process())
    journal.append([report(ReportKind.SUBMITTED), report(ReportKind.REJECTED, reason="1011")])
    answer = journal.claim(intent(), "later", this_process())
    assert isinstance(answer, Claimed)
    assert answer.order.client_order_id.endswith("-r2")
    journal.append([report(ReportKind.DENIED, answer.order.client_order_id, reason="stopped")])
    assert journal.claim(intent(), "third", this_process()).order.client_order_id.endswith("-r3")


def test_an_unresolved_plan_is_held(journal):
    journal.claim(intent(), "run", this_process())
    journal.append([report(ReportKind.SUBMITTED), report(ReportKind.UNRESOLVED, reason="no answer")])
    answer = journal.claim(intent(), "later", this_process())
    assert isinstance(answer, Held)
    assert answer.entry.state.unresolved


def test_reports_come_back_as_they_went_in(journal):
    journal.claim(intent(), "run", this_process())
    accepted(journal)
    fill = report(
        ReportKind.PARTIALLY_FILLED,
        fill=Fill("t۱", Decimal("10.5"), Decimal("5859.5")),
        cum_qty=Decimal("10.5"),
        reason="بازار",
    )
    journal.append([fill])
    reports = journal.reports(order().client_order_id)
    assert [r.kind for r in reports] == [
        ReportKind.INITIALIZED,
        ReportKind.SUBMITTED,
        ReportKind.ACCEPTED,
        ReportKind.PARTIALLY_FILLED,
    ]
    assert reports[3] == fill
    assert reports[2].attempt.raw == '{"serialNumber": 77}'
    assert reports[2].attempt.sent_at == AT


def test_an_illegal_report_writes_nothing_at_all(journal):
    journal.claim(intent(), "run", this_process())
    with pytest.raises(JournalError, match="does not fit"):
        journal.append([report(ReportKind.SUBMITTED), report(ReportKind.CANCEL_REJECTED)])
    assert len(journal.reports(order().client_order_id)) == 1


def test_a_report_on_an_unknown_order_is_an_error(journal):
    with pytest.raises(JournalError, match="does not know"):
        journal.append([report(ReportKind.SUBMITTED, "nobody")])


@pytest.mark.parametrize("table", ["runs", "orders", "reports", "notes"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET run_id = 'x'"])
def test_nothing_can_be_changed_or_removed(journal, place, table, statement):
    journal.begin_run(RunRecord("run", AT, (), "results"))
    journal.claim(intent(), "run", this_process())
    journal.note("run", [Note("Order_A", "finished")])
    with pytest.raises(SQL_ERRORS, match="append-only"):
        place.run(statement.format(table))


def test_runs_and_notes(journal):
    record = RunRecord("run", AT, (RunLine("Order_A", "gs", "IRO1MHRN0001", Side.SELL),), "/results")
    journal.begin_run(record)
    journal.begin_run(RunRecord("run2", AT, (), "/results"))
    assert journal.run("run") == record
    assert journal.newest_run().run_id == "run2"
    assert journal.run("nobody") is None
    notes = (Note("Order_A", "not_sent", "چرا"), Note("Order_A", "stands_for", None, "x"))
    journal.note("run", notes)
    assert journal.notes("run") == notes


def test_subscribers_hear_of_durable_reports_only(journal):
    heard = []
    journal.subscribe(lambda report, order: heard.append((report.kind, order.account)))
    journal.claim(intent(), "run", this_process())
    with pytest.raises(JournalError):
        journal.append([report(ReportKind.SUBMITTED), report(ReportKind.CANCEL_REJECTED)])
    assert heard == [(ReportKind.INITIALIZED, "Order_A")]


def test_followers_hear_of_each_report_with_its_order_before_and_after_it(journal, place):
    heard = []
    journal.follow(lambda *told: heard.append(told))
    journal.claim(intent(), "run", this_process())
    other = place.open()
    other.append([report(ReportKind.SUBMITTED)])
    other.close()
    # What another process has written meanwhile is in it, and each report of several has its own.
    journal.append([report(ReportKind.ACCEPTED), report(ReportKind.CANCELED)])
    assert [(each.kind, before.status, after.status) for each, before, after in heard] == [
        (ReportKind.INITIALIZED, OrderStatus.INITIALIZED, OrderStatus.INITIALIZED),
        (ReportKind.ACCEPTED, OrderStatus.SUBMITTED, OrderStatus.ACCEPTED),
        (ReportKind.CANCELED, OrderStatus.ACCEPTED, OrderStatus.CANCELED),
    ]


def test_a_run_begins_once(journal):
    journal.begin_run(RunRecord("run", AT, (), "/results"))
    with pytest.raises(JournalError, match=r"(?i)unique"):
        journal.begin_run(RunRecord("run", AT, (), "/results"))
    assert journal.run("run") is not None


def test_orders_are_found_by_day_run_and_login(journal):
    for number in range(3):
        journal.claim(intent(f"{PLAN[:-1]}{number}"), f"run{number % 2}", this_process())
    assert len(journal.entries()) == 3
    assert len(journal.entries(day=DAY, login="login")) == 3
    assert [e.intent.order.client_order_id[-1] for e in journal.entries(run_id="run0")] == ["0", "2"]
    assert journal.entries(day=date(2026, 11, 22)) == ()
    assert journal.entry("nobody") is None
    assert journal.reports("nobody") == ()


def test_texts_that_a_database_would_not_take(journal):
    journal.claim(intent(), "run", this_process())
    odd = "half \ud83d, nothing \0, whole 😀"
    journal.append([report(ReportKind.DENIED, reason=odd)])
    journal.note("run", [Note("Order_A", "warning", odd)])
    assert journal.reports(PLAN)[1].reason == odd
    assert journal.notes("run")[0].text == "half \\ud83d, nothing \\0, whole 😀"


def test_nothing_written_is_nothing(journal):
    journal.append([])
    journal.note("run", [])
    assert journal.entries() == ()


def test_very_many_reports_at_once(journal):
    names = [f"{PLAN}{number}" for number in range(60)]
    for name in names:
        journal.claim(intent(name), "run", this_process())
    kinds = [ReportKind.SUBMITTED, *[ReportKind.REFUSED] * 10, ReportKind.REJECTED]
    journal.append([report(kind, name, reason=str(number)) for number, kind in enumerate(kinds) for name in names])
    assert all([r.reason for r in journal.reports(name)][1:] == [str(n) for n in range(12)] for name in names)


def test_a_report_that_cannot_be_read_is_damage(journal, place):
    journal.claim(intent(), "run", this_process())
    row = {"client_order_id": PLAN, "run_id": "run", "kind": "SUBMITTED", "at": "yesterday", "facts": ""}
    row = with_digest("reports", row)
    columns, values = ", ".join(row), ", ".join(f"'{value}'" for value in row.values())
    place.run(f"INSERT INTO reports ({columns}) VALUES ({values})")  # noqa: S608 - our own words
    with pytest.raises(JournalDamaged, match="cannot be read"):
        journal.entries()


def test_its_own_process_lives_and_a_dead_one_does_not(journal):
    assert journal.alive(this_process())
    assert not journal.alive(DEAD)


def _race(where, barrier, results):
    journal = where.open()
    barrier.wait()
    answers = [journal.claim(intent(f"{PLAN}{n}"), "run", this_process()) for n in range(20)]
    results.put(sum(isinstance(answer, Claimed) for answer in answers))
    # Whoever ends gives what it has claimed free.
    barrier.wait()
    journal.close()


def test_of_many_processes_exactly_one_gets_each_claim(place):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    children = [context.Process(target=_race, args=(place.where, barrier, results), daemon=True) for _ in range(4)]
    for child in children:
        child.start()
    granted = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert sum(granted) == 20
    assert {entry.intent.order.client_order_id for entry in place.open().entries()} == {f"{PLAN}{n}" for n in range(20)}


def test_of_many_threads_exactly_one_gets_each_claim(journal):
    answers = []

    def work():
        answers.extend(journal.claim(intent(f"{PLAN}{n}"), "run", this_process()) for n in range(10))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(answer, Claimed) for answer in answers) == 10
    assert all(answer.ours for answer in answers if isinstance(answer, Held))


def test_a_fork_opens_it_for_itself(journal):
    journal.claim(intent(), "run", this_process())
    child = os.fork()
    if child == 0:
        try:
            journal.append([report(ReportKind.SUBMITTED)])
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert journal.entry(order().client_order_id).state.status is OrderStatus.SUBMITTED
