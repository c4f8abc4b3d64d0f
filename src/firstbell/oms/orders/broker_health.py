"""How well a login's broker answers: when it did last, how often it does not, how long the token lives.

Where it does not answer, it is left alone for a while before it is asked again: longer each time, and no longer than
the config's ``max_delay``. Logging in again is the broker's own business: a refused token brings one new log-in.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import PartlyUnreadable
from firstbell.errors import NoAnswer, NotSent, RateLimited
from firstbell.model.instant import instant
from firstbell.oms.policies.retry import Backoff

if TYPE_CHECKING:
    from datetime import datetime

    from firstbell.clock import Clock
    from firstbell.oms.policies.retry import RetryConfig

_WINDOW: Final = 100
"""So many calls the error rate is of."""
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How a broker does, as it was last seen.

    Attributes:
        last_answer: When it answered last, whatever it said; None where it never has.
        last_error: Why a call failed last, in words; None where none has.
        last_error_at: When.
        calls: How many calls the error rate is of.
        failures: How many of them got no answer, or did not leave.
        failures_in_a_row: How many of the newest ones.
        token_ends_at: When its token ends; None where none is known.
        asked_again_at: Before when it is not asked again; None where it may be asked now.
        round_trip_us: What its last answer took, in µs.
    """

    last_answer: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    calls: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    token_ends_at: datetime | None = None
    asked_again_at: datetime | None = None
    round_trip_us: int | None = None

    @property
    def error_rate(self) -> float | None:
        """The part of the calls that failed, from 0 to 1; None before the first."""
        return self.failures / self.calls if self.calls else None

    @property
    def is_well(self) -> bool:
        """Whether its last call was answered."""
        return self.calls > 0 and self.failures_in_a_row == 0


class BrokerHealth:
    """Counts one login's calls. Safe for threads.

    Args:
        clock: Both clocks.
        retry: How the pauses grow after calls that got no answer.
    """

    def __init__(self, clock: Clock, retry: RetryConfig) -> None:
        self._clock = clock
        self._backoff = Backoff(retry)
        self._lock = threading.Lock()
        self._calls: deque[bool] = deque(maxlen=_WINDOW)
        self._in_a_row = 0
        self._next_ns = 0
        self._pause_ns = 0
        self._last_answer_ns: int | None = None
        self._round_trip_ns: int | None = None
        self._error: tuple[str, int] | None = None
        self._token_ends_at: datetime | None = None

    def answered(self, took_ns: int) -> None:
        """The broker has answered, whatever it said."""
        with self._lock:
            self._calls.append(True)
            self._in_a_row, self._next_ns = 0, 0
            self._last_answer_ns, self._round_trip_ns = self._clock.wall_ns(), took_ns

    def failed(self, error: Exception) -> None:
        """A call failed. A refusal is an answer like any other; a pause that it asks for is kept."""
        with self._lock:
            now_ns, self._error = self._clock.monotonic_ns(), (str(error), self._clock.wall_ns())
            if isinstance(error, PartlyUnreadable):
                # It answers, and what can be read of it is worth to be asked for.
                self._calls.append(True)
                self._in_a_row, self._next_ns = 0, 0
                self._last_answer_ns = self._clock.wall_ns()
                return
            if isinstance(error, NotSent | NoAnswer):
                self._calls.append(False)
                self._in_a_row += 1
                self._next_ns = now_ns + round(self._backoff.after(self._in_a_row) * _NS)
                return
            self._calls.append(True)
            self._last_answer_ns = self._clock.wall_ns()
            if isinstance(error, RateLimited):
                pause_s = error.retry_after if error.retry_after is not None else self._backoff.after(1)
                self._pause_ns = now_ns + round(pause_s * _NS)

    def has_token_until(self, moment: datetime) -> None:
        """The login has a token that ends then."""
        with self._lock:
            self._token_ends_at = moment

    def may_ask(self, *, urgent: bool = False) -> bool:
        """Whether its lists may be read now; after calls that failed it is left alone for a while.

        Args:
            urgent: Whether an order is unresolved: then only a pause that the broker itself has asked for is kept.
        """
        with self._lock:
            return self._clock.monotonic_ns() >= (self._pause_ns if urgent else max(self._pause_ns, self._next_ns))

    def report(self) -> HealthReport:
        """How it does."""
        with self._lock:
            wait_ns = max(self._pause_ns, self._next_ns) - self._clock.monotonic_ns()
            return HealthReport(
                last_answer=None if self._last_answer_ns is None else instant(self._last_answer_ns),
                last_error=None if self._error is None else self._error[0],
                last_error_at=None if self._error is None else instant(self._error[1]),
                calls=len(self._calls),
                failures=self._calls.count(False),
                failures_in_a_row=self._in_a_row,
                token_ends_at=self._token_ends_at,
                asked_again_at=instant(self._clock.wall_ns() + wait_ns) if wait_ns > 0 else None,
                round_trip_us=None if self._round_trip_ns is None else self._round_trip_ns // 1000,
            )
