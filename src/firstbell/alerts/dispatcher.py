"""Telling without waiting: messages are put into a bounded queue, and one thread sends them when it may.

`Dispatcher.post` is all that an order's way ever sees of it: it takes some microseconds, and neither blocks nor raises.
Whatever the messenger's server does, hang, limit or refuse, is the thread's business alone.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from firstbell.alerts.base import Importance, Message
from firstbell.alerts.outbox import Outbox
from firstbell.alerts.quiet import Quiet
from firstbell.errors import AlertError, MessageRefused, MessengerEnded

if TYPE_CHECKING:
    from firstbell.alerts.base import Messenger, Page

_log = logging.getLogger(__name__)

CAPACITY: Final = 2_000
"""Messages that may wait."""
CALL_S: Final = 10.0
"""Seconds that one call may take."""
MOST_TRIES: Final = 8
"""How often one page is sent that nobody takes, or of which nobody says that it was taken."""
FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 60.0
"""How long is waited after a failure, twice as long each time, and never longer than this, in seconds."""
GATHER_S: Final = 0.2
"""How long is waited for more that could go on the same page, in seconds."""

_AT_ONCE: Final = 100
"""Messages taken together."""
_SHORTEST_S: Final = 1.5
"""With less time than this before the quiet no call is begun: one has to be over by then."""


class Dispatcher:
    """Tells messages by a messenger, in a thread of its own.

    Under gevent's monkey patching the thread is a greenlet. It does not survive a fork: start it after one.

    Args:
        messenger: By whom.
        capacity: How many messages may wait; beyond them the oldest of the least important are dropped and counted.
        first_backoff_s: How long is waited after a first failure.
        gather_s: How long is waited for more that could go on the same page.
    """

    def __init__(
        self,
        messenger: Messenger,
        *,
        capacity: int = CAPACITY,
        first_backoff_s: float = FIRST_BACKOFF_S,
        gather_s: float = GATHER_S,
    ) -> None:
        self.quiet = Quiet()
        self._messenger = messenger
        self._outbox = Outbox(capacity)
        self._first_backoff_s = first_backoff_s
        self._gather_s = gather_s
        self._changed = self.quiet.changed
        self._thread: threading.Thread | None = None
        self._closing = self._idle = False
        self._deadline_s = 0.0
        self._ended: str | None = None
        self._next_s = 0.0
        self._failures = 0
        self._said: set[str] = set()
        self._told = self._lost = self._lost_said = self._in_hand = 0
        self._trouble: str | None = None

    @property
    def told(self) -> int:
        """How many messages have been taken by the messenger."""
        return self._told

    @property
    def lost(self) -> int:
        """How many messages were dropped or refused."""
        return self._lost

    @property
    def untold(self) -> int:
        """How many of them the chat has not been told of either."""
        return self._lost - self._lost_said

    @property
    def trouble(self) -> str | None:
        """What stood against the last message that was not taken, in words; None where none was."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """How many messages wait to be told."""
        with self._changed:
            return len(self._outbox) + self._in_hand

    @property
    def ended(self) -> str | None:
        """Why nothing is told any more, in words; None while all is well."""
        return self._ended

    def start(self) -> None:
        """Begin to tell; what was posted before is told now."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
            self._thread.start()

    def post(self, message: Message) -> None:
        """Have a message told. Never blocks, never raises."""
        with self._changed:
            if self._closing or self._ended is not None:
                self._lost += 1
                return
            self._lost += self._outbox.put(message)
            # Whoever sleeps through the quiet, or sends, finds it afterwards.
            if self._idle and not self.quiet.lasts:
                self._changed.notify_all()

    def hold(self, in_s: float = 0.0) -> None:
        """Be quiet until `release`, at once or in so many seconds.

        Announced in time, no call is under way when it begins; of one begun before, the answer is awaited.
        """
        self.quiet.begin(in_s)

    def release(self) -> None:
        """Go on telling."""
        self.quiet.end()

    def close(self, timeout_s: float) -> bool:
        """Tell what waits, as far as that goes in so many seconds, and end.

        Returns:
            Whether nothing was left untold.
        """
        self.quiet.end()
        with self._changed:
            self._deadline_s = time.monotonic() + timeout_s
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
        with self._changed:
            left = self._outbox.clear() + self._in_hand
            self._lost += left
        if left:
            _log.warning("%d alerts were not told: there was no more time", left)
        return not left and self._ended is None

    def _work(self) -> None:
        going_on = True
        while going_on and (batch := self._next_batch()):
            try:
                going_on = self._tell(batch)
            except Exception:  # noqa: BLE001 - the thread's last door: a fault here must not silence what comes later
                self._lose(self._in_hand)
                _log.exception("a fault of firstbell's own: some alerts were not told")

    def _next_batch(self) -> list[Message]:
        """What is to be told next, once there is something and it may be told; nothing at the end."""
        with self._changed:
            self._idle = True
            while not self._closing and (self.quiet.lasts or not self._outbox):
                self._changed.wait()
            self._changed.wait_for(lambda: self._closing, self._gather_s)
            self._idle = False
            batch = self._outbox.take(_AT_ONCE)
            self._in_hand = len(batch)
        return batch

    def _tell(self, batch: list[Message]) -> bool:
        """Tell these; False when nothing more can be told."""
        lost = self._lost
        if lost > self._lost_said:
            batch = [_notice(lost - self._lost_said), *batch]
            self._in_hand += 1
        for page in self._messenger.pages(batch):
            if not self._tell_page(page):
                return False
            # The notice stands on the first page.
            self._lost_said = max(self._lost_said, lost)
        return True

    def _tell_page(self, page: Page) -> bool:
        """Send a page until it is taken, refused or given up; False when nothing more can be told."""
        tries = 0
        while (timeout_s := self._await_turn()) is not None:
            try:
                self._messenger.send(page, timeout_s)
            except MessengerEnded as error:
                self._end(str(error))
                return False
            except MessageRefused as error:
                self._say_once(f"an alert was refused: {error}")
                self._next_s = time.monotonic() + self._messenger.pause_s
                self._lose(page.messages)
                return True
            except AlertError as error:
                tries += error.retry_after is None
                self._fail(error)
                if tries >= MOST_TRIES:
                    self._lose(page.messages)
                    return True
            else:
                self._succeed(page)
                return True
        return False

    def _await_turn(self) -> float | None:
        """Wait until something may be sent; how long that call may take, or None when nothing may be any more."""
        with self._changed:
            while True:
                now_s = time.monotonic()
                closing_s = self._deadline_s - now_s if self._closing else float("inf")
                pause_s = self._next_s - now_s
                if closing_s <= 0 or (self._closing and pause_s >= closing_s):
                    return None
                quiet_s = self.quiet.left_s()
                if quiet_s < _SHORTEST_S:
                    self._changed.wait()
                elif pause_s > 0:
                    self._changed.wait(min(pause_s, closing_s))
                else:
                    # Connecting, shaking hands and answering may each take so long.
                    return min(CALL_S, closing_s, quiet_s / 3)

    def _succeed(self, page: Page) -> None:
        if self._failures:
            _log.info("%s takes alerts again", self._messenger.name)
        self._failures = 0
        self._said.clear()
        self._next_s = time.monotonic() + self._messenger.pause_s
        self._told += page.messages
        self._in_hand -= page.messages

    def _fail(self, error: AlertError) -> None:
        self._say_once(f"an alert was not taken, and is tried again: {error}")
        backoff_s = min(self._first_backoff_s * 2**self._failures, LONGEST_BACKOFF_S)
        self._failures = min(self._failures + 1, MOST_TRIES)
        wait_s = backoff_s if error.retry_after is None else max(error.retry_after, self._messenger.pause_s)
        self._next_s = time.monotonic() + wait_s

    def _lose(self, messages: int) -> None:
        with self._changed:
            self._lost += messages
            self._in_hand -= messages

    def _say_once(self, words: str) -> None:
        """Into the run log, once until it goes well again."""
        self._trouble = words
        if words not in self._said:
            self._said.add(words)
            _log.warning("%s", words)

    def _end(self, why: str) -> None:
        with self._changed:
            self._ended = self._trouble = why
            self._lost += self._outbox.clear() + self._in_hand
            self._in_hand = 0
            self._changed.notify_all()
        _log.error("no more alerts: %s", why)


def _notice(lost: int) -> Message:
    words = (
        f"{lost} {'alert was' if lost == 1 else 'alerts were'} dropped or refused: the results and logs have it all."
    )
    return Message("Not told", (words,), Importance.HIGH)
