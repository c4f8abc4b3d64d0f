from __future__ import annotations

import json
import logging
import re
import stat
import subprocess
import sys
import threading
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from firstbell.errors import RunError
from firstbell.log import EventLog, guard, hide, run_log, set_up

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANTED = "pl4nt3d/S3cret گذرواژه"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+03:30 (DEBUG|INFO|WARNING|ERROR|CRITICAL) +\[\d+\] \S+: ")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    formatters = [(handler, handler.formatter) for handler in kept]
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    for handler in [handler for handler in root.handlers if handler not in kept]:
        root.removeHandler(handler)
        handler.close()
    for handler, formatter in formatters:
        handler.setFormatter(formatter)
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def fail() -> None:
    try:
        int(PLANTED)
    except ValueError as error:
        raise OSError("https://user:other-secret@host/?token=other-secret") from error


def test_one_event_is_one_readable_line(tmp_path: Path) -> None:
    path = set_up(tmp_path / "logs", console=False)
    logging.getLogger("firstbell.sniper").info("%s: band\n[forged] \u202eline", "گروه مالی مهرگان")
    (line,) = lines(path)
    assert LINE.match(line)
    assert line.endswith("firstbell.sniper: گروه مالی مهرگان: band\\n[forged] \\u202eline")


def test_secrets_are_removed_from_messages_arguments_and_tracebacks(tmp_path: Path) -> None:
    hide(PLANTED)
    path = set_up(tmp_path / "logs", console=False)
    log = logging.getLogger("somebody.elses")
    log.warning("login with %r and %s", {"password": "other-secret"}, PLANTED)
    try:
        fail()
    except OSError:
        log.exception("it failed")
    text = path.read_text(encoding="utf-8")
    assert PLANTED not in text
    assert "other-secret" not in text
    assert "Traceback" in text
    assert len(lines(path)) == 2


def test_other_libraries_pass_the_boundary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The brokers' transport silences it; here it is to say all it has to say.
    monkeypatch.setattr(logging.getLogger("urllib3"), "level", logging.NOTSET)
    logging.getLogger("urllib3").manager._clear_cache()
    path = set_up(tmp_path / "logs", console=False, verbose=2)
    # Nobody listens on port 9.
    pool = urllib3.HTTPConnectionPool("127.0.0.1", 9, retries=urllib3.Retry(1, backoff_factor=0))
    with pool, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", "/bot123456:planted-bot-token/getMe?token=planted")
    text = path.read_text(encoding="utf-8")
    assert "urllib3" in text
    assert "planted" not in text


def test_handlers_of_others_get_the_boundary_around_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = logging.StreamHandler(sys.stderr), logging.StreamHandler(sys.stderr)
    after.setFormatter(logging.Formatter("after %(message)s"))
    logger = logging.getLogger("theirs")
    logger.propagate = False
    logger.addHandler(before)
    set_up(tmp_path / "logs", console=False)
    logger.error("password=planted")
    logger.addHandler(after)
    guard()
    guard()
    logger.error("token=planted")
    logger.removeHandler(before)
    logger.removeHandler(after)
    assert capsys.readouterr().err == "password=***\ntoken=***\nafter token=***\n"


def test_an_existing_log_is_continued_and_a_second_set_up_doubles_nothing(tmp_path: Path) -> None:
    set_up(tmp_path / "logs", console=False)
    logging.getLogger("a").info("one")
    path = set_up(tmp_path / "logs", console=False)
    logging.getLogger("a").info("two")
    assert [line.rsplit(" ", 1)[1] for line in lines(path)] == ["one", "two"]


def test_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = set_up(tmp_path / "logs", console=True)
    log = logging.getLogger("a")
    log.debug("quiet")
    log.info("told")
    log.warning("shown %s", "token=planted")
    assert len(lines(path)) == 2
    (shown,) = capsys.readouterr().err.splitlines()
    assert shown.endswith("shown token=***")
    set_up(tmp_path / "logs", console=True, verbose=2)
    log.debug("all")
    assert "all" in capsys.readouterr().err


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "state" / "logs").mkdir(parents=True, mode=0o755)
    path = set_up(tmp_path / "state" / "logs", console=False)
    logging.getLogger("a").info("x")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    fresh = set_up(tmp_path / "new" / "state" / "logs", console=False)
    assert stat.S_IMODE(fresh.parent.parent.stat().st_mode) == 0o700


