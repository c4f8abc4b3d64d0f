"""Many greenlets' writing, in few transactions of a real journal, never just before something leaves."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import date
from decimal import Decimal
from itertools import pairwise

import gevent
import pytest
from sniper_hosts import Hosts

from firstbell.clock import SystemClock
from firstbell.errors import JournalError
from firstbell.journal.base import Claimed, Intent, Note, RunLine, RunRecord
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.scribe import CALM_NS, Scribe
from firstbell.sniper.volley import Fate, Shot, Volley
from firstbell.sniper.waiting import GreenWaiter

MS = 1_000_000
FOREVER = 2**62
DAY = date(2026, 11, 21)


class Never:
    """A run that nobody stops."""

    def is_set(self):
        return False

    def when_set(self, call):
        del call


class Looked(Volley):
    """A volley that keeps in mind how far away the next shot was when it was asked last."""

    left_ns = None
    looks = 0

    def next_ns(self):
        next_ns = super().next_ns()
        self.looks += 1
        self.left_ns = FOREVER if next_ns is None else next_ns - time.monotonic_ns()
        return next_ns


class Kept:
    """A real journal, with a book of what was asked of it, and faults where a test wants them."""

    def __init__(self, path, volley):
        self.path = path
        self.journal = SqliteJournal(path, SystemClock())
        self.volley = volley
        self.written = []
        self.left_ns = []
        self.looks = 0
        self.takes_s = 0.0
        self.fault = {}
        self.yields = False

    def _begin(self, what, names):
        # Before each writing there is a look of its own.
        self.left_ns.append(self.volley.left_ns if self.volley.looks > self.looks else 0)
        self.looks = self.volley.looks
        self.written.append((what, tuple(names)))
        if self.yields:
            gevent.sleep(0.01)
        for name in names:
            if name in self.fault:
                raise self.fault[name]
        time.sleep(self.takes_s)

    def append(self, reports):
        self._begin("reports", [report.client_order_id for report in reports])
        self.journal.append(reports)

    def note(self, run_id, notes):
        self._begin(run_id, [note.account for note in notes])
        self.journal.note(run_id, notes)


@pytest.fixture
def volley():
    return Looked(Never())


@pytest.fixture
def kept(tmp_path, volley):
    kept = Kept(tmp_path / "journal.db", volley)
    for run in ("run", "other"):
        kept.journal.begin_run(RunRecord(run, instant(0), (RunLine("A", "gs", "I", Side.BUY),), "/x"))
    journal = kept.journal
    yield kept
    journal.close()


@pytest.fixture
def scribe(kept, volley):
    return Scribe(kept, volley)


def name_of(number):
    return f"fb-20261121-{number:012x}-0"


def claim(kept, count):
    """So many claimed orders' names."""
    for number in range(count):
        order = Order(name_of(number), "A", "gs", "I", Side.BUY, Decimal(1), Decimal(1), DAY)
        intent = Intent(order, "login", order.client_order_id, FOREVER, frozenset())
        assert isinstance(kept.journal.claim(intent, "run", this_process()), Claimed)
    return [name_of(number) for number in range(count)]


def reports(name, *kinds):
    return [ExecutionReport(name, "run", kind, instant(0)) for kind in kinds or (ReportKind.SUBMITTED,)]


def kinds(kept, name):
    return [report.kind for report in kept.journal.reports(name)][1:]


def all_at_once(*calls):
    """What each of many greenlets was told: None, or its error."""

    def told(call):
        try:
            return call[0](*call[1:])
        except (JournalError, ZeroDivisionError) as error:
            return error

    jobs = [gevent.spawn(told, call) for call in calls]
    gevent.joinall(jobs, timeout=20)
    assert all(job.dead for job in jobs)
    return [job.value for job in jobs]


def test_what_is_written_is_durable_when_the_call_returns(kept, scribe):
    (name,) = claim(kept, 1)
    scribe.append(reports(name, ReportKind.SUBMITTED, ReportKind.ACCEPTED))
    scribe.note("run", [Note("A", "warning", "text")])
    with closing(sqlite3.connect(f"file:{kept.path}?mode=ro", uri=True)) as db:
        assert db.execute("SELECT count(*) FROM reports WHERE client_order_id = ?", (name,)).fetchone() == (3,)
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (1,)


def test_many_greenlets_share_few_transactions(kept, scribe):
    names = claim(kept, 60)
    calls = [(scribe.append, reports(name)) for name in names]
    calls += [(scribe.note, run, [Note(f"A{n}", "warning", None)]) for n in range(20) for run in ("run", "other")]
    assert all_at_once(*calls) == [None] * 100
    assert [what for what, _ in kept.written] == ["reports", "run", "other"]
    assert all(kinds(kept, name) == [ReportKind.SUBMITTED] for name in names)
    for run in ("run", "other"):
        assert [note.account for note in kept.journal.notes(run)] == [f"A{n}" for n in range(20)]


