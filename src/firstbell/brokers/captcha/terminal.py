"""The terminal that a person sits at, wherever standard input and output go."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from firstbell.errors import CaptchaError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY: Final = (
    "there is no terminal to ask for the captcha at: run `firstbell warmup` in one beforehand, or set "
    "[captcha] solver = command or url"
)
_LONGEST_LINE: Final = 1000
_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal to write to and to read lines from.

    Attributes:
        keyboard: The file descriptor to read from.
        screen: The file to write to.
    """

    keyboard: int
    screen: TextIO

    def read_line(self, timeout_s: float) -> str | None:
        """Read a line; None when nobody types one in time.

        Reading waits with `select`, which lets other greenlets run under gevent where `input` would stop them all.

        Raises:
            CaptchaError: The terminal has gone, or was told that nothing comes (Ctrl-D).
        """
        deadline = time.monotonic() + timeout_s
        typed = b""
        while b"\n" not in typed:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            ready, _, _ = select.select([self.keyboard], [], [], min(left, _LOOK_S))
            if not ready:
                continue
            try:
                piece = os.read(self.keyboard, _LONGEST_LINE)
            except OSError:
                piece = b""
            if not piece:
                raise CaptchaError("the captcha was not answered: the terminal was closed")
            typed = (typed + piece)[-_LONGEST_LINE:]
        return typed.partition(b"\n")[0].decode(errors="replace")


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    """Standard input where it is a terminal, else the terminal that this process belongs to.

    Raises:
        CaptchaError: There is none.
    """
    with contextlib.ExitStack() as stack:
        keyboard = _standard_input()
        if keyboard is None:
            keyboard = _opened("/dev/tty", os.O_RDWR)
            stack.callback(os.close, keyboard)
        if sys.stderr is not None and sys.stderr.isatty():
            screen: TextIO = sys.stderr
        else:
            written = _opened(os.ttyname(keyboard), os.O_WRONLY)
            screen = stack.enter_context(os.fdopen(written, "w", encoding="utf-8"))
        yield Terminal(keyboard, screen)


def _standard_input() -> int | None:
    if sys.stdin is None:
        return None
    try:
        number = sys.stdin.fileno()
    except (OSError, ValueError):
        # Closed, or replaced by something that is no file.
        return None
    return number if os.isatty(number) else None


def _opened(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise CaptchaError(_NOBODY) from None
