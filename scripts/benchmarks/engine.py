"""What the order engine takes beyond the bell: on paper, in this process, with a real journal on a real disk.

Each measurement is a process of its own: ``python -m benchmarks.engine WHAT FOLDER COUNT`` prints it as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sys
import threading
import time
from decimal import Decimal
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.cli.alerting import Alerts
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.config.order_settings import TradingMode
from firstbell.journal import sqlite, sqlite_file
from firstbell.model.identifiers import InstrumentId
from firstbell.model.order_request import OrderRequest
from firstbell.model.terms import OrderType, Side
from firstbell.oms.garbage import keep_out_of_the_way
from firstbell.oms.logins import logins_of
from firstbell.oms.office import Office
from firstbell.oms.orders.assembling import order_context
from firstbell.oms.orders.manager import OrderManager
from firstbell.oms.orders.requests import BracketRequest
from firstbell.oms.run_id import new_run_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from firstbell.oms.orders.response import OrderResponse

_ISIN: Final = InstrumentId("IRO1FOLD0001")
_RESTS: Final = range(4724, 4824)
_BID, _ASK, _PROFIT, _STOP = 4860, 4870, 4950, 4800
_SHARES: Final = Decimal(10)
_BATCH: Final = 1000
"""So many orders a market takes in; then the next one, so that the broker's own list stays as long as it is."""
_ROUND: Final = 100
"""After so many orders there is a round."""
_PAGE: Final = b"x" * 4096
_MIB: Final = 1 << 20
_CONFIG: Final = f"""
[firstbell]
state_dir = state
[orders]
max_attempts_per_minute = 100000000
[Order_Bench]
username = bench
password = bench
broker_code = paper
isin = {_ISIN}
"""
_ASKED: Final = (
    "login",
    "buying_power",
    "instrument",
    "quote",
    "prepare",
    "send",
    "read_answer",
    "replace",
    "cancel",
    "orders",
    "fills",
    "positions",
)


class _TimedBroker(PaperBroker):
    """A paper broker that counts how long it takes itself, in `ns`."""

    ns = 0
    _deep = 0


def _timed(name: str) -> Callable[..., Any]:
    method = getattr(PaperBroker, name)

    @wraps(method)
    def call(self: _TimedBroker, *arguments: Any, **named: Any) -> Any:
        if self._deep:
            return method(self, *arguments, **named)
        self._deep, began_ns = 1, time.perf_counter_ns()
        try:
            return method(self, *arguments, **named)
        finally:
            self.ns += time.perf_counter_ns() - began_ns
            self._deep = 0

    return call


for _name in _ASKED:
    setattr(_TimedBroker, _name, _timed(_name))


class _TimedDatabase:
    """A journal's database that counts how long its commits take, all of them together, in `ns`."""

    ns = 0

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def commit(self) -> None:
        began_ns = time.perf_counter_ns()
        self._db.commit()
        _TimedDatabase.ns += time.perf_counter_ns() - began_ns


def _open_timed(path: Path) -> _TimedDatabase:
    return _TimedDatabase(sqlite_file.open_file(path))


sqlite.open_file = _open_timed  # type: ignore[assignment, attr-defined]


