"""Real exchanges for the tests of this folder."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time

import pytest
from e2e_venue import Venue, end, environment


@pytest.fixture
def open_venue(tmp_path):
    """Start exchanges; what was started is ended afterwards."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> Venue:
            config = tmp_path / "config.ini"
            command = [sys.executable, "-m", "firstbell", "exchange", "--json", "--write-config", str(config)]
            began = time.monotonic()
            process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment(),
            )
            stack.callback(process.communicate)
            stack.callback(process.send_signal, signal.SIGINT)
            venue = Venue(json.loads(process.stdout.readline()), tmp_path, config, time.monotonic() - began)
            stack.callback(end, venue)
            return venue

        yield start
