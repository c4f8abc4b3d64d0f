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

from firstbell_process import Process, run_firstbell

SRC = Path(__file__).parents[2] / "src"
LOCUSTFILE = SRC / "firstbell" / "sniper" / "locustfile.py"
_USUAL_START_S = 0.15
_STARTS = 16
"""A run, most of which has to be loaded first, needs about so many times what starts of an exchange take longer."""
_MOST_LATER_S = 45
_RECENT = 3
_started_s: list[float] = []
"""How long each exchange of this process took to start, in seconds."""


def started(seconds: float) -> None:
    """Say how long an exchange took to start, in seconds: what is planned ahead depends on it."""
    _started_s.append(seconds)


def has_started() -> bool:
    """Whether it is known how fast this machine is just now."""
    return bool(_started_s)


def later_s() -> float:
    """By how much what a run needs time for must be later than on a machine with nothing else to do, in seconds."""
    slowest = max(_started_s[-_RECENT:], default=_USUAL_START_S)
    return min(_STARTS * max(0.0, slowest - _USUAL_START_S), _MOST_LATER_S)


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FIRSTBELL_", "LOCUST_", "COLUMNS"))
    }
    return {**kept, "PYTHONPATH": str(SRC), "PYTHONWARNINGS": "default", **more}


@dataclass
class Venue:
    """One simulated exchange and the config that leads to it.

    `rings` is the monotonic instant that `in_seconds` told last.
    """

    said: dict
    folder: Path
    config: Path
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
        return run_firstbell(["-c", self.config, *arguments], timeout=timeout, env=environment(**env), cwd=self.folder)

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

    def start(self, *arguments: str, **env: str) -> Process:
        given = ["-c", self.config, *arguments]
        process = Process(given, env=environment(**env), cwd=self.folder, start_new_session=True)
        self.procs.append(process)
        return process

    def results(self) -> dict:
        newest = max(self.folder.glob("order_results/*/orders.json"), key=lambda path: path.parent.name)
        return json.loads(newest.read_text(encoding="utf-8"))

    def in_seconds(self, seconds: float) -> str:
        """A time for --at, so many seconds from now at the exchange; later where the machine is slow just now."""
        seconds += later_s()
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
