"""A person at the terminal as a captcha solver."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from firstbell.brokers.captcha.solver import taken
from firstbell.brokers.captcha.terminal import terminal
from firstbell.cache.file_lock import locked
from firstbell.errors import CaptchaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firstbell.brokers.captcha.terminal import Terminal

PATIENCE_S: Final = 180.0
"""Seconds that a person has to type the answer."""
_QUEUE_S: Final = 1800.0
"""Seconds to wait for the people before us."""
_TRIES: Final = 3
_COLORS: Final = frozenset({"256", "truecolor"})
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MY_TURN: ContextVar[bool] = ContextVar("firstbell_prompt_turn", default=False)


class PromptSolver:
    """Shows a captcha and asks for what it says, one person and one captcha at a time.

    The picture is written to a file that only its owner can read, its path is said, and it is removed afterwards. A
    terminal with colors shows the picture itself too.

    Args:
        state_dir: The file goes to ``captcha/`` in it, the lock to ``locks/``.
        patience_s: Seconds to wait for an answer.
    """

    def __init__(self, state_dir: Path, *, patience_s: float = PATIENCE_S) -> None:
        self._pictures = state_dir / "captcha"
        self._locks = state_dir / "locks"
        self._patience_s = patience_s

    @contextlib.contextmanager
    def turn(self, *, account: str) -> Iterator[None]:
        """Wait until nobody else is being asked, in this process or another one.

        Raises:
            CaptchaError: Somebody else was being asked all the time.
        """
        with contextlib.ExitStack() as stack:
            try:
                self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(locked(self._locks / "prompt.lock", timeout_s=_QUEUE_S))
            except TimeoutError:
                raise CaptchaError(f"{account}: another captcha has been waiting for its answer all the time") from None
            except OSError as error:
                raise CaptchaError(f"{self._locks} cannot be used: {error.strerror}") from None
            before = _MY_TURN.set(True)
            try:
                yield
            finally:
                _MY_TURN.reset(before)

    def solve(self, picture: bytes, *, account: str) -> str:
        """Ask a person.

        Raises:
            CaptchaError: There is no terminal, or nobody answered.
        """
        with contextlib.ExitStack() as stack:
            if not _MY_TURN.get():
                stack.enter_context(self.turn(account=account))
            asked = stack.enter_context(terminal())
            path = self._write(picture, account)
            stack.callback(path.unlink, missing_ok=True)
            _show(asked, picture, path, account)
            return self._ask(asked, account)

    def _write(self, picture: bytes, account: str) -> Path:
        kind = "png" if picture.startswith(_PNG) else "jpg"
        name = re.sub(r"[^\w-]", "_", account)[:60]
        path = self._pictures / f"{name}-{secrets.token_hex(4)}.{kind}"
        try:
            self._pictures.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as writer:
                writer.write(picture)
        except OSError as error:
            raise CaptchaError(f"the captcha cannot be written to {path}: {error.strerror}") from None
        return path

    def _ask(self, asked: Terminal, account: str) -> str:
        for _ in range(_TRIES):
            asked.screen.write("What does it say? ")
            asked.screen.flush()
            line = asked.read_line(self._patience_s)
            if line is None:
                asked.screen.write("\n")
                break
            with contextlib.suppress(CaptchaError):
                return taken(line)
            asked.screen.write("1 to 10 letters and digits, please.\n")
        raise CaptchaError(
            f"{account}: nobody answered the captcha: try again, or set [captcha] solver = command or url"
        )


def _show(asked: Terminal, picture: bytes, path: Path, account: str) -> None:
    console = Console(file=asked.screen, highlight=False, soft_wrap=True)
    if console.color_system in _COLORS and console.encoding.startswith("utf"):
        # Only now: most commands never show a picture, and what draws it takes a tenth of their start.
        from firstbell.brokers.captcha.pixels import pixels_of  # noqa: PLC0415

        pixels = pixels_of(picture, console.width)
        if pixels is not None:
            console.print(pixels)
    # Text, so that brackets in a path are not taken for markup.
    console.print(Text(f"Captcha for {account}: {path}"))
