"""The user's own program as a captcha solver."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Final

from firstbell.brokers.captcha.solver import taken
from firstbell.errors import CaptchaError

TIMEOUT_S: Final = 60.0
"""Seconds that the program may take."""
PASSED_ON: Final = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL"})
"""What the program sees of our environment, besides ``LC_*``: passwords may stand in the rest."""
_LONGEST: Final = 1000


class CommandSolver:
    """Runs a program for each captcha: the picture on its standard input, the answer from its standard output.

    It is run without a shell, with a reduced environment (`PASSED_ON`), in a process group of its own, so that a
    time-out ends what it started too. Its standard error is thrown away: it might quote what the program was given.

    Args:
        command: The program and its arguments, quoted as for a shell.
        timeout_s: Seconds that it may take.

    Raises:
        CaptchaError: The command cannot be read.
    """

    def __init__(self, command: str, *, timeout_s: float = TIMEOUT_S) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError:
            raise CaptchaError("[captcha] command: its quotes do not match") from None
        if not self._arguments:
            raise CaptchaError("[captcha] command: no program is named")
        self._timeout_s = timeout_s

    def solve(self, picture: bytes, *, account: str) -> str:
        """Have the program read a captcha.

        Raises:
            CaptchaError: It could not be run, failed, took too long, or printed no answer.
        """
        del account
        name = Path(self._arguments[0]).name
        status, printed = self._run(name, picture)
        if status != 0:
            raise CaptchaError(
                f"the captcha command {name} ended with exit status {status}: run it by hand with a picture on its "
                "standard input, or set [captcha] solver = prompt"
            )
        try:
            return taken(printed[:_LONGEST].decode())
        except (UnicodeDecodeError, CaptchaError):
            raise CaptchaError(
                f"the captcha command {name} printed no answer of 1 to 10 letters and digits: it has to print the "
                "answer and nothing else"
            ) from None

    def _run(self, name: str, picture: bytes) -> tuple[int, bytes]:
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or "it is not a command"
            raise CaptchaError(f"the captcha command {name} cannot be run: {words}; see [captcha] command") from None
        with process:
            try:
                printed, _ = process.communicate(picture, timeout=self._timeout_s)
            except BaseException as error:
                # Whatever it has started ends with it, also when we are interrupted.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise CaptchaError(
                        f"the captcha command {name} gave no answer within {self._timeout_s:g} s"
                    ) from None
                raise
        return process.returncode, printed


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("LC_")}
