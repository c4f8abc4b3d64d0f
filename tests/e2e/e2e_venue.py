"""A simulated exchange in a process of its own, and the real command run against it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import requests

SRC = Path(__file__).parents[2] / "src"
LOCUSTFILE = SRC / "firstbell" / "sniper" / "locustfile.py"
_USUAL_START_S = 1.0
_STARTS = 5
"""A run is ready after the work of about so many starts of an exchange."""
_MOST_LATER_S = 20


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FIRSTBELL_", "LOCUST_", "COLUMNS"))
    }
    return {**kept, "PYTHONPATH": str(SRC), "PYTHONWARNINGS": "default", **more}


@dataclass
class Venue:
    """One simulated exchange and the config that leads to it.

    `started_s` is how long the exchange took to start, in seconds; `rings` is the monotonic instant that `in_seconds`
    told last.
    """

    said: dict
    folder: Path
    config: Path
    started_s: float = 0.0
    procs: list = field(default_factory=list)
    rings: float = 0.0

    @property
    def bell(self) -> datetime:
        return datetime.fromisoformat(self.said["bell"])

    def seen(self) -> dict:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{self.said['practice_address']}/practice/orders", timeout=5).json()

    def submissions(self) -> list[dict]:
        return [call for call in self.seen()["submissions"] if call["kind"] == "order"]

    def accepted(self) -> list[dict]:
        return [order for order in self.submissions() if order["decision"] == "accepted"]

    def firstbell(self, *arguments: str, timeout: float = 90, **env: str) -> subprocess.CompletedProcess:
        return self.firstbell_by(["-m", "firstbell"], *arguments, timeout=timeout, **env)

    def firstbell_by(
        self, how: list[str], *arguments: str, timeout: float = 90, **env: str
    ) -> subprocess.CompletedProcess:
        command = [sys.executable, *how, "-c", str(self.config), *arguments]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment(**env),
            cwd=self.folder,
        )

    def start(self, *arguments: str, **env: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "firstbell", "-c", str(self.config), *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**env),
            cwd=self.folder,
            start_new_session=True,
        )
        self.procs.append(process)
        return process

    def results(self) -> dict:
        newest = max(self.folder.glob("order_results/*/orders.json"), key=lambda path: path.parent.name)
        return json.loads(newest.read_text(encoding="utf-8"))

    def in_seconds(self, seconds: float) -> str:
        """A time for --at, so many seconds from now at the exchange; later where the machine is slow just now."""
        seconds += min(_STARTS * max(0.0, self.started_s - _USUAL_START_S), _MOST_LATER_S)
        self.rings = time.monotonic() + seconds
        return f"{datetime.now(self.bell.tzinfo) + timedelta(seconds=seconds):%H:%M:%S.%f}"

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")


def end(venue: Venue) -> None:
    for process in venue.procs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
