"""Memory per account: real runs in two processes, looked at when everything is armed, a moment before the bell.

The difference quotient between a run with one account a process and one with five hundred: what every account beyond
the first costs, its Locust class and user, its greenlet, its connection with or without TLS, its prepared order and its
place in the journal.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.practice import document, firstbell, practice
from benchmarks.volley import say
from firstbell.brokers.courtesy import BEFORE_CAPTCHA_S
from firstbell.model.broker_codes import EPHOENIX_CODES
from firstbell.simulator.listings import tehran_instruments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.machine import Cores
    from benchmarks.practice import Practice

PROCESSES = 2
_MONEY = 1_000_000_000
_LOOK_BEFORE = timedelta(seconds=1)
_ARM_S = 50
_ARMED_A_SECOND = 12
"""From the end of the warm-up to the bell the run reads everything once more, and opens its lanes."""
_PER_CAPTCHA_S = BEFORE_CAPTCHA_S * 1.3
_TIMEOUT_S = 600
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the processes that hold the accounts take up together, in bytes.

    Attributes:
        rss: Resident, shared pages counted in each.
        pss: Resident, shared pages divided among those who share them; 0 where the system does not tell.
        uss: What nobody shares.
    """

    rss: int
    pss: int
    uss: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What an account costs.

    Attributes:
        tls: Whether its lane speaks TLS.
        few: How many accounts the small run had.
        many: How many the large one had.
        per_account: What each account between them costs, in KiB.
        accepted: How many orders of the large run were accepted.
        first_us: When the first of them came to the exchange, in µs after its bell.
        last_us: When the last one came, likewise.
    """

    tls: bool
    few: int
    many: int
    per_account: dict[str, float]
    accepted: int
    first_us: int | None
    last_us: int | None


def measure(folder: Path, cores: Cores, *, quick: bool) -> list[Memory]:
    """Measure lanes over TCP and over TLS, with 1,000 accounts, or 100 where it is to be quick.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    found = []
    many = 100 if quick else 1000
    for tls in (False, True):
        wire = "TLS" if tls else "TCP"
        few_sizes, _ = _armed(folder / f"{wire}-few", cores, PROCESSES, tls=tls)
        many_sizes, late = _armed(folder / f"{wire}-many", cores, many, tls=tls)
        per_account = {
            name: (getattr(many_sizes, name) - getattr(few_sizes, name)) / (many - PROCESSES) / _KIB
            for name in ("rss", "pss", "uss")
        }
        first, last = (late[0], late[-1]) if late else (None, None)
        found.append(Memory(tls, PROCESSES, many, per_account, len(late), first, last))
    return found


def _armed(folder: Path, cores: Cores, accounts: int, *, tls: bool) -> tuple[Sizes, Sequence[int]]:
    """The sizes of an armed run's processes, and when its accepted orders came, in µs after the bell."""
    folder.mkdir(parents=True)
    roster = folder / "accounts.json"
    roster.write_text(json.dumps(_accounts(accounts)), encoding="utf-8")
    per_host = -(-accounts // len(EPHOENIX_CODES))
    bell_in_s = int(per_host * _PER_CAPTCHA_S) + _ARM_S + accounts // _ARMED_A_SECOND
    options = ["--accounts-file", str(roster), "--port-per-broker", "--bell-in", f"{bell_in_s}s"]
    if tls:
        options += ["--tls", str(folder / "tls")]
    wire = "TLS" if tls else "TCP"
    with practice(folder, cores.server, *options) as exchange:
        say(f"memory, {wire}, {accounts} accounts: warming up")
        with firstbell(exchange.config, None, "warmup") as child:
            document(child, _TIMEOUT_S)
        say(f"memory, {wire}, {accounts} accounts: arming, bell in {_until(exchange.bell):.0f} s")
        at = f"{exchange.bell:%H:%M:%S.%f}"
        with firstbell(exchange.config, None, "run", "--at", at, "--processes", str(PROCESSES)) as child:
            time.sleep(max(0.0, _until(exchange.bell - _LOOK_BEFORE)))
            sizes = _sizes(child.pid)
            document(child, _TIMEOUT_S)
        return sizes, _accepted(exchange)


def _accounts(count: int) -> list[dict[str, Any]]:
    codes, isins = list(EPHOENIX_CODES), [each.id for each in tehran_instruments()]
    return [
        {
            "username": f"practice{number}",
            "password": f"practice-{number}",
            "broker_code": codes[number % len(codes)],
            "money": _MONEY,
            "isin": isins[number % len(isins)],
        }
        for number in range(count)
    ]


def _until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _sizes(pid: int) -> Sizes:
    """Of the processes at the end of the tree: those that Locust has forked for the accounts."""
    workers = [each for each in psutil.Process(pid).children(recursive=True) if not each.children()]
    infos = [each.memory_full_info() for each in workers]
    return Sizes(
        sum(info.rss for info in infos), sum(getattr(info, "pss", 0) for info in infos), sum(info.uss for info in infos)
    )


def _accepted(exchange: Practice) -> Sequence[int]:
    return sorted(
        call["lateness_us"]
        for call in exchange.seen()["submissions"]
        if call["kind"] == "order" and call["decision"] == "accepted"
    )
