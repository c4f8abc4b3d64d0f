"""Real exchanges for the tests of this folder."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e_venue import Venue, end, environment, has_started, later_s, started

from firstbell_process import Process


@pytest.fixture
def open_venue(tmp_path):
    """Start exchanges; what was started is ended afterwards.

    Where the bell is to ring soon and something comes before it, `bell_in_s` says when: later on a slow machine.
    """
    with contextlib.ExitStack() as stack:

        def begin(*options: str) -> dict:
            began = time.monotonic()
            process = Process(["exchange", "--json", *options], stderr=subprocess.DEVNULL, env=environment())
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


def pytest_collection_modifyitems(items):
    """Where a run waits for its bell on a busy machine, two minutes may not do."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(200))
