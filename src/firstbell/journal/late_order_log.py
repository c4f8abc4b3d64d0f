"""The order log in a thread of its own: no order waits for a line to be made, or for a disk to take it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstbell.journal.order_files import OrderFiles
    from firstbell.journal.order_log import OrderLog
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport

    What = Mapping[str, Any] | tuple[ExecutionReport, Order]

_log = logging.getLogger(__name__)

CAPACITY: Final = 50_000
"""Lines that may wait. So many do only where the disk does not take them."""
HASTE: Final = 5_000
"""From so many lines on they are written whatever is in hand."""
CLOSE_S: Final = 5.0
"""Seconds that what waits is given at the end."""
_AT_ONCE: Final = 20
"""Lines written together."""
_STEP_ASIDE_S: Final = 20e-6
"""After each step, so long in seconds, whoever else has something to do has the interpreter to himself."""
_WAY_S: Final = 4e-3
"""So often, in seconds, it is looked whether an order is still in hand; and after each step of an old line so long."""
_OLD_S: Final = 0.25
"""From this age on, in seconds, a line is written little by little while orders are in hand; younger ones wait."""


class LateOrderLog:
    """Takes what an `OrderLog` would write, and writes it a moment later. Safe for threads and forks.

    What is lost with its process stands in the journal: ``firstbell orders log --rebuild`` writes it anew.

    Args:
        log: Makes lines of reports.
        files: Where they are written.
        busy: Whether an order is in hand: then lines wait a while, and after that they are written slowly.
        capacity: How many may wait; beyond them new ones are dropped and counted.
    """

    def __init__(
        self,
        log: OrderLog,
        files: OrderFiles,
        busy: Callable[[], bool] = lambda: False,
        capacity: int = CAPACITY,
    ) -> None:
        self._log = log
        self._files = files
        self._busy = busy
        self._capacity = capacity
        self._begin()
        self.lost = 0
        """How many were dropped."""

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, What]] = deque()
        self._in_hand = self._awaited = 0
        self._thread: threading.Thread | None = None
        self._closing = self._idle = False

    def __call__(self, report: ExecutionReport, order: Order) -> None:
        """Have a report written; a `firstbell.journal.base.Subscriber`."""
        self._put((report, order))

    def write(self, line: Mapping[str, Any]) -> None:
        """Have a line written; see `firstbell.journal.order_log.Lines`."""
        self._put(line)

    def wake(self) -> None:
        """No order is in hand any more: what waits may be written."""
        with self._changed:
            if self._idle and self._waiting:
                self._changed.notify_all()

    def flush(self, timeout_s: float = CLOSE_S) -> bool:
        """Wait until everything is written that has been taken by now; whether that came in time."""
        with self._changed:
            self._awaited += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._waiting and not self._in_hand, timeout_s)
            finally:
                self._awaited -= 1

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write what waits, as far as that goes in so many seconds, and end the thread. A later line begins another."""
        if self._pid != os.getpid():
            return
        with self._changed:
            thread, self._closing = self._thread, True
            self._changed.notify_all()
        atexit.unregister(self.close)
        if thread is not None:
            thread.join(timeout_s)
        with self._changed:
            left = len(self._waiting) + self._in_hand
            lost, self.lost = self.lost + left, 0
            self._waiting.clear()
        if lost:
            _log.warning(
                "%d lines of the order log could not be written: `firstbell orders log --rebuild` writes it anew from "
                "the journal",
                lost,
            )

    def _put(self, what: What) -> None:
        if self._pid != os.getpid():
            # A fork: what waited there is written there.
            self._begin()
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self.lost += 1
                return
            self._waiting.append((time.monotonic(), what))
            if self._thread is None or self._closing:
                self._closing = False
                self._thread = threading.Thread(target=self._work, name="order-log", daemon=True)
                self._thread.start()
                # A script that ends without closing anything has its lines all the same.
                atexit.register(self.close)
            if self._idle and not self._busy():
                self._changed.notify_all()

    def _work(self) -> None:
        while batch := self._next_batch():
            written = []
            for taken_at_s, what in batch:
                written += self._written(what, taken_at_s)
            self._step_aside(batch[0][0])
            self._files.add(written)
            with self._changed:
                self._in_hand = 0
                self._changed.notify_all()

    def _next_batch(self) -> list[tuple[float, What]]:
        """What is to be written next and when it was taken, once there is something; nothing at the end."""
        with self._changed:
            self._idle = True
            while not (self._waiting or self._closing):
                # Nobody wakes it while an order is in hand, however long that takes.
                self._changed.wait(_OLD_S)
            self._idle = False
            self._in_hand = min(len(self._waiting), _AT_ONCE)
            return [self._waiting.popleft() for _ in range(self._in_hand)]

    def _written(self, what: What, taken_at_s: float) -> list[tuple[str, str | None]]:
        try:
            self._step_aside(taken_at_s)
            line = self._log.told(*what) if isinstance(what, tuple) else what
            self._step_aside(taken_at_s)
            return [self._files.written(line)]
        except Exception:  # noqa: BLE001 - the thread's last door: a fault here must not silence what comes later
            self.lost += 1
            _log.exception("a fault of firstbell's own: a line of the order log was not written")
            return []

    def _step_aside(self, taken_at_s: float) -> None:
        """Let others have the interpreter: it changes hands only where somebody lets go of it."""
        time.sleep(_STEP_ASIDE_S)
        while self._busy() and not self._hurries:
            time.sleep(_WAY_S)
            if time.monotonic() - taken_at_s >= _OLD_S:
                return

    @property
    def _hurries(self) -> bool:
        return self._closing or self._awaited > 0 or len(self._waiting) > HASTE
