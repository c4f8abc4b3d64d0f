from __future__ import annotations

import json
import stat
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from firstbell.errors import JournalDamaged, RunError
from firstbell.journal.base import Intent, Note, RunLine, RunRecord
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instant import epoch_ns
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.sniper import results

TEHRAN = timezone(timedelta(hours=3, minutes=30))
BELL = datetime(2026, 11, 21, 8, 45, tzinfo=TEHRAN)
AT = datetime(2026, 11, 21, 5, 15, 0, 412, tzinfo=UTC)


def line(account):
    return RunLine(account, "shahr", "IRO1MHRN0001", Side.BUY)


def order(account):
    return Order(
        f"id-{account}", account, "shahr", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(170018), date(2026, 11, 21)
    )


@pytest.fixture
def journal(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield journal
    journal.close()


@pytest.fixture
def record(journal):
    record = RunRecord("run", BELL, tuple(line(a) for a in ("A", "B", "C", "D", "E")), "results")
    journal.begin_run(record)
    for account in ("A", "B", "C"):
        journal.claim(Intent(order(account), account, f"id-{account}", 0, frozenset()), "run", this_process())
    return record


def happen(journal, account, kind, outcome, late_us=412, **facts):
    code = facts.pop("code", None)
    sent_ns = epoch_ns(AT) + 123
    attempt = Attempt(
        number=1,
        sent_at=AT,
        lateness_us=late_us,
        answered_at=AT + timedelta(milliseconds=8),
        round_trip_us=8120,
        http_status=200,
        code=code,
        message="m",
        outcome=outcome,
        raw="{}",
        sent_ns=sent_ns,
        arrival_ns=sent_ns + 4_000_000,
        too_early=code == 1017,
    )
    reports = [ReportKind.SUBMITTED, kind]
    journal.append(
        [
            ExecutionReport(
                f"id-{account}", "run", k, AT, attempt=attempt if k is kind else None, **(facts if k is kind else {})
            )
            for k in reports
        ]
    )


def document(journal, record, *, ended=True):
    return results.document(results.view(journal, record, ended=ended, now_ns=-1), TEHRAN)


def test_the_whole_document(journal, record):
    happen(journal, "A", ReportKind.ACCEPTED, AttemptOutcome.ACCEPTED, venue_order_id="77")
    happen(journal, "B", ReportKind.REJECTED, AttemptOutcome.REJECTED, reason="1011 no money", code=1011)
    happen(journal, "C", ReportKind.UNRESOLVED, AttemptOutcome.UNRESOLVED, reason="no answer")
    journal.note("run", [Note("D", "not_sent", "wrong password"), Note("D", "finished")])
    found = document(journal, record)
    assert found["summary"] == {"configured": 5, "accepted": 1, "rejected": 1, "unresolved": 1, "not_sent": 2}
    assert found["bell"] == "2026-11-21T08:45:00.000000+03:30"
    a, b, c, d, e = found["orders"]
    assert a == {
        "account": "A",
        "broker_code": "shahr",
        "instrument": "IRO1MHRN0001",
        "side": "buy",
        "price": 5860,
        "quantity": 170018,
        "client_order_id": "id-A",
        "venue_order_id": "77",
        "status": "ACCEPTED",
        "outcome": "accepted",
        "reason": None,
        "attempts": [
            {
                "sent_at": "2026-11-21T08:45:00.000412+03:30",
                "sent_ns": epoch_ns(AT) + 123,
                "estimated_arrival_at": "2026-11-21T08:45:00.004412+03:30",
                "too_early": False,
                "lateness_us": 412,
                "answered_at": "2026-11-21T08:45:00.008412+03:30",
                "round_trip_us": 8120,
                "http_status": 200,
                "code": None,
                "message": "m",
                "outcome": "ACCEPTED",
            }
        ],
    }
    assert (b["outcome"], b["reason"], b["attempts"][0]["code"]) == ("rejected", "1011 no money", 1011)
    assert (c["outcome"], c["status"]) == ("unresolved", "SUBMITTED")
    assert (d["outcome"], d["reason"], d["price"]) == ("not_sent", "wrong password", None)
    assert (e["outcome"], e["reason"]) == ("not_sent", "never reached")
    assert results.exit_status(row["outcome"] for row in found["orders"]) == 3


def test_lateness_is_told_of_each_order_by_its_last_attempt(journal, record):
    happen(journal, "A", ReportKind.ACCEPTED, AttemptOutcome.ACCEPTED, late_us=900)
    happen(journal, "B", ReportKind.REFUSED, AttemptOutcome.REJECTED, late_us=-1500, code=1017)
    happen(journal, "C", ReportKind.UNRESOLVED, AttemptOutcome.UNRESOLVED, late_us=300)
    assert document(journal, record)["lateness"] == {
        "first_us": -1500,
        "median_us": 300,
        "last_us": 900,
        "early_attempts": 1,
    }


def test_a_run_of_which_nothing_left_has_no_lateness(journal, record):
    told = document(journal, record)
    assert told["lateness"] == {"first_us": None, "median_us": None, "last_us": None, "early_attempts": 0}
    assert told["clock"] == {"offset_ms": None, "uncertainty_ms": None, "lead_ms": None, "hosts": []}


def test_the_clock_that_is_known_worst_stands_at_the_top(journal, record):
    def host(url, offset_ms, uncertainty_ms):
        return {"url": url, "offset_ms": offset_ms, "uncertainty_ms": uncertainty_ms, "lead_ms": 5.0}

    def tell(*hosts):
        journal.note("run", [Note("", "clock", json.dumps(each)) for each in hosts])
        return document(journal, record)["clock"]

    fine, worse, unread = host("a", 1.0, 0.5), host("b", 1700.0, 9.0), host("c", None, None)
    assert tell(fine) == {"offset_ms": 1.0, "uncertainty_ms": 0.5, "lead_ms": 5.0, "hosts": [fine]}
    assert tell(worse)["offset_ms"] == 1700.0
    assert tell(host("b", 1700.0, 0.1))["offset_ms"] == 1.0
    assert tell(unread)["uncertainty_ms"] is None
    assert len(document(journal, record)["clock"]["hosts"]) == 3


def test_a_claimed_order_may_have_left_from_its_bell_on(journal, record):
    at = {entry.intent.bell_ns for entry in journal.entries()}.pop()
    for now_ns, outcome in ((at - 1, "not_sent"), (at, "unresolved")):
        run = results.view(journal, record, ended=False, now_ns=now_ns)
        assert results.document(run, TEHRAN)["orders"][0]["outcome"] == outcome


def test_an_order_that_was_refused_and_is_being_sent_again_is_unresolved_until_that_has_ended(journal, record):
    happen(journal, "A", ReportKind.REFUSED, AttemptOutcome.REJECTED, reason="1017 too early")
    row = document(journal, record, ended=False)["orders"][0]
    assert row["outcome"] == "unresolved"
    assert row["reason"] == "refused so far (1017 too early); it may have been sent again, and nothing is known yet"
    happen(journal, "A", ReportKind.REJECTED, AttemptOutcome.REJECTED, reason="1011 no money")
    assert document(journal, record, ended=False)["orders"][0]["outcome"] == "rejected"


@pytest.mark.usefixtures("record")
def test_an_order_that_another_run_had_and_placed_meanwhile_is_reported_placed(journal):
    later = RunRecord("later", BELL, (line("A"),), "results")
    journal.begin_run(later)
    journal.note("later", [Note("A", "not_sent", "process 1 has claimed this order", "id-A"), Note("A", "finished")])
    (row,) = results.document(results.view(journal, later, ended=True, now_ns=-1), TEHRAN)["orders"]
    assert row["outcome"] == "not_sent"
    happen(journal, "A", ReportKind.ACCEPTED, AttemptOutcome.ACCEPTED, venue_order_id="77")
    (row,) = results.document(results.view(journal, later, ended=True, now_ns=-1), TEHRAN)["orders"]
    assert (row["outcome"], row["reason"]) == ("accepted", "placed earlier, in run run")


def test_an_accepted_order_without_an_id_says_so(journal, record):
    happen(journal, "A", ReportKind.ACCEPTED, AttemptOutcome.ACCEPTED)
    assert "named no id" in document(journal, record)["orders"][0]["reason"]


def test_a_claimed_order_without_a_word_is_unresolved_once_the_run_is_over(journal, record):
    assert document(journal, record, ended=False)["orders"][0]["outcome"] == "not_sent"
    assert document(journal, record, ended=True)["orders"][0]["outcome"] == "unresolved"


@pytest.mark.usefixtures("record")
def test_an_order_placed_by_an_earlier_run_is_reported_accepted_without_attempts(journal):
    happen(journal, "A", ReportKind.ACCEPTED, AttemptOutcome.ACCEPTED, venue_order_id="77")
    later = RunRecord("later", BELL, (line("A"),), "results")
    journal.begin_run(later)
    journal.note("later", [Note("A", "stands_for", None, "id-A"), Note("A", "finished")])
    run = results.view(journal, later, ended=True, now_ns=0)
    assert run.finished
    (row,) = results.document(run, TEHRAN)["orders"]
    assert (row["outcome"], row["venue_order_id"], row["attempts"]) == ("accepted", "77", [])


def test_exit_statuses():
    assert results.exit_status([]) == 0
    assert results.exit_status(["accepted"]) == 0
    assert results.exit_status(["accepted", "not_sent"]) == 1
    assert results.exit_status(["rejected"]) == 1
    assert results.exit_status(["rejected", "unresolved", "accepted"]) == 3


def test_the_file_is_replaced_whole_and_for_its_owner_alone(tmp_path, journal, record):
    found = document(journal, record)
    path = results.write(tmp_path / "order_results", found)
    assert json.loads(path.read_text()) == found
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    inode = path.stat().st_ino
    results.write(tmp_path / "order_results", found)
    assert path.stat().st_ino != inode
    assert [file.name for file in path.parent.iterdir()] == ["orders.json"]


def test_results_that_cannot_be_written_are_said(tmp_path, journal, record):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        results.write(tmp_path / "file", document(journal, record))


def test_a_link_in_place_of_the_runs_folder_leads_nowhere(journal, record, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "orders.json").write_text("precious")
    (tmp_path / "order_results").mkdir()
    (tmp_path / "order_results" / "run").symlink_to(elsewhere)
    with pytest.raises(RunError, match="cannot be written"):
        results.write(tmp_path / "order_results", document(journal, record))
    assert (elsewhere / "orders.json").read_text() == "precious"
    assert [path.name for path in elsewhere.iterdir()] == ["orders.json"]


def test_a_link_in_place_of_the_results_is_replaced_and_not_followed(journal, record, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "order_results" / "run"
    folder.mkdir(parents=True, mode=0o755)
    (folder / "orders.json").symlink_to(victim)
    path = results.write(tmp_path / "order_results", document(journal, record))
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "7", "[" * 100_000, '{"uncertainty_ms": NaN}', '{"uncertainty_ms": "much"}']
)
def test_a_note_that_is_no_document_is_damage(journal, record, text):
    journal.note(record.run_id, [Note("", results.CLOCK, text)])
    with pytest.raises(JournalDamaged, match="cannot be read"):
        document(journal, record)


