"""What a person starts: `firstbell run` with its two processes, and `firstbell orders reconcile`.

They do what the commands in `firstbell.cli` and `firstbell.sniper.conductor` do, step by step, with the same parts of
the product; what is theirs alone (Locust, the screen, files) is left out.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from firstbell.brokers.courtesy import Courtesy
from firstbell.brokers.ephoenix.broker import EphoenixBroker
from firstbell.brokers.ephoenix.hosts import TABLE, hosts_of
from firstbell.brokers.ephoenix.login import Login as LoggingIn
from firstbell.brokers.refused_logins import RefusedLogins
from firstbell.brokers.session import Session
from firstbell.errors import BrokerError, CaptchaError, FirstbellError
from firstbell.journal.base import Note
from firstbell.journal.sql_journal import SqlJournal
from firstbell.model.identifiers import RunId
from firstbell.model.instant import epoch_ns, instant
from firstbell.oms.logins import logins_of
from firstbell.oms.reconcile import PATIENCE_S, Reconciler
from firstbell.oms.recovery import recover
from firstbell.oms.run_budget import RunBudget
from firstbell.sniper import results
from firstbell.sniper.archive import current
from firstbell.sniper.arming import Arming
from firstbell.sniper.context import RunContext, record_of
from firstbell.sniper.firing import Gear, LoginRun
from simulation.carrier import SimulatedAims, SimulatedCarrier
from simulation.process import NS, SimulatedInterrupt
from simulation.shelf import SimulatedShelf
from simulation.store import SimulatedStore
from simulation.wire import SimulatedTransport, Wire
from simulation.world import BELL_AT, BELL_NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from firstbell.brokers.base import Answer, Broker, HttpBroker, Outcome
    from firstbell.brokers.shelf import Shelf
    from firstbell.brokers.transport import Transport
    from firstbell.config import AccountSettings
    from firstbell.journal.base import Journal, RunRecord
    from firstbell.model.order import Order
    from firstbell.model.report import Attempt
    from firstbell.oms.decision import Budget
    from firstbell.oms.logins import Login
    from firstbell.sniper.aiming import Aims, HostAim
    from firstbell.sniper.arming import Armed
    from firstbell.sniper.firing import Scribe
    from simulation.process import Process
    from simulation.scenario import Start
    from simulation.world import World

_GRACE_S: Final = 90
_STOP_S: Final = 8
_WARM_FROM_S: Final = 25
_START_BEFORE_S: Final = 75
_LOOK_NS: Final = NS // 4


class Solver:
    """A `firstbell.brokers.captcha.CaptchaSolver` who reads the simulated captchas, and misreads some.

    Args:
        world: Says how often.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def solve(self, picture: bytes, *, account: str) -> str:
        """Read a captcha."""
        del account
        world = self._world
        wrong = world.since_bell_ns() < world.weather.calm_ns and world.chance.random() < world.scenario.wrong_captchas
        return "00000" if wrong else picture.decode()


