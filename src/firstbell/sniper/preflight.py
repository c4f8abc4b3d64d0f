"""Preflight: every host, clock and account tried from this machine, now, and a go or no-go for each account."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.brokers.reach import Reach, reach
from firstbell.brokers.registry import service_urls
from firstbell.clock.lead import aim as best_aim
from firstbell.clock.lead import expect, lead_of
from firstbell.clock.ntp import ask
from firstbell.model.instant import instant
from firstbell.model.terms import Side
from firstbell.risk.trading_state import Halt, TradingState, in_force
from firstbell.sniper.airspace import Airspace
from firstbell.sniper.host_clock import INCREDIBLE_NS, HostClock
from firstbell.sniper.measured import Measured, MeasuredHost
from firstbell.sniper.warmup import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from firstbell.clock import Clock
    from firstbell.clock.lead import Aim
    from firstbell.clock.ntp import NtpReading
    from firstbell.config import BrokerSettings
    from firstbell.model.identifiers import BrokerCode
    from firstbell.oms.logins import Login
    from firstbell.oms.office import Office
    from firstbell.sniper.host_clock import HostReading
    from firstbell.sniper.warmup import WarmAccount

MEASURED_S: Final = 16
"""How long a host's clock and path are measured, in seconds, where they are not known well before."""
OFFSET_WARN_NS: Final = 50_000_000
"""An offset that nothing explains is worth a warning above this: 50 ms."""
UNCERTAINTY_REFUSE_NS: Final = 1_000_000_000
"""A clock known no better than this is not known at all: 1 s."""
ORDERS: Final = "api"
"""The service that takes orders: its clock is the one that counts."""
_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Lead:
    """When an order would leave for a host.

    Attributes:
        lead_ns: How long before the bell on the host's clock, in ns; what the config asks for, or the best one.
        chosen: Whether it was chosen from what was measured.
        aim: What is to be expected of it.
    """

    lead_ns: int
    chosen: bool
    aim: Aim


