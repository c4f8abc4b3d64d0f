"""One history's world: its time, its exchange, its machine, and what truly happened in it."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers.ephoenix.hosts import TABLE
from firstbell.journal.sql_journal import SqlJournal
from firstbell.market import Phase
from firstbell.model.broker_codes import MAIN_CODES
from firstbell.model.instant import epoch_ns
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.simulator.ephoenix.captcha import Captcha
from firstbell.simulator.ephoenix.desk import Desk, Door, LoginLimit
from firstbell.simulator.ephoenix.tokens import TokenDesk
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.exchange_clock import ExchangeClock
from firstbell.simulator.orders import ExchangeOrder, OrderRequest
from firstbell.simulator.schedule import Schedule
from simulation.loop import Loop
from simulation.process import NS, Process, SimulatedInterrupt
from simulation.shelf import Cached
from simulation.store import Database, TrueStore
from simulation.wire import Sending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstbell.brokers.base import PreparedOrder
    from firstbell.journal.base import Owner
    from firstbell.model.identifiers import RunId
    from firstbell.simulator.ephoenix.captcha import CaptchaDesk
    from simulation.oracle import Oracle
    from simulation.scenario import Move, Scenario
    from simulation.weather import Fate

BELL_NS: Final = 120 * NS
"""When the bell rings, in ns since a history began."""
BELL_AT: Final = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
"""The same on the exchange's clock: 08:45:00 in Tehran, on a trading day."""
_DIGITS: Final = 5


class SimulatedCaptchas:
    """What `firstbell.simulator.ephoenix.captcha.CaptchaDesk` is to the platform, without drawing.

    Args:
        chance: Where digits come from.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def draw(self) -> Captcha:
        """Make a new captcha, whose picture says what it is."""
        digits = f"{self._chance.randrange(10**_DIGITS):0{_DIGITS}}"
        return Captcha(digits.encode(), "salt", f"hash {digits[::-1]}")

    def is_right(self, salt: str, hashed: str, answer: str) -> bool:
        """Whether an answer is the captcha's."""
        return (salt, hashed) == ("salt", f"hash {answer[::-1]}")


@dataclass(frozen=True, slots=True)
class Report:
    """What was reported of a run.

    Attributes:
        run_id: The run.
        document: What ``orders.json`` would hold.
        final: Whether nothing of the run could leave any more, as its own process believed.
        at_ns: When, in ns since the history began.
        by: Who told it.
    """

    run_id: RunId
    document: dict[str, Any]
    final: bool
    at_ns: int
    by: Process


