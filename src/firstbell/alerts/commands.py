"""Commands from the chat: what each one does, and the confirmation that a resume needs."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import TYPE_CHECKING, Final

from firstbell.alerts.base import Importance, Message
from firstbell.config.values import latin_digits
from firstbell.errors import FirstbellError

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.alerts.base import Heard
    from firstbell.alerts.desk import Desk

CODE_S: Final = 60.0
"""How long a confirmation is valid, in seconds."""
HALT: Final = "halt"

_LONGEST_WHY: Final = 300
_HELP: Final = (
    "/status: whether trading is halted, what runs, how the day's orders stand",
    "/orders: the day's orders",
    "/positions: what was bought and sold",
    "/results: what the newest run came to",
    "/halt [why]: nothing leaves any more, at once and after a restart",
    "/resume: ends that, with a code that it tells you",
)


def command_of(text: str, bot: str) -> tuple[str, str] | None:
    """A text as a command's name and what stands behind it; None where it is none, or another bot's.

    Args:
        text: What was written: ``/halt@our_bot wrong price``.
        bot: Our own user name.
    """
    head, _, rest = text.strip().partition(" ")
    if "\n" in head:
        head, _, first = head.partition("\n")
        rest = f"{first} {rest}"
    name, at, whose = head.partition("@")
    if not name.startswith("/") or len(name) < 2 or (at and whose.lower() != bot.lower()):  # noqa: PLR2004 - a slash and something
        return None
    return name[1:].lower(), " ".join(rest.split())


class Commands:
    """Carries commands out.

    Args:
        desk: What they are carried out on.
        via: The messenger that they come by.
        now_s: Tells the time by which codes grow old, in seconds.
    """

    def __init__(self, desk: Desk, via: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._via = via
        self._now_s = now_s
        self._code: str | None = None
        self._code_until_s = 0.0
        self._code_is_for: str | None = None

    def carry_out(self, name: str, rest: str, heard: Heard) -> Message:
        """Carry a command out; what is to be answered."""
        by = f"{heard.sender} by {self._via}"
        try:
            match name:
                case "status":
                    return self._desk.status()
                case "orders":
                    return self._desk.orders()
                case "positions":
                    return self._desk.positions()
                case "results":
                    return self._desk.results()
                case "halt":
                    return self._desk.halt(by, rest[:_LONGEST_WHY] or "called from the chat")
                case "resume":
                    return self._resume(by, rest)
                case _:
                    return Message("Commands", _HELP, Importance.HIGH)
        except FirstbellError as error:
            return Message("That did not work", (f"/{name}: {error}",), Importance.HIGH)

    def _resume(self, by: str, given: str) -> Message:
        halted = self._desk.halted()
        if halted is None:
            return Message("Not halted", ("Trading is not halted: there is nothing to resume.",), Importance.HIGH)
        if not given:
            return self._ask(halted)
        code, self._code = self._code, None
        if code is None or self._now_s() >= self._code_until_s:
            return _not_resumed("that code is not valid any more: /resume tells a new one")
        if not hmac.compare_digest(code.encode(), latin_digits(given).encode("utf-8", "replace")):
            return _not_resumed("that is not the code: /resume tells a new one")
        if self._code_is_for != halted:
            return _not_resumed(f"trading has been halted anew meanwhile ({halted}): /resume tells a new code")
        return self._desk.resume(by)

    def _ask(self, halted: str) -> Message:
        self._code = f"{secrets.randbelow(900_000) + 100_000}"
        self._code_until_s = self._now_s() + CODE_S
        self._code_is_for = halted
        lines = (f"Trading is {halted}", f"To resume, send /resume {self._code} within {CODE_S:.0f} s.")
        return Message("Resume?", lines, Importance.HIGH)


def _not_resumed(why: str) -> Message:
    return Message("Not resumed", (f"Trading stays halted: {why}.",), Importance.HIGH)
