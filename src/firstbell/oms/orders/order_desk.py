"""An order desk: an order manager with its positions and figures, opened from a config and closed together.

For scripts, and for ``firstbell orders watch``::

    with OrderDesk.open("config.ini") as desk:
        response = desk.orders.place(OrderRequest(instrument="IRO1FOLD0001", side="buy", ...))
        desk.start()
        ...
"""

from __future__ import annotations

import logging
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.config.order_settings import TradingMode
from firstbell.errors import RunError
from firstbell.market.hours import Hours
from firstbell.model.broker_codes import PAPER
from firstbell.oms.metrics import OrderMetrics
from firstbell.oms.metrics_page import MetricsPage
from firstbell.oms.office import Office
from firstbell.oms.orders.assembling import order_manager
from firstbell.oms.orders.health_file import HealthFile
from firstbell.oms.orders.thread_interrupt import ThreadInterrupt
from firstbell.oms.others_reports import OthersReports
from firstbell.oms.positions import last_prices
from firstbell.oms.positions.book import PositionBook, fees_of
from firstbell.oms.positions.monitor import PositionMonitor
from firstbell.oms.positions.prices import BrokerPrices
from firstbell.oms.run_id import new_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from firstbell.model.identifiers import AccountName, RunId
    from firstbell.oms.positions.loss_limits import Alert
    from firstbell.oms.positions.prices import Market, MarketPrice
    from firstbell.oms.positions.view import PositionView
    from firstbell.risk.trading_state import TradingState

_log = logging.getLogger(__name__)

_KEEP_PRICES_NS: Final = 10_000_000_000
"""The last prices are written down no more often than this, in ns, unless a first one has come."""


class OrderDesk:
    """Orders, positions and figures of one config's accounts.

    Args:
        office: The config's opened rooms; they are closed with the desk.
        run_id: Under which name it writes; a new one by default.
        live: Whether real money is asked for; the config has to ask for it as well.
        intervene: Told, in words, where a person has to look: an order's name, and why.
        alert: Told what positions have reached.

    Raises:
        RunError: Real money was asked for in one place alone, or this process cannot be told of halts.
        JournalError: The journal cannot be read or written.
    """

    def __init__(
        self,
        office: Office,
        *,
        run_id: RunId | None = None,
        live: bool = False,
        intervene: Callable[[str, str], None] | None = None,
        alert: Alert | None = None,
    ) -> None:
        self.office = office
        settings, journal = office.settings, office.journal
        self.run_id = run_id or new_run_id(exchange_now(office.clock, office.calendar.tz))
        self.interrupt = ThreadInterrupt(office.state_dir)
        self.metrics = OrderMetrics()
        """What orders came to, counted: this process's at once, and with every round what others have written."""
        fee_of = fees_of(settings.firstbell.market)
        self._book = PositionBook.of(journal, settings)
        self._page: MetricsPage | None = None
        others = OthersReports(journal, self.run_id, self.metrics)
        journal.subscribe(self.metrics)
        journal.subscribe(self._book)
        self.orders = order_manager(
            office,
            self.run_id,
            live=live,
            interrupt=self.interrupt,
            intervene=intervene,
            state=self._state,
            metrics=self.metrics,
        )
        """The order manager."""
        brokers = {account.name: office.broker(account) for account in settings.enabled}
        hours = Hours(office.calendar)
        self._prices = BrokerPrices(brokers, office.clock, hours, last_prices.load(office.state_dir))
        self.positions = PositionMonitor(
            self.orders,
            settings.positions,
            self._book,
            self._prices,
            office.clock,
            hours=hours,
            state_dir=office.state_dir,
            fee_of=fee_of,
            alert=alert,
        )
        """The position monitor."""
        self._kept_prices: tuple[int, Mapping[Market, MarketPrice]] = (0, self._prices.known)
        self.positions.after_round(self._keep_prices)
        self.orders.after_round(others.look)
        self.orders.after_round(HealthFile(office.state_dir, office.clock, self.orders.health).keep)
        self.metrics.watch(orders=self.orders.statuses, positions=self.positions.get_position_summary)
        now = exchange_now(office.clock, office.calendar.tz)
        self._book.begin_day(datetime.combine(now.date(), time(), tzinfo=now.tzinfo))

    @classmethod
    def open(cls, config: str | Path, *, live: bool = False) -> Self:
        """Open the desk of a config file, and keep its order log.

        Raises:
            ConfigError: The config cannot be used.
            RunError: As for the desk itself.
        """
        office = Office(load(Path(config)))
        try:
            office.keep_order_log(late=True)
            return cls(office, live=live)
        except BaseException:
            office.close()
            raise

    @property
    def accounts(self) -> tuple[AccountName, ...]:
        """The names of the accounts that may place orders here, as in the config."""
        return tuple(account.name for account in self.office.settings.enabled)

    @property
    def metrics_url(self) -> str | None:
        """Where the figures are shown; None where they are not."""
        return None if self._page is None else self._page.url

    @property
    def why_only_watched(self) -> str | None:
        """Why positions are not closed here that the config wants closed, in words; None where that is not so.

        Orders that were placed with real money are looked after all the same.
        """
        settings = self.office.settings
        wanted = settings.positions
        closes = wanted.auto_close_on_target or wanted.auto_close_on_stop or wanted.position_timeout_hours is not None
        real = [account.name for account in settings.enabled if account.broker_code != PAPER]
        if not (closes and real) or self.orders.mode is TradingMode.LIVE:
            return None
        return (
            f"positions of {', '.join(real)} are watched and not closed, whatever [positions] says: that takes "
            "mode = live in [orders] of the config, and --live"
        )

    def start(self) -> None:
        """Look after orders and positions from now on, in threads, and hear of halts; until `close`.

        Raises:
            RunError: It does so already, or the port for the figures cannot be had.
        """
        if self.why_only_watched is not None:
            _log.warning("%s", self.why_only_watched)
        self.interrupt.watch()
        port = self.office.settings.metrics.port
        if port is not None:
            self._page = MetricsPage(self.metrics.registry, port)
        self.orders.start()
        self.positions.start_monitoring()

    def stop(self) -> None:
        """End the threads; what is at a broker stays there, and what is held back stays held back, in the journal.

        Where they are not started again soon, what is held back is left to ``firstbell orders watch``.
        """
        self.positions.stop()
        self.orders.stop()
        if self._page is not None:
            self._page.close()
            self._page = None
        self._save_prices()

    def close(self) -> None:
        """End the threads and close what was opened; what is held back is left to ``firstbell orders watch``."""
        self.stop()
        self.orders.close()
        self.interrupt.close()
        self.office.close()

    def _keep_prices(self, _views: Sequence[PositionView]) -> None:
        """Write down the prices now and then, for whoever is shown positions while a broker cannot be asked."""
        now_ns, known = self.office.clock.monotonic_ns(), self._prices.known
        at_ns, kept = self._kept_prices
        if known.keys() != kept.keys() or (known != kept and now_ns - at_ns >= _KEEP_PRICES_NS):
            self._kept_prices = (now_ns, known)
            self._save_prices()

    def _save_prices(self) -> None:
        try:
            last_prices.save(self.office.state_dir, self._prices.known)
        except RunError as error:
            _log.warning("%s", error)

    def _state(self) -> TradingState:
        return self.positions.trading_state()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