class World:
    """The world of one history.

    Attributes:
        loop: Its time.
        chance: Where everything is drawn from that is drawn while time passes.
        scenario: What it is about.
        exchange: The venue.
        desk: The platform before it.
        database: The machine's journal.
        truth: The same, read by nobody's process.
        cached: The machine's cache.
        sendings: Every sending of an order, in order.
        looks: Every honest, whole list of the day that somebody has seen: process, exchange account, when it was asked
            for and when it had come.
        runs: Every run, in order.
        reports: Everything that was reported of them.
        halted: Why trading is halted, as every process of the machine can read it; None where it is not.
        halts: From when until when trading was halted, in ns since the history began.
        interrupts: What stops each process that sends.
        manual: The orders that users placed by hand.
        money: What each exchange account could spend, and from when on.
        bands: Every band, and from when on it held.
        counted: What happened, and how often.
        lines: The log.
        recording: Whether a log is kept.
    """

    def __init__(self, scenario: Scenario, chance: random.Random, *, recording: bool) -> None:
        self.loop = Loop()
        self.chance = chance
        self.scenario = scenario
        self.weather = scenario.weather
        self.recording = recording
        self.lines: list[str] = []
        self.counted: Counter[str] = Counter()
        self.database = Database()
        self.cached = Cached()
        self.processes: dict[int, Process] = {}
        self.sendings: list[Sending] = []
        self.looks: list[tuple[Process, str, int, int]] = []
        self.manual: set[int] = set()
        self.runs: list[RunId] = []
        self.reports: list[Report] = []
        self.halted: str | None = None
        self.halts: list[tuple[int, int | None]] = []
        self.interrupts: dict[Process, SimulatedInterrupt] = {}
        self.exchange = self._opened()
        self.desk = self._desk()
        self.truth = SqlJournal(TrueStore(self, self.database), TrueClock(self))
        self.money = {i.account: [(0, i.money)] for i in scenario.investors}
        self.bands = {each.id: [(0, each.band)] for each in scenario.instruments}
        self.oracle: Oracle | None = None
        self._doors = self._all_doors()
        for move in scenario.moves:
            self.loop.at(BELL_NS + move.at_ns, self._mover(move))

    # --- time

    def exchange_ns(self) -> int:
        """The exchange's clock, in ns since the epoch."""
        return int(BELL_AT.timestamp()) * NS + self.loop.now_ns - BELL_NS

    def wall_ns(self) -> int:
        """The machine's clock, in ns since the epoch."""
        return self.exchange_ns() + self.scenario.ahead_ns

    def since_bell_ns(self) -> int:
        """How long ago the bell rang, in ns; negative before it."""
        return self.loop.now_ns - BELL_NS

    def loop_ns(self, written: str) -> int:
        """An instant as the journal writes it, on the machine's clock, in ns since the history began."""
        return epoch_ns(datetime.fromisoformat(written)) - self.wall_ns() + self.loop.now_ns

    # --- what is said and counted

    def say(self, who: str, text: str) -> None:
        """Write a line into the log."""
        if self.recording:
            self.lines.append(f"{self.since_bell_ns() / NS:+13.6f} s  {who:<12} {text}")

    def count(self, what: str) -> None:
        """Count something that happened."""
        self.counted[what] += 1

    # --- the machine

    def process(self, name: str) -> Process:
        """Start a process."""
        pid = 1001 + len(self.processes)
        self.processes[pid] = Process(self, f"{name}#{pid}", pid)
        return self.processes[pid]

    def is_alive(self, owner: Owner) -> bool:
        """Whether a process still runs."""
        process = self.processes.get(owner.pid)
        return process is not None and process.alive

    def leaves(self, process: Process, prepared: PreparedOrder, fate: Fate) -> Sending:
        """An order's bytes leave a process."""
        order = prepared.order
        sending = Sending(
            len(self.sendings) + 1,
            process,
            order.client_order_id,
            prepared,
            self.loop.now_ns,
            self.wall_ns(),
            fate,
        )
        self.sendings.append(sending)
        self.count("sendings")
        if self.recording:
            befallen = f" ({fate.name})" if fate.name else ""
            what = f"{order.client_order_id}: {order.side} {order.quantity} at {order.price}"
            self.say(process.name, f"SENDS {sending.number}: {what}{befallen}")
        if self.oracle is not None:
            self.oracle.sent(sending)
        return sending

    def reported(self, run_id: RunId, document: dict[str, Any], *, final: bool, by: Process) -> None:
        """A run's results are told.

        Args:
            run_id: The run.
            document: What ``orders.json`` would hold.
            final: Whether nothing of the run can leave any more.
            by: Who tells it.
        """
        self.reports.append(Report(run_id, document, final, self.loop.now_ns, by))
        if self.recording:
            rows = [f"{row['account']} {row['outcome']} ({row['reason']})" for row in document["orders"]]
            self.say(by.name, f"reports {run_id}{' for good' if final else ''}: {'; '.join(rows)}")

    def halt(self, why: str) -> None:
        """Trading is halted: every process that sends is told soon, and finds it written down when it starts."""
        if self.halted is not None:
            return
        self.halted = f"halted by somebody: {why}"
        self.halts.append((self.loop.now_ns, None))
        self.count("halt")
        self.say("person", f"HALT: {why}")
        for process, interrupt in self.interrupts.items():
            if process.alive:
                told_ns = self.loop.now_ns + self.chance.randrange(25_000_000)
                self.loop.at(told_ns, partial(interrupt.halt, self.halted))

    def resume(self) -> None:
        """A person ends the halt."""
        if self.halted is not None:
            self.halted = None
            self.halts[-1] = (self.halts[-1][0], self.loop.now_ns)
            self.say("person", "firstbell resume")

    # --- the exchange

    def _opened(self) -> Exchange:
        bell = int(BELL_AT.timestamp()) * NS
        starts = ((bell, Phase.ORDER_ENTRY), (bell + self.scenario.trades_ns, Phase.CONTINUOUS))
        schedule = Schedule((*starts, (bell + 14_000 * NS, Phase.CLOSED)))
        exchange = Exchange(self.scenario.instruments, schedule, first_serial=700_001)
        for investor in self.scenario.investors:
            exchange.open_account(investor.account, investor.money, investor.holdings)
        return exchange

    def _desk(self) -> Desk:
        captchas: Any = SimulatedCaptchas(random.Random(self.chance.getrandbits(64)))  # noqa: S311 - repeatable  # nosec B311
        desk_of: CaptchaDesk = captchas
        tokens = TokenDesk(
            self.scenario.token_life_ns,
            random.Random(self.chance.getrandbits(64)),  # noqa: S311 - likewise  # nosec B311
        )
        return Desk(self.exchange, ExchangeClock(), self.scenario.investors, desk_of, tokens)

    def _all_doors(self) -> Mapping[str, Door]:
        investors = self.scenario.investors
        doors: dict[str, Door] = {}
        for code in MAIN_CODES:
            hosts, own = TABLE[code].hosts, Door([code], investors, LoginLimit())
            doors |= {url.partition("://")[2]: own for url in (hosts.identity, hosts.api, hosts.backoffice or "")}
        market_data = TABLE[MAIN_CODES[0]].hosts.market_data.partition("://")[2]
        return {**doors, market_data: Door(MAIN_CODES, investors, LoginLimit())}

    def tokens(self) -> list[str]:
        """Every token that was cached."""
        return [json.loads(text)["token"] for (kind, _), (_, text) in self.cached.items() if kind == "token"]

    def door(self, host: str) -> Door:
        """What is behind a host."""
        return self._doors[host]

    def _mover(self, move: Move) -> Callable[[], None]:
        return lambda: self._move(move)

    def _move(self, move: Move) -> None:
        investor = self.scenario.investors[move.investor % len(self.scenario.investors)]
        account, part = self.exchange.accounts[investor.account], Decimal(move.amount) / 1000
        self.count(f"move: {move.kind}")
        match move.kind:
            case "money":
                account.money = (account.money * part).to_integral_value()
                self.money[investor.account].append((self.loop.now_ns, account.money))
                self.say("broker", f"{investor.account} has {account.money} rials now")
            case "band":
                self._move_band(move)
            case "tokens":
                self.desk.tokens.end_all_of(investor)
                self.say("broker", f"the tokens of {investor.account} end")
            case "halt":
                self.halt("called by hand")
                self.loop.at(self.loop.now_ns + move.amount * NS // 20, self.resume)
            case "manual":
                self._by_hand(move, investor.account)
            case _:
                self._cancel_by_hand(investor.account)

    def _move_band(self, move: Move) -> None:
        listing = self.exchange.listings[self.scenario.instruments[move.amount % 3].id]
        old = listing.instrument.band
        by = Decimal(10 * (move.amount % 21 - 10))
        listing.instrument = replace(listing.instrument, band=PriceBand(old.low + by, old.high + by))
        self.bands[listing.instrument.id].append((self.loop.now_ns, listing.instrument.band))
        self.say("exchange", f"{listing.instrument.id} trades from {old.low + by} to {old.high + by} now")

    def _by_hand(self, move: Move, account: str) -> None:
        # The same instrument and side, another quantity: what tells the user's own order from ours.
        wanted = [a for a in self.scenario.settings.enabled if f"{a.broker_code}/{a.username}" == account]
        section = wanted[move.amount % len(wanted)]
        instrument = self.exchange.listings[section.isin].instrument
        price = instrument.band.high if section.side is Side.BUY else instrument.band.low
        quantity = Decimal(1_500 + move.amount % 97)
        result = self.exchange.submit(
            account, OrderRequest(section.isin, section.side, price, quantity), self.exchange_ns()
        )
        if isinstance(result, ExchangeOrder):
            self.manual.add(result.serial)
            self.say("user", f"places {result.serial} by hand: {section.side} {quantity} of {section.isin}")

    def _cancel_by_hand(self, account: str) -> None:
        working = [order for order in self.exchange.orders_of(account) if order.working]
        if working:
            self.exchange.cancel(account, working[-1].serial, self.exchange_ns())
            self.say("user", f"cancels {working[-1].serial} by hand")


class TrueClock:
    """A `firstbell.clock.Clock` of nobody's process, for looking only.

    Args:
        world: Whose time it tells.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, as the machine's clock is set."""
        return self._world.wall_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the history began."""
        return self._world.loop.now_ns

    def sleep(self, seconds: float) -> None:
        """Refuse: nobody waits here."""
        raise NotImplementedError(f"nobody waits {seconds} s here")
