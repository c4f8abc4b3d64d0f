"""Figures about orders and positions, in the form that Prometheus reads. Nothing in them grows with the orders.

Latencies are histograms and orders are counts; the only names in them are those of accounts, states and kinds. No
order's id, price or reason comes here, and so no secret that a broker repeats. A float is what the format has for a
number: what is money is exact until it is written.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from firstbell.errors import FirstbellError
from firstbell.log import redact
from firstbell.model.order_status import ReportKind
from firstbell.model.terms import AttemptOutcome
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from prometheus_client import Metric

    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport

    OrdersByStatus = Callable[[], Mapping[str, int]]
    Summary = Callable[[], Mapping[str, Any]]
    """What `firstbell.oms.positions.monitor.PositionMonitor.get_position_summary` gives."""

Kept = TypeVar("Kept")

_log = logging.getLogger(__name__)

_MOST_ACCOUNTS: Final = 200
"""So many accounts have figures of their own; any further ones have theirs together, as ``other``."""
_MOST_UNANSWERED: Final = 20_000
"""So many orders without an answer are remembered; the oldest of more are not counted."""
_ENGINE: Final = (0.00002, 0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1.0)
"""Seconds: what happens within this process."""
_NETWORK: Final = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
    2.0,
    3.0,
    5.0,
    10.0,
    30.0,
    60.0,
)
"""Seconds: what a broker has to answer."""
_ANSWERS: Final = {
    ReportKind.ACCEPTED: "accepted",
    ReportKind.PARTIALLY_FILLED: "accepted",
    ReportKind.FILLED: "accepted",
    ReportKind.CANCELED: "accepted",
    ReportKind.EXPIRED: "accepted",
    ReportKind.REJECTED: "rejected",
    ReportKind.DENIED: "denied",
}
"""What an order's first answer means: what is on the list of the day was accepted, whatever became of it."""
_TRADES: Final = 10_000
"""So many trades are remembered, so that none is counted twice: who else tells of one does so within seconds."""
_PERCENTILES: Final = (50, 90, 99)


