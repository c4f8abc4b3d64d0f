"""How often orders may be sent in one run, all together: what stops a loop that runs away, whatever its reason."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.journal.owner import this_process
from firstbell.model.terms import AttemptOutcome

if TYPE_CHECKING:
    from firstbell.clock import Clock
    from firstbell.journal.base import Journal
    from firstbell.model.identifiers import RunId

_MINUTE_NS: Final = 60_000_000_000
_LOOK_EVERY_NS: Final = 1_000_000_000
"""How often what the run's other processes have sent is counted: it is much to read."""


class AttemptBudget(Protocol):
    """Counts attempts, and says when there have been too many."""

    def take(self) -> str | None:
        """Count an attempt that is about to be made; why it may not be made, in words, where the budget is spent.

        Raises:
            JournalError: What others have sent cannot be read.
        """
        ...

    def give_back(self) -> None:
        """Of the attempt that was taken last not one byte has left."""
        ...


class RateBudget:
    """Counts the attempts of the last minute: for an order manager that works all day.

    Args:
        most: How many there may be in a minute.
        clock: Tells the time.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._taken: deque[int] = deque()

    def take(self) -> str | None:
        """Count an attempt; why it may not be made, in words, where the budget is spent."""
        now_ns = self._clock.monotonic_ns()
        while self._taken and now_ns - self._taken[0] >= _MINUTE_NS:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            return f"the budget of {self._most} attempts a minute is spent"
        self._taken.append(now_ns)
        return None

    def give_back(self) -> None:
        """Of the attempt that was taken last not one byte has left."""
        self._taken.pop()


class RunBudget:
    """Counts the attempts of one run that left, or may have.

    Args:
        most: How many there may be.
        run_id: The run.
        journal: Tells what other processes of it have sent.
        clock: Tells when that was counted last.
        shared: Whether the run has other processes.
    """

    def __init__(self, most: int, run_id: RunId, journal: Journal, clock: Clock, *, shared: bool = False) -> None:
        self._most = most
        self._run_id = run_id
        self._journal = journal
        self._clock = clock
        self._shared = shared
        self._own = 0
        self._others = 0
        # Before the bell nobody has sent anything: the first attempts need no look.
        self._looked_ns = clock.monotonic_ns()

    def take(self) -> str | None:
        """Count an attempt that is about to be made; why it may not be made, in words, where the budget is spent.

        Raises:
            JournalError: What the others have sent cannot be read.
        """
        if self._shared and self._own > 0:
            self._count_others()
        if self._own + self._others >= self._most:
            return f"the budget of {self._most} attempts per run is spent"
        self._own += 1
        return None

    def give_back(self) -> None:
        """Of the attempt that was taken last not one byte has left."""
        self._own -= 1

    def _count_others(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._looked_ns < _LOOK_EVERY_NS:
            return
        self._looked_ns = now_ns
        here = this_process()
        self._others = sum(
            attempt.outcome is not AttemptOutcome.NOT_SENT
            for entry in self._journal.entries(run_id=self._run_id)
            if entry.owner != here
            for attempt in entry.state.attempts
        )
