"""A process of one of the measurements, spoken to in lines. It ends when we do, however that comes about."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Self

from benchmarks import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 1 << 20
_LAST_WORDS = 2000
_END_S = 5


class ChildFailed(Exception):  # noqa: N818 - a fact about the child
    """A process did not do what it was to do; the message holds its last words."""


class Child:
    """A process with which lines are exchanged: a command in, one line out.

    It has a session of its own, so that Ctrl-C reaches us alone and we end it in order; where we die without a word
    its standard input ends, and with it the process.

    Args:
        name: What it is, for messages.
        command: What to run.
        cpu: The processor it runs on; None for any.
    """

    def __init__(self, name: str, command: Sequence[str], cpu: int | None) -> None:
        self.name = name
        self._said = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("FIRSTBELL_")},
        )
        with contextlib.suppress(ProcessLookupError):
            machine.pin(self._process.pid, cpu)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, command: str, timeout_s: float = 60) -> str:
        """Give it a line and return the line it answers.

        Raises:
            ChildFailed: It ended, or said nothing within `timeout_s` seconds.
        """
        try:
            os.write(self._pipe(self._process.stdin), f"{command}\n".encode())
        except OSError:
            raise self.failed("has ended") from None
        return self.line(timeout_s)

    def line(self, timeout_s: float = 60) -> str:
        """The next line it says.

        Raises:
            ChildFailed: It ended, or said nothing within `timeout_s` seconds.
        """
        until = time.monotonic() + timeout_s
        pipe = self._pipe(self._process.stdout)
        while b"\n" not in self._said:
            if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                raise self.failed(f"said nothing for {timeout_s:g} s")
            if not (part := os.read(pipe, _BLOCK)):
                raise self.failed("has ended")
            self._said += part
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def rest(self, timeout_s: float) -> tuple[str, int]:
        """Everything that it still says until it ends by itself, and its exit status.

        Raises:
            ChildFailed: It has not ended within `timeout_s` seconds.
        """
        until = time.monotonic() + timeout_s
        pipe = self._pipe(self._process.stdout)
        while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            if not (part := os.read(pipe, _BLOCK)):
                said, self._said = self._said, b""
                return said.decode(), self._process.wait()
            self._said += part
        raise self.failed(f"has not ended within {timeout_s:g} s")

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def failed(self, what: str) -> ChildFailed:
        """The error to raise where it did something else than it was to do, with its last words."""
        self._stderr.seek(0)
        words = self._stderr.read().decode(errors="replace").strip()
        return ChildFailed(f"{self.name} {what}\n{words[-_LAST_WORDS:]}")

    @staticmethod
    def _pipe(end: Any) -> int:
        return int(end.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_END_S)
        except BaseException as failure:
            self._process.kill()
            self._process.wait()
            if not isinstance(failure, subprocess.TimeoutExpired):
                raise
        finally:
            self._stderr.close()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package in a Python of its own."""
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]
