"""What is told of a run, by the process that has started it: readiness, reports, halts, and what it came to.

The run's own processes tell nobody anything, so nothing of this can make an order late. From two seconds before the
bell until the answers are in, this process is quiet as well: it sends nothing, asks nothing, and reads no journal.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from firstbell.alerts import words
from firstbell.alerts.tail import Tail, answers_are_in
from firstbell.cli.alerting import Alerts
from firstbell.clock import exchange_now
from firstbell.config.alert_settings import AlertKind
from firstbell.errors import FirstbellError
from firstbell.model.money import exact, grouped
from firstbell.model.order_status import OrderStatus
from firstbell.sniper import results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any

    from firstbell.journal.base import Entry, RunRecord
    from firstbell.oms.office import Office
    from firstbell.sniper.warmup import WarmAccount

_log = logging.getLogger(__name__)

QUIET_S: Final = 2.0
"""From so long before the bell on nothing is told or heard, in seconds."""
ARMED_S: Final = 5.0
"""So long before the bell it is told who is armed."""
_LOOK_S: Final = 0.5
_WATCH_S: Final = 1.0
_FIRST_LOOK_S: Final = 1.0
"""The journal is left alone until so long after the bell."""


class RunAlerts:
    """Tells of one run; of nothing where the config wants no alerts.

    Args:
        office: The opened rooms of the config.
        record: The run.
    """

    def __init__(self, office: Office, record: RunRecord) -> None:
        self._office = office
        self._record = record
        self._alerts = Alerts.of(office)
        self._tail: Tail | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._warmed: tuple[words.Ready, ...] | None = None
        if self._alerts is None:
            return
        try:
            self._tail = Tail(office.journal, record.run_id, self._alerts.follower())
        except FirstbellError as error:
            _log.warning("nothing is told of this run's orders: %s", error)
        self._schedule_quiet()
        self._alerts.stand_for_all()
        self._thread = threading.Thread(target=self._work, args=(self._alerts,), name="run-alerts", daemon=True)
        self._thread.start()

    def warmed_up(self, rows: Sequence[WarmAccount]) -> None:
        """Tell what the warm-up came to, unless that was told already."""
        if self._alerts is None:
            return
        for row in rows:
            if row.line is not None and row.line.instrument is not None:
                self._alerts.symbols[row.account.isin] = row.line.instrument.symbol
        ready = tuple(
            words.Ready(row.account.name, row.account.broker_code, row.why_not or _planned(row), row.ready)
            for row in rows
        )
        if ready != self._warmed:
            self._warmed = ready
            self._alerts.post(AlertKind.READINESS, words.readiness("Warmed up", self._record.bell, ready))

    def over(self, document: Mapping[str, Any]) -> None:
        """The run is over: tell what is left to tell, and what it came to."""
        if self._alerts is None:
            return
        self._stop()
        self._look()
        self._alerts.look_for_halts()
        self._alerts.post(AlertKind.SUMMARY, words.summary(document))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alerts is not None:
            self._stop()
            self._alerts.close()

    def _schedule_quiet(self) -> None:
        if self._alerts is not None:
            self._alerts.dispatcher.hold(max(0.0, self._until_bell_s() - QUIET_S))

    def _until_bell_s(self) -> float:
        return (self._record.bell - exchange_now(self._office.clock, self._office.calendar.tz)).total_seconds()

    def _work(self, alerts: Alerts) -> None:
        try:
            self._follow(alerts)
        except Exception:  # noqa: BLE001 - the thread's last door: the run goes on all the same
            _log.exception("a fault of firstbell's own: the rest of this run is told at its end")

    def _follow(self, alerts: Alerts) -> None:
        if not self._wait_for(ARMED_S, alerts):
            return
        if self._until_bell_s() > QUIET_S:
            self._tell_armed(alerts)
        if self._over.wait(max(0.0, self._until_bell_s()) + _FIRST_LOOK_S):
            return
        give_up_s = time.monotonic() + self._office.settings.firstbell.give_up_after.total_seconds()
        while time.monotonic() < give_up_s and not ((entries := self._look()) and answers_are_in(entries)):
            if self._over.wait(_LOOK_S):
                return
        alerts.dispatcher.release()
        while not self._over.wait(_WATCH_S):
            alerts.look_for_halts()
            self._look()

    def _wait_for(self, before_bell_s: float, alerts: Alerts) -> bool:
        """Wait until so long before the bell; False when the run is over before."""
        while (left_s := self._until_bell_s() - before_bell_s) > 0:
            # Our clock may be set while we wait, and then the quiet begins at another time.
            self._schedule_quiet()
            alerts.look_for_halts()
            if self._over.wait(min(_WATCH_S, left_s)):
                return False
        return True

    def _tell_armed(self, alerts: Alerts) -> None:
        try:
            run = results.view(self._office.journal, self._record, ended=False, now_ns=self._office.clock.wall_ns())
        except FirstbellError as error:
            _log.warning("who is armed could not be told: %s", error)
            return
        rows = results.document(run, self._office.calendar.tz)["orders"]
        ready = [words.Ready(row["account"], row["broker_code"], *_armed(row)) for row in rows]
        alerts.post(AlertKind.READINESS, words.readiness("Armed", self._record.bell, ready))

    def _look(self) -> tuple[Entry, ...]:
        """Have told what is new in the journal; the run's orders as they stand."""
        if self._tail is None:
            return ()
        try:
            return self._tail.look()
        except FirstbellError as error:
            _log.warning("what is new of this run is told later: %s", error)
            return ()

    def _stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()


def _planned(row: WarmAccount) -> str:
    orders = () if row.line is None else row.line.orders
    if not orders:
        return "ready"
    quantity = sum(order.quantity for order in orders)
    return f"{orders[0].side.value} {grouped(quantity)} at {grouped(orders[0].price)}"


def _armed(row: Mapping[str, Any]) -> tuple[str, bool]:
    go = row["status"] == OrderStatus.INITIALIZED.value or row["outcome"] == "accepted"
    if not go:
        return row["reason"] or row["outcome"], False
    what = f"{row['side']} {grouped(exact(row['quantity']))} at {grouped(exact(row['price']))}"
    return (f"placed already: {what}" if row["outcome"] == "accepted" else what), True