def test_whoever_comes_back_at_once_is_written_with_the_others_again(kept, scribe):
    names = claim(kept, 20)

    def work(name):
        for kind in (ReportKind.SUBMITTED, ReportKind.REFUSED, ReportKind.SUBMITTED, ReportKind.ACCEPTED):
            scribe.append(reports(name, kind))

    assert all_at_once(*((work, name) for name in names)) == [None] * 20
    assert len(kept.written) == 4
    assert {len(kinds(kept, name)) for name in names} == {4}


def test_who_comes_while_others_are_being_written_is_written_next(kept, scribe):
    """A journal on another machine lets greenlets work while it writes."""
    names = claim(kept, 3)
    kept.yields = True
    jobs = [gevent.spawn(scribe.append, reports(names[0]))]
    while not kept.written:
        gevent.sleep(0.001)
    jobs += [gevent.spawn(scribe.append, reports(name)) for name in names[1:]]
    jobs += [gevent.spawn(scribe.note, "run", [Note("A", "warning", None)])]
    assert len(gevent.joinall(jobs, timeout=10)) == 4
    assert [job.get() for job in jobs] == [None] * 4
    assert all(kinds(kept, name) == [ReportKind.SUBMITTED] for name in names)
    assert len(kept.written) == 3


@pytest.mark.parametrize("yields", [False, True])
def test_a_report_that_does_not_fit_fails_alone(kept, scribe, yields):
    names = claim(kept, 8)
    kept.yields = yields
    misfits = [reports("fb-unknown"), reports(names[3], ReportKind.SUBMITTED, ReportKind.FILLED, ReportKind.SUBMITTED)]
    calls = [(scribe.append, reports(name)) for name in names if name != names[3]]
    calls[2:2] = [(scribe.append, each) for each in misfits]
    told = all_at_once(*calls)
    assert [type(each) for each in told if each is not None] == [type(told[2]), type(told[3])]
    assert isinstance(told[2], JournalError)
    assert isinstance(told[3], JournalError)
    assert "fb-unknown" in str(told[2])
    # All of one call or none: what stood before the one that does not fit is not there.
    assert kinds(kept, names[3]) == []
    assert all(kinds(kept, name) == [ReportKind.SUBMITTED] for name in names if name != names[3])


def test_one_that_does_not_fit_and_is_alone_is_tried_once(kept, scribe):
    with pytest.raises(JournalError, match="fb-unknown"):
        scribe.append(reports("fb-unknown"))
    assert len(kept.written) == 1


def test_a_journal_that_cannot_be_written_is_told_to_everybody(kept, scribe):
    names = claim(kept, 5)
    with closing(sqlite3.connect(kept.path)) as db, db:
        db.execute("ALTER TABLE reports RENAME TO lost")
        db.execute("ALTER TABLE notes RENAME TO lost_notes")
    calls = [(scribe.append, reports(name)) for name in names]
    calls += [(scribe.note, "run", [Note("A", "warning", None)]), (scribe.note, "other", [Note("A", "warning", None)])]
    told = all_at_once(*calls)
    assert [isinstance(each, JournalError) for each in told] == [True] * 7


@pytest.mark.parametrize("yields", [False, True])
def test_a_fault_reaches_whoever_is_concerned_and_nobody_waits_for_ever(kept, scribe, capfd, yields):
    names = claim(kept, 4)
    kept.yields = yields
    kept.fault = {names[1]: ZeroDivisionError("a fault")}
    calls = [(scribe.append, reports(name)) for name in names]
    calls += [(scribe.note, "run", [Note("A", "warning", None)])]
    told = all_at_once(*calls)
    assert [type(each) for each in told] == [ZeroDivisionError] * 4 + [type(None)]
    assert "a fault" in capfd.readouterr().err
    kept.fault = {}
    assert all_at_once((scribe.append, reports(names[0]))) == [None]
    assert kinds(kept, names[0]) == [ReportKind.SUBMITTED]


def test_a_fault_behind_one_that_does_not_fit_reaches_those_that_are_left(kept, scribe, capfd):
    names = claim(kept, 4)
    kept.fault = {"fb-unknown": JournalError("unknown")}
    calls = [(scribe.append, reports(name)) for name in (names[0], "fb-unknown", names[1], names[2])]

    class Faulty:
        def append(self, them):
            if [each.client_order_id for each in them] == [names[1]]:
                raise ZeroDivisionError

    kept.journal.close()
    kept.journal = Faulty()
    told = all_at_once(*calls)
    assert [type(each) for each in told] == [type(None), JournalError, ZeroDivisionError, ZeroDivisionError]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_fault_in_one_runs_notes_reaches_those_of_the_next(kept, scribe, capfd):
    kept.fault = {"B": ZeroDivisionError()}
    calls = [(scribe.note, "run", [Note("A", "warning", None)]), (scribe.note, "x", [Note("B", "warning", None)])]
    calls += [(scribe.note, "other", [Note("C", "warning", None)]), (scribe.append, [])]
    told = all_at_once(*calls)
    assert [type(each) for each in told] == [type(None), ZeroDivisionError, ZeroDivisionError, type(None)]
    assert "ZeroDivisionError" in capfd.readouterr().err
    assert [note.account for note in kept.journal.notes("run")] == ["A"]


