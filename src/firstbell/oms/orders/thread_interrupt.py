"""Stopping an order manager whose work is done by threads: by hand, or because trading is halted."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from firstbell.oms.engines import HALT_SIGNAL, Engines
from firstbell.risk.trading_state import HaltFile

if TYPE_CHECKING:
    from pathlib import Path

_NS: Final = 1_000_000_000
_LOOK_EVERY_S: Final = 0.02
"""How often it is looked for the halt's file, in seconds: a look costs some microseconds."""


class ThreadInterrupt:
    """A `firstbell.oms.carrier.Interrupt` for threads, which a halt of trading sets as well.

    While it is watched, the file of a halt is looked for every 20 ms, and whenever somebody asks; where this process's
    main thread watches, a halt's signal is heard besides. While it is not, a halt begins and ends for whoever asks.

    Args:
        state_dir: Where a halt is written down.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = HaltFile.of(state_dir)
        self._engines = Engines.of(state_dir)
        self._event = threading.Event()
        self._ended = threading.Event()
        self._is_halt = self._is_stopped = False
        self._why = "stopped"
        self._watcher: threading.Thread | None = None

    def is_set(self) -> bool:
        """Whether no new attempt may leave."""
        if self._is_halt and self._watcher is None:
            # Nobody watches for its end: whoever asks does.
            self.resume()
        if not self._event.is_set():
            self._look()
        return self._event.is_set()

    @property
    def is_halt(self) -> bool:
        """Whether that is because trading is halted."""
        return self._is_halt

    @property
    def why(self) -> str:
        """Why, in words: ``stopped``, or who has halted trading, and why."""
        return self._why

    def stop(self) -> None:
        """Let no new attempt leave from now on."""
        self._is_stopped = True
        self._event.set()

    def resume(self) -> None:
        """Let attempts leave again, where trading is not halted any more and nobody has stopped it by hand."""
        if self._is_halt and not self._file.is_there:
            self._is_halt, self._why = False, "stopped"
            if not self._is_stopped:
                self._event.clear()
            if self._is_stopped:
                # Just between the two lines.
                self._event.set()

    def wait_until(self, monotonic_ns: int) -> bool:
        """Wait until an instant of the monotonic clock; returns early, and True, when stopped."""
        while not self.is_set() and (left_ns := monotonic_ns - time.monotonic_ns()) > 0:
            self._event.wait(min(left_ns / _NS, _LOOK_EVERY_S))
        return self._event.is_set()

    def watch(self) -> None:
        """Hear of halts from now on, until `close`; nothing more where that is so already.

        Raises:
            RunError: This process cannot be enlisted among those that a halt is told to.
        """
        if self._watcher is not None:
            return
        if threading.current_thread() is threading.main_thread():
            signal.signal(HALT_SIGNAL, self._on_signal)
            self._engines.enlist(makes_rounds=True)
        self._watcher = threading.Thread(target=self._watch, name="firstbell-halt", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Hear of nothing any more, and let nothing leave."""
        self.stop()
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
            if threading.current_thread() is threading.main_thread():
                signal.signal(HALT_SIGNAL, signal.SIG_IGN)
                self._engines.resign()

    def _on_signal(self, *_: Any) -> None:
        self._take(str(self._file.read() or "halted by a signal"))

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            if self._is_halt:
                self.resume()
            else:
                self._look()

    def _look(self) -> None:
        if self._file.is_there:
            self._take(str(self._file.read() or "halted"))

    def _take(self, why: str) -> None:
        if self._is_halt:
            return
        # The words first, so that nobody who sees the flag finds the wrong ones.
        self._why, self._is_halt = why, True
        self._event.set()
        self._engines.stopped()