class OrderMetrics:
    """A `firstbell.journal.base.Subscriber` that counts. Safe for threads, and some microseconds a report.

    It may be told of a process's own reports as they are written and of others' later, in whatever order: an order's
    claim and its first answer find each other.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        counter, histogram = partial(_counter, self.registry), partial(_histogram, self.registry)
        self._orders = counter("orders_answered", "Orders by their first answer.", "account", "outcome")
        self._reports = counter("reports", "Everything that happened to orders.", "account", "kind")
        self._attempts = counter("attempts", "Sendings of orders, by what they came to.", "account", "outcome")
        self._retries = counter("retries", "Sendings after an order's first.", "account")
        self._trades = counter("trades", "Trades that were told.", "account")
        self._latencies = {
            "placement": histogram("placement_seconds", "From an order's claim to its answer.", _NETWORK),
            "round_trip": histogram("round_trip_seconds", "From an attempt's first byte to its answer.", _NETWORK),
            "overhead": histogram("overhead_seconds", "What the engine adds to an order.", _ENGINE),
            "validation": histogram("validation_seconds", "What validating an order takes.", _ENGINE),
        }
        self._live = _Live(self._success)
        self.registry.register(self._live)
        self._lock = threading.Lock()
        self._unanswered: OrderedDict[ClientOrderId, datetime] = OrderedDict()
        self._early: OrderedDict[ClientOrderId, tuple[str, datetime]] = OrderedDict()
        """First answers to orders of whose claim was not heard yet: another process's, which is heard of later."""
        self._trade_ids: OrderedDict[tuple[ClientOrderId, str], None] = OrderedDict()
        self._accounts: set[str] = set()

    def __call__(self, report: ExecutionReport, order: Order) -> None:
        """Count one report; a trade that is told by two processes is one."""
        if report.fill is not None and not self._is_new(report.client_order_id, report.fill.trade_id):
            return
        account = self._account(order.account)
        self._reports.labels(account, report.kind.value).inc()
        if report.fill is not None:
            self._trades.labels(account).inc()
        attempt = report.attempt
        if attempt is not None:
            self._attempts.labels(account, attempt.outcome.value.lower()).inc()
            if attempt.number > 1:
                self._retries.labels(account).inc()
            if attempt.round_trip_us is not None and attempt.outcome is not AttemptOutcome.NOT_SENT:
                self._latencies["round_trip"].observe(attempt.round_trip_us / 1e6)
        self._count_answer(report, account)

    def _is_new(self, name: ClientOrderId, trade_id: str) -> bool:
        with self._lock:
            is_new = (name, trade_id) not in self._trade_ids
            self._trade_ids[name, trade_id] = None
            if len(self._trade_ids) > _TRADES:
                self._trade_ids.popitem(last=False)
            return is_new

    def observe(self, name: str, ns: int) -> None:
        """What something took, by its name (``overhead``, ``validation``), in ns."""
        self._latencies[name].observe(ns / 1e9)

    def observe_overhead(self, seconds: float) -> None:
        """What the engine itself took for one order, the broker's time left out."""
        self._latencies["overhead"].observe(seconds)

    def observe_validation(self, seconds: float) -> None:
        """What validating one order took."""
        self._latencies["validation"].observe(seconds)

    def watch(
        self,
        *,
        orders: OrdersByStatus | None = None,
        positions: Summary | None = None,
        alerts: Callable[[], int] | None = None,
    ) -> None:
        """Show what others know, each time the figures are read.

        Args:
            orders: How many open orders there are by status.
            positions: All positions together.
            alerts: How many alerts wait to be sent.
        """
        self._live.orders = orders or self._live.orders
        self._live.positions = positions or self._live.positions
        self._live.alerts = alerts or self._live.alerts

    def text(self) -> str:
        """All figures, as Prometheus reads them."""
        return generate_latest(self.registry).decode("utf-8")

    def figures(self) -> Mapping[str, Any]:
        """The figures in short, for people: counts, the rate of success, retries, percentiles in seconds."""
        answered: dict[str, int] = {}
        for sample in _samples(self._orders, "_total"):
            outcome = sample[0]["outcome"]
            answered[outcome] = answered.get(outcome, 0) + int(sample[1])
        return {
            "answered": answered,
            "success_rate": self._success(),
            "retries": int(sum(value for _, value in _samples(self._retries, "_total"))),
            "latency_s": {
                name: {f"p{percent}": _percentile(histogram, percent) for percent in _PERCENTILES}
                for name, histogram in self._latencies.items()
            },
        }

    def _count_answer(self, report: ExecutionReport, account: str) -> None:
        name = report.client_order_id
        with self._lock:
            if report.kind is ReportKind.INITIALIZED and name not in self._early:
                _keep(self._unanswered, name, report.at)
                return
            if report.kind is ReportKind.TRIGGERED and name in self._unanswered:
                # One that was held back: it is placed from now on.
                self._unanswered[name] = report.at
                return
            if report.kind is ReportKind.INITIALIZED:
                began, (outcome, answered) = report.at, self._early.pop(name)
            elif (known := _ANSWERS.get(report.kind)) is None:
                return
            elif name not in self._unanswered:
                if name not in self._early:
                    _keep(self._early, name, (known, report.at))
                return
            else:
                began, outcome, answered = self._unanswered.pop(name), known, report.at
        self._orders.labels(account, outcome).inc()
        if outcome != "denied":
            self._latencies["placement"].observe(max(0.0, (answered - began).total_seconds()))

    def _success(self) -> float | None:
        """The part of the answered orders that was accepted; None before the first answer."""
        counts = [(labels["outcome"], value) for labels, value in _samples(self._orders, "_total")]
        every = sum(value for _, value in counts)
        return sum(value for outcome, value in counts if outcome == "accepted") / every if every else None

    def _account(self, name: str) -> str:
        if name not in self._accounts:
            with self._lock:
                if len(self._accounts) >= _MOST_ACCOUNTS:
                    return "other"
                self._accounts.add(name)
        return redact(name)


def _keep(kept: OrderedDict[ClientOrderId, Kept], name: ClientOrderId, value: Kept) -> None:
    """Remember something of an order, and forget what was remembered longest ago where that is too much."""
    kept[name] = value
    if len(kept) > _MOST_UNANSWERED:
        kept.popitem(last=False)


