"""Warming up: every login logged in, its money and instruments read, and its orders calculated.

It goes through the cache, unless whoever asks wants to know how things stand now. Several logins at once; what has to
be polite per host is kept polite by the brokers' own locks, across processes too.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from firstbell.brokers.base import Estimate
from firstbell.cache import JsonValue, Kind
from firstbell.clock import exchange_now
from firstbell.errors import BrokerError, FirstbellError, NoAnswer, WrongPassword
from firstbell.model.money import exact
from firstbell.model.terms import Side
from firstbell.oms.logins import Login, logins_of
from firstbell.oms.plan import DayUsed, Facts, PlanLine, plan_login
from firstbell.risk.checks import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime
    from decimal import Decimal

    from firstbell.brokers.base import Broker
    from firstbell.config import AccountSettings
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.oms.office import Office
    from firstbell.oms.plan import Calculator

    Progress = Callable[[Login, str], None]
    """Told what a login is doing, from several threads."""

T = TypeVar("T")

WORKERS: Final = 32
"""Logins warmed up at the same time."""
_TRY_AGAIN: Final = "try again, and ask the broker where it stays so"


@dataclass(frozen=True, slots=True)
class WarmAccount:
    """What warming up one account came to.

    Attributes:
        account: Its settings.
        token_ends_at: When its token ends; None without one.
        buying_power: What its login may spend, in rials; None where nothing is bought or it could not be read.
        line: What it would order now; None where it did not come so far.
        why_not: Why it is not ready, in words; None when it is.
    """

    account: AccountSettings
    token_ends_at: datetime | None
    buying_power: Decimal | None
    line: PlanLine | None
    why_not: str | None

    @property
    def ready(self) -> bool:
        """Whether an order could leave for it."""
        return self.why_not is None


class Freshness:
    """Which instruments have been asked for by now, where what is cached is not enough: each once in each broker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[tuple[str, InstrumentId], threading.Lock] = {}
        self._is_read: set[tuple[str, InstrumentId]] = set()

    def instrument(self, broker: Broker, isin: InstrumentId) -> Instrument:
        """An instrument as the broker has described it to one of its logins since this began.

        Raises:
            FirstbellError: The broker cannot be asked, or knows none.
        """
        key = (broker.code, isin)
        with self._lock:
            lock = self._read.setdefault(key, threading.Lock())
        with lock:
            found = broker.instrument(isin, fresh=key not in self._is_read)
            self._is_read.add(key)
        return found


def warm_up(
    office: Office, progress: Progress, tokens_until: datetime | None = None, *, fresh: bool = False
) -> list[WarmAccount]:
    """Warm up every enabled account.

    Args:
        office: The opened rooms.
        progress: Told of every step.
        tokens_until: Renew tokens that end before this; None to take any living one.
        fresh: Ask the brokers even where the cache still has an answer: for the money, or the holdings, of each login,
            and once for each instrument. A token that has died meanwhile is found out by that, and replaced.

    Returns:
        One row per account, in the config's order. What fails stands in its row; nothing is raised for it.
    """
    logins = logins_of(office.settings.enabled)
    waiting: queue.SimpleQueue[Login] = queue.SimpleQueue()
    for login in logins:
        waiting.put(login)
    done: queue.SimpleQueue[list[WarmAccount] | BaseException] = queue.SimpleQueue()
    freshness = Freshness() if fresh else None

    def work() -> None:
        while True:
            try:
                login = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put(_warm_login(office, login, progress, tokens_until, freshness))
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                done.put(error)

    # Daemons, so that Ctrl-C need not wait for a broker that hangs.
    for _ in range(min(WORKERS, len(logins))):
        threading.Thread(target=work, daemon=True).start()
    rows: dict[str, WarmAccount] = {}
    for _ in logins:
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        rows.update({row.account.name: row for row in result})
    return [rows[account.name] for account in office.settings.enabled]


