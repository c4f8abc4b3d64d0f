"""What safety costs and how soon it acts: the final checks before an attempt, and the kill switch in a busy run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from benchmarks.child import ChildFailed
from benchmarks.practice import document, firstbell, practice
from benchmarks.volley import say
from firstbell.brokers.base import PreparedOrder
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.oms.final_check import FinalCheck
from firstbell.oms.pacing import Pacer
from firstbell.risk.checks import FINAL_CHECKS, Limits, Surroundings
from firstbell.risk.trading_state import TradingState

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.machine import Cores

_ACCOUNTS = 8
_TIMEOUT_S = 60
_ATTEMPTS = 3
"""So often every account's order has been refused before trading is halted: the run is busy."""


@dataclass(frozen=True, slots=True)
class Safety:
    """What was found.

    Attributes:
        checks: How many final checks there are.
        checks_us: What all of them take together, in µs: the median and the largest of 99 in 100.
        halts: How often a busy run was halted.
        accounts: How many accounts it had.
        command_ms: From the start of the command ``firstbell halt`` to the written halt, in ms, each time.
        last_ms: When the last order came to the exchange, in ms after that, each time; negative where none came after.
    """

    checks: int
    checks_us: tuple[float, float]
    halts: int
    accounts: int
    command_ms: tuple[float, ...]
    last_ms: tuple[float, ...]


def measure(folder: Path, cores: Cores, *, quick: bool) -> Safety:
    """Time the checks, and halt ten busy runs, or two where it is to be quick.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    halts = 2 if quick else 10
    found = [_halt(folder / f"{number}", cores, number, halts) for number in range(halts)]
    return Safety(
        checks=len(FINAL_CHECKS),
        checks_us=_time_checks(1_000 if quick else 20_000),
        halts=halts,
        accounts=_ACCOUNTS,
        command_ms=tuple(command_ms for command_ms, _ in found),
        last_ms=tuple(last_ms for _, last_ms in found),
    )


def _time_checks(rounds: int) -> tuple[float, float]:
    order = Order(
        ClientOrderId("fb-20261121-0011aabbccdd-0"),
        AccountName("Order_Account1_Gs"),
        BrokerCode("gs"),
        InstrumentId("IRO1MHRN0001"),
        Side.BUY,
        Decimal(5850),
        Decimal(170_018),
        date(2026, 11, 21),
    )
    band = PriceBand(Decimal(5520), Decimal(5860))
    instrument = Instrument(order.instrument, "", "", band, Decimal(1), Decimal(400_000), Decimal(1))
    # Every limit is set, so that every check has something to do, and none denies.
    limits = Limits(order.value, order.quantity, order.value * 2, 5)
    pacer = Pacer(350_000_000, 0)
    around = Surroundings(instrument, Decimal(10), limits, order.value, 1)
    check = FinalCheck({order.client_order_id: around}, lambda: TradingState.ACTIVE, pacer, lambda: None)
    prepared = PreparedOrder(order, "POST", "https://127.0.0.1", "/", {}, b"{}")
    taken = []
    for _ in range(rounds):
        began_ns = time.perf_counter_ns()
        why = check.why_not(order, prepared, 350_000_000)
        taken.append(time.perf_counter_ns() - began_ns)
        if why is not None:
            raise ChildFailed(f"the final check denied what it was to allow: {why}")
    taken.sort()
    return taken[rounds // 2] / 1000, taken[rounds * 99 // 100] / 1000


def _halt(folder: Path, cores: Cores, number: int, of: int) -> tuple[float, float]:
    """How long the command took to write the halt, and when the last order came after that, both in ms."""
    say(f"safety: halt {number + 1} of {of}")
    options = ["--accounts", str(_ACCOUNTS), "--port-per-broker", "--bell-in", "300s"]
    with practice(folder, cores.server, *options) as exchange:
        at = datetime.now(exchange.bell.tzinfo) + timedelta(seconds=9)
        with firstbell(exchange.config, cores.client, "run", "--at", f"{at:%H:%M:%S.%f}") as run:
            until = time.monotonic() + _TIMEOUT_S
            while len(exchange.seen()["submissions"]) < _ACCOUNTS * _ATTEMPTS:
                if run.has_ended or time.monotonic() > until:
                    raise run.failed("sent nothing again")
                time.sleep(0.05)
            began_ns = time.time_ns()
            with firstbell(exchange.config, cores.server, "halt") as child:
                since = datetime.fromisoformat(document(child, _TIMEOUT_S)["since"])
            document(run, _TIMEOUT_S)
        calls = exchange.seen()["submissions"]
    halted_ns = int(since.timestamp() * 1_000_000) * 1000
    return (halted_ns - began_ns) / 1e6, (max(call["arrival_ns"] for call in calls) - halted_ns) / 1e6
