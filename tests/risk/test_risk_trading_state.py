from __future__ import annotations

import errno
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstbell.errors import RunError
from firstbell.risk.trading_state import Halt, HaltFile, TradingState

HALT = Halt(datetime(2026, 11, 21, 5, 14, 59, tzinfo=UTC), "reza", "قیمت اشتباه")


@pytest.fixture
def file(tmp_path):
    return HaltFile.of(tmp_path / "state")


def test_a_halt_survives_and_ends(file):
    assert file.read() is None
    assert not file.is_there
    file.write(HALT)
    again = HaltFile(file.path)
    assert again.is_there
    assert again.read() == HALT
    assert str(again.read()) == "halted since 2026-11-21 08:44:59+03:30 by reza (قیمت اشتباه)"
    again.remove()
    assert file.read() is None
    again.remove()


def test_it_is_readable_by_its_owner_alone_and_leaves_nothing_beside_it(file):
    before = os.umask(0)
    try:
        file.write(HALT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["halted.json"]


def test_the_first_to_halt_is_remembered(file):
    file.write(HALT)
    file.write(Halt(datetime.now(UTC), "somebody else", "later"))
    assert file.read() == HALT


FIRST_DAY = '{"since":"0001-01-01T00:00:00+14:00","by":"","why":""}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"since": 1}', '{"since":"x","by":"","why":""}', "[" * 9999, FIRST_DAY]
)
def test_what_cannot_be_read_is_a_halt(file, text):
    file.path.parent.mkdir()
    file.path.write_text(text)
    halt = file.read()
    assert halt.since is None
    assert "damaged" in str(halt)


def test_whatever_stands_in_its_place_is_a_halt(file, tmp_path):
    file.path.parent.mkdir()
    file.path.symlink_to(tmp_path / "nowhere")
    assert file.is_there
    assert file.read() is not None
    file.remove()
    file.path.mkdir()
    assert file.read() is not None
    with pytest.raises(RunError, match=r"halted\.json cannot be removed"):
        file.remove()


def test_a_pipe_in_its_place_holds_nobody(file):
    file.path.parent.mkdir()
    os.mkfifo(file.path)
    assert file.read() is not None


def test_a_full_disk_still_halts(file, monkeypatch):
    def full(_file):
        raise OSError(errno.ENOSPC, "No space left on device")

    file.path.parent.mkdir()
    monkeypatch.setattr(os, "fsync", full)
    file.write(HALT)
    assert file.is_there
    assert file.read() is not None


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(RunError, match="the halt cannot be written to"):
        HaltFile.of(tmp_path / "state").write(HALT)


def test_the_words_of_a_trading_state():
    assert [state.value for state in TradingState] == ["ACTIVE", "REDUCING", "HALTED"]


def test_what_is_written_can_be_read_by_a_person(file):
    file.write(HALT)
    text = '{"since": "2026-11-21T05:14:59.000000+00:00", "by": "reza", "why": "قیمت اشتباه"}\n'
    assert file.path.read_text(encoding="utf-8") == text


def test_a_halt_of_which_nothing_is_known_can_be_kept_too(file):
    unknown = Halt.unreadable("its file is damaged")
    assert str(unknown) == "halted by nobody we know (its file is damaged)"
    file.write(unknown)
    assert file.read().since is None


def test_a_halt_without_its_words_is_damaged(file):
    file.path.parent.mkdir()
    file.path.write_text('{"since": "2026-11-21T05:14:59+00:00"}')
    assert file.read() == Halt.unreadable(f"{file.path} is damaged")


def test_what_cannot_be_opened_is_said_with_its_path(file, tmp_path):
    file.path.parent.mkdir()
    file.path.symlink_to(tmp_path / "nowhere")
    assert file.read() == Halt.unreadable(f"{file.path} cannot be read: {os.strerror(errno.ELOOP)}")


@pytest.mark.parametrize(("size", "read"), [(65_536, True), (65_537, False), (40_000, True)])
def test_what_is_larger_than_any_halt_is_none_of_ours(file, size, read):
    file.write(HALT)
    text = file.path.read_text(encoding="utf-8").rstrip()
    file.path.write_bytes(text.encode().replace(b"reza", b"r" * (size - len(text.encode()) + 4)))
    assert file.path.stat().st_size == size
    assert (file.read().since is not None) is read


def test_folders_are_made_for_the_owner_alone(tmp_path):
    file = HaltFile.of(tmp_path / "not" / "there yet")
    before = os.umask(0)
    try:
        file.write(HALT)
    finally:
        os.umask(before)
    assert file.read() == HALT
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


@pytest.fixture
def synced(monkeypatch):
    """What has been made durable: the inodes, and how large each was."""
    found = []
    fsync = os.fsync

    def note(descriptor):
        found.append((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_a_halt_and_its_end_survive_the_machine_losing_its_power(file, synced):
    file.write(HALT)
    content, folder = file.path.stat(), file.path.parent.stat()
    assert synced[0] == (content.st_ino, content.st_size)
    assert synced[1][0] == folder.st_ino
    synced.clear()
    file.remove()
    assert [inode for inode, _ in synced] == [folder.st_ino]


def test_reading_and_writing_leave_nothing_open(file):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    file.write(HALT)
    before = descriptors()
    for _ in range(5):
        file.read()
        file.remove()
        file.write(HALT)
    assert descriptors() == before


def test_where_there_are_no_hard_links_it_is_moved_in_its_place(file, monkeypatch):
    def none(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    file.write(HALT)
    assert file.read() == HALT
    assert [path.name for path in file.path.parent.iterdir()] == ["halted.json"]


def test_it_is_made_where_it_belongs(file, tmp_path, monkeypatch):
    """The folder for temporary files may be on another disk, full, or gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(os, "link", lambda source, _: pytest.fail(source) if "/.halted-" not in str(source) else None)
    file.write(HALT)


def test_on_a_full_disk_too_it_is_readable_by_its_owner_alone(file, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    file.path.parent.mkdir()
    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr("pathlib.Path.replace", full)
    before = os.umask(0)
    try:
        file.write(HALT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.read() == Halt.unreadable(f"{file.path} is damaged")


def test_a_folder_that_is_there_already_is_no_hindrance(file):
    file.path.parent.mkdir()
    file.write(HALT)
    assert file.read() == HALT