def test_links_and_files_in_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "firstbell.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="symbolic link"):
        set_up(tmp_path / "logs", console=False)
    (tmp_path / "link").symlink_to(tmp_path / "logs")
    with pytest.raises(RunError, match="symbolic link"):
        set_up(tmp_path / "link", console=False)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be used"):
        set_up(tmp_path / "file", console=False)


def test_a_log_that_cannot_be_written_is_said_once_without_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = set_up(tmp_path / "logs", console=False)
    path.mkdir()
    for _ in range(3):
        logging.getLogger("a").error("planted %s", "planted")
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "cannot be written" in said
    assert "planted" not in said


def test_uncaught_exceptions_are_redacted_and_logged(tmp_path: Path) -> None:
    code = f"""
import sys, threading
from pathlib import Path
from firstbell.log import set_up, hide
set_up(Path({str(tmp_path)!r}) / "logs", console=True)
hide("planted")
def fail():
    raise ValueError("planted in a thread")
thread = threading.Thread(target=fail); thread.start(); thread.join()
raise ValueError("planted at the top")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    written = (tmp_path / "logs" / "firstbell.log").read_text(encoding="utf-8")
    for text in (done.stderr, written):
        assert "ValueError: *** in a thread" in text
        assert "ValueError: *** at the top" in text
        assert "planted" not in re.sub(r'raise ValueError\("planted', "", text)


def test_several_processes_share_one_rotated_log(tmp_path: Path) -> None:
    code = f"""
import gevent.monkey; gevent.monkey.patch_all()
import gevent, logging, os, sys
from pathlib import Path
from firstbell.log import run_log, set_up
run_log.MAX_BYTES, run_log.BACKUPS = 30_000, 50
set_up(Path({str(tmp_path)!r}), console=False)
log = logging.getLogger("a")
log.info("parent")
pids = []
for child in range(3):
    pid = gevent.os.fork()
    if pid == 0:
        def write(job):
            for number in range(50):
                log.info("child %d job %d line %d", child, job, number)
        gevent.joinall([gevent.spawn(write, job) for job in range(4)])
        os._exit(0)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.glob("firstbell.log*"))
    assert len(files) > 1
    written = [line for file in files for line in lines(file)]
    assert all(LINE.match(line) for line in written)
    assert len(written) == len({line.split(" a: ")[1] for line in written}) == 1 + 3 * 4 * 50


def test_events_are_json_lines(tmp_path: Path) -> None:
    hide(PLANTED)
    log = EventLog(tmp_path / "state" / "orders.jsonl")
    log.write({"event": "entry", "price": 5860, "text": f"a\nb\u202e {PLANTED}", "token": "planted", "نماد": "مهرگان"})
    log.write({"value": Decimal("1.50"), "day": date(2026, 11, 21), "none": None})
    log.close()
    log.write({"again": True})
    log.close()
    raw = (tmp_path / "state" / "orders.jsonl").read_text(encoding="utf-8")
    assert "\u202e" not in raw
    assert "مهرگان" in raw
    assert [json.loads(line) for line in raw.splitlines()] == [
        {"event": "entry", "price": 5860, "text": "a\nb\u202e ***", "token": "***", "نماد": "مهرگان"},
        {"value": "1.50", "day": "2026-11-21", "none": None},
        {"again": True},
    ]
    assert stat.S_IMODE((tmp_path / "state" / "orders.jsonl").stat().st_mode) == 0o600


def test_events_that_cannot_be_written_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = EventLog(tmp_path / "orders.jsonl")
    (tmp_path / "orders.jsonl").mkdir()
    log.write({"a": 1})
    log.write({"a": 2})
    log.close()
    assert log.lost == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_event_has_finite_numbers(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "orders.jsonl")
    with pytest.raises(ValueError, match="not JSON compliant"):
        log.write({"a": float("nan")})
    log.close()


def test_the_log_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "MAX_BYTES", 1000)
    path = set_up(tmp_path, console=False)
    for number in range(200):
        logging.getLogger("a").info("line %d", number)
    assert len(list(tmp_path.glob("firstbell.log*"))) == 6
    assert lines(path)[-1].endswith("line 199")


def test_a_log_that_a_full_disk_does_not_take_ends_nothing(tmp_path):
    set_up(tmp_path, console=False)
    (ours,) = [handler for handler in logging.getLogger().handlers if isinstance(handler, run_log.RotatingFile)]
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - the handler closes it
    full.write("what the disk does not take")
    ours.stream = full
    set_up(tmp_path, console=False)
    logging.getLogger("after").warning("and it goes on")
    assert "and it goes on" in (tmp_path / "firstbell.log").read_text(encoding="utf-8")
