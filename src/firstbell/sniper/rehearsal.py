"""A rehearsal: the user's own morning, played against a simulated exchange for each of his brokers' hosts.

Each host is stood in for by an exchange of this machine whose clock is off by what was measured and whose path takes
what the measured one took. His accounts keep their names, brokers, instruments, sides, limits and intervals. Log-ins,
money, folders and addresses are made up, so that nothing of the rehearsal can reach a broker, a journal or a result.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.brokers.registry import order_url
from firstbell.errors import NotSent, RunError
from firstbell.market import calendar
from firstbell.model.broker_codes import EPHOENIX_CODES
from firstbell.model.instant import epoch_ns
from firstbell.oms.logins import logins_of
from firstbell.simulator.ephoenix.background import running
from firstbell.simulator.ephoenix.captcha import CaptchaDesk
from firstbell.simulator.ephoenix.setup import Setup
from firstbell.simulator.path import MeasuredPath
from firstbell.simulator.rules import Rules
from firstbell.simulator.schedule import next_session, schedule_of
from firstbell.simulator.tls import make_certificates
from firstbell.sniper.stand_ins import instruments_for, investor_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from firstbell.config import AccountSettings, Settings
    from firstbell.model.identifiers import AccountName, BrokerCode, InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.ephoenix.background import RunningExchange
    from firstbell.simulator.roster import Investor
    from firstbell.sniper.measured import Measured, MeasuredHost

OLD: Final = timedelta(hours=24)
"""A measurement older than this may be of another path by now."""
BELL_IN: Final = timedelta(seconds=40)
"""How soon the bell rings: log-ins, Locust's start and the reading of clocks have to come before it."""
_LOG_IN: Final = timedelta(seconds=4)
"""What each further log-in at one host takes: the courtesy second, a broker's own pause, and the calls."""
_REMEDY: Final = "run `firstbell preflight` first: it measures path and clock of every broker from this machine"


@dataclass(frozen=True, slots=True)
class Stage:
    """One measured host, and who is rehearsed there.

    Attributes:
        host: What was measured.
        codes: The brokers behind it.
        investors: The stand-ins of the logins there.
    """

    host: MeasuredHost
    codes: tuple[BrokerCode, ...]
    investors: tuple[Investor, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is to be rehearsed.

    Attributes:
        settings: The user's config.
        measured_at: When its hosts were measured.
        stages: The hosts.
        accounts: The accounts that take part, in the config's order.
        people: The stand-in of each account's login.
        instruments: What is traded.
        left_out: Why the other brokers' accounts do not take part, in words.
    """

    settings: Settings
    measured_at: datetime
    stages: tuple[Stage, ...]
    accounts: tuple[AccountSettings, ...]
    people: Mapping[AccountName, Investor]
    instruments: Mapping[InstrumentId, Instrument]
    left_out: Mapping[BrokerCode, str]

    @property
    def bell_in(self) -> timedelta:
        """How long it takes until everybody is ready for the bell."""
        return BELL_IN + _LOG_IN * (max(len(stage.investors) for stage in self.stages) - 1)

    def warnings(self, now: datetime) -> tuple[str, ...]:
        """What the user should know before it begins, in words."""
        said = [f"{code} cannot be rehearsed, its accounts are left out: {why}" for code, why in self.left_out.items()]
        hours = (now - self.measured_at) // timedelta(hours=1)
        if now - self.measured_at > OLD:
            age = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"  # noqa: PLR2004 - two days
            said.append(f"paths and clocks were measured {age} ago: `firstbell preflight` measures them anew")
        return tuple(said)


def prepare(settings: Settings, measured: Measured | None) -> Rehearsal:
    """Cast a rehearsal.

    Args:
        settings: The user's config.
        measured: What the last preflight measured; None where there was none.

    Raises:
        RunError: Nothing was measured, or a broker's host was not; it says what to do.
    """
    if measured is None:
        raise RunError(f"a rehearsal needs measured paths and clocks, and there are none yet: {_REMEDY}")
    codes = dict.fromkeys(account.broker_code for account in settings.enabled)
    left_out = {
        code: "the simulated exchange does not speak as it does" for code in codes if code not in EPHOENIX_CODES
    }
    hosts = {code: _host_of(code, settings, measured) for code in codes if code not in left_out}
    if missing := [code for code, host in hosts.items() if host is None]:
        raise RunError(f"{', '.join(missing)}: not measured from here yet, or at another address: {_REMEDY}")
    accounts = tuple(account for account in settings.enabled if account.broker_code not in left_out)
    if not accounts:
        raise RunError("none of this config's brokers can be rehearsed: " + ", ".join(left_out))
    instruments = instruments_for(accounts, settings)
    people: dict[AccountName, Investor] = {}
    investors = []
    for number, login in enumerate(logins_of(accounts), 1):
        password = secrets.token_hex(8)
        investor = investor_for(login, f"rehearsal{number:03}", password, instruments, settings)
        investors.append(investor)
        people |= {account.name: investor for account in login.accounts}
    found = dict.fromkeys(host.url for host in hosts.values() if host is not None)
    stages = []
    for url in found:
        host = next(host for host in hosts.values() if host is not None and host.url == url)
        own = tuple(code for code, at in hosts.items() if at is not None and at.url == url)
        stages.append(Stage(host, own, tuple(each for each in investors if each.broker_code in own)))
    return Rehearsal(settings, measured.measured_at, tuple(stages), accounts, people, instruments, left_out)


def _host_of(code: BrokerCode, settings: Settings, measured: Measured) -> MeasuredHost | None:
    try:
        url = order_url(code, settings)
    except NotSent:
        return None
    # A host that the config names no longer is not the one that tomorrow's orders go to.
    return next((host for host in measured.hosts if code in host.broker_codes and host.url == url), None)


@contextmanager
def on_stage(rehearsal: Rehearsal, bell: datetime, folder: Path) -> Iterator[tuple[RunningExchange, ...]]:
    """Open an exchange for every stage, all with the same bell on their own clocks, until the block ends.

    Args:
        rehearsal: What is rehearsed.
        bell: The bell.
        folder: Where a certificate may be written.

    Yields:
        The exchanges, in the order of the stages.

    Raises:
        SimulatorError: One cannot be opened.
    """
    days = calendar(rehearsal.settings.firstbell.market)
    bell_ns = epoch_ns(bell)
    schedule = schedule_of(next_session(days, bell_ns), bell=bell_ns)
    captchas = CaptchaDesk()
    _, tls = make_certificates(folder)
    with ExitStack() as stack:
        exchanges = []
        for number, stage in enumerate(rehearsal.stages, 1):
            setup = Setup(
                schedule=schedule,
                investors=stage.investors,
                instruments=tuple(rehearsal.instruments.values()),
                # Prices are made up, so a smallest value would mean nothing.
                rules=Rules(market=days.market, min_value=Decimal(0)),
                offset_ns=_ns(stage.host.offset_ms),
                path=MeasuredPath([_ns(each) for each in stage.host.round_trips_ms], seed=number),
                captchas=captchas,
            )
            secure = tls if stage.host.url.startswith("https") else None
            exchanges.append(stack.enter_context(running(setup, stage.codes, tls=secure)))
        yield tuple(exchanges)


def _ns(milliseconds: Decimal) -> int:
    return int(milliseconds * 1_000_000)