@dataclass(frozen=True, slots=True)
class HostReport:
    """One host of one broker.

    Attributes:
        broker_code: The broker.
        service: What it serves.
        url: Its address.
        reach: What came of a connection.
        clock: Its clock and the path to it; only for hosts that take orders.
        clock_problem: Why its clock could not be read, in words.
        lead: When orders would leave; None where the host's clock is not known, or not to be believed.
        ntp: What a time server says about our own clock; None where none is configured or it did not say.
    """

    broker_code: BrokerCode
    service: str
    url: str
    reach: Reach
    clock: HostReading | None = None
    clock_problem: str | None = None
    lead: Lead | None = None
    ntp: NtpReading | None = None

    @property
    def refused(self) -> str | None:
        """Why no order may go there, in words; None when one may."""
        if self.reach.problem is not None:
            return f"{self.service} {self.url}: {self.reach.problem}"
        if self.service != ORDERS:
            return None
        if self.clock is None:
            return f"{self.service} {self.url}: its clock could not be read: {self.clock_problem}"
        if self.clock.uncertainty_ns > UNCERTAINTY_REFUSE_NS:
            return f"{self.service} {self.url}: its clock is known to {self.clock.uncertainty_ns / 1e9:.1f} s only"
        return None

    @property
    def unexplained_ns(self) -> int | None:
        """How much of the offset certainly is not our clock's own error by NTP, in ns; never below zero.

        Without NTP nothing explains any of it. What may be uncertainty is left out.
        """
        if self.clock is None:
            return None
        explained_ns, uncertainty_ns = (0, 0) if self.ntp is None else (self.ntp.offset_ns, self.ntp.uncertainty_ns)
        return max(0, abs(self.clock.offset_ns - explained_ns) - self.clock.uncertainty_ns - uncertainty_ns)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of it, in words."""
        if self.clock is None or self.unexplained_ns is None:
            return ()
        said = []
        if self.clock.contradiction_ns:
            by_ms = self.clock.contradiction_ns / _MS
            said.append(
                f"{self.url}: its dates contradict each other by {by_ms:.1f} ms: several clocks, or one was set"
            )
        offset_ms = self.clock.offset_ns / _MS
        if abs(self.clock.offset_ns) > INCREDIBLE_NS:
            said.append(f"{self.url}: its clock seems to be {offset_ms / 1000:+.0f} s from ours: not believed")
        elif self.unexplained_ns > OFFSET_WARN_NS and self.ntp is None:
            said.append(f"{self.url}: its clock is {offset_ms:+.0f} ms from ours: check this machine's clock")
        elif self.unexplained_ns > OFFSET_WARN_NS and self.ntp is not None:
            rest_ms = offset_ms - self.ntp.offset_ns / _MS
            said.append(
                f"{self.url}: its clock is {offset_ms:+.0f} ms from ours; by {self.ntp.server}, {rest_ms:+.0f} ms of "
                "that are not this machine's error"
            )
        return tuple(said)


@dataclass(frozen=True, slots=True)
class AccountReport:
    """A go or no-go.

    Attributes:
        warm: What warming it up came to.
        why_not: Everything that stands against it, in words; empty for a go.
    """

    warm: WarmAccount
    why_not: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preflight:
    """Everything that was found.

    Attributes:
        hosts: Every service of every broker.
        accounts: The accounts, in the config's order.
        ntp: What the time server of the config said, or why it did not; None where there is none.
        measured: What a rehearsal needs to know of the hosts that take orders.
    """

    hosts: tuple[HostReport, ...]
    accounts: tuple[AccountReport, ...]
    ntp: NtpReading | None
    measured: Measured

    @property
    def go(self) -> bool:
        """Whether every account may go."""
        return all(not account.why_not for account in self.accounts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, in words, each once."""
        said = [warning for host in self.hosts for warning in host.warnings]
        if self.ntp is not None and self.ntp.problem is not None:
            said.append(f"ntp_server {self.ntp.server}: {self.ntp.problem}")
        return tuple(dict.fromkeys(said))


def fly(office: Office, progress: Callable[[str], None]) -> Preflight:
    """Try everything. Several hosts at once; log-ins and reads as in a warm-up, but nothing is taken from the cache.

    Each login is asked one question at least that only a living token is answered. Tokens are taken from the cache, and
    one that is dead by then is replaced.

    Args:
        office: The opened rooms.
        progress: Told of every host and account that is done, from several threads.
    """
    settings = office.settings
    codes = dict.fromkeys(account.broker_code for account in settings.enabled)
    # Brokers may share an address: it is tried for each of them, its clock once.
    clocks = _Clocks(office.clock)
    with ThreadPoolExecutor(max_workers=32) as pool:
        try:
            server = settings.firstbell.ntp_server
            asked = None if server is None else pool.submit(ask, server)
            tries = [
                pool.submit(_try_host, code, service, url, settings.broker(code), clocks, progress)
                for code in codes
                for service, url in service_urls(code, settings).items()
            ]
            ntp = None if asked is None else asked.result()
            told_by = None if ntp is None or ntp.problem is not None else ntp
            hosts = tuple(replace(each.result(), ntp=told_by) for each in tries)
        finally:
            # Ctrl-C does not wait until everything has been measured.
            clocks.stop.set()

    def told(login: Login, step: str) -> None:
        if step == "done":
            progress(f"{login.leader.name} read")

    warm = warm_up(office, told, fresh=True)
    measured = Measured(measured_at=instant(office.clock.wall_ns()), hosts=_measured(hosts))
    halt = in_force(office.state_dir)
    return Preflight(hosts, tuple(AccountReport(row, _against(row, hosts, halt)) for row in warm), ntp, measured)