def _warm_login(
    office: Office, login: Login, progress: Progress, tokens_until: datetime | None, freshness: Freshness | None
) -> list[WarmAccount]:
    broker = office.broker(login.leader)
    ends_at: datetime | None = None
    money: Decimal | None = None
    try:
        progress(login, "logging in")
        token = broker.login()
        if tokens_until is not None:
            token = broker.login(lasting_until=tokens_until)
        ends_at = token.ends_at
        progress(login, "reading")
        facts = read_facts(broker, login.accounts, freshness)
        money = facts.buying_power
        # It may have been refused just now, and another one has taken its place.
        ends_at = broker.login().ends_at
        progress(login, "calculating")
        calculator = remembered(broker, office, login)
        today = exchange_now(office.clock, office.calendar.tz).date()
        lines = _plan(office, login, facts, calculator, today)
    except FirstbellError as error:
        return [WarmAccount(account, ends_at, money, None, _said(error)) for account in login.accounts]
    finally:
        progress(login, "done")
    return [
        WarmAccount(account, ends_at, money, line, line.denied)
        for account, line in zip(login.accounts, lines, strict=True)
    ]


def _plan(office: Office, login: Login, facts: Facts, calculator: Calculator, day: date) -> tuple[PlanLine, ...]:
    risk = office.settings.risk
    limits = Limits(risk.max_order_value, risk.max_order_quantity, risk.max_total_value, risk.max_orders_per_account)
    return plan_login(
        login.accounts,
        facts,
        calculator,
        day=day,
        market=office.settings.firstbell.market,
        limits=limits,
        used=DayUsed(),
    )


def read_facts(broker: Broker, accounts: tuple[AccountSettings, ...], freshness: Freshness | None = None) -> Facts:
    """What the broker, or the cache, says of a login now; its buys and its sells each do without what they can.

    Args:
        broker: The login's broker.
        accounts: Its accounts.
        freshness: What has been asked for by now, where the cache is not to be believed.
    """
    buys = any(account.side is Side.BUY for account in accounts)
    sells = any(account.side is Side.SELL for account in accounts)
    ask = broker.buying_power if freshness is None else partial(broker.buying_power, fresh=True)
    money, no_money = _unless_needless(ask, needless=sells) if buys else (None, None)
    instruments: dict[InstrumentId, Instrument] = {}
    unreadable: dict[InstrumentId, str] = {}
    for isin in dict.fromkeys(account.isin for account in accounts):
        try:
            read = broker.instrument if freshness is None else partial(freshness.instrument, broker)
            instruments[isin] = read(isin)
        except FirstbellError as error:
            unreadable[isin] = _said(error)
    found, no_holdings = (None, None)
    if sells:
        found, no_holdings = _unless_needless(broker.positions, needless=money is not None)
    held = {holding.instrument: holding.quantity for holding in found or ()}
    return Facts(money, instruments, unreadable, held, no_money, no_holdings)


def _unless_needless(read: Callable[[], T], *, needless: bool) -> tuple[T | None, str | None]:
    """Read; where others can do without it, what failed is told and not raised."""
    try:
        return read(), None
    except WrongPassword:
        raise
    except BrokerError as error:
        if not needless:
            raise
        return None, _said(error)


def _said(error: FirstbellError) -> str:
    """What went wrong, with what can be done about it where the error itself does not say so."""
    return f"{error}: {_TRY_AGAIN}" if isinstance(error, NoAnswer) else str(error)


def remembered(broker: Broker, office: Office, login: Login) -> Calculator:
    """The broker's calculator with its answers kept in the cache, under everything that they depend on."""
    cache = office.cache

    def estimate(isin: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Estimate | None:
        key = f"{login.key}:{isin}:{side}:{money}:{price}"
        known = cache.get(Kind.PREPARED_ORDER, key)
        if isinstance(known, dict):
            return _estimate(known)
        said = broker.estimate(isin, side, money, price)
        if said is not None:
            facts: dict[str, JsonValue] = {
                "quantity": str(said.quantity),
                "net_amount": None if said.net_amount is None else str(said.net_amount),
                "fee": None if said.fee is None else str(said.fee),
            }
            cache.put(Kind.PREPARED_ORDER, key, facts)
        return said

    return estimate


def _estimate(facts: dict[str, Any]) -> Estimate:
    def number(name: str) -> Decimal | None:
        return None if facts[name] is None else exact(facts[name])

    return Estimate(exact(facts["quantity"]), number("net_amount"), number("fee"))
