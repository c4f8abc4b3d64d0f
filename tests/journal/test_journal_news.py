"""What is new in a journal, whoever wrote it; and claims that cost the same however long it is."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from firstbell.clock import SystemClock
from firstbell.journal import known_states
from firstbell.journal.base import Claimed, Held, Intent, Owner, ReportMisfit
from firstbell.journal.opening import open_journal
from firstbell.journal.owner import this_process
from firstbell.journal.rows import report_row
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side

K = ReportKind
AT = datetime(2026, 11, 28, 5, 15, tzinfo=UTC)
DAY = date(2026, 11, 28)
US = this_process()
DEAD = Owner(US.host, 4_000_001, 1.0)


def intent(name, login="l", bell_ns=0):
    order = Order(name, "A", "paper", "IRO1FOLD0001", Side.BUY, Decimal(4860), Decimal(10), DAY)
    return Intent(order, login, name, bell_ns, frozenset())


def report(name, kind):
    return ExecutionReport(name, "r", kind, AT)


@pytest.fixture(params=["sqlite", "postgres"])
def journals(request, tmp_path):
    """Two journals on one store, as of two processes."""
    where = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = [open_journal(where, tmp_path / "journal.db", SystemClock()) for _ in range(2)]
    yield made
    for journal in made:
        journal.close()


def test_each_hears_what_the_other_writes_and_nothing_is_left_out(journals):
    ours, theirs = journals
    assert (ours.last_seq(), ours.reports_after(0)) == (0, (0, ()))
    theirs.claim(intent("a"), "r", US)
    theirs.append([report("a", K.SUBMITTED), report("a", K.ACCEPTED)])
    seq, heard = ours.reports_after(0)
    assert [each.kind for each in heard] == [K.INITIALIZED, K.SUBMITTED, K.ACCEPTED]
    assert ours.last_seq() >= 3
    theirs.append([report("a", K.FILLED)])
    _, heard = ours.reports_after(seq)
    assert heard[-1].kind is K.FILLED
    assert [each.kind for each in heard].count(K.FILLED) == 1


def test_on_this_machine_nothing_comes_twice(tmp_path):
    journal = open_journal(None, tmp_path / "journal.db", SystemClock())
    journal.claim(intent("a"), "r", US)
    seq, _ = journal.reports_after(0)
    assert seq == journal.last_seq()
    assert journal.reports_after(seq) == (seq, ())
    journal.close()


def test_ones_own_may_be_left_out_and_are_not_come_back_to(tmp_path):
    journal = open_journal(None, tmp_path / "journal.db", SystemClock())
    journal.claim(intent("a"), "ours", US)
    journal.claim(intent("b"), "theirs", US)
    seq, heard = journal.reports_after(0, but_of="ours")
    assert [(each.client_order_id, each.run_id) for each in heard] == [("b", "theirs")]
    assert (seq, journal.reports_after(seq)[1]) == (journal.last_seq(), ())
    journal.close()


def test_what_has_ended_is_never_looked_at_again_and_what_comes_later_is(journals):
    ours, theirs = journals
    for number in range(5):
        assert isinstance(ours.claim(intent(f"a{number}"), "r", US), Claimed)
        ours.append([report(f"a{number}", K.SUBMITTED), report(f"a{number}", K.ACCEPTED)])
    # Another process claims, dies, and what it had becomes unresolved: that stands against us, however much has ended.
    assert isinstance(theirs.claim(intent("b"), "r", DEAD), Claimed)
    theirs.append([report("b", K.UNRESOLVED)])
    for _ in range(2):
        answer = ours.claim(intent("c"), "r", US)
        assert isinstance(answer, Held)
        assert answer.entry.intent.order.client_order_id == "b"
    assert isinstance(ours.claim(intent("c2", login="another"), "r", US), Claimed)
    theirs.append([report("b", K.REJECTED)])
    assert isinstance(ours.claim(intent("c"), "r", US), Claimed)


def test_our_own_unresolved_order_stands_against_others_though_not_against_us(journals):
    ours, theirs = journals
    assert isinstance(ours.claim(intent("a"), "r", US), Claimed)
    ours.append([report("a", K.UNRESOLVED)])
    assert isinstance(ours.claim(intent("b"), "r", US), Claimed)
    assert isinstance(theirs.claim(intent("c"), "r", DEAD), Held)


def test_a_journal_that_was_put_in_the_place_of_another_is_looked_at_anew(tmp_path):
    path = tmp_path / "journal.db"
    journal = open_journal(None, path, SystemClock())
    journal.claim(intent("a"), "r", US)
    journal.append([report("a", K.SUBMITTED), report("a", K.ACCEPTED)])
    journal.claim(intent("a2"), "r", US)
    journal.close()
    for file in tmp_path.iterdir():
        file.unlink()
    other = open_journal(None, path, SystemClock())
    other.claim(replace(intent("b"), bell_ns=0), "r", DEAD)
    other.append([report("b", K.UNRESOLVED)])
    assert isinstance(journal.claim(intent("c"), "r", US), Held)
    other.close()
    journal.close()


def test_a_report_whose_number_is_lower_but_which_comes_later_is_not_passed_by(postgres_url):
    """Another machine has its number and has not ended its transaction; ours, with a higher one, can be seen."""
    ours, slow, watcher = (open_journal(postgres_url, Path("no.db"), SystemClock()) for _ in range(3))
    for name in ("slow", "quick"):
        assert isinstance(ours.claim(intent(name, login=name), "r", US), Claimed)
    begun, heard, told = threading.Event(), threading.Event(), []

    def wait(session):
        session.add("reports", [report_row(report("slow", K.SUBMITTED))])
        begun.set()
        assert heard.wait(20)

    thread = threading.Thread(target=lambda: slow._store.write(wait, ("slow",)))
    thread.start()
    assert begun.wait(20)
    ours.append([report("quick", K.SUBMITTED)])
    seq, reports = watcher.reports_after(2)
    told += reports
    assert (seq, told, watcher.last_seq()) == (2, [], 2)
    heard.set()
    thread.join()
    for _ in range(3):
        seq, reports = watcher.reports_after(seq)
        told += reports
    assert [each.client_order_id for each in told] == ["slow", "quick"]
    assert watcher.last_seq() == seq == 4
    for journal in (ours, slow, watcher):
        journal.close()


def test_a_number_that_was_never_used_holds_nobody_up(postgres_url):
    ours, watcher = (open_journal(postgres_url, Path("no.db"), SystemClock()) for _ in range(2))
    ours.claim(intent("a"), "r", US)

    def fail(session):
        session.add("reports", [report_row(report("a", K.SUBMITTED))])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ours._store.write(fail)
    ours.append([report("a", K.SUBMITTED)])
    assert [each.kind for each in watcher.reports_after(0)[1]] == [K.INITIALIZED, K.SUBMITTED]
    assert watcher.reports_after(0)[0] == watcher.last_seq() == 3
    for journal in (ours, watcher):
        journal.close()


def test_a_report_fits_what_the_journal_says_and_not_what_this_process_remembers(journals):
    ours, theirs = journals
    ours.claim(intent("a"), "r", US)
    ours.append([report("a", K.SUBMITTED)])
    theirs.append([report("a", K.REJECTED)])
    with pytest.raises(ReportMisfit, match="ACCEPTED does not fit an order that is REJECTED"):
        ours.append([report("a", K.ACCEPTED)])
    assert [each.kind for each in ours.reports("a")] == [K.INITIALIZED, K.SUBMITTED, K.REJECTED]


def test_what_was_not_written_is_not_remembered_either(journals):
    ours, _ = journals
    ours.claim(intent("a"), "r", US)
    with pytest.raises(ReportMisfit):
        ours.append([report("a", K.SUBMITTED), report("a", K.CANCEL_REJECTED)])
    ours.append([report("a", K.DENIED)])
    assert ours.entry("a").state.status is OrderStatus.DENIED


def test_an_order_that_is_forgotten_is_read_again(journals, monkeypatch):
    monkeypatch.setattr(known_states, "_MOST", 2)
    ours, _ = journals
    for name in ("a", "b", "c"):
        ours.claim(intent(name, login=name), "r", US)
    assert (ours._known.get("a"), ours._known.get("c").reports) == (None, 1)
    ours.append([report(name, K.SUBMITTED) for name in ("a", "b", "c")])
    ours.append([report("a", K.ACCEPTED), report("a", K.PENDING_CANCEL)])
    assert ours.entry("a").state.status is OrderStatus.PENDING_CANCEL
