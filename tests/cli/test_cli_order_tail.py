"""Following the order log: no line is left out and none is shown twice, whatever becomes of the file."""

from __future__ import annotations

import gzip
import json
from contextlib import closing

import pytest

from firstbell.cli.order_tail import Tail
from firstbell.clock import SystemClock
from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.journal.opening import open_journal
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import ORDER_LOG
from firstbell.journal.order_logger import OrderLogger
from firstbell.log import older_parts


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / ORDER_LOG


@pytest.fixture
def files(path):
    with closing(OrderFiles(path.parent, OrderLogSettings(max_size=1024, keep=100))) as files:
        yield files


@pytest.fixture
def write(files):
    logger = OrderLogger(files)

    def write(*numbers):
        for number in numbers:
            logger.log_order_cancel("gs", "I", str(number))

    return write


@pytest.fixture
def tail(files):
    with closing(Tail(files.events.path)) as tail:
        yield tail


@pytest.fixture
def rebuild(files, tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)

    def rebuild():
        with closing(open_journal(None, tmp_path / "state" / "journal.db", SystemClock())) as journal:
            return files.rebuild(journal)

    return rebuild


def new(tail):
    return [int(line["venue_order_id"]) for line in tail.new()]


def test_a_file_that_was_put_aside_several_times_between_two_looks(path, write, tail):
    write(0)
    assert new(tail) == [0]
    write(*range(1, 20))
    assert len(older_parts(path)) > 3
    assert new(tail) == list(range(1, 20))
    assert new(tail) == []
    write(20)
    assert new(tail) == [20]


def test_one_that_was_not_there_and_is_put_aside_before_the_first_look(path, write, tail):
    write(*range(20))
    assert len(older_parts(path)) > 3
    assert new(tail) == list(range(20))


def test_one_that_has_just_been_put_aside_when_the_looking_begins(path, files, write):
    write(*range(5))
    files.close()
    path.unlink()
    first = int(json.loads(_last_of(older_parts(path)[0]))["venue_order_id"]) + 1
    with closing(Tail(path)) as tail:
        assert new(tail) == []
        write(*range(first, 20))
        assert new(tail) == list(range(first, 20))


def test_one_that_is_written_anew_is_gone_on_with(write, tail, rebuild):
    write(*range(12))
    assert new(tail) == list(range(12))
    assert rebuild() == 12
    assert new(tail) == []
    write(*range(12, 15))
    rebuild()
    write(*range(15, 25))
    assert new(tail) == list(range(12, 25))


def test_one_that_is_written_anew_in_other_words_is_gone_on_with_by_its_times(path, write, tail, rebuild):
    write(*range(3))
    assert new(tail) == [0, 1, 2]
    write(3)
    rebuild()
    other = path.with_name("other")
    other.write_text(
        "".join(line.replace('"run"', '"more": 1, "run"') + "\n" for line in path.read_text().splitlines())
    )
    other.replace(path)
    assert new(tail) == [3]


def test_a_part_that_cannot_be_read_yet_is_waited_for(path, write, tail):
    write(0)
    assert new(tail) == [0]
    write(*range(1, 8))
    part = older_parts(path)[0]
    whole = part.read_bytes()
    part.write_bytes(whole[:-20])
    # What stands in the file that was open can be read; what comes behind it can not.
    found = new(tail)
    assert new(tail) == []
    part.write_bytes(whole)
    assert len(found) < 7
    assert found + new(tail) == list(range(1, 8))


def test_a_part_that_can_never_be_read_is_passed_over(path, write, tail):
    write(0)
    assert new(tail) == [0]
    write(*range(1, 12))
    lost = older_parts(path)[0]
    lost.write_bytes(b"nonsense")
    found = []
    for _ in range(30):
        found += new(tail)
    assert found
    assert found == sorted(set(found))
    assert found[-1] == 11


def _last_of(part):
    return gzip.decompress(part.read_bytes()).splitlines()[-1]
