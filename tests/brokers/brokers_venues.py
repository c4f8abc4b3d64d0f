"""A practice venue for each broker, so that all of them can be held to one contract.

Whoever adds a broker adds its venue here; a test makes sure of it.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from brokers_platform import Hurried

from firstbell.brokers.base import Broker
from firstbell.brokers.captcha.url import UrlSolver
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.dialect import Wanted
from firstbell.brokers.paper.market import PaperMarket
from firstbell.brokers.registry import open_broker
from firstbell.cache import TtlCache
from firstbell.config import AccountSettings, BrokerSettings, Settings
from firstbell.market import MarketCalendar, Phase, Session
from firstbell.model.broker_codes import EPHOENIX_CODES, PAPER
from firstbell.model.identifiers import BrokerCode, InstrumentId
from firstbell.simulator.ephoenix.background import RunningExchange, running
from firstbell.simulator.ephoenix.setup import Setup
from firstbell.simulator.exchange_clock import NS, ExchangeClock
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.orders import ExchangeOrder
from firstbell.simulator.roster import Investor
from firstbell.simulator.rules import Refusal, Rules
from firstbell.simulator.schedule import Schedule


@dataclass(frozen=True)
class Seat:
    """One login at a practice venue, and what is true of it.

    Attributes:
        broker: The broker.
        instrument: What it can trade.
        money: What it may spend.
        holding: How many shares of the instrument it holds.
        day: Today, at the exchange.
        end_tokens: Makes the venue refuse every token given so far.
        log_ins: How many log-ins the venue has seen from this login.
        calls: How many orders the venue has seen from this login, taken or not.
    """

    broker: Broker
    instrument: InstrumentId
    money: Decimal
    holding: Decimal
    day: date
    end_tokens: Callable[[], None]
    log_ins: Callable[[], int]
    calls: Callable[[], int]


MHRN = InstrumentId("IRO1MHRN0001")
DAY_NS = 24 * 3600 * NS
MONEY = Decimal(1_000_003_827)
HOLDING = Decimal(5_000)


@contextlib.contextmanager
def ephoenix(phase: Phase) -> Iterator[RunningExchange]:
    """An exchange on which `phase` holds all day, with an investor at each broker of the platform."""
    now = ExchangeClock(0).now_ns()
    schedule = Schedule(((now - 2 * DAY_NS, Phase.ORDER_ENTRY), (now - DAY_NS, phase), (now + DAY_NS, Phase.CLOSED)))
    investors = [
        Investor(f"{name}-{code}", f"of {name}", code, MONEY, {MHRN: HOLDING}, MHRN)
        for code in EPHOENIX_CODES
        for name in ("ali", "zahra")
    ]
    setup = Setup(schedule, investors, tehran_instruments(), rules=Rules(min_interval_ns=0))
    with running(setup, tuple(EPHOENIX_CODES), port_per_broker=True) as exchange:
        yield exchange


def ephoenix_seat(exchange: RunningExchange, code: BrokerCode, state_dir: Path, cache: TtlCache, name: str) -> Seat:
    """A seat at one broker of the platform."""
    url = exchange.addresses[code]
    own = {"identity_url": url, "api_url": url, "market_data_url": url, "backoffice_url": url}
    username = f"{name}-{code}"
    settings = Settings.model_validate(
        {
            "file": state_dir / "config.ini",
            "firstbell": {"state_dir": state_dir},
            "brokers": {code: BrokerSettings.model_validate(own)},
        }
    )
    account = AccountSettings.model_validate(
        {
            "name": f"Order_{name}",
            "username": username,
            "password": f"of {name}",
            "broker_code": code,
            "isin": MHRN,
        }
    )
    solver = UrlSolver(f"{exchange.practice_address}/practice/captcha")
    desk = exchange.desk
    investor = next(each for each in desk.investors if each.username == username)
    return Seat(
        broker=open_broker(account, settings, cache, solver, clock=Hurried()),
        instrument=MHRN,
        money=MONEY,
        holding=HOLDING,
        day=datetime.now(ZoneInfo("Asia/Tehran")).date(),
        end_tokens=lambda: desk.tokens.end_all_of(investor),
        log_ins=lambda: sum(login.account == username for login in desk.record.logins),
        calls=lambda: sum(call.account == username for call in desk.record.submissions),
    )


@dataclass(frozen=True)
class OnePhase(MarketCalendar):
    """A market on which one phase holds all day."""

    phase: Phase = Phase.CONTINUOUS

    def why_closed(self, day: date) -> None:
        del day

    def session(self, day: date) -> Session:
        begin = self.at(day, time())
        end = begin + timedelta(days=1)
        return Session(day, ((begin, Phase.ORDER_ENTRY), (begin, self.phase), (end, Phase.CLOSED)))


class CountingMarket(PaperMarket):
    """A paper market that counts the orders that come."""

    def __init__(self, phase: Phase) -> None:
        days = OnePhase("PAPER", "", ZoneInfo("Asia/Tehran"), frozenset(range(7)), "", (), {}, {}, phase)
        super().__init__(days=days, money=MONEY, holdings={MHRN: HOLDING})
        self.came: Counter[str] = Counter()

    def place(self, username: str, wanted: Wanted) -> ExchangeOrder | Refusal | None:
        self.came[username] += 1
        return super().place(username, wanted)


@contextlib.contextmanager
def paper(phase: Phase) -> Iterator[CountingMarket]:
    """A paper market on which nobody else is."""
    yield CountingMarket(phase)


def paper_seat(market: CountingMarket, code: BrokerCode, state_dir: Path, cache: TtlCache, name: str) -> Seat:
    """A seat at the paper broker."""
    del code, state_dir, cache
    return Seat(
        broker=PaperBroker(market, name, min_interval_ms=350),
        instrument=MHRN,
        money=MONEY,
        holding=HOLDING,
        day=datetime.now(ZoneInfo("Asia/Tehran")).date(),
        end_tokens=lambda: market.tokens.end_all(name),
        log_ins=lambda: market.tokens.log_ins(name),
        calls=lambda: market.came[name],
    )


Venue = Callable[[Phase], AbstractContextManager[Any]]

VENUES: dict[BrokerCode, tuple[Venue, Callable[..., Seat]]] = {
    **dict.fromkeys(EPHOENIX_CODES, (ephoenix, ephoenix_seat)),
    PAPER: (paper, paper_seat),
}
"""Broker code → its venue, and how to take a seat there."""
