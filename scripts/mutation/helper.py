"""A server as its user sees it: a process to which jobs go and from which results come."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from mutation.rooms import ROOT, SOURCE, WORK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LAST_WORDS: Final = 2000


class ServerFailed(Exception):  # noqa: N818 - a fact about the server
    """A server ended; the message holds its last words."""


class Helper:
    """A server of `mutation.server`, in a session of its own, so that Ctrl-C reaches us alone.

    Args:
        number: Tells it from the others; names its log.
        command: ``hot`` and folders of tests, or ``cold``.
    """

    def __init__(self, number: int, command: Sequence[str]) -> None:
        WORK.mkdir(exist_ok=True)
        self._log: Path = WORK / f"{command[0]}{number}.log"
        self._heard = b""
        # The journal of a bench or a developer's own must not be met by a mutant.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTBELL_")}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "scripts"), str(SOURCE)])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mutation.server", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )

    def fileno(self) -> int:
        """What can be read when there is a result."""
        if self._process.stdout is None:
            raise ServerFailed("it has no pipe")
        return self._process.stdout.fileno()

    def give(self, job: dict[str, Any]) -> None:
        """Give it a job.

        Raises:
            ServerFailed: It has ended.
        """
        data = json.dumps(job).encode() + b"\n"
        if self._process.stdin is None:
            raise ServerFailed("it has no pipe")
        try:
            while data:
                data = data[os.write(self._process.stdin.fileno(), data) :]
        except OSError:
            raise self._failed() from None

    def take(self) -> dict[str, Any] | None:
        """The next result where it is complete; waits for some of it.

        Raises:
            ServerFailed: It has ended.
        """
        block = os.read(self.fileno(), 1 << 20)
        if not block:
            raise self._failed()
        self._heard += block
        line, newline, rest = self._heard.partition(b"\n")
        if not newline:
            return None
        self._heard = rest
        message: dict[str, Any] = json.loads(line)
        return message

    def wait(self) -> dict[str, Any]:
        """The next result, however long it takes.

        Raises:
            ServerFailed: It has ended.
        """
        while (message := self.take()) is None:
            pass
        return message

    def close(self) -> None:
        """End it; it ends its child first."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()

    def _failed(self) -> ServerFailed:
        words = self._log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace")
        return ServerFailed(f"a server has ended ({self._process.poll()}), see {self._log}:\n{words}")