def test_an_interrupt_while_it_writes_is_an_error_of_the_journals_to_the_others(kept, scribe):
    """Ctrl-C: what was being written may be there or not. It ends the program once, not once for each that waits."""
    hub = gevent.get_hub()
    errors, hub.NOT_ERROR = hub.NOT_ERROR, (*hub.NOT_ERROR, KeyboardInterrupt)
    kept.fault = {name: KeyboardInterrupt() for name in claim(kept, 3)}
    told = []

    def work(name):
        with pytest.raises(JournalError, match="broken off") as caught:
            scribe.append(reports(name))
        told.append(caught)

    jobs = [gevent.spawn(work, name) for name in kept.fault]
    try:
        with pytest.raises(KeyboardInterrupt):
            gevent.joinall(jobs, timeout=10)
        gevent.joinall(jobs, timeout=10)
    finally:
        hub.NOT_ERROR = errors
    assert len(told) == 3


def test_who_is_killed_while_it_waits_has_its_reports_written_all_the_same(kept, scribe):
    (name,) = claim(kept, 1)
    job = gevent.spawn(scribe.append, reports(name))
    gevent.sleep(0)
    job.kill(block=False)
    gevent.sleep(0.05)
    assert job.dead
    assert kinds(kept, name) == [ReportKind.SUBMITTED]


# --- calm ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fire(tmp_path, volley):
    """Have something leave so many milliseconds from now."""
    hosts = Hosts(tmp_path)
    host = hosts.serve()
    jobs, lanes = [], []

    def fire(milliseconds):
        lane = Lane(LaneAddress.of(host.url), None, GreenWaiter())
        lanes.append(lane)
        lane.open(time.monotonic_ns() + 10_000 * MS)
        lane.seal(b"x")
        shot = Shot(lane, time.monotonic_ns() + milliseconds * MS, FOREVER, FOREVER)
        jobs.append(gevent.spawn(volley.fire, shot))
        gevent.sleep(0)
        return shot

    yield fire
    gevent.killall(jobs)
    for lane in lanes:
        lane.close()
    hosts.close_all()


def test_nothing_is_written_just_before_something_leaves(kept, scribe, fire):
    """Slow writings, while something leaves every hundredth of a second or so, and then twice with some room."""
    names = claim(kept, 40)
    kept.takes_s = 0.015
    shots = [fire(ms) for ms in (30, 41, 52, 63, 160, 230, 240)]

    def work(number):
        gevent.sleep(number * 0.005)
        scribe.append(reports(names[number]))
        scribe.note(("run", "other", "third")[number % 3], [Note("A", "warning", None)])

    assert all_at_once(*((work, number) for number in range(40))) == [None] * 40
    assert all(shot.fate is Fate.FIRED for shot in shots)
    assert min(kept.left_ns) > CALM_NS
    assert max(kept.left_ns) == FOREVER
    assert all(kinds(kept, name) == [ReportKind.SUBMITTED] for name in names)


def test_neither_notes_nor_single_reports_are_written_just_before_something_leaves(kept, scribe, fire):
    """What follows a slow writing looks again whether there is time."""
    names = claim(kept, 6)
    kept.takes_s = 0.02
    shot = fire(75)
    calls = [(scribe.append, reports(name)) for name in [*names[:3], "fb-unknown", *names[3:]]]
    calls += [(scribe.note, run, [Note("A", "warning", None)]) for run in ("run", "other")]
    told = all_at_once(*calls)
    assert [each is None for each in told] == [True] * 3 + [False] + [True] * 5
    assert shot.fate is Fate.FIRED
    assert min(kept.left_ns) > CALM_NS
    assert max(kept.left_ns) == FOREVER
    assert len(kept.written) == 1 + 7 + 2


def test_what_waits_for_calm_is_written_in_one_go_afterwards(kept, scribe, fire):
    names = claim(kept, 30)
    shot = fire(38)
    jobs = [gevent.spawn_later(n * 0.001, scribe.append, reports(name)) for n, name in enumerate(names)]
    gevent.joinall(jobs, timeout=10)
    assert shot.fate is Fate.FIRED
    assert len(kept.written) < 10
    assert all(earlier != later for earlier, later in pairwise(kept.written))


def test_where_nothing_leaves_soon_nothing_is_waited_for(kept, scribe, fire):
    (name,) = claim(kept, 1)
    shot = fire(60_000)
    scribe.append(reports(name))
    assert shot.fate is Fate.WAITING
