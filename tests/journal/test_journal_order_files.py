"""The order log's files: rotated, compressed, and written anew from the journal."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import stat
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from journal_orders import AT, PLAN, intent, report

from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.errors import JournalError, RunError
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG, OrderLog
from firstbell.journal.order_logger import OrderLogger
from firstbell.journal.order_sources import lines_in
from firstbell.journal.owner import this_process
from firstbell.log import hide, older_parts
from firstbell.model.instructions import Instructions
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Fill
from firstbell.model.terms import OrderRole, Side
from stepped_clock import SteppedClock

K = ReportKind
SMALL = OrderLogSettings(max_size=4096, keep=50)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "logs"


@pytest.fixture
def files(folder):
    files = OrderFiles(folder, OrderLogSettings())
    yield files
    files.close()


@pytest.fixture
def logger(files):
    return OrderLogger(files, account="Order_A")


def lines(folder, name=ORDER_LOG):
    path = folder / name
    return [line for part in (*reversed(older_parts(path)), path) for line in lines_in(part)]


def texts(folder):
    return (folder / TRADING_LOG).read_text(encoding="utf-8").splitlines()


def trade(journal, number):
    """One bracket: an entry that trades, and its exit."""
    name = f"{PLAN}-{number}"
    asked = intent(name)
    journal.claim(asked, "run", this_process())
    journal.append([report(K.SUBMITTED, name), report(K.ACCEPTED, name, venue_order_id=str(number))])
    journal.append([report(K.FILLED, name, fill=Fill("t", Decimal(170_018), Decimal(5860), Decimal(7)))])
    leaving = replace(
        asked.order,
        client_order_id=f"{name}-x",
        side=Side.SELL,
        quantity=Decimal(100),
        instructions=Instructions(role=OrderRole.TAKE_PROFIT, parent_id=name, group="گروه"),
    )
    journal.claim(replace(asked, order=leaving, plan_id=f"{name}-x"), "run", this_process())
    journal.append([report(K.SUBMITTED, f"{name}-x"), report(K.ACCEPTED, f"{name}-x", venue_order_id=f"x{number}")])
    journal.append([report(K.FILLED, f"{name}-x", fill=Fill("t", Decimal(100), Decimal(5900), Decimal(1)))])


# --- those who write it themselves


def test_the_seven_calls_write_the_same_lines_as_the_journals(logger, folder):
    logger.log_order_entry("gs", "IRO1MHRN0001", "buy", 100, Decimal("5860.5"), "77")
    logger.log_order_exit("gs", "IRO1MHRN0001", "SELL", "100", 5900, "78", pnl=Decimal("3950.0"))
    logger.log_stop_loss("gs", "IRO1MHRN0001", Side.SELL, 100, None, "79", pnl="-12.5")
    logger.log_take_profit("gs", "IRO1MHRN0001", "sell", 100, 5950, "80")
    logger.log_order_cancel("gs", "IRO1MHRN0001", "81")
    logger.log_order_modify("gs", "IRO1MHRN0001", "82", new_price=5861)
    logger.log_order_failed("gs", "IRO1MHRN0001", "buy", 100, 5860, "بازار بسته است")
    found = lines(folder)
    events = ["entry", "exit", "stop_loss", "take_profit", "cancel", "modify", "failed"]
    assert [line["event"] for line in found] == events
    assert [line["role"] for line in found] == [*events[:4], None, None, None]
    assert [line["pnl"] for line in found] == [None, 3950, "-12.5", None, None, None, None]
    assert [line["price"] for line in found] == ["5860.5", 5900, None, 5950, None, 5861, 5860]
    assert [line["venue_order_id"] for line in found] == ["77", "78", "79", "80", "81", "82", None]
    assert {(line["run"], line["report"], line["account"]) for line in found} == {(None, None, "Order_A")}
    assert found[-1]["reason"] == "بازار بسته است"
    assert [text.split()[1] for text in texts(folder)] == [
        "ENTRY",
        "EXIT",
        "STOP",
        "TAKE",
        "CANCEL",
        "MODIFY",
        "FAILED",
    ]
    assert "بازار بسته است" in texts(folder)[-1]


def test_its_lines_have_the_fields_of_the_others(logger, folder, journal, files):
    journal.subscribe(OrderLog(files, journal))
    trade(journal, 1)
    logger.log_order_cancel("gs", "IRO1MHRN0001", "81")
    *_, theirs, ours = lines(folder)
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("bad", [5860.5, float("nan"), True, "many", "Infinity", None])
@pytest.mark.parametrize("field", ["quantity", "price", "pnl"])
def test_what_is_no_exact_number_is_refused_and_named(logger, folder, field, bad):
    numbers = {"quantity": 100, "price": 5900, "pnl": 5, field: bad}
    if bad is None:
        logger.log_order_exit("gs", "I", "sell", order_id="7", **numbers)
        return
    words = f"^{field}: float is not an exact number; write Decimal" if isinstance(bad, float) else f"^{field}: "
    with pytest.raises(ValueError, match=words):
        logger.log_order_exit("gs", "I", "sell", order_id="7", **numbers)
    assert not (folder / ORDER_LOG).exists()


def test_a_side_that_is_none_is_refused(logger):
    with pytest.raises(ValueError, match="both"):
        logger.log_order_entry("gs", "I", "both", 1, 1, "7")


def test_no_secret_and_no_second_line_comes_into_either_file(logger, folder):
    hide("pl4nted-s3cret")
    logger.log_order_failed("gs", "I", "buy", 1, 1, "said pl4nted-s3cret\n2026 FAILED forged \u202e")
    (line,) = lines(folder)
    assert line["reason"] == "said ***\n2026 FAILED forged \u202e"
    (text,) = texts(folder)
    assert text.endswith(r"said ***\n2026 FAILED forged \u202e")
    for name in (ORDER_LOG, TRADING_LOG):
        raw = (folder / name).read_text(encoding="utf-8")
        assert "s3cret" not in raw
        assert "\u202e" not in raw
        assert raw.count("\n") == 1


# --- rotation


def test_a_file_that_has_grown_is_put_aside_and_compressed_for_its_owner_alone(folder):
    files = OrderFiles(folder, SMALL)
    logger = OrderLogger(files)
    for number in range(60):
        logger.log_order_cancel("gs", "I", str(number))
    files.close()
    parts = older_parts(folder / ORDER_LOG)
    assert len(parts) > 2
    assert {part.suffix for part in parts} == {".gz"}
    assert [line["venue_order_id"] for line in lines(folder)] == [str(number) for number in range(60)]
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    with gzip.open(parts[0], "rt", encoding="utf-8") as newest:
        assert json.loads(newest.readline())["event"] == "cancel"


def test_only_so_many_are_kept_and_without_compression_they_are_texts(folder):
    files = OrderFiles(folder, OrderLogSettings(max_size=1024, keep=2, compress="no"))
    logger = OrderLogger(files)
    for number in range(40):
        logger.log_order_cancel("gs", "I", str(number))
    files.close()
    assert [part.name for part in older_parts(folder / ORDER_LOG)] == [f"{ORDER_LOG}.1", f"{ORDER_LOG}.2"]
    assert lines(folder)[-1]["venue_order_id"] == "39"


def test_what_has_become_too_old_is_removed_when_a_file_is_put_aside(folder):
    folder.mkdir()
    day_s = 86_400
    for number, age in ((1, 5), (2, 11)):
        part = folder / f"{ORDER_LOG}.{number}.gz"
        part.write_bytes(gzip.compress(b"{}\n"))
        then = part.stat().st_mtime - age * day_s
        os.utime(part, (then, then))
    other = folder / f"{ORDER_LOG}.note"
    other.touch()
    os.utime(other, (0, 0))
    files = OrderFiles(folder, OrderLogSettings(max_size=1024, keep=10, max_age=10))
    logger = OrderLogger(files)
    for number in range(4):
        logger.log_order_cancel("gs", "I", str(number))
    files.close()
    names = [part.name for part in older_parts(folder / ORDER_LOG)]
    assert names == [f"{ORDER_LOG}.1.gz", f"{ORDER_LOG}.2.gz"]
    assert other.exists()


def _write_many(folder, number):
    files = OrderFiles(folder, SMALL)
    logger = OrderLogger(files)
    for each in range(100):
        logger.log_order_cancel("gs", "I", f"{number}-{each}")
    files.close()


def test_several_processes_write_and_rotate_without_losing_a_line(folder):
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_write_many, args=(folder, number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    found = [line["venue_order_id"] for line in lines(folder)]
    assert sorted(found) == sorted(f"{number}-{each}" for number in range(3) for each in range(100))


# --- written anew


def test_written_anew_from_the_journal_it_is_the_same(journal, folder, files):
    journal.subscribe(OrderLog(files, journal))
    for number in range(5):
        trade(journal, number)
    before = [(folder / name).read_bytes() for name in (ORDER_LOG, TRADING_LOG)]
    for name in (ORDER_LOG, TRADING_LOG):
        (folder / name).unlink()
    assert files.rebuild(journal) == 20
    assert [(folder / name).read_bytes() for name in (ORDER_LOG, TRADING_LOG)] == before
    assert sum(line["pnl"] is not None for line in lines(folder)) == 5
    # And is written on, by whoever had it open already.
    trade(journal, 5)
    assert len(texts(folder)) == 24


def test_older_parts_go_and_what_others_wrote_stays_at_its_time(journal, folder):
    clock = SteppedClock(round((AT - timedelta(days=1)).timestamp()) * 10**9)
    small = OrderFiles(folder, SMALL)
    journal.subscribe(OrderLog(small, journal))
    before, after = OrderLogger(small, clock), OrderLogger(small)
    before.log_order_cancel("gs", "I", "first")
    for number in range(8):
        trade(journal, number)
    after.log_order_cancel("gs", "I", "last")
    expected = lines(folder)
    assert older_parts(folder / ORDER_LOG)
    assert small.rebuild(journal) == 34
    small.close()
    assert older_parts(folder / ORDER_LOG) == older_parts(folder / TRADING_LOG) == []
    found = lines(folder)
    assert found == expected
    assert (found[0]["venue_order_id"], found[-1]["venue_order_id"]) == ("first", "last")
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (ORDER_LOG, TRADING_LOG)} == {0o600}


def test_a_journal_that_cannot_be_read_leaves_the_files_as_they_were(journal, folder, files):
    journal.subscribe(OrderLog(files, journal))
    trade(journal, 1)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    class Broken:
        def __getattr__(self, name):
            return getattr(journal, name)

        def reports(self, name):
            raise JournalError(f"{name} cannot be read")

    with pytest.raises(JournalError, match="cannot be read"):
        files.rebuild(Broken())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_folder_that_takes_no_new_file_is_said(journal, folder, files):
    trade(journal, 1)
    (folder / f".{ORDER_LOG}.new").mkdir()
    with pytest.raises(RunError, match="cannot be written anew"):
        files.rebuild(journal)


def test_whoever_writes_meanwhile_waits_and_is_not_lost(journal, folder, files):
    for number in range(10):
        trade(journal, number)
    other = OrderFiles(folder, OrderLogSettings())
    ready, ended = threading.Barrier(2), []

    def write():
        ready.wait()
        for number in range(50):
            OrderLogger(other).log_order_cancel("gs", "I", f"own-{number}")
        ended.append(True)

    thread = threading.Thread(target=write)
    thread.start()
    ready.wait()
    files.rebuild(journal)
    thread.join()
    other.close()
    assert ended
    own = [line["venue_order_id"] for line in lines(folder) if line["report"] is None]
    assert own == [f"own-{number}" for number in range(50)]


def test_nobody_waits_for_more_than_the_end_of_it(place, journal, folder, files):
    """Though the whole journal is read, and files are put aside meanwhile."""
    for number in range(130):
        trade(journal, number)
    theirs = place.open()
    other = OrderFiles(folder, OrderLogSettings(max_size=16_384, keep=1000))
    theirs.subscribe(OrderLog(other, theirs))
    logger, ended, waits = OrderLogger(other), threading.Event(), []

    def write():
        while not ended.is_set():
            name = f"{PLAN}-late-{len(waits)}"
            theirs.claim(intent(name), "run", this_process())
            began = time.perf_counter()
            theirs.append([report(K.SUBMITTED, name), report(K.ACCEPTED, name, venue_order_id="7")])
            logger.log_order_cancel("gs", "I", name)
            waits.append(time.perf_counter() - began)

    thread = threading.Thread(target=write)
    logger.log_order_cancel("gs", "I", "first")
    thread.start()
    began = time.perf_counter()
    files.rebuild(journal)
    took = time.perf_counter() - began
    ended.set()
    thread.join()
    other.close()
    assert len(waits) > 4
    # Most wait for nothing; one may meet the end of it, or a machine that is busy.
    assert sorted(waits)[len(waits) // 2] < took / 4
    found = lines(folder)
    own = [line["venue_order_id"] for line in found if line["report"] is None]
    assert own == ["first", *(f"{PLAN}-late-{number}" for number in range(len(waits)))]
    _, reports = journal.reports_after(0)
    expected = {(each.client_order_id, each.kind.value) for each in reports}
    told = [(line["client_order_id"], line["report"]) for line in found if line["report"]]
    assert set(told) == expected
    assert len(told) <= len(reports) + 3


def test_two_who_write_anew_at_once_take_turns(journal, folder, files):
    for number in range(10):
        trade(journal, number)
    both = [files, OrderFiles(folder, OrderLogSettings())]
    counts = []
    threads = [threading.Thread(target=lambda each=each: counts.append(each.rebuild(journal))) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    both[1].close()
    assert counts == [40, 40]
    assert len(texts(folder)) == 40


def test_instants_are_compared_whatever_zone_they_are_told_in(journal, folder, files):
    folder.mkdir(exist_ok=True)
    ours = {"event": "cancel", "report": None}
    first, last = AT - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-11))
    times = [first.astimezone(east).isoformat(), last.astimezone(west).isoformat()]
    (folder / ORDER_LOG).write_text("".join(json.dumps({**ours, "at": at}) + "\n" for at in times))
    trade(journal, 1)
    files.rebuild(journal)
    found = [line["at"] for line in lines(folder)]
    assert [found[0], found[-1]] == times


def test_people_read_the_exchanges_time_and_programs_the_same_as_ever(journal, folder):
    files = OrderFiles(folder, OrderLogSettings(), ZoneInfo("Asia/Tehran"))
    journal.subscribe(OrderLog(files, journal))
    trade(journal, 1)
    before = texts(folder)
    assert before[0].startswith("2026-11-21T08:45:00.123456+03:30 ENTRY ")
    assert {line["at"][-6:] for line in lines(folder)} == {"+00:00"}
    files.rebuild(journal)
    files.close()
    assert texts(folder) == before


def test_what_is_no_line_is_passed_over(journal, folder, files):
    folder.mkdir(exist_ok=True)
    own = b'{"event": "cancel", "report": null, "at": "2020"}'
    (folder / ORDER_LOG).write_bytes(b"\n".join((b"nonsense", b"[1]", b"\xff\xfe", own, b"[" * 9999)))
    trade(journal, 1)
    assert files.rebuild(journal) == 5
    assert lines(folder)[0]["at"] == "2020"


def test_half_a_line_that_a_kill_has_left_does_not_spoil_the_next_one(folder):
    files = OrderFiles(folder, SMALL, UTC)
    lines = [{"event": "entry", "at": AT.isoformat(), "order_id": str(number), "account": "A"} for number in range(3)]
    files.write(lines[0])
    files.write(lines[1])
    for path in (folder / ORDER_LOG, folder / TRADING_LOG):
        os.truncate(path, path.stat().st_size - 20)
    files.write(lines[2])
    files.close()
    written = (folder / ORDER_LOG).read_text().splitlines()
    assert len(written) == 3
    assert [json.loads(written[number])["order_id"] for number in (0, 2)] == ["0", "2"]
    assert len((folder / TRADING_LOG).read_text().splitlines()) == 3
