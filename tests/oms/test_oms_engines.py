from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from firstbell.errors import RunError
from firstbell.journal.owner import this_process
from firstbell.oms.engines import HALT_SIGNAL, Engines

ENLISTS = """
import signal, sys
from pathlib import Path
from firstbell.oms.engines import HALT_SIGNAL, Engines
engines = Engines.of(Path(sys.argv[1]))
signal.signal(HALT_SIGNAL, lambda *_: (engines.stopped(), print("told", flush=True)))
engines.enlist()
print("here", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def engines(tmp_path):
    return Engines.of(tmp_path / "state")


@pytest.fixture
def other(tmp_path):
    """Another process that is enlisted, and hears."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENLISTS, str(tmp_path / "state")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "here\n"
    yield process
    process.kill()
    process.communicate()


def test_nobody_is_enlisted_at_first(engines):
    assert engines.living() == []


def test_this_process_comes_and_goes(engines, tmp_path):
    engines.enlist()
    assert engines.living() == [this_process()]
    assert not engines.has_stopped(this_process())
    (file,) = (tmp_path / "state" / "engines").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    engines.stopped()
    assert engines.has_stopped(this_process())
    engines.enlist()
    assert not engines.has_stopped(this_process())
    engines.stopped()
    engines.resign()
    assert engines.living() == []
    assert list((tmp_path / "state" / "engines").iterdir()) == []


def test_another_process_is_told_and_answers(engines, other):
    (owner,) = engines.living()
    assert owner.pid == other.pid
    assert not engines.has_stopped(owner)
    assert engines.tell(owner) is None
    assert other.stdout.readline() == "told\n"
    assert engines.has_stopped(owner)


def test_a_dead_one_is_forgotten_and_counts_as_stopped(engines, other, tmp_path):
    (owner,) = engines.living()
    os.kill(owner.pid, signal.SIGKILL)
    other.wait()
    assert engines.has_stopped(owner)
    assert engines.tell(owner) is None
    assert engines.living() == []
    assert list((tmp_path / "state" / "engines").iterdir()) == []


def test_a_process_that_has_only_the_number_of_an_engine_is_never_signaled(engines, tmp_path):
    engines.enlist()
    (file,) = (tmp_path / "state" / "engines").iterdir()
    before = signal.signal(HALT_SIGNAL, lambda *_: pytest.fail("it was signaled"))
    try:
        file.write_text(json.dumps({**json.loads(file.read_text()), "started": 1.0}))
        assert engines.living() == []
    finally:
        signal.signal(HALT_SIGNAL, before)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"host": 1}', '{"host":"x","pid":"y","started":0}', '{"host":"x","pid":Infinity,"started":0}'],
)
def test_what_cannot_be_read_is_passed_over(engines, tmp_path, text):
    engines.enlist()
    (tmp_path / "state" / "engines" / "1-1.json").write_text(text)
    (tmp_path / "state" / "engines" / "2-2.json").symlink_to("/dev/zero")
    assert engines.living() == [this_process()]


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(RunError, match="engines cannot be written to"):
        Engines.of(tmp_path / "state").enlist()


def test_everything_is_for_the_owner_alone_and_may_be_made_anew(tmp_path):
    engines = Engines.of(tmp_path / "not" / "there yet")
    before = os.umask(0)
    try:
        engines.enlist()
        engines.stopped()
    finally:
        os.umask(before)
    folder = tmp_path / "not" / "there yet" / "engines"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 2


def test_resigning_twice_is_resigning(engines):
    engines.enlist()
    engines.resign()
    engines.resign()
    assert engines.living() == []


def test_a_dead_ones_word_that_it_had_stopped_goes_with_it(engines, other, tmp_path):
    (owner,) = engines.living()
    engines.tell(owner)
    assert other.stdout.readline() == "told\n"
    assert len(list((tmp_path / "state" / "engines").iterdir())) == 2
    os.kill(owner.pid, signal.SIGKILL)
    other.wait()
    assert engines.living() == []
    assert list((tmp_path / "state" / "engines").iterdir()) == []


def test_a_stranger_that_may_not_be_signaled_is_named(engines, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert engines.tell(this_process()) == "it belongs to another user"
