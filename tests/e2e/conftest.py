"""Real exchanges for the tests of this folder."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import subprocess
import sys
import time

import pytest
from e2e_venue import Venue, end, environment, has_started, later_s, started


@pytest.fixture
def open_venue(tmp_path):
    """Start exchanges; what was started is ended afterwards.

    Where the bell is to ring soon and something comes before it, `bell_in_s` says when: later on a slow machine.
    """
    with contextlib.ExitStack() as stack:

        def begin(*options: str) -> dict:
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "firstbell", "exchange", "--json", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment(),
            )
            stack.callback(process.communicate)
            stack.callback(process.send_signal, signal.SIGINT)
            said = json.loads(process.stdout.readline())
            started(time.monotonic() - began)
            return said

        def start(*options: str, bell_in_s: float | None = None) -> Venue:
            config = tmp_path / "config.ini"
            if bell_in_s is not None:
                if not has_started():
                    # Only to see how fast this machine is just now.
                    begin("--accounts", "1", "--bell-in", "1s")
                options = (*options, "--bell-in", f"{math.ceil(bell_in_s + later_s())}s")
            venue = Venue(begin("--write-config", str(config), *options), tmp_path, config)
            stack.callback(end, venue)
            return venue

        yield start
