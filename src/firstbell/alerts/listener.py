"""Hearing what the chat wants: one thread that asks, and carries out each command once.

A command is noted as heard before it is carried out, so that a process that dies in between carries it out never rather
than twice: no answer means that it has to be sent again. What was sent before anybody listened, or has been long on its
way, is not carried out either, for whoever sent it may have thought better of it. A halt is the exception: it is safe,
so it is carried out up to ten minutes late, and even where it cannot be noted.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from firstbell.alerts.base import Importance, Message
from firstbell.alerts.commands import HALT, Commands, command_of
from firstbell.errors import AlertError, MessengerEnded, RunError

if TYPE_CHECKING:
    from firstbell.alerts.base import Heard, Messenger
    from firstbell.alerts.bookmark import Bookmark
    from firstbell.alerts.desk import Desk
    from firstbell.alerts.dispatcher import Dispatcher
    from firstbell.clock import Clock

_log = logging.getLogger(__name__)

POLL_S: Final = 25.0
"""How long one question waits for an answer, in seconds."""
LATE_S: Final = 300.0
"""A command that is older than this when it is heard is not carried out, in seconds."""
LATE_HALT_S: Final = 600.0
"""The same for a halt."""
FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 60.0
_WHO_S: Final = 10.0
_SLACK_S: Final = 6.0
"""What a call may take beyond the time that it is given, in seconds."""
_ROOM_S: Final = 11.0
"""With less time than this before the quiet nothing is asked: the question has to be over by then."""


class Listener:
    """Hears commands and has their answers told.

    Args:
        messenger: Where from.
        dispatcher: Tells the answers; while it is held, nothing is asked.
        desk: Carries commands out.
        bookmark: Remembers what was heard.
        clock: Tells how old a command is.
        first_backoff_s: How long is waited after a first failure.
    """

    def __init__(
        self,
        messenger: Messenger,
        dispatcher: Dispatcher,
        desk: Desk,
        bookmark: Bookmark,
        clock: Clock,
        *,
        first_backoff_s: float = FIRST_BACKOFF_S,
    ) -> None:
        self._messenger = messenger
        self._post = dispatcher.post
        self._quiet = dispatcher.quiet
        self._commands = Commands(desk, messenger.name)
        self._bookmark = bookmark
        self._clock = clock
        self._first_backoff_s = first_backoff_s
        self._changed = self._quiet.changed
        self._closing = False
        self._failures = 0
        self._said: set[str] = set()
        self._bot = ""
        self._thread: threading.Thread | None = None
        self.ignored = 0
        """How many updates came from elsewhere, or were no command."""
        self.ended: str | None = None
        """Why nothing is heard any more, in words; None while all is well."""

    def start(self) -> None:
        """Begin to listen."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="alerts-listener", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float = 0.5) -> None:
        """Stop listening. A question that is under way is left alone: what it brings is heard next time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        waiting_before = True
        while self._wait_out_the_quiet():
            try:
                if not self._bot:
                    self._bot = self._messenger.who(self._fits(_WHO_S))
                    continue
                heard = self._messenger.hear(self._bookmark.number, 0 if waiting_before else self._fits(POLL_S))
            except MessengerEnded as error:
                self.ended = str(error)
                _log.error("no commands are heard any more: %s", error)
                return
            except AlertError as error:
                self._pause(error)
                continue
            news = [each for each in heard if not self._is_heard(each.number)]
            if heard and not news:
                self._pause(AlertError("its server brings again and again what was heard already"))
                continue
            self._failures = 0
            for each in news:
                # A number may come twice in one answer as well.
                if not self._closing and not self._is_heard(each.number):
                    self._take(each, late=waiting_before)
            # Numbers that are asked for again were left by a stop of ours; all else has waited for us.
            waiting_before = waiting_before and bool(heard)

    def _is_heard(self, number: int) -> bool:
        """Whether a number has been heard already: a server in between may bring what was asked for once more."""
        last = self._bookmark.number
        return last is not None and number <= last

    def _take(self, heard: Heard, *, late: bool) -> None:
        command = command_of(heard.text, self._bot) if heard.ours else None
        noted = True
        try:
            self._bookmark.move(heard.number)
        except RunError as error:
            noted = False
            _log.error("%s: only a halt is carried out", error)
        if command is None:
            self.ignored += 1
            return
        name, rest = command
        age_s = 0.0 if heard.at is None else self._clock.wall_ns() / 1e9 - heard.at.timestamp()
        carried_out = age_s <= LATE_HALT_S if name == HALT else noted and not late and age_s <= LATE_S
        if not carried_out:
            why = "it was sent before anybody listened, or was too long on its way" if noted else "it cannot be noted"
            self._post(Message("Not carried out", (f"/{name}: {why}. Send it again.",), Importance.HIGH))
            return
        _log.info("carrying out /%s of %s", name, heard.sender)
        try:
            answer = self._commands.carry_out(name, rest, heard)
        except Exception:  # noqa: BLE001 - the thread's last door: the next command must be heard
            _log.exception("a fault of firstbell's own while carrying out /%s", name)
            answer = Message(
                "That did not work", (f"/{name}: a fault of firstbell's own; see its log",), Importance.HIGH
            )
        self._post(answer)

    def _wait_out_the_quiet(self) -> bool:
        """Wait until something may be asked; False when we are to end."""
        with self._changed:
            while not self._closing and self._quiet.left_s() < _ROOM_S:
                self._changed.wait()
            return not self._closing

    def _fits(self, wanted_s: float) -> float:
        """How long a call may take that is over before the quiet, with its connection and its slack."""
        return max(0.0, min(wanted_s, self._quiet.left_s() - _SLACK_S))

    def _pause(self, error: AlertError) -> None:
        words = str(error)
        if words not in self._said:
            self._said.add(words)
            _log.warning("commands cannot be heard, and it is tried again: %s", words)
        backoff_s = min(self._first_backoff_s * 2**self._failures, LONGEST_BACKOFF_S)
        self._failures = min(self._failures + 1, 8)
        until_s = time.monotonic() + max(backoff_s, error.retry_after or 0.0)
        with self._changed:
            while not self._closing and (left_s := until_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
