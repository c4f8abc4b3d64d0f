"""The opened rooms of one config: journal, cache, logs, captcha solver, and the brokers of its logins."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from firstbell.brokers.captcha import Nobody, make_solver
from firstbell.brokers.registry import open_broker
from firstbell.cache import TtlCache
from firstbell.clock import SystemClock
from firstbell.config.private_folder import guard_folder
from firstbell.errors import ConfigError, Problem
from firstbell.journal.address import Address
from firstbell.journal.late_order_log import LateOrderLog
from firstbell.journal.opening import open_journal
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import OrderLog
from firstbell.journal.order_logger import OrderLogger
from firstbell.log import redact
from firstbell.market import calendar
from firstbell.oms.in_hand import InHand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from firstbell.brokers.base import Broker
    from firstbell.clock import Clock
    from firstbell.config import AccountSettings, Settings
    from firstbell.journal.base import Journal
    from firstbell.market import MarketCalendar
    from firstbell.model.identifiers import AccountName
    from firstbell.model.order_request import OrderRequest

    Denied = Callable[[AccountSettings, OrderRequest, str], None]
    """Told of a request that was denied before it got a name: the account, the request, and why."""


def journal_address(settings: Settings) -> Address | None:
    """Where the journal is that a config names, or None for SQLite in its state folder; nothing is connected.

    Raises:
        ConfigError: The address cannot be used.
    """
    secret = settings.firstbell.journal
    try:
        return None if secret is None else Address.of(secret.get_secret_value())
    except ValueError as error:
        raise ConfigError(str(settings.file), [Problem("firstbell", "journal", "", str(error))]) from None


class Office:
    """Everything that a command needs of one config, opened when first asked for and closed together.

    Args:
        settings: The config.
        clock: Both clocks.
        logs_in: Whether brokers may ask for captchas: where they may not, a login whose token has ended asks nothing.

    Raises:
        ConfigError: The journal's address cannot be used.
        RunError: The state folder is not ours alone.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, *, logs_in: bool = True) -> None:
        self.settings = settings
        self._logs_in = logs_in
        guard_folder(settings.firstbell.state_dir)
        self.clock: Clock = clock or SystemClock()
        self.journal: Journal = open_journal(journal_address(settings), self.state_dir / "journal.db", self.clock)
        self.in_hand = InHand()
        """Says whether an order is in hand just now."""
        self._lock = threading.Lock()
        self._cache: TtlCache | None = None
        self._order_files: OrderFiles | None = None
        self._late_log: LateOrderLog | None = None
        self._brokers: dict[tuple[str, str], Broker] = {}
        self._closers: list[Callable[[], object]] = []
        self._told_of_denials: list[Denied] = []

    @property
    def state_dir(self) -> Path:
        """Where cache, journal, logs and locks live."""
        return self.settings.firstbell.state_dir

    @property
    def logs_dir(self) -> Path:
        """Where the logs live."""
        return self.state_dir / "logs"

    @property
    def calendar(self) -> MarketCalendar:
        """The market's days and hours."""
        return calendar(self.settings.firstbell.market)

    @property
    def cache(self) -> TtlCache:
        """The disk cache."""
        with self._lock:
            if self._cache is None:
                self._cache = TtlCache(self.state_dir / "cache")
            return self._cache

    def keep_order_log(self, *, late: bool = False) -> None:
        """Have every report of this process written to the order log as well.

        Args:
            late: Whether a thread of its own writes it, a moment later, so that no order waits for it.
        """
        with self._lock:
            if self._order_files is not None:
                return
            self._order_files = files = OrderFiles(self.logs_dir, self.settings.order_log, self.calendar.tz)
            log = OrderLog(files, self.journal)
            if late:
                self._late_log = LateOrderLog(log, files, self.in_hand.any)
                self.in_hand.when_free(self._late_log.wake)
            self.journal.subscribe(self._late_log or log)

    def flush(self) -> None:
        """Wait until the order log has all that this process has to say by now, at most some seconds."""
        if self._late_log is not None:
            self._late_log.flush()

    def order_logger(self, account: AccountName) -> OrderLogger | None:
        """What writes of an account's orders that never came into the journal; None where no order log is kept."""
        with self._lock:
            lines = self._late_log or self._order_files
            return None if lines is None else OrderLogger(lines, self.clock, account)

    def broker(self, account: AccountSettings) -> Broker:
        """The broker of an account; accounts of one login share one."""
        key = (account.broker_code, account.username)
        cache = self.cache
        with self._lock:
            if key not in self._brokers:
                solver = make_solver(self.settings.captcha, self.state_dir) if self._logs_in else Nobody()
                self._brokers[key] = open_broker(account, self.settings, cache, solver)
            return self._brokers[key]

    def when_denied(self, call: Denied) -> None:
        """Have somebody told of requests that are denied from now on. It must be quick and must not raise."""
        self._told_of_denials.append(call)

    def denied(self, account: AccountSettings, request: OrderRequest, why: str) -> None:
        """Tell of a request that was denied before it got a name, and so stands in no journal."""
        logger = self.order_logger(account.name)
        if logger is not None:
            logger.log_order_failed(
                account.broker_code, request.instrument, request.side, request.quantity, request.price, redact(why)
            )
        for call in self._told_of_denials:
            call(account, request, why)

    def before_closing(self, call: Callable[[], object]) -> None:
        """Have something done before anything here is closed."""
        self._closers.append(call)

    def close(self) -> None:
        """Close what was opened."""
        while self._closers:
            self._closers.pop()()
        if self._late_log is not None:
            # It reads the journal, which is closed after it.
            self._late_log.close()
        with self._lock:
            if self._order_files is not None:
                self._order_files.close()
            if self._cache is not None:
                self._cache.close()
                self._cache = None
            self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
