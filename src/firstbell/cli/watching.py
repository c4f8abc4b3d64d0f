"""Watching a run that goes on in a process of its own: what is known is drawn, and stopping is passed on."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn

from firstbell.clock import exchange_now

if TYPE_CHECKING:
    from firstbell.cli.shell import Shell
    from firstbell.journal.base import RunRecord
    from firstbell.oms.office import Office

_LOOK_EVERY_S: Final = 0.25
_QUIET_S: Final = 1.5
_QUIET_AFTER_S: Final = 0.5
"""Nothing is drawn and nothing is read from this long before the bell until half a second after it."""


def watch(shell: Shell, office: Office, record: RunRecord, child: subprocess.Popen[bytes]) -> None:
    """Show what is known while the run goes on, and let it end by itself: Ctrl-C and SIGTERM are passed on to it."""
    path = Path(record.results_dir) / record.run_id / "orders.json"
    tz = office.calendar.tz
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    handing_on = threading.Thread(target=_hand_on, args=(shell, child), daemon=True)
    handing_on.start()
    try:
        with spinner(shell) as progress:
            task = progress.add_task("", total=None)
            while child.poll() is None:
                try:
                    left = record.bell - exchange_now(office.clock, tz)
                    seconds = left.total_seconds()
                    if -_QUIET_AFTER_S < seconds < _QUIET_S:
                        progress.update(task, description="the bell …")
                        time.sleep(max(0.0, seconds) + _QUIET_AFTER_S)
                        continue
                    progress.update(task, description=_standing(path, left))
                    child.wait(_LOOK_EVERY_S)
                except subprocess.TimeoutExpired:
                    continue
                except KeyboardInterrupt:
                    # The terminal has told Locust as well; where only we were told, it learns it by this.
                    _let_go(child)
                    progress.update(task, description="stopping: answers in flight are awaited …")
                    _await(child)
    finally:
        signal.signal(signal.SIGTERM, previous)
        _let_go(child)
        handing_on.join(_LOOK_EVERY_S)
        if child.stderr is not None:
            child.stderr.close()


def _hand_on(shell: Shell, child: subprocess.Popen[bytes]) -> None:
    """Print what Locust says, line by line, above what is being drawn."""
    with contextlib.suppress(ValueError):
        for line in child.stderr or ():
            shell.err.print(escape(line.decode("utf-8", "replace").rstrip("\n")), soft_wrap=True)


def _let_go(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()


def _await(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.terminate()
    except KeyboardInterrupt:
        child.terminate()


def _standing(path: Path, left: timedelta) -> str:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "starting"
    counts = {name: count for name, count in document["summary"].items() if count and name != "configured"}
    armed = sum(row["status"] == "INITIALIZED" for row in document["orders"])
    if left > timedelta(0):
        return f"bell in {countdown(left)}; {armed} of {document['summary']['configured']} armed"
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def spinner(shell: Shell) -> Progress:
    """One line that is drawn anew while somebody waits, and gone afterwards."""
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), console=shell.err, transient=True)


def countdown(left: timedelta) -> str:
    """How long it still takes, as ``0:01:30``."""
    seconds = max(0, int(left.total_seconds()))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