class Bench:
    """An order manager on a paper market in this process.

    Args:
        folder: Where its config and its journal are.
        more: Further sections of the config.
        logged: Whether an order log is kept.
    """

    def __init__(self, folder: Path, more: str = "", *, logged: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.ini"
        config.touch(0o600)
        config.write_text(_CONFIG + more, encoding="utf-8")
        self.office = Office(load(config))
        if logged:
            self.office.keep_order_log(late=True)
        self.validations: list[int] = []
        self.uncommitted: list[int] = []
        """What each thing that was timed took without the broker and without the journal's commits, in ns."""
        run_id = new_run_id(exchange_now(self.office.clock, self.office.calendar.tz))
        context = order_context(self.office, run_id, metrics=_Heard(self.validations))  # type: ignore[arg-type]
        login = logins_of(self.office.settings.enabled)[0]
        self.market = self._market()
        self.broker = _TimedBroker(self.market, "bench")
        self.manager = OrderManager(context, {login: self.broker}, mode=TradingMode.PAPER)
        # As `OrderManager.start` does.
        keep_out_of_the_way()

    def next_market(self) -> None:
        """Go on in another market, in which nothing has traded."""
        with self.market._turn() as venue:  # noqa: SLF001 - the market's own door
            serial = venue.exchange.next_serial
        self.market = self.broker.market = self._market()
        with self.market._turn() as venue:  # noqa: SLF001
            # No broker calls two orders of a day the same.
            venue.exchange.next_serial = serial
        self.broker.forget_token()

    def _market(self) -> PaperMarket:
        market = PaperMarket(clock=self.office.clock)
        market.set_quote(_ISIN, bid=Decimal(_BID), ask=Decimal(_ASK))
        return market

    def place(self, price: int, **terms: Any) -> tuple[OrderResponse, int]:
        """Place an order; and how long that took without the broker, in ns."""
        request = OrderRequest(
            instrument=_ISIN,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            quantity=_SHARES,
            price=Decimal(price),
            **terms,
        )
        response, took_ns = self.timed(partial(self.manager.place, request))
        if not response.is_success:
            raise SystemExit(f"an order was not placed: {response}")
        return response, took_ns

    def timed(self, work: Callable[[], Any]) -> tuple[Any, int]:
        """Do something; and how long that took without the broker, in ns."""
        broker_ns, commits_ns, began_ns = self.broker.ns, _TimedDatabase.ns, time.perf_counter_ns()
        done = work()
        took_ns = time.perf_counter_ns() - began_ns - (self.broker.ns - broker_ns)
        self.uncommitted.append(took_ns - (_TimedDatabase.ns - commits_ns))
        return done, took_ns

    def close(self) -> None:
        """Close what was opened."""
        self.office.close()


class _Heard:
    """What an order manager tells of itself."""

    def __init__(self, validations: list[int]) -> None:
        self._validations = validations

    def observe(self, name: str, ns: int) -> None:
        if name == "validation":
            self._validations.append(ns)


def placing(folder: Path, count: int, *, logged: bool = True) -> dict[str, Any]:
    """Orders that rest, one after the other, and are canceled a hundred at a time: what each takes, in µs."""
    bench = Bench(folder, logged=logged)
    taken, uncommitted, canceled = list[int](), list[int](), list[int]()
    for _ in range(max(count // _ROUND, 1)):
        names = []
        for number in range(_ROUND):
            response, took_ns = bench.place(_RESTS[number])
            taken.append(took_ns)
            uncommitted.append(bench.uncommitted[-1])
            names.append(str(response.order_id))
        # Whoever places a hundred at once does not cancel them in the same moment; meanwhile the order log is written.
        bench.office.flush()
        canceled += [bench.timed(partial(bench.manager.cancel, name))[1] for name in names]
        bench.office.flush()
    bench.close()
    return {
        "validation_us": _quantiles(bench.validations),
        "placing_us": _quantiles(taken),
        "uncommitted_us": _quantiles(uncommitted),
        "canceling_us": _quantiles(canceled),
        "sync_us": _quantiles(_syncs(folder, max(count, 500))),
    }


def _syncs(folder: Path, count: int) -> list[int]:
    """How long a page and its way to the disk take here, in ns."""
    taken = []
    with (folder / "page").open("wb", buffering=0) as file:
        for _ in range(count):
            began_ns = time.perf_counter_ns()
            file.write(_PAGE)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter_ns() - began_ns)
    return taken


def rounds(folder: Path, count: int) -> dict[str, Any]:
    """Rounds over so many orders that rest at the broker; and over half as many brackets, what they have bought held.

    In ms: whole, and without the broker.
    """
    plain = Bench(folder / "plain")
    for number in range(count):
        plain.place(_RESTS[number % len(_RESTS)])
    found = {"working": len(plain.manager.orders()), "plain_ms": _rounds(plain)}
    plain.close()
    bench = Bench(folder / "brackets")
    for _ in range(count // 2):
        entry = OrderRequest(
            instrument=_ISIN, side=Side.BUY, order_type=OrderType.LIMIT, quantity=_SHARES, price=Decimal(_ASK)
        )
        bench.manager.place_bracket(BracketRequest(entry=entry, take_profit=Decimal(_PROFIT), stop_loss=Decimal(_STOP)))
        bench.market.set_quote(_ISIN, bid=Decimal(_BID), ask=Decimal(_ASK))
    bench.manager.poll()
    bench.manager.poll()
    found |= {"bracket_orders": len(bench.manager.orders()), "brackets_ms": _rounds(bench)}
    bench.close()
    return found


def _rounds(bench: Bench) -> dict[str, float]:
    whole, own = [], []
    for _ in range(50):
        began_ns = time.perf_counter_ns()
        _, own_ns = bench.timed(bench.manager.poll)
        whole.append(time.perf_counter_ns() - began_ns)
        own.append(own_ns)
    whole.sort()
    own.sort()
    return {"median": own[25] / 1e6, "worst": own[-1] / 1e6, "with_broker": whole[25] / 1e6}


def memory(folder: Path, count: int) -> dict[str, Any]:
    """So many orders placed, one half of them filled, the other canceled; what the process takes up along the way."""
    bench, process = Bench(folder), psutil.Process()
    marks = sorted({max(count // 100, _BATCH), count // 5, count // 2, count})
    found, placing_ns = [], list[int]()
    done = 0
    while done < count:
        bench.next_market()
        names = []
        for number in range(_BATCH):
            trades = number % 2 == 0
            response, took_ns = bench.place(_ASK if trades else _RESTS[number % len(_RESTS)])
            placing_ns.append(took_ns)
            if not trades:
                names.append(str(response.order_id))
            if number % _ROUND == _ROUND - 1:
                bench.manager.poll()
                for name in names:
                    bench.manager.cancel(name)
                names.clear()
                bench.office.flush()
                bench.market.set_quote(_ISIN, bid=Decimal(_BID), ask=Decimal(_ASK))
        bench.uncommitted.clear()
        bench.validations.clear()
        done += _BATCH
        if done in marks:
            recent = _quantiles(placing_ns[-_BATCH:])
            del placing_ns[:]
            open_ = len(bench.manager.orders())
            rss = process.memory_info().rss / _MIB
            found.append({"orders": done, "rss_mib": rss, "placing_us": recent, "open": open_})
            sys.stderr.write(f"engine: {done:,} orders\n")
    bench.close()
    return {"marks": found, "journal_mib": (folder / "state" / "journal.db").stat().st_size / _MIB}


def alerts(folder: Path, count: int) -> dict[str, Any]:
    """Orders with nobody to be told of them, and with a messenger that takes every message and never answers."""
    with _silent_server() as port:
        telegram = f"[telegram]\nbot_token = 123456:bench\nchat_id = 1\napi_url = http://127.0.0.1:{port}\n"
        alone, told = Bench(folder / "alone"), Bench(folder / "told", telegram)
        messenger = Alerts.of(told.office)
        if messenger is None:
            raise SystemExit("the messenger is not configured")
        told.office.journal.follow(messenger.follower())
        taken: dict[int, list[int]] = {0: [], 1: []}
        chance = random.Random(1)  # noqa: S311 - an order of turns  # nosec B311
        for number in range(count):
            turns = [0, 1]
            chance.shuffle(turns)
            for which in turns:
                bench = (alone, told)[which]
                response, took_ns = bench.place(_RESTS[number % len(_RESTS)])
                taken[which].append(took_ns)
                bench.manager.cancel(str(response.order_id))
                if number % _ROUND == _ROUND - 1:
                    bench.office.flush()
        waiting = messenger.dispatcher.waiting
        messenger.close(0.1)
        alone.close()
        told.close()
    return {"alone_us": _quantiles(taken[0]), "told_us": _quantiles(taken[1]), "waiting": waiting}


@contextlib.contextmanager
def _silent_server() -> Any:
    """A port where every connection is taken and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(server.accept())

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1]
        for each, _ in kept:
            each.close()


def _quantiles(taken: Sequence[int]) -> dict[str, float]:
    """The median and the largest of 99 in 100, of ns in µs."""
    ordered = sorted(taken)
    return {"p50": ordered[len(ordered) // 2] / 1000, "p99": ordered[len(ordered) * 99 // 100] / 1000}


if __name__ == "__main__":
    _what, _folder, _count = sys.argv[1:]
    _works: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        "placing": placing,
        "unlogged": partial(placing, logged=False),
        "rounds": rounds,
        "memory": memory,
        "alerts": alerts,
    }
    sys.stdout.write(json.dumps(_works[_what](Path(_folder), int(_count))) + "\n")
