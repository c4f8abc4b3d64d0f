"""Writing into the journal from many greenlets at once: one transaction for all that wait, and none at the bell.

A transaction waits for the disk, some milliseconds in which no other greenlet runs. A hundred answers that come
together would be a hundred such waits, and the next attempts would leave late. So whoever comes while others are about
to write is written with them; and while something is about to leave, the disk waits.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import AsyncResult

from firstbell.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstbell.journal.base import Journal, Note
    from firstbell.model.identifiers import RunId
    from firstbell.model.report import ExecutionReport
    from firstbell.sniper.volley import Volley

_NS: Final = 1_000_000_000
CALM_NS: Final = 40_000_000
"""Nothing is written in the last 40 ms before something leaves: a slow disk takes that long."""


class Scribe:
    """Writes reports and notes, durably, many greenlets' in one transaction.

    Args:
        journal: Where they are written.
        volley: Tells when something is about to leave.
    """

    def __init__(self, journal: Journal, volley: Volley) -> None:
        self._journal = journal
        self._volley = volley
        self._waiting: list[tuple[Sequence[ExecutionReport], AsyncResult[None]]] = []
        self._notes: list[tuple[RunId, Sequence[Note], AsyncResult[None]]] = []
        self._in_hand: list[AsyncResult[None]] = []
        self._writing = False

    def append(self, reports: Sequence[ExecutionReport]) -> None:
        """Write reports, all or none; returns once they are durable.

        Raises:
            JournalError: They could not be written.
        """
        result: AsyncResult[None] = AsyncResult()
        self._waiting.append((reports, result))
        self._write_soon()
        result.get()

    def note(self, run_id: RunId, notes: Sequence[Note]) -> None:
        """Write down what a run found out; returns once it is durable.

        Raises:
            JournalError: It could not be written.
        """
        result: AsyncResult[None] = AsyncResult()
        self._notes.append((run_id, notes, result))
        self._write_soon()
        result.get()

    def _write_soon(self) -> None:
        if not self._writing:
            self._writing = True
            gevent.spawn(self._write)

    def _write(self) -> None:
        try:
            while self._waiting or self._notes:
                self._wait_for_calm()
                self._write_reports()
                self._write_notes()
                # Whoever has been served goes on, and may come back, before the disk is waited for again.
                gevent.sleep(0)
        except BaseException as error:
            # A fault of our own, or the program's end: whoever waits for what was being written must not wait for ever.
            told = error if isinstance(error, Exception) else JournalError("the writing was broken off half way")
            _fail(told, [result for result in self._in_hand if not result.ready()])
            raise
        finally:
            self._writing = False
            if self._waiting or self._notes:
                self._write_soon()

    def _wait_for_calm(self) -> None:
        gevent.sleep(0)
        while (next_ns := self._volley.next_ns()) is not None:
            left_ns = next_ns - time.monotonic_ns()
            if left_ns > CALM_NS:
                return
            gevent.sleep(max(left_ns, 0) / _NS)

    def _write_reports(self) -> None:
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        self._in_hand = [result for _, result in batch]
        try:
            self._journal.append([report for reports, _ in batch for report in reports])
        except JournalError as error:
            if len(batch) == 1:
                _fail(error, self._in_hand)
                return
            # One that does not fit must not take the others with it.
            for reports, result in batch:
                self._wait_for_calm()
                _settle(partial(self._journal.append, reports), [result])
        else:
            _serve(self._in_hand)

    def _write_notes(self) -> None:
        batch, self._notes = self._notes, []
        self._in_hand = [result for _, _, result in batch]
        for run_id in dict.fromkeys(run_id for run_id, _, _ in batch):
            notes = [note for run, notes, _ in batch for note in notes if run == run_id]
            self._wait_for_calm()
            _settle(partial(self._journal.note, run_id, notes), [result for run, _, result in batch if run == run_id])


def _settle(write: Callable[[], None], results: Sequence[AsyncResult[None]]) -> None:
    """Write, and tell those who wait for it what came of it."""
    try:
        write()
    except JournalError as error:
        _fail(error, results)
    else:
        _serve(results)


def _serve(results: Sequence[AsyncResult[None]]) -> None:
    for result in results:
        result.set(None)


def _fail(error: Exception, results: Sequence[AsyncResult[None]]) -> None:
    for result in results:
        result.set_exception(error)
