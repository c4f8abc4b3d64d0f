"""How the paper broker is put together for an account. There is no host: what is asked is answered in this process."""

from __future__ import annotations

import threading
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.brokers.paper.broker import BASE_URL, PaperBroker
from firstbell.brokers.paper.dialect import read_order_answer
from firstbell.brokers.paper.file import PaperFile
from firstbell.brokers.paper.latency import Latency
from firstbell.brokers.paper.market import PaperMarket
from firstbell.clock import SystemClock
from firstbell.config.paper_settings import PaperHours
from firstbell.errors import NotSent
from firstbell.market import always_open, calendar
from firstbell.model.broker_codes import PAPER
from firstbell.simulator.listings import read_instruments, tehran_instruments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstbell.brokers.base import Outcome
    from firstbell.brokers.captcha import CaptchaSolver
    from firstbell.cache import TtlCache
    from firstbell.clock import Clock
    from firstbell.config import AccountSettings, Settings
    from firstbell.model.identifiers import BrokerCode
    from firstbell.model.instrument import Instrument

FILE: Final = "paper.db"
"""The paper market's file in the state folder."""

_JITTER_MS: Final = 50
"""By how much two orders may come closer together than they were sent: ways differ in length."""
_MICROSECOND: Final = timedelta(microseconds=1)

_markets: Final[weakref.WeakValueDictionary[tuple[Path, int], PaperMarket]] = weakref.WeakValueDictionary()
_lock: Final = threading.Lock()


def open_account(
    account: AccountSettings, settings: Settings, cache: TtlCache, solver: CaptchaSolver, clock: Clock
) -> PaperBroker:
    """Put together the paper broker of an account. Its market is shared by all accounts of the state folder.

    Raises:
        NotSent: The table of instruments that the config names cannot be read.
    """
    del cache, solver
    own, interval_ms = settings.paper, settings.broker(PAPER).min_interval_ms
    mean_ns, spread_ns = (span // _MICROSECOND * 1000 for span in (own.latency.mean, own.latency.spread))
    latency = Latency(mean_ns, spread_ns, own.seed)
    return PaperBroker(market_of(settings, clock), account.username, latency=latency, min_interval_ms=interval_ms)


def market_of(settings: Settings, clock: Clock | None = None) -> PaperMarket:
    """The paper market of a config's state folder; in one process, everybody who asks has the same one.

    Args:
        settings: The config.
        clock: What time it is; the machine's, where nobody says.

    Raises:
        NotSent: The table of instruments that the config names cannot be read.
    """
    path = settings.firstbell.state_dir / FILE
    # All of the machine's clocks are one; a simulation's is its own.
    key = (path, 0 if clock is None or isinstance(clock, SystemClock) else id(clock))
    with _lock:
        market = _markets.get(key)
        if market is None:
            own, days = settings.paper, calendar(settings.firstbell.market)
            market = _markets[key] = PaperMarket(
                instruments=_instruments(settings),
                days=days if own.hours is PaperHours.MARKET else always_open(days.tz),
                clock=clock,
                money=own.money,
                holdings=own.holdings,
                liquidity=own.liquidity,
                seed=own.seed,
                min_interval_ns=max(settings.broker(PAPER).min_interval_ms - _JITTER_MS, 0) * 1_000_000,
                file=PaperFile(path),
            )
        return market


def _instruments(settings: Settings) -> list[Instrument]:
    found = {each.id: each for each in tehran_instruments()}
    path = settings.paper.instruments
    if path is not None:
        try:
            found |= {each.id: each for each in read_instruments(path.read_text(encoding="utf-8-sig"))}
        except (OSError, ValueError, KeyError) as error:
            raise NotSent(f"[paper] instruments: {path} cannot be read: {error}", host="paper") from error
    return list(found.values())


def order_url(code: BrokerCode, settings: Settings) -> str:
    """What stands where other brokers have a host."""
    del code, settings
    return BASE_URL


def service_urls(code: BrokerCode, settings: Settings) -> dict[str, str]:
    """No hosts at all."""
    del code, settings
    return {}


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """Read what the paper broker answered to an order."""
    del headers
    return read_order_answer(status, body)
