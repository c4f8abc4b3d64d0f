"""The kill switch's end in a process that sends: it hears of a halt by a signal at once, and by its file soon."""

from __future__ import annotations

import logging
import os
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import gevent

from firstbell.errors import RunError
from firstbell.log import redact
from firstbell.oms.engines import HALT_SIGNAL, Engines
from firstbell.risk.trading_state import Halt, HaltFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firstbell.sniper.users import GreenInterrupt

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 0.02
"""How often it is looked for the file, in seconds: a look costs some microseconds."""


class KillSwitch:
    """Stops this process's run when trading is halted.

    Args:
        state_dir: Where the halt is written down, and this process is enlisted.
        interrupt: Stops the run.
        told: Called once, in a greenlet of its own, when this process has learned of a halt: to tell others.
    """

    def __init__(self, state_dir: Path, interrupt: GreenInterrupt, told: Callable[[str], None] | None = None) -> None:
        self._file = HaltFile.of(state_dir)
        self._engines = Engines.of(state_dir)
        self._interrupt = interrupt
        self._told = told
        self._known = False
        self._wake: Any = None

    def arm(self) -> None:
        """Hear of halts from now on, one that is in force already among them.

        Raises:
            RunError: This process cannot be enlisted: then no halt could reach it while it is busy.
        """
        self._wake = gevent.get_hub().loop.async_()
        self._wake.start(self._look)
        signal.signal(HALT_SIGNAL, self._on_signal)
        self._engines.enlist()
        self._look()
        gevent.spawn(self._watch)

    def disarm(self) -> None:
        """This process sends nothing any more, and need not be told."""
        signal.signal(HALT_SIGNAL, signal.SIG_IGN)
        self._engines.resign()

    def halt(self, why: str, by: str, now: datetime) -> None:
        """Halt all trading, from within: this process first, then durably, then the others of this machine.

        Args:
            why: In words.
            by: Who does so: a run, or the page.
            now: The time, aware.
        """
        # It may quote what a broker has answered.
        halt = Halt(now, by, redact(why))
        self._take(halt)
        try:
            self._file.write(halt)
        except RunError as error:
            _log.error("%s; this run has stopped all the same", error)
        for owner in self._engines.living():
            self._engines.tell(owner)

    def _on_signal(self, *_: object) -> None:
        # Between any two steps, also while the volley spins and no greenlet runs: nothing here may wait for one.
        halt = None if self._known else self._file.read()
        self._interrupt.flag(self._interrupt.why if self._known else str(halt or "halted by a signal"))
        self._wake.send()

    def _look(self) -> None:
        if self._known:
            return
        halt = self._file.read()
        if halt is not None:
            self._take(halt)
        elif self._interrupt.is_halt:
            # A signal by hand is a halt like any other: it survives a restart.
            self.halt("told by a signal", f"whoever may signal process {os.getpid()}", datetime.now(UTC))

    def _take(self, halt: Halt) -> None:
        self._interrupt.halt(str(halt))
        if self._known:
            return
        self._known = True
        self._engines.stopped()
        _log.error("trading is %s: nothing new leaves", halt)
        if self._told is not None:
            gevent.spawn(self._told, str(halt))

    def _watch(self) -> None:
        while not self._known:
            gevent.sleep(_LOOK_EVERY_S)
            if self._file.is_there:
                self._look()
