"""How brokers do, written down now and then by whoever watches orders, for those who look from elsewhere."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import RunError
from firstbell.model.facts import Facts
from firstbell.model.identifiers import AccountName
from firstbell.model.instant import instant
from firstbell.oms import small_file
from firstbell.oms.orders.broker_health import HealthReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from firstbell.clock import Clock

_log = logging.getLogger(__name__)

FILE: Final = "broker_health.json"
_EVERY_NS: Final = 5_000_000_000


class HealthFile:
    """Writes down how brokers do.

    Args:
        state_dir: Where.
        clock: Tells when it was written last.
        health: How they do.
    """

    def __init__(self, state_dir: Path, clock: Clock, health: Callable[[], Mapping[AccountName, HealthReport]]) -> None:
        self._path = state_dir / FILE
        self._clock = clock
        self._health = health
        self._lock = threading.Lock()
        self._written_ns: int | None = None

    def keep(self) -> None:
        """Write it down, unless that was done a moment ago. What cannot be written is only logged."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            if self._written_ns is not None and now_ns - self._written_ns < _EVERY_NS:
                return
            self._written_ns = now_ns
        accounts = {name: _facts(report) for name, report in self._health().items()}
        try:
            small_file.write(self._path, {"at": instant(self._clock.wall_ns()).isoformat(), "accounts": accounts})
        except RunError as error:
            _log.warning("%s", error)


def read(state_dir: Path) -> tuple[datetime, dict[AccountName, HealthReport]] | None:
    """What was written down last, and when; None where nothing was, or it cannot be read."""
    try:
        written = small_file.read(state_dir / FILE)
        if written is None:
            return None
        facts = Facts(written)
        at = facts.maybe_instant("at")
        accounts = {AccountName(name): _report(Facts(value)) for name, value in facts.items("accounts")}
    except ValueError as error:
        _log.warning("%s", error)
        return None
    return None if at is None else (at, accounts)


def _facts(report: HealthReport) -> dict[str, Any]:
    def text(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "last_answer": text(report.last_answer),
        "last_error": report.last_error,
        "last_error_at": text(report.last_error_at),
        "calls": report.calls,
        "failures": report.failures,
        "failures_in_a_row": report.failures_in_a_row,
        "token_ends_at": text(report.token_ends_at),
        "asked_again_at": text(report.asked_again_at),
        "round_trip_us": report.round_trip_us,
    }


def _report(facts: Facts) -> HealthReport:
    return HealthReport(
        last_answer=facts.maybe_instant("last_answer"),
        last_error=facts.maybe_text("last_error"),
        last_error_at=facts.maybe_instant("last_error_at"),
        calls=facts.whole("calls"),
        failures=facts.whole("failures"),
        failures_in_a_row=facts.whole("failures_in_a_row"),
        token_ends_at=facts.maybe_instant("token_ends_at"),
        asked_again_at=facts.maybe_instant("asked_again_at"),
        round_trip_us=facts.maybe_whole("round_trip_us"),
    )
