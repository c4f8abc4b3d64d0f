"""Warming up many accounts over six brokers, each answer 50 ms late, against what politeness alone takes.

Before each captcha of an identity host a second has to pass, so a host with ten accounts costs ten seconds however
everything else is done; the hosts go on side by side. The whole command is timed, the start of its process included.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.child import ChildFailed
from benchmarks.practice import document, firstbell, practice
from firstbell.brokers.courtesy import BEFORE_CAPTCHA_S

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.machine import Cores

_DELAY_MS = 50
_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How long it took.

    Attributes:
        accounts: How many accounts.
        ready: How many of them were ready afterwards.
        hosts: How many identity hosts they stand on.
        forced_s: What the pauses before captchas take on the host with the most accounts, in seconds.
        seconds: What the whole command took.
        again_s: What it took a second time, with everything in the cache.
        delay_ms: How late each answer left, in ms.
    """

    accounts: int
    ready: int
    hosts: int
    forced_s: float
    seconds: float
    again_s: float
    delay_ms: int


def measure(folder: Path, cores: Cores, *, quick: bool) -> WarmUp:
    """Warm up 60 accounts, or 12 where it is to be quick.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    accounts = 12 if quick else 60
    options = ["--accounts", str(accounts), "--port-per-broker", "--bell-in", "1h", "--fault", f"delay:ms={_DELAY_MS}"]
    with practice(folder, cores.server, *options) as exchange:
        seconds, ready = _timed(exchange.config, cores)
        again_s, _ = _timed(exchange.config, cores)
        hosts = Counter(account["broker_code"] for account in exchange.said["accounts"])
        captchas = len(exchange.seen()["captchas"])
    forced_s = max(hosts.values()) * BEFORE_CAPTCHA_S
    if captchas != accounts:
        raise ChildFailed(f"firstbell warmup fetched {captchas} captchas for {accounts} accounts")
    return WarmUp(accounts, ready, len(hosts), forced_s, seconds, again_s, _DELAY_MS)


def _timed(config: Path, cores: Cores) -> tuple[float, int]:
    """How long the command takes, in seconds, and how many accounts are ready afterwards."""
    began = time.monotonic()
    with firstbell(config, cores.client, "warmup") as child:
        rows = document(child, _TIMEOUT_S)["accounts"]
    return time.monotonic() - began, sum(row["ready"] for row in rows)
