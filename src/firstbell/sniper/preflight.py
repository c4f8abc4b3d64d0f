"""Preflight: every host, clock and account tried from this machine, now, and a go or no-go for each account."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firstbell.brokers.reach import Reach, reach
from firstbell.brokers.registry import service_urls
from firstbell.brokers.transport import shared_transport
from firstbell.clock import Probe, date_header_s, estimate, next_probe_delay_s
from firstbell.errors import BrokerError
from firstbell.sniper.warmup import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from firstbell.clock import OffsetEstimate
    from firstbell.model.identifiers import BrokerCode
    from firstbell.oms.office import Office
    from firstbell.sniper.logins import Login
    from firstbell.sniper.warmup import WarmAccount

PROBES: Final = 10
"""How many times a clock is asked; each aimed so that its answer halves what is still possible."""
OFFSET_WARN_NS: Final = 50_000_000
"""An offset above this is worth a warning: 50 ms."""
UNCERTAINTY_REFUSE_NS: Final = 1_000_000_000
"""A clock known no better than this is not known at all: 1 s."""
ORDERS: Final = "api"
"""The service that takes orders: its clock is the one that counts."""


@dataclass(frozen=True, slots=True)
class HostReport:
    """One host of one broker.

    Attributes:
        broker_code: The broker.
        service: What it serves.
        url: Its address.
        reach: What came of a connection.
        clock: How far its clock is from ours; only for hosts that take orders.
        clock_problem: Why its clock could not be read, in words.
    """

    broker_code: BrokerCode
    service: str
    url: str
    reach: Reach
    clock: OffsetEstimate | None = None
    clock_problem: str | None = None

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
    def warning(self) -> str | None:
        """What the user should know of it, in words."""
        if self.clock is None:
            return None
        if self.clock.contradiction_ns:
            return f"{self.url}: its dates contradict each other by {self.clock.contradiction_ns / 1e6:.0f} ms"
        surely_off_ns = abs(self.clock.offset_ns) - self.clock.uncertainty_ns
        if surely_off_ns > OFFSET_WARN_NS:
            return (
                f"{self.url}: its clock is {self.clock.offset_ns / 1e6:+.0f} ms from ours: check this machine's clock"
            )
        return None


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
    """Everything that was found."""

    hosts: tuple[HostReport, ...]
    accounts: tuple[AccountReport, ...]

    @property
    def go(self) -> bool:
        """Whether every account may go."""
        return all(not account.why_not for account in self.accounts)


def fly(office: Office, progress: Callable[[str], None]) -> Preflight:
    """Try everything. Several hosts at once; log-ins and reads as in a warm-up.

    Args:
        office: The opened rooms.
        progress: Told of every host and account that is done, from several threads.
    """
    codes = dict.fromkeys(account.broker_code for account in office.settings.enabled)
    # Brokers may share an address: it is tried for each of them, its clock once.
    clocks = _Clocks()
    with ThreadPoolExecutor(max_workers=32) as pool:
        tries = [
            pool.submit(_try_host, code, service, url, office.settings.broker(code).ca_file, clocks, progress)
            for code in codes
            for service, url in service_urls(code, office.settings).items()
        ]
        hosts = tuple(each.result() for each in tries)

    def told(login: Login, step: str) -> None:
        if step == "done":
            progress(f"{login.leader.name} read")

    warm = warm_up(office, told)
    return Preflight(hosts, tuple(AccountReport(row, _against(row, hosts)) for row in warm))


def _against(row: WarmAccount, hosts: Iterable[HostReport]) -> tuple[str, ...]:
    own = [host.refused for host in hosts if host.broker_code == row.account.broker_code]
    return tuple(why for why in (*own, row.why_not) if why is not None)


def _try_host(
    code: BrokerCode, service: str, url: str, ca_file: Path | None, clocks: _Clocks, progress: Callable[[str], None]
) -> HostReport:
    found = reach(url, ca_file)
    offset, problem = (None, None)
    if service == ORDERS and found.problem is None:
        offset, problem = clocks.read(url, ca_file)
    progress(f"{code} {service} {'reached' if found.problem is None else 'not reached'}")
    return HostReport(code, service, url, found, offset, problem)


class _Clocks:
    """Hosts' clocks, each read once however many brokers share its address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._read: dict[str, tuple[OffsetEstimate | None, str | None]] = {}

    def read(self, url: str, ca_file: Path | None) -> tuple[OffsetEstimate | None, str | None]:
        with self._lock:
            lock = self._locks.setdefault(url, threading.Lock())
        with lock:
            if url not in self._read:
                self._read[url] = read_clock(url, ca_file)
            return self._read[url]


def read_clock(url: str, ca_file: Path | None) -> tuple[OffsetEstimate | None, str | None]:
    """Estimate a host's clock from the ``Date`` headers of cheap requests, each aimed at a change of its second.

    Returns:
        The estimate and None, or None and why there is none.
    """
    transport = shared_transport(ca_file)
    probes: list[Probe] = []
    problem: str | None = None
    for _ in range(PROBES):
        delay_s = next_probe_delay_s(probes, time.time_ns())
        if delay_s is None and probes:
            break
        time.sleep(delay_s or 0)
        try:
            answer = transport.send("GET", url, "/", {}, None)
        except BrokerError as error:
            problem = str(error)
            continue
        date_s = date_header_s(answer.headers.get("date", ""))
        if date_s is None:
            return None, "its answers bear no date"
        probes.append(Probe(answer.sent_ns, max(answer.answered_ns, answer.sent_ns), date_s))
    return estimate(probes), problem
