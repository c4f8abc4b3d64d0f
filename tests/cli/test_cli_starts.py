"""Each command starts by itself, with nothing loaded before it: most other tests fork what is loaded already."""

from __future__ import annotations

import subprocess
import sys

import pytest

from firstbell.cli.main import cli


@pytest.mark.parametrize("command", sorted(cli.list_commands(None)))
def test_a_command_starts_with_nothing_loaded(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "firstbell", command, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"firstbell {command}" in done.stdout
    assert list(tmp_path.iterdir()) == []
