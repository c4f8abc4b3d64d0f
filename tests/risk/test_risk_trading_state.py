from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime

import pytest

from firstbell.errors import RunError
from firstbell.risk.trading_state import Halt, HaltFile

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
    assert str(again.read()) == "halted since 2026-11-21 05:14:59+00:00 by reza: قیمت اشتباه"
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


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"since": 1}', '{"since":"x","by":"","why":""}', "[" * 9999])
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