def _against(row: WarmAccount, hosts: Iterable[HostReport], halt: Halt | None) -> tuple[str, ...]:
    own = [host.refused for host in hosts if host.broker_code == row.account.broker_code]
    hinders = halt is not None and (halt.state is TradingState.HALTED or row.account.side is Side.BUY)
    return tuple(why for why in (f"trading is {halt}" if hinders else None, *own, row.why_not) if why is not None)


def _try_host(
    code: BrokerCode,
    service: str,
    url: str,
    settings: BrokerSettings,
    clocks: _Clocks,
    progress: Callable[[str], None],
) -> HostReport:
    found = reach(url, settings.ca_file)
    report = HostReport(code, service, url, found)
    if service == ORDERS and found.problem is None:
        read = clocks.read(url, settings.ca_file)
        report = replace(
            report,
            clock=read.reading,
            clock_problem=read.problem or "nothing was asked",
            lead=_lead(read, settings, clocks.clock),
        )
    progress(f"{code} {service} {'reached' if found.problem is None else 'not reached'}")
    return report


class _Clocks:
    """Hosts' clocks, each read once however many brokers share its address."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._airspace = Airspace()
        self._read: dict[str, tuple[threading.Lock, HostClock]] = {}

    def read(self, url: str, ca_file: Path | None) -> HostClock:
        with self._lock:
            if url not in self._read:
                host_clock = HostClock(url, ca_file, self.clock, airspace=self._airspace)
                self._read[url] = (threading.Lock(), host_clock)
            lock, host_clock = self._read[url]
        with lock:
            if host_clock.reading is None and host_clock.problem is None:
                until_ns = self.clock.monotonic_ns() + MEASURED_S * 1_000_000_000
                host_clock.measure(until_ns, self._pause, once=True)
            return host_clock

    def _pause(self, monotonic_ns: int) -> bool:
        left_ns = monotonic_ns - self.clock.monotonic_ns()
        return self.stop.wait(left_ns / 1e9) if left_ns > 0 else self.stop.is_set()


def _lead(host_clock: HostClock, settings: BrokerSettings, clock: Clock) -> Lead | None:
    """When orders would leave for a host, and what is to be expected of it."""
    model, reading = host_clock.model, host_clock.reading
    if model is None or reading is None or abs(reading.offset_ns) > INCREDIBLE_NS:
        return None
    offset_ns = reading.offset_ns + (clock.wall_ns() - clock.monotonic_ns())
    interval_ns = settings.min_interval_ms * _MS
    # Any bell will do: what counts is how far before it something leaves.
    bell_ns = model.median_ns
    if settings.lead_ms is not None:
        lead_ns = int(settings.lead_ms * _MS)
        return Lead(
            lead_ns, chosen=False, aim=expect(model, bell_ns, interval_ns, fire_ns=bell_ns - offset_ns - lead_ns)
        )
    aim = best_aim(model, bell_ns, interval_ns)
    return Lead(lead_of(aim.fire_ns, offset_ns, bell_ns), chosen=True, aim=aim)


def _measured(hosts: Iterable[HostReport]) -> tuple[MeasuredHost, ...]:
    """What was measured, by address: brokers may share one."""
    found: dict[str, MeasuredHost] = {}
    for host in hosts:
        if host.clock is None:
            continue
        before = found.get(host.url)
        found[host.url] = MeasuredHost(
            broker_codes=(*(before.broker_codes if before else ()), host.broker_code),
            url=host.url,
            offset_ms=_in_ms(host.clock.offset_ns),
            uncertainty_ms=_in_ms(host.clock.uncertainty_ns),
            round_trips_ms=tuple(_in_ms(trip_ns) for trip_ns in host.clock.round_trips_ns),
            expected_delay_ms=None if host.lead is None else _in_ms(host.lead.aim.expected_delay_ns),
        )
    return tuple(found.values())


def _in_ms(ns: int) -> Decimal:
    return Decimal(ns) / _MS
