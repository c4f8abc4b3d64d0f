"""Whether a process makes rounds for what it holds back; where it makes none, that is left to those that do.

What is held back protects only while somebody makes rounds. A script that has closed its desk, or never started it, may
live on for days: meanwhile ``firstbell orders watch`` is to look after what the script has placed.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from firstbell.errors import FirstbellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from firstbell.journal.base import Entry
    from firstbell.oms.orders.trader import Trader

_log = logging.getLogger(__name__)

PATIENCE_S: Final = 15.0
"""So long, in seconds, no round may be made before what is held back is left to others."""
_PAUSES: Final = 3
"""Where rounds are made more seldom, they are missed after so many times the pause between two of them."""
_LONGEST_S: Final = 600.0
"""Rounds that are made more seldom than this are none, in seconds."""


class Attendance:
    """Leaves to others what some logins hold back once nobody makes rounds for it here. Safe for threads.

    Real time counts, not the clock that orders are dated by: a process that does nothing does nothing by any clock.

    Args:
        traders: The logins' traders.
        tell: Told, in words, of one order by its name that it is left to others, and of how many more.
        patience_s: How long rounds are waited for, in seconds; None: for ever.
    """

    def __init__(
        self, traders: Sequence[Trader], tell: Callable[[str, str], None], patience_s: float | None = PATIENCE_S
    ) -> None:
        self._traders = traders
        self._tell = tell
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._attended_at = time.monotonic()
        self._round_at: float | None = None
        self._pause_s = 0.0
        self._at_work = 0
        self._is_lasting = False
        self._is_closed = False
        self._failed: dict[str, str] = {}

    def begun(self) -> None:
        """From now on threads make rounds, until `ended`."""
        self._is_lasting = True

    @property
    def is_lasting(self) -> bool:
        """Whether threads make rounds."""
        return self._is_lasting

    @property
    def is_closed(self) -> bool:
        """Whether no round is made any more, ever."""
        return self._is_closed

    def ended(self) -> None:
        """They make none any more."""
        self._is_lasting = False
        with self.at_work():
            pass

    def round_begins(self) -> None:
        """Somebody makes a round by hand; the pause between two of them is his to choose."""
        now = time.monotonic()
        if self._round_at is not None:
            self._pause_s = now - self._round_at
        self._round_at = now

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a round is made, or something is done that is followed by rounds as a rule."""
        with self._lock:
            self._at_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
            self._attended_at = time.monotonic()
            if not self._is_lasting and self._patience_s is not None:
                self._wait(min(max(self._patience_s, _PAUSES * self._pause_s), max(_LONGEST_S, self._patience_s)))

    def close(self) -> None:
        """Leave to others at once what is held back here: no round is made any more."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
        held, failed = self._hand_over()
        if held:
            _log.warning("%s stays held back, %s", held[0].intent.order.client_order_id, _left(held))
        for name, why in failed.items():
            self._tell(
                name, f"{why}: it protects nothing until this process has ended, and `firstbell orders watch` runs"
            )

    def _wait(self, patience_s: float) -> None:
        """Look once the patience is over, where nothing looks yet and anything is held back here."""
        with self._lock:
            if self._timer is None and not self._is_closed and any(each.holding.own for each in self._traders):
                self._look_in(patience_s, patience_s)

    def _look_in(self, seconds: float, patience_s: float) -> None:
        self._timer = threading.Timer(seconds, self._look, (patience_s,))
        self._timer.daemon = True
        self._timer.name = "firstbell-attendance"
        self._timer.start()

    def _look(self, patience_s: float) -> None:
        with self._lock:
            self._timer = None
            if self._is_lasting or self._is_closed:
                return
            left_s = patience_s if self._at_work else self._attended_at + patience_s - time.monotonic()
            if left_s > 0:
                self._look_in(left_s, patience_s)
                return
        held, failed = self._hand_over()
        if held:
            why = f"it is held back, and this process makes no rounds: it is {_left(held)}"
            self._tell(held[0].intent.order.client_order_id, why)
        for name, why in failed.items():
            if name not in self._failed:
                self._tell(name, f"{why}: it protects nothing until that has been done, which is tried again")
        self._failed = failed
        if failed:
            self._wait(patience_s)

    def _hand_over(self) -> tuple[list[Entry], dict[str, str]]:
        """Leave to others what is held back; what that was, and by an order's name why some of it could not be."""
        held: list[Entry] = []
        failed: dict[str, str] = {}
        for trader in self._traders:
            try:
                with trader.lock:
                    held += trader.holding.hand_over()
            except FirstbellError as error:
                why = f"it is held back, this process makes no rounds, and it could not be left to others: {error}"
                _log.error("login %s: %s", trader.login.key, why)
                failed |= {each.intent.order.client_order_id: why for each in trader.holding.own[:1]}
        return held, failed


def _left(held: Sequence[Entry]) -> str:
    more = f"; with it {len(held) - 1} more" if len(held) > 1 else ""
    return f"left to `firstbell orders watch`, and protects nothing until that runs{more}"
