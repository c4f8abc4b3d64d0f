"""Logs on a disk of their own that is full, or that nothing can be written to: they stand in nothing's way."""

from __future__ import annotations

import logging
import os
import subprocess

import pytest

from firstbell.log.events import EventLog
from firstbell.log.run_log import set_up


@pytest.fixture
def disk(tmp_path):
    """A small file system in memory; and what makes it full, or read-only."""
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o700)
    options = "size=64k,mode=700"
    if os.geteuid() != 0:
        pytest.skip("a file system of its own can be mounted by root alone")
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"this machine mounts no file system: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


def test_what_does_not_fit_is_complained_of_once_and_closing_raises_nothing(disk, capsys):
    log = EventLog(disk / "orders.log")
    log.write({"event": "entry"})
    fill(disk)
    for _ in range(30):
        log.write({"event": "exit", "text": "x" * 300})
    log.close()
    assert log.lost
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_a_full_disk_ends_no_run_log(disk, capsys):
    set_up(disk, console=False)
    fill(disk)
    logging.getLogger("firstbell.test").warning("x" * 6000)
    set_up(disk, console=False)
    assert "cannot be written" in capsys.readouterr().err


def test_a_folder_that_nothing_can_be_written_into_is_complained_of_and_no_more(disk, capsys):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    set_up(disk, console=False)
    logging.getLogger("firstbell.test").warning("unwritten")
    log = EventLog(disk / "orders.log")
    log.write({"event": "entry"})
    log.close()
    assert capsys.readouterr().err.count("Read-only file system") == 2
