"""An order manager on a paper market with a stepped clock, that can be killed between any two of its deeds."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from firstbell.brokers.base import Answer
from firstbell.brokers.paper import dialect
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.config.models import AccountSettings, Settings
from firstbell.config.order_settings import TradingMode
from firstbell.journal.base import Owner
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours
from firstbell.model.instant import instant
from firstbell.model.order_request import OrderRequest
from firstbell.oms.logins import logins_of
from firstbell.oms.misses_file import MissesFile
from firstbell.oms.orders.context import OrderContext
from firstbell.oms.orders.day_limits import DayLimits
from firstbell.oms.orders.looks_file import LooksFile
from firstbell.oms.orders.manager import OrderManager
from firstbell.oms.orders.thread_interrupt import ThreadInterrupt
from firstbell.oms.orders.validator import OrderValidator
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.oms.policies.partial_fills import PartialFillConfig
from firstbell.oms.policies.retry import RetryConfig
from firstbell.oms.run_budget import RateBudget
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import in_force, trading_state
from stepped_clock import SteppedClock

D = Decimal
ISIN = "IRO1FOLD0001"
ACCOUNT = AccountSettings(name="Order_A", username="u", password="p", broker_code="paper", isin=ISIN)
_PIDS = itertools.count(4_000_001)
"""No Linux gives a process such a number: whoever had it is dead."""


class Killed(BaseException):
    """The process is gone."""


class Deeds:
    """Counts what a process does that anybody else can see, and kills it at one of them."""

    def __init__(self, kill_at=None, *, after=False):
        self.count = 0
        self.dead = False
        self._kill_at = kill_at
        self._after = after

    def do(self, deed, *args, **kwargs):
        if self.dead:
            raise Killed
        self.count += 1
        if self.count != self._kill_at:
            return deed(*args, **kwargs)
        self.dead = True
        if self._after:
            with suppress(Exception):
                deed(*args, **kwargs)
        raise Killed


class MortalJournal:
    """A journal whose writing counts as a deed."""

    def __init__(self, journal, deeds):
        self._journal = journal
        self._deeds = deeds

    def claim(self, *args, **options):
        return self._deeds.do(self._journal.claim, *args, **options)

    def append(self, reports, **options):
        return self._deeds.do(self._journal.append, reports, **options)

    def __getattr__(self, name):
        return getattr(self._journal, name)


class MortalBroker(PaperBroker):
    """A paper broker whose calls that change something count as deeds; it can lose answers and lack things."""

    deeds = Deeds()
    lost = None
    lacks = frozenset()
    left = ()
    """When orders and changes came, on the monotonic clock."""

    @property
    def capabilities(self):
        own = super().capabilities
        return replace(
            own,
            client_order_ids="client_order_ids" not in self.lacks,
            in_process="in_process" not in self.lacks,
            replace="replace" not in self.lacks,
            order_types=own.order_types - self.lacks,
            times_in_force=own.times_in_force - self.lacks,
            shows_book="shows_book" not in self.lacks,
        )

    def send(self, prepared, *, timeout_s):
        self.left = (*self.left, self.market.clock.monotonic_ns())
        if self.lost is not None:
            return self.deeds.do(self.lost, super().send, prepared, timeout_s=timeout_s)
        return self.deeds.do(super().send, prepared, timeout_s=timeout_s)

    def cancel(self, venue_order_id):
        return self.deeds.do(super().cancel, venue_order_id)

    def replace(self, venue_order_id, order):
        # It is sent like an order.
        return self.deeds.do(super().replace, venue_order_id, order)


class SteppedInterrupt(ThreadInterrupt):
    """Waiting moves a stepped clock: this machine's own knows nothing of the test's time."""

    def __init__(self, folder, clock):
        super().__init__(folder)
        self._clock = clock

    def wait_until(self, monotonic_ns):
        if not isinstance(self._clock, SteppedClock):
            return super().wait_until(monotonic_ns)
        if not self.is_set():
            self._clock.move_to(monotonic_ns)
        return self.is_set()


class Desk:
    """One order manager's life, and the market that outlives it."""

    def __init__(self, folder: Path, clock, market=None, **options):
        self.folder = folder
        self.clock = clock
        self.market = market or PaperMarket(clock=clock)
        self.options = options
        self.interventions = []
        self.observed = []
        self.denied = []
        self.journal = SqliteJournal(folder / "journal.db", clock)
        self.open()

    def reopened(self, **options):
        """The same desk with other options, in a process of its own."""
        self.options = options
        self.open()
        return self

    def open(self, deeds=None):
        """Begin a process; the one before it, if any, is dead."""
        deeds = deeds or Deeds()
        self.journal.close()
        self.journal = SqliteJournal(self.folder / "journal.db", self.clock)
        self.broker = MortalBroker(self.market, "u", min_interval_ms=self.options.get("min_interval_ms", 0))
        self.broker.deeds = deeds
        self.broker.lacks = frozenset(self.options.get("lacks", ()))
        here = this_process()
        self.interrupt = SteppedInterrupt(self.folder, self.clock)
        hours = self.options.get("hours", Hours(always_open(market="XTEH")))
        account = self.options.get("account", ACCOUNT)
        settings = Settings(file=Path("config.ini"), accounts=(account,))
        self.calendar = self.options.get("calendar", hours.calendar)
        context = OrderContext(
            journal=MortalJournal(self.journal, deeds),
            clock=self.clock,
            run_id=f"r{next(_PIDS)}",
            owner=self.options.get("owner") or Owner(here.host, next(_PIDS), 1.0),
            market="XTEH",
            hours_of=lambda _code: hours,
            calendar_of=lambda _code: self.calendar,
            today=self.today,
            limits=self.options.get("limits", Limits()),
            validator=OrderValidator(settings, hours),
            retry=self.options.get("retry", RetryConfig(base_delay=0.5)),
            fallback=self.options.get("fallback", FallbackConfig()),
            partial_fills=self.options.get("partial_fills", PartialFillConfig()),
            interrupt=self.interrupt,
            state=lambda: trading_state(self.folder),
            called=lambda: in_force(self.folder),
            budget=RateBudget(10_000, self.clock),
            intervene=lambda name, why: self.interventions.append((name, why)),
            observe=lambda name, took_ns: self.observed.append((name, took_ns)),
            pace_of=self.options.get("pace_of", lambda _login: None),
            looks_of=partial(LooksFile.of, self.folder),
            day_limits=DayLimits(self.journal, self.folder / "locks") if self.options.get("day_limits") else None,
            misses_of=partial(MissesFile.of, self.folder),
            denied=lambda account, request, why: self.denied.append((account.name, request, why)),
        )
        self.manager = OrderManager(
            context,
            {logins_of((account,))[0]: self.broker},
            mode=self.options.get("mode", TradingMode.PAPER),
            stale_after=timedelta(seconds=15),
            # By real time, in which hours of a stepped clock are nothing.
            patience_s=None,
        )

    def rounds(self, count=1, pause_s=2.0):
        for _ in range(count):
            self.clock.sleep(pause_s)
            self.manager.poll()

    def quote(self, bid, ask, **sizes):
        self.market.set_quote(ISIN, bid=D(bid), ask=D(ask), **sizes)

    def trade(self, price, quantity):
        self.market.trade(ISIN, D(price), D(quantity))

    def held(self):
        """What the paper account holds."""
        return sum((each.quantity for each in self.broker.positions()), D(0))

    def at_venue(self):
        """The venue's own list."""
        return self.broker.orders(self.today())

    def today(self):
        return instant(self.clock.wall_ns()).astimezone(self.calendar.tz).date()

    def refuse(self, reason=None, *, first=0, only=1_000):
        """Have the broker refuse orders for a reason, the first ones apart; None: it takes what comes again."""
        count = itertools.count()

        def say(send, prepared, *, timeout_s):
            if not first <= next(count) < first + only:
                return send(prepared, timeout_s=timeout_s)
            status, body = dialect.refused(dialect.CODES[reason], f"because of {reason}")
            wall_ns, at_ns = self.clock.wall_ns(), self.clock.monotonic_ns()
            return Answer(status, {}, body, wall_ns, at_ns, wall_ns, 1)

        self.broker.lost = None if reason is None else say

    def close(self):
        self.journal.close()


def request(**terms):
    return OrderRequest(
        **{"instrument": ISIN, "side": "buy", "order_type": "limit", "quantity": 1000, "price": 4860, **terms}
    )
