"""A login's run on a clock that moves only when somebody waits; broker, carrier and aims need no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from firstbell.brokers.base import (
    Answer,
    Capabilities,
    Holding,
    Outcome,
    PreparedCall,
    PreparedOrder,
    Token,
    VenueOrder,
)
from firstbell.config import load
from firstbell.errors import NoAnswer, NotSent
from firstbell.model.instant import instant
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.carrier import PlainCarrier
from firstbell.oms.logins import logins_of
from firstbell.oms.pacing import Pacer
from firstbell.oms.run_budget import RunBudget
from firstbell.sniper import results
from firstbell.sniper.aiming import HostAim
from firstbell.sniper.context import RunContext, record_of
from firstbell.sniper.firing import Gear, LoginRun

S = 1_000_000_000
D = Decimal
MONEY, LARGEST = D(1_000_003_827), D(200_000)
ABLE = Capabilities(300, client_order_ids=False, replace=True)
BELL_IN_S = 300
REFUSED_FOR_GOOD = Outcome(AttemptOutcome.REJECTED, 1011, "no money")
CONFIG = """
[risk]
{risk}
[Order_A]
username = u
password = secret
broker_code = shahr
isin = IRO1MHRN0001
{a}
"""
PLAIN = CONFIG.format(a="", risk="")
SECOND = """
[Order_B]
username = u
password = secret
broker_code = shahr
isin = IRO1BORS0001
"""


@dataclass
class Broker:
    """A broker that keeps its own list and does as it is told."""

    clock: object
    money: Decimal = MONEY
    largest: Decimal = LARGEST
    answers: list = field(default_factory=list)
    list_fails: bool = False
    hide: bool = False
    held: dict = field(default_factory=dict)
    holdings_error: Exception | None = None
    token_life_s: int = 3600
    trouble: list = field(default_factory=list)
    login_error: Exception | None = None
    calls: list = field(default_factory=list)
    book: list = field(default_factory=list)
    code: str = "shahr"
    capabilities: Capabilities = ABLE
    logged_in_at: int | None = None

    def _call(self, name):
        self.calls.append((name, self.clock.now_ns / S))

    is_logged_in = True

    def login(self, *, lasting_until=None):
        self._call("login")
        if self.login_error:
            raise self.login_error
        ends_ns = (self.logged_in_at or 0) + self.token_life_s * S
        if self.logged_in_at is None or (lasting_until and instant(ends_ns) < lasting_until):
            self._call("new token")
            self.logged_in_at = self.clock.wall_ns()
        return Token("t", instant(self.logged_in_at + self.token_life_s * S))

    def forget_token(self):
        self._call("forget")
        self.logged_in_at = None

    def buying_power(self, *, fresh=False):
        assert fresh
        self._call("money")
        if self.trouble:
            raise self.trouble.pop(0)
        return self.money

    def instrument(self, isin, *, fresh=False):
        assert fresh
        self._call("instrument")
        band = PriceBand(D(5520), D(5860)) if isin == "IRO1MHRN0001" else PriceBand(D(3393), D(3601))
        return Instrument(isin, "", "", band, D(1), self.largest, D(1))

    def estimate(self, *_):
        return None

    def positions(self):
        self._call("positions")
        if self.holdings_error:
            raise self.holdings_error
        return tuple(Holding(isin, shares) for isin, shares in self.held.items())

    def prepare(self, order):
        return PreparedOrder(order, "POST", "http://127.0.0.1", "/", {}, b"")

    def prepare_proof(self):
        return PreparedCall("GET", "http://127.0.0.1", "/", {}, None)

    def send(self, prepared, *, timeout_s):
        del timeout_s
        self._call(f"send {prepared.order.quantity}")
        answer = self.answers.pop(0) if self.answers else Outcome(AttemptOutcome.ACCEPTED)
        if isinstance(answer, NotSent):
            raise answer
        there = isinstance(answer, NoAnswer) or answer.outcome is not AttemptOutcome.REJECTED
        if there and not self.hide:
            order = prepared.order
            venue = str(len(self.book) + 1000)
            self.book.append(
                VenueOrder(
                    venue,
                    order.instrument,
                    order.side,
                    order.price,
                    order.quantity,
                    D(0),
                    working=True,
                    refused=False,
                    created_at=None,
                    status="2",
                )
            )
        sent = self.clock.wall_ns()
        self.clock.sleep(0.005)
        if isinstance(answer, NoAnswer):
            raise answer
        self.read = answer
        return Answer(200, {}, b"{}", sent, 0, self.clock.wall_ns(), 5_000_000)

    def read_answer(self, *_):
        return self.read

    def orders(self, _day):
        self._call("orders")
        if self.list_fails:
            raise NoAnswer("the list is down")
        return tuple(self.book)

    def _never(self, *_):
        raise AssertionError("a run at the bell does not call this")

    submit = cancel = replace = fills = quote = _never

    def open_orders(self):
        return ()

    def times(self, name):
        return [at for called, at in self.calls if called.startswith(name)]


class Interrupt:
    """Stops at an instant of the monotonic clock, if at any."""

    is_halt = False
    why = "stopped"

    def __init__(self, clock):
        self.clock = clock
        self.stop_at_ns = None

    def is_set(self):
        return self.stop_at_ns is not None and self.clock.now_ns >= self.stop_at_ns

    def wait_until(self, monotonic_ns):
        if self.stop_at_ns is not None and monotonic_ns >= self.stop_at_ns:
            self.clock.move_to(self.stop_at_ns)
            return True
        self.clock.move_to(monotonic_ns)
        return False


class NoHostClock:
    """A host whose clock nobody has read."""

    url, reading, model, problem = "http://127.0.0.1", None, None, "not read"


class Aims:
    """The aims of a process that reads no clocks."""

    def __init__(self, context):
        self.context = context
        self.began = 0

    def of(self, _code, interval_ns):
        context = self.context
        at_once = context.at_once
        return HostAim(
            context.bell_ns, NoHostClock, context.clock, interval_ns=interval_ns, lead_ms=None, at_once=at_once
        )

    def begin(self, _aim, broker):
        assert broker.logged_in_at is not None
        self.began += 1

    def look_roughly(self, _aim):
        assert self.began

    def decide(self, aim):
        return aim.first_ns()


class SteppedCarrier(PlainCarrier):
    """A carrier on the shared transport that proves nothing but when it was asked to."""

    def prove(self, _call, _at_ns):
        self._broker.calls.append(("warm", self._clock.now_ns / S))

    def close(self):
        self._broker.calls.append(("close", self._clock.now_ns / S))


class Nobody:
    def attempted(self, *_):
        pass


class House:
    """A state folder with a journal, a broker, and runs of its config one after another."""

    def __init__(self, folder, clock, journal):
        self.folder = folder
        self.clock = clock
        self.journal = journal
        self.broker = Broker(clock)
        self.interrupt = Interrupt(clock)
        self.halts = []
        self.gear = {}
        self.pace_of = lambda _login: None
        self.dry = False
        self.attempts_per_run = 500

    def context(self, text=PLAIN, bell_in_s=BELL_IN_S, name="run"):
        """A run of a config, begun."""
        path = self.folder / "config.ini"
        path.write_text(text)
        path.chmod(0o600)
        settings = load(path)
        bell = instant(self.clock.wall_ns()) + timedelta(seconds=bell_in_s)
        self.bell_s = self.clock.now_ns / S + bell_in_s
        context = RunContext(
            name,
            settings,
            bell,
            self.journal,
            self.clock,
            lambda _: self.broker,
            self.interrupt,
            Nobody(),
            RunBudget(self.attempts_per_run, name, self.journal, self.clock),
            self.halts.append,
            self.clock.wall_ns(),
            dry=self.dry,
            pace_of=self.pace_of,
        )
        self.record = record_of(name, bell, settings.enabled, "results")
        self.journal.begin_run(self.record)
        return context

    def run(self, text=PLAIN, bell_in_s=BELL_IN_S, name="run"):
        """Carry all logins out, one after another; the rows of ``orders.json``."""
        self.carry_out(self.context(text, bell_in_s, name))
        view = self.view()
        assert view.finished
        return results.document(view, self.record.bell.tzinfo)["orders"]

    def carry_out(self, context):
        """Carry all logins of a run out."""

        def open_carrier(ca_file, budget):
            assert ca_file is None
            self.budget = budget
            return SteppedCarrier(self.broker, self.clock, self.interrupt, budget, Pacer(1))

        for login in logins_of(context.settings.enabled):
            writer = self.gear.get("scribe", self.journal)
            more = {name: value for name, value in self.gear.items() if name not in {"scribe", "lanes"}}
            gear = Gear(open_carrier, writer, Aims(context), **more)
            gear.lanes = self.gear.get("lanes", 0)
            LoginRun(context, login, gear).run()

    def view(self):
        """The last run, as its journal tells it after its end."""
        return results.view(self.journal, self.record, ended=True, now_ns=self.clock.wall_ns())

    def rows(self):
        """Its rows, finished or not."""
        return results.document(self.view(), self.record.bell.tzinfo)["orders"]

    def notes(self, kind, name="run"):
        """What a run noted, as account and text."""
        return [(note.account, note.text) for note in self.journal.notes(name) if note.kind == kind]
