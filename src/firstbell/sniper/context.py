"""What all logins of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from firstbell.journal.base import RunLine, RunRecord
from firstbell.model.instant import epoch_ns
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import TradingState, in_force, trading_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from firstbell.brokers.base import Broker
    from firstbell.clock import Clock
    from firstbell.config import AccountSettings, Settings
    from firstbell.journal.base import Journal
    from firstbell.model.identifiers import RunId
    from firstbell.oms.attempts import Watcher
    from firstbell.oms.carrier import Interrupt
    from firstbell.oms.pace_file import PaceFile
    from firstbell.oms.run_budget import RunBudget
    from firstbell.risk.trading_state import Halt

    class OpenBroker(Protocol):
        """Opens the broker of an account."""

        def __call__(self, account: AccountSettings) -> Broker:
            """The broker, bound to the account's login; nothing is spoken yet."""
            ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run.

    Attributes:
        run_id: Its name.
        settings: The config.
        bell: The bell it aims at, in exchange time.
        journal: The journal.
        clock: Both clocks.
        open_broker: Opens the broker of an account.
        interrupt: Stops new attempts.
        watcher: Hears of every attempt.
        run_budget: How often the run's orders may be sent, all together.
        halt: Halts all trading, for the reason that it is given in words.
        started_ns: When the run was started, in ns since the epoch, on our clock.
        dry: Whether to do all but send.
        pace_of: By a login's key: the pace that it shares with other processes; None where there are none.
    """

    run_id: RunId
    settings: Settings
    bell: datetime
    journal: Journal
    clock: Clock
    open_broker: OpenBroker
    interrupt: Interrupt
    watcher: Watcher
    run_budget: RunBudget
    halt: Callable[[str], None]
    started_ns: int
    dry: bool = False
    pace_of: Callable[[str], PaceFile | None] = field(default=lambda _login: None)

    @property
    def bell_ns(self) -> int:
        """The bell in ns since the epoch, on the exchange's clock."""
        return epoch_ns(self.bell)

    @property
    def at_once(self) -> bool:
        """Whether the bell had rung already when the run was started: then it fires as soon as it is armed."""
        return self.bell_ns <= self.started_ns

    @property
    def day(self) -> date:
        """The trading day that the bell belongs to."""
        return self.bell.date()

    @property
    def limits(self) -> Limits:
        """The user's own limits."""
        risk = self.settings.risk
        return Limits(risk.max_order_value, risk.max_order_quantity, risk.max_total_value, risk.max_orders_per_account)

    def state(self) -> TradingState:
        """What may leave now."""
        return TradingState.HALTED if self.interrupt.is_halt else trading_state(self.settings.firstbell.state_dir)

    def called(self) -> Halt | None:
        """Who took from what may leave now, and why, as it is written down."""
        return in_force(self.settings.firstbell.state_dir)

    def monotonic_of(self, wall_ns: int) -> int:
        """An instant of our wall clock on the monotonic clock, by which all waiting is done."""
        return self.clock.monotonic_ns() + (wall_ns - self.clock.wall_ns())

    @property
    def give_up_ns(self) -> int:
        """How long after the bell the run goes on, in ns."""
        give_up_after = self.settings.firstbell.give_up_after
        return give_up_after // timedelta(microseconds=1) * 1000


def record_of(run_id: RunId, bell: datetime, accounts: Sequence[AccountSettings], results_dir: str) -> RunRecord:
    """How a run with these accounts is written down."""
    lines = tuple(RunLine(account.name, account.broker_code, account.isin, account.side) for account in accounts)
    return RunRecord(run_id, bell, lines, results_dir)