class _Live(Collector):
    """What is asked of others when the figures are read. What cannot be told is left out."""

    def __init__(self, success: Callable[[], float | None]) -> None:
        self._success = success
        self.orders: OrdersByStatus | None = None
        self.positions: Summary | None = None
        self.alerts: Callable[[], int] | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are known when they are read, and nobody is asked before."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Ask, and tell."""
        success = self._success()
        if success is not None:
            yield _gauge("order_success_ratio", "The part of the answered orders that was accepted.", success)
        if self.alerts is not None:
            yield _gauge("alerts_queued", "Alerts that wait to be sent.", self.alerts())
        if self.orders is not None:
            orders = GaugeMetricFamily("firstbell_orders", "Open orders by status.", labels=["status"])
            for status, count in sorted(self.orders().items()):
                orders.add_metric([str(status)], count)
            yield orders
        if self.positions is None:
            return
        try:
            summary = self.positions()
        except FirstbellError as error:
            _log.warning("the positions' figures cannot be told: %s", error)
            return
        yield from _position_figures(summary)


def _position_figures(summary: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("positions_open", "Positions that are open.", summary["open_positions"])
    stale = sum(each["stale"] and bool(each["quantity"]) for each in summary["positions"])
    yield _gauge("positions_stale", "Of them, those whose price is stale.", stale)
    estimated = sum(each["estimated"] for each in summary["positions"])
    yield _gauge("positions_estimated", "Positions whose profit is an estimate, in all sums too.", estimated)
    for name, key, words in (
        ("profit_realized", "realized_pnl", "What was closed today earned, without fees."),
        ("profit_unrealized", "unrealized_pnl", "What is held would earn if it were closed."),
        ("fees", "fees", "What today's trades took in fees."),
    ):
        yield _by_account(name, key, words, summary["positions"])
    for name, key, words in (
        ("profit_day", "day_pnl", "What the day has changed, all fees taken off."),
        ("daily_loss_used", "daily_loss", "How much of max_daily_loss is used up."),
        ("drawdown", "drawdown", "How far the day's profit has fallen from its best."),
    ):
        if summary.get(key) is not None:
            yield _gauge(name, words, summary[key])
    if "limit_reached" in summary:
        yield _gauge("limit_reached", "Whether a limit on losses stands.", summary["limit_reached"] is not None)
    if "state" in summary:
        states = GaugeMetricFamily("firstbell_trading_state", "What may leave: 1 for the state.", labels=["state"])
        for state in TradingState:
            states.add_metric([state.value], float(summary["state"] == state.value))
        yield states


def _by_account(name: str, key: str, words: str, positions: Iterable[Mapping[str, Any]]) -> Metric:
    sums: dict[str, Decimal] = {}
    for each in positions:
        if each[key] is not None:
            account = redact(each["account"])
            account = account if account in sums or len(sums) < _MOST_ACCOUNTS else "other"
            sums[account] = sums.get(account, Decimal(0)) + each[key]
    family = GaugeMetricFamily(f"firstbell_{name}", words, labels=["account"])
    for account, money in sorted(sums.items()):
        family.add_metric([account], float(money))
    return family


def _counter(registry: CollectorRegistry, name: str, words: str, *labels: str) -> Counter:
    return Counter(f"firstbell_{name}", words, labels, registry=registry)


def _histogram(registry: CollectorRegistry, name: str, words: str, buckets: Sequence[float]) -> Histogram:
    return Histogram(f"firstbell_{name}", words, buckets=buckets, registry=registry)


def _gauge(name: str, words: str, value: float | Decimal) -> Metric:
    return GaugeMetricFamily(f"firstbell_{name}", words, value=float(value))


def _samples(metric: Counter | Histogram, ending: str) -> list[tuple[dict[str, str], float]]:
    return [
        (sample.labels, sample.value)
        for family in metric.collect()
        for sample in family.samples
        if sample.name.endswith(ending)
    ]


def _percentile(histogram: Histogram, percent: int) -> float | None:
    """Where so much of everything observed lies below, in seconds, within its bucket as if evenly spread.

    None before anything was observed. What lies beyond the last bound is said to lie at it.
    """
    buckets = sorted((float(labels["le"]), count) for labels, count in _samples(histogram, "_bucket"))
    every = buckets[-1][1]
    if not every:
        return None
    wanted, low, below = every * percent / 100, 0.0, 0.0
    for bound, count in buckets[:-1]:
        if count >= wanted:
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return low
