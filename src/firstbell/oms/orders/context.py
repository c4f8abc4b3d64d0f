"""What the orders of all logins of one order manager have in common."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import date

    from firstbell.clock import Clock
    from firstbell.config import AccountSettings
    from firstbell.journal.base import Journal, Owner
    from firstbell.market import MarketCalendar
    from firstbell.market.hours import Hours
    from firstbell.model.identifiers import BrokerCode, RunId
    from firstbell.model.order_request import OrderRequest
    from firstbell.oms.carrier import Interrupt
    from firstbell.oms.misses_file import MissesFile
    from firstbell.oms.orders.day_limits import DayLimits
    from firstbell.oms.orders.looks_file import LooksFile
    from firstbell.oms.orders.validator import OrderValidator
    from firstbell.oms.pace_file import PaceFile
    from firstbell.oms.policies.fallback import FallbackConfig
    from firstbell.oms.policies.partial_fills import PartialFillConfig
    from firstbell.oms.policies.retry import RetryConfig
    from firstbell.oms.run_budget import AttemptBudget
    from firstbell.risk.checks import Limits
    from firstbell.risk.trading_state import Halt, TradingState


@dataclass(frozen=True, slots=True)
class OrderContext:
    """The surroundings of an order manager.

    Attributes:
        journal: Where orders are claimed and reports written.
        clock: Both clocks.
        run_id: Under which name this manager writes.
        owner: This process.
        market: Whose ticks and fees hold.
        hours_of: When the market of a broker takes orders, as far as that is judged here.
        calendar_of: Which sessions it has: they end the orders that are for a day, also where the broker alone judges
            when it takes orders.
        today: The trading day that a new order is for.
        limits: The user's own limits.
        validator: The checks on what is asked for.
        retry: How what is certainly not placed is tried again.
        fallback: What may be tried after certain refusals.
        partial_fills: What becomes of orders that have traded in part.
        interrupt: Stops new attempts; set by a halt.
        state: What may leave at all, now.
        called: Who took from what may leave, and why; None where nobody did.
        budget: How much may be sent in all.
        observe: Told how long something took, by its name, in ns: ``overhead`` of one order, the broker's time left
            out, and ``validation``.
        denied: Told of requests that were denied before they got a name, and so stand in no journal: the account, the
            request, and why.
        in_hand: Entered while an order is placed, changed or canceled: what can wait is not done meanwhile.
        pace_of: By a login's key: the pace that it shares with other processes; None where there are none.
        looks_of: By a login's key: when its list was last read, by whichever process; None where there are no others.
        misses_of: By a login's key: which orders its lists have missed, by whichever process; None where nobody asks.
        day_limits: What limits on a day count of other logins and processes; None where no such limit is set.
        intervene: Told, in words, where a person has to look: an account's or an order's name, and why.
    """

    journal: Journal
    clock: Clock
    run_id: RunId
    owner: Owner
    market: str
    hours_of: Callable[[BrokerCode], Hours]
    calendar_of: Callable[[BrokerCode], MarketCalendar]
    today: Callable[[], date]
    limits: Limits
    validator: OrderValidator
    retry: RetryConfig
    fallback: FallbackConfig
    partial_fills: PartialFillConfig
    interrupt: Interrupt
    state: Callable[[], TradingState]
    called: Callable[[], Halt | None]
    budget: AttemptBudget
    observe: Callable[[str, int], None] = field(default=lambda _name, _ns: None)
    denied: Callable[[AccountSettings, OrderRequest, str], None] = field(default=lambda _account, _request, _why: None)
    in_hand: AbstractContextManager[None] = field(default_factory=nullcontext)
    pace_of: Callable[[str], PaceFile | None] = field(default=lambda _login: None)
    looks_of: Callable[[str], LooksFile | None] = field(default=lambda _login: None)
    misses_of: Callable[[str], MissesFile | None] = field(default=lambda _login: None)
    day_limits: DayLimits | None = None
    intervene: Callable[[str, str], None] = field(default=lambda _name, _why: None)
