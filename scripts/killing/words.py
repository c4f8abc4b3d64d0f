"""What the parts of this package have in common: an error, a line for people, the clock on the exchange's wall."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

_TEHRAN: Final = ZoneInfo("Asia/Tehran")


class Broken(Exception):  # noqa: N818 - a fact about our own gear
    """The gear of this package failed, not firstbell."""


def say(words: str) -> None:
    """Tell people, on the error stream."""
    sys.stderr.write(f"{words}\n")


def at_wall(epoch_s: float) -> str:
    """An instant as ``--at`` takes it. With its day: a process that comes late on a busy machine fires at once."""
    return datetime.fromtimestamp(epoch_s, _TEHRAN).isoformat(timespec="milliseconds")


def why_no_strace() -> str | None:
    """Why system calls cannot be struck here; None where they can."""
    strace = shutil.which("strace")
    if strace is None:
        return "no strace on this machine (on Debian and Ubuntu: apt-get install strace)"
    sleeper = subprocess.Popen(["sleep", "5"])  # noqa: S607 - as a person finds it  # nosec B607
    try:
        command = [strace, "-p", str(sleeper.pid), "-e", "inject=all:signal=KILL:when=1", "-o", "/dev/null"]
        tried = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        # What it injects comes at the sleeper's next call, which may be its last.
        if tried.returncode and "attach" in tried.stderr:
            return f"strace may not attach to a process here: {tried.stderr.strip()}"
    except subprocess.TimeoutExpired:
        return "strace attaches and nothing comes of it"
    finally:
        sleeper.kill()
        sleeper.wait()
    return None