class Office:
    """One process's opened rooms: its journal, its brokers, its clock.

    Args:
        process: Whose they are.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.wire = Wire(process)
        self.journal: Journal = SqlJournal(SimulatedStore(process, process.world.database), process.clock)
        self._brokers: dict[tuple[str, str], EphoenixBroker] = {}

    def broker(self, account: AccountSettings) -> EphoenixBroker:
        """The broker of an account; accounts of one login share one."""
        key = (account.broker_code, account.username)
        if key not in self._brokers:
            self._brokers[key] = self._opened(account)
        return self._brokers[key]

    def brokers(self) -> dict[str, Broker]:
        """Login → its broker."""
        return {
            login.key: self.broker(login.leader) for login in logins_of(self.process.world.scenario.settings.enabled)
        }

    def _opened(self, account: AccountSettings) -> EphoenixBroker:
        process, settings = self.process, self.process.world.scenario.settings
        code, own = account.broker_code, settings.broker(account.broker_code)
        hosts, folder = hosts_of(code, own), settings.firstbell.state_dir
        identity_host, locks = hosts.identity.partition("://")[2], folder / "locks"
        key = f"{code}\x1f{account.username}"
        shelf = cast("Shelf", SimulatedShelf(process, process.world.cached))
        transport = cast("Transport", SimulatedTransport(process, self.wire))
        password = account.password.get_secret_value()
        log_in = LoggingIn(
            account.username,
            password,
            identity_url=hosts.identity,
            before_login_s=TABLE[code].before_login_s,
            account=account.name,
            solver=Solver(process.world),
            courtesy=Courtesy(identity_host, shelf, locks, process.clock),
            transport=transport,
            clock=process.clock,
        )
        session = Session(
            key,
            identity_host,
            password,
            log_in=log_in,
            shelf=shelf,
            refused=RefusedLogins(shelf, folder, key),
            locks=locks,
            clock=process.clock,
        )
        return EphoenixBroker(
            code,
            key,
            hosts=hosts,
            min_interval_ms=own.min_interval_ms,
            session=session,
            transport=transport,
            shelf=shelf,
            clock=process.clock,
        )


class Nobody:
    """A `firstbell.oms.attempts.Watcher` who does not care."""

    def attempted(self, order: Order, attempt: Attempt, answer: Answer | None, outcome: Outcome | None) -> None:
        """An attempt has come to something."""


class Run:
    """One `firstbell run`: the process that a person started, and the one that fires.

    Args:
        world: The world.
        start: How it was started.
        name: The run's name.
        ended: Called when neither process is left.
    """

    def __init__(self, world: World, start: Start, name: str, ended: Callable[[Run], None]) -> None:
        self.world = world
        self.start = start
        self.run_id = RunId(name)
        self.parent = world.process(f"{name}/run")
        self.child: Process | None = None
        self.record: RunRecord | None = None
        self.bell: datetime = BELL_AT
        self._interrupt: SimulatedInterrupt | None = None
        self._ended = ended
        self._told = False
        self._doomed = False
        self.parent.when_dead(self._parent_died)
        self.parent.spawn(self._conduct)
        self._plan_its_end()

    def _plan_its_end(self) -> None:
        loop, start = self.world.loop, self.start
        if start.deaths:
            loop.at(BELL_NS + start.deaths[0].from_ns, self._doom)
        if start.stop_ns is not None:
            loop.at(BELL_NS + start.stop_ns, self._stop)
        if start.freeze is not None:
            begins_ns, length_ns = start.freeze
            loop.at(BELL_NS + begins_ns, lambda: self._freeze(length_ns))

    def _doom(self) -> None:
        death = self.start.deaths[0]
        if self.child is None and death.step and death.who != "parent":
            # It fires from a process that is not there yet.
            self._doomed = True
            return
        child = self.child if self.child is not None else self.parent
        victim = self.parent if death.who == "parent" else child
        if death.step:
            victim.doom(death.step, death.count)
        else:
            victim.kill("an instant")
        if death.who == "both" and victim is not self.parent:
            if victim.alive:
                victim.when_dead(lambda: self.parent.kill("its child's death"))
            else:
                self.parent.kill("its child's death")

    def _stop(self) -> None:
        self.world.count("stop")
        self.world.say(self.parent.name, "Ctrl-C")
        if self._interrupt is not None:
            self._interrupt.stop()
        elif self.child is None:
            self.parent.exit()

    def _freeze(self, length_ns: int) -> None:
        if self.child is not None and self.child.alive:
            self.world.count("freeze")
            self.world.say(self.child.name, f"does not run for {length_ns / NS:.1f} s")
            self.child.freeze(self.world.loop.now_ns + length_ns)

    def _parent_died(self) -> None:
        # The child notices that its leash is loose.
        if self._interrupt is not None:
            self._interrupt.stop()
        self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if not self._told and not self.parent.alive and (self.child is None or not self.child.alive):
            self._told = True
            self._ended(self)

    # --- the process that a person started

    def _conduct(self) -> None:
        parent, world = self.parent, self.world
        office = Office(parent)
        try:
            clock = parent.clock
            now_ns = clock.wall_ns()
            self.bell = instant(now_ns) if self.start.now else BELL_AT
            if self.bell != BELL_AT or epoch_ns(self.bell) < now_ns:
                self.bell = instant(now_ns)
            self._resolve_what_is_left(office)
            settings = world.scenario.settings
            self.record = record_of(self.run_id, self.bell, settings.enabled, "results")
            office.journal.begin_run(self.record)
            self._write(office, ended=False)
            if world.halted is None:
                self._before_the_bell(office)
            if world.halted is not None:
                self._end_halted(office, self.record, world.halted)
                return
            self.child = world.process(f"{self.run_id}/fire")
            self.child.when_dead(self._look_for_the_end)
            self._interrupt = SimulatedInterrupt(self.child)
            if self._doomed:
                self._doom()
            self.child.spawn(partial(self._fire, self.child, self._interrupt, self.record))
            while self.child.alive:
                parent.pause(_LOOK_NS)
            recover(office.journal, clock, self.run_id)
            self._write(office, ended=True)
        except FirstbellError as error:
            world.say(parent.name, f"ends: {error}")
            self._let_the_child_end()
        parent.exit()

    def _end_halted(self, office: Office, record: RunRecord, why: str) -> None:
        for kind, text in ((results.NOT_SENT, why), (results.FINISHED, None)):
            office.journal.note(record.run_id, [Note(line.account, kind, text) for line in record.lines])
        recover(office.journal, office.process.clock, self.run_id)
        self._write(office, ended=True)
        self.parent.exit()

    def _let_the_child_end(self) -> None:
        if self._interrupt is not None and self.child is not None:
            self._interrupt.stop()
            while self.child.alive:
                self.parent.pause(_LOOK_NS)

    def _left_s(self, process: Process) -> float:
        return (epoch_ns(self.bell) - process.clock.wall_ns()) / NS

    def _resolve_what_is_left(self, office: Office) -> None:
        clock = office.process.clock
        if not recover(office.journal, clock, self.run_id):
            return
        reconciler = Reconciler(office.brokers(), office.journal, clock, self.run_id)
        reconciler.until_known(min(PATIENCE_S, max(0.0, self._left_s(office.process) - _START_BEFORE_S)), _ignore)

    def _before_the_bell(self, office: Office) -> None:
        if self._left_s(office.process) < _WARM_FROM_S:
            return
        if self.start.warm:
            for login in logins_of(self.world.scenario.settings.enabled):
                self._warm(office.broker(login.leader), login)
        while (left_s := self._left_s(office.process) - _START_BEFORE_S) > 0 and self.world.halted is None:
            office.process.clock.sleep(min(5.0, left_s))

    @staticmethod
    def _warm(broker: EphoenixBroker, login: Login) -> None:
        try:
            broker.login()
            broker.buying_power()
            for account in login.accounts:
                broker.instrument(account.isin)
        except (BrokerError, CaptchaError):
            return

    def _write(self, office: Office, *, ended: bool) -> None:
        if self.record is None:
            return
        now_ns = office.process.clock.wall_ns()
        document = results.document(results.view(office.journal, self.record, ended=ended, now_ns=now_ns), UTC)
        self.world.reported(self.run_id, document, final=ended, by=office.process)

    # --- the process that fires

    def _fire(self, child: Process, interrupt: SimulatedInterrupt, record: RunRecord) -> None:
        office, settings = Office(child), self.world.scenario.settings
        context = RunContext(
            run_id=self.run_id,
            settings=settings,
            bell=self.bell,
            journal=office.journal,
            clock=child.clock,
            open_broker=office.broker,
            interrupt=interrupt,
            watcher=Nobody(),
            run_budget=RunBudget(
                settings.risk.attempts_per_run(len(settings.enabled)), self.run_id, office.journal, child.clock
            ),
            halt=self.world.halt,
            started_ns=child.clock.wall_ns(),
        )
        self.world.interrupts[child] = interrupt
        if self.world.halted is not None:
            interrupt.halt(self.world.halted)
        gear = Gear(
            partial(self._carrier, office, interrupt),
            cast("Scribe", SimulatedScribe(office.journal)),
            cast("Aims", SimulatedAims(child, context)),
            arm=partial(_arm, child),
        )
        left = {login.key for login in logins_of(settings.enabled)}
        for login in logins_of(settings.enabled):
            child.spawn(partial(self._carry_out, context, login, gear, left))
        self._follow(child, interrupt, left)
        try:
            recover(office.journal, child.clock, self.run_id, child.owner)
            self._write(office, ended=True)
        except FirstbellError as error:
            self.world.say(child.name, f"its end could not be written down: {error}")
        del record
        child.exit()

    def _carrier(
        self, office: Office, interrupt: SimulatedInterrupt, ca_file: Path | None, budget: Budget
    ) -> SimulatedCarrier:
        del ca_file
        return SimulatedCarrier(office.process, office.wire, interrupt, budget)

    def _carry_out(self, context: RunContext, login: Login, gear: Gear, left: set[str]) -> None:
        try:
            LoginRun(context, login, gear).run()
        except FirstbellError as error:
            self.world.say(login.leader.name, f"not even its end could be written down: {error}")
        left.discard(login.key)

    def _follow(self, child: Process, interrupt: SimulatedInterrupt, left: set[str]) -> None:
        give_up_s = self.world.scenario.settings.firstbell.give_up_after / timedelta(seconds=1)
        up_s = max(self._left_s(child), 0) + give_up_s + _GRACE_S
        up_ns = child.clock.monotonic_ns() + int(up_s * NS)
        while left and child.clock.monotonic_ns() < up_ns and not interrupt.is_set():
            interrupt.wait_until(child.clock.monotonic_ns() + _LOOK_NS)
        interrupt.stop()
        until_ns = child.clock.monotonic_ns() + _STOP_S * NS
        while left and child.clock.monotonic_ns() < until_ns:
            child.pause(_LOOK_NS // 5)


class SimulatedScribe:
    """A `firstbell.sniper.firing.Scribe` who writes at once.

    Args:
        journal: Where.
    """

    def __init__(self, journal: Journal) -> None:
        self.append = journal.append
        self.note = journal.note


class Reconcile:
    """One `firstbell orders reconcile`.

    Args:
        world: The world.
        name: Its name.
        ended: Called when it has ended; with how many orders are unresolved still.
    """

    def __init__(self, world: World, name: str, ended: Callable[[int], None]) -> None:
        self.world = world
        self.process = world.process(name)
        self.run_id = RunId(name)
        self._ended = ended
        self._unresolved = -1
        self.process.when_dead(lambda: self._ended(self._unresolved))
        self.process.spawn(self._reconcile)

    def _reconcile(self) -> None:
        office, clock = Office(self.process), self.process.clock
        try:
            recover(office.journal, clock, self.run_id)
            reconciler = Reconciler(office.brokers(), office.journal, clock, self.run_id)
            outcome = reconciler.until_known(PATIENCE_S, _ignore)
            self._unresolved = len(outcome.unresolved)
            for run_id in self.world.runs:
                record = office.journal.run(run_id)
                if record is not None:
                    document = current(office.journal, clock, record, UTC)
                    self.world.reported(run_id, document, final=False, by=self.process)
        except FirstbellError as error:
            self.world.say(self.process.name, f"ends: {error}")
        self.process.exit()


def _ignore(_entries: object) -> None:
    """Nobody looks at the screen."""


def _arm(process: Process, context: RunContext, login: Login, broker: HttpBroker, aims: Aims, aim: HostAim) -> Armed:
    return Arming(context, login, broker, aims, aim, owner=process.owner).arm()
