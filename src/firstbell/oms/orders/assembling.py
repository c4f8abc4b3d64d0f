"""An order manager put together from a config's opened rooms."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import HttpBroker
from firstbell.clock import exchange_now
from firstbell.config.order_settings import TradingMode
from firstbell.errors import RunError
from firstbell.journal.owner import this_process
from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours
from firstbell.model.broker_codes import PAPER
from firstbell.oms.logins import logins_of
from firstbell.oms.misses_file import MissesFile
from firstbell.oms.orders.attendance import PATIENCE_S
from firstbell.oms.orders.context import OrderContext
from firstbell.oms.orders.day_limits import DayLimits
from firstbell.oms.orders.looks_file import LooksFile
from firstbell.oms.orders.manager import OrderManager
from firstbell.oms.orders.thread_interrupt import ThreadInterrupt
from firstbell.oms.orders.validator import OrderValidator, hours_of
from firstbell.oms.pace_file import PaceFile
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.oms.policies.partial_fills import PartialFillConfig
from firstbell.oms.policies.retry import RetryConfig
from firstbell.oms.run_budget import RateBudget
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import in_force, trading_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.config import Settings
    from firstbell.market import MarketCalendar
    from firstbell.model.identifiers import BrokerCode, RunId
    from firstbell.oms.metrics import OrderMetrics
    from firstbell.oms.office import Office
    from firstbell.risk.trading_state import TradingState

_log = logging.getLogger(__name__)

_ALWAYS: Final = "always"


def order_manager(
    office: Office,
    run_id: RunId,
    *,
    live: bool = False,
    interrupt: ThreadInterrupt | None = None,
    intervene: Callable[[str, str], None] | None = None,
    state: Callable[[], TradingState] | None = None,
    metrics: OrderMetrics | None = None,
    patience_s: float | None = PATIENCE_S,
) -> OrderManager:
    """Put an order manager together for all enabled accounts of a config.

    Args:
        office: The config's opened rooms.
        run_id: Under which name it writes.
        live: Whether real money was asked for on the command line; the config has to ask for it as well.
        interrupt: Stops new attempts; by default one that sees a halt whenever something is about to leave.
        intervene: Told where a person has to look; by default the run log says it.
        state: What may leave at all; by default what the state folder says.
        metrics: Told how long things took.
        patience_s: As for `OrderManager`; None for a process that ends by itself.

    Raises:
        RunError: Real money was asked for in one place alone, or a broker's orders cannot be prepared.
        JournalError: The journal cannot be read or written.
    """
    settings = office.settings
    mode = _mode(settings, live=live)
    brokers = {}
    for login in logins_of(settings.enabled):
        broker = office.broker(login.leader)
        if not isinstance(broker, HttpBroker):
            raise RunError(f"orders at {login.broker_code} cannot be prepared")
        brokers[login] = broker
    context = order_context(office, run_id, interrupt=interrupt, intervene=intervene, state=state, metrics=metrics)
    return OrderManager(
        context,
        brokers,
        mode=mode,
        stale_after=settings.orders.stale_after,
        every_s=settings.orders.every.total_seconds(),
        patience_s=patience_s,
    )


def order_context(
    office: Office,
    run_id: RunId,
    *,
    interrupt: ThreadInterrupt | None = None,
    intervene: Callable[[str, str], None] | None = None,
    state: Callable[[], TradingState] | None = None,
    metrics: OrderMetrics | None = None,
) -> OrderContext:
    """The surroundings of a config's order manager."""
    settings, clock, state_dir = office.settings, office.clock, office.state_dir
    always = Hours(always_open(office.calendar.tz, market=office.calendar.market))
    market = hours_of(settings, office.calendar)
    paper_is_open = settings.paper.hours == _ALWAYS
    risk = settings.risk

    def hours_at(code: BrokerCode) -> Hours:
        return always if code == PAPER and paper_is_open else market

    def calendar_at(code: BrokerCode) -> MarketCalendar:
        return always.calendar if code == PAPER and paper_is_open else office.calendar

    return OrderContext(
        journal=office.journal,
        clock=clock,
        run_id=run_id,
        owner=this_process(),
        market=settings.firstbell.market,
        hours_of=hours_at,
        calendar_of=calendar_at,
        today=lambda: exchange_now(clock, office.calendar.tz).date(),
        limits=Limits(
            max_order_value=risk.max_order_value,
            max_order_quantity=risk.max_order_quantity,
            max_total_value=risk.max_total_value,
            max_orders_per_account=risk.max_orders_per_account,
        ),
        validator=OrderValidator(settings, market),
        retry=RetryConfig.of(settings.retry),
        fallback=FallbackConfig.of(settings.fallback),
        partial_fills=PartialFillConfig.of(settings.partial_fills),
        interrupt=interrupt or ThreadInterrupt(state_dir),
        state=state or (lambda: trading_state(state_dir)),
        called=partial(in_force, state_dir),
        budget=RateBudget(settings.orders.max_attempts_per_minute, clock),
        observe=_nothing if metrics is None else metrics.observe,
        denied=office.denied,
        in_hand=office.in_hand,
        pace_of=partial(PaceFile.of, state_dir),
        looks_of=partial(LooksFile.of, state_dir),
        misses_of=partial(MissesFile.of, state_dir),
        day_limits=(
            None
            if risk.max_total_value is None and risk.max_orders_per_account is None
            else DayLimits(office.journal, state_dir / "locks")
        ),
        intervene=intervene or (lambda name, why: _log.error("%s: a person has to look: %s", name, why)),
    )


def _nothing(_name: str, _ns: int) -> None:
    """Nobody counts."""


def _mode(settings: Settings, *, live: bool) -> TradingMode:
    if live and settings.orders.mode is not TradingMode.LIVE:
        raise RunError(
            "--live asks for real money, and the config does not: write mode = live into its section [orders]"
        )
    return TradingMode.LIVE if live else TradingMode.PAPER