def test_what_waited_for_the_bell_may_have_left_where_nobody_can_say_more(journal, tmp_path):
    lines = tuple(line(account) for account in ("A", "B", "C"))
    record = RunRecord("run", BELL, lines, str(tmp_path))
    journal.begin_run(record)
    for account in ("A", "B"):
        intent = Intent(order(account), account, f"id-{account}", epoch_ns(BELL), frozenset())
        journal.claim(intent, "run", this_process())
    happen(journal, "B", ReportKind.ACCEPTED, AttemptOutcome.ACCEPTED, venue_order_id="7")
    run = results.view(journal, record, ended=False, now_ns=epoch_ns(BELL) - 1)
    path = results.write(tmp_path, results.document(run, TEHRAN))
    assert json.loads(path.read_text())["summary"]["not_sent"] == 2
    results.doubt(tmp_path, "run")
    written = json.loads(path.read_text())
    assert [row["outcome"] for row in written["orders"]] == ["unresolved", "accepted", "not_sent"]
    assert "it may have left" in written["orders"][0]["reason"]
    assert written["summary"] == {"configured": 3, "accepted": 1, "rejected": 0, "unresolved": 1, "not_sent": 1}


def test_results_that_cannot_be_read_are_no_results_in_doubt(tmp_path):
    (tmp_path / "run").mkdir()
    for text in ("", "[]", '{"orders": [{}]}', "{"):
        (tmp_path / "run" / "orders.json").write_text(text)
        with pytest.raises(RunError, match="cannot be read"):
            results.doubt(tmp_path, "run")
