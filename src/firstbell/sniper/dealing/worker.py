"""A worker that was started by hand, on whichever machine: Locust's side of a run that another process conducts.

It has no config. What it has to know comes from its master, sealed; what it does goes into the journal, straight.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust.runners import WorkerRunner

from firstbell.clock import SystemClock
from firstbell.errors import FirstbellError, JournalError
from firstbell.journal.opening import open_journal
from firstbell.journal.owner import this_process
from firstbell.log import complain, guard, redact, set_up
from firstbell.market import calendar
from firstbell.model.instant import instant
from firstbell.oms.pace_file import PaceFile
from firstbell.oms.run_budget import RunBudget
from firstbell.risk.trading_state import Halt
from firstbell.sniper.context import RunContext
from firstbell.sniper.dealing import halting
from firstbell.sniper.dealing.dealt import DealtBroker, JournalInquiry, arm_by_master
from firstbell.sniper.dealing.link import Link
from firstbell.sniper.dealing.post import Post
from firstbell.sniper.dealing.presence import MasterWatch, Presence
from firstbell.sniper.dealing.roster import STATE_DIR
from firstbell.sniper.kill_switch import KillSwitch
from firstbell.sniper.login_runs import LoginRuns
from firstbell.sniper.users import GreenInterrupt, StatsWatcher, TradingUser

if TYPE_CHECKING:
    from locust.env import Environment
    from locust.event import Events

    from firstbell.brokers.base import Broker, HttpBroker, PreparedCall
    from firstbell.config import AccountSettings
    from firstbell.model.identifiers import BrokerCode
    from firstbell.oms.logins import Login
    from firstbell.sniper.dealing.roster import Roster
    from firstbell.sniper.dealing.sealing import Seal
    from firstbell.sniper.firing import Inquirer

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
_USAGE: Final = 2
STOP_TIMEOUT_S: Final = 8.0
"""How long answers in flight are awaited at the end."""
IN_SIGHT_EVERY_S: Final = 2.0
"""The journal is touched this often: a connection that has broken is made anew, or this worker would seem dead."""
_CALM_NS: Final = 2 * _NS
"""… except so shortly before something leaves."""


class DealtWorker:
    """Conducts this worker's part of a run within Locust.

    Args:
        roster: What the master has told of the run.
        seal: The key that it has too.
        verbose: How much to say, 0 to 2.
    """

    def __init__(self, roster: Roster, seal: Seal, verbose: int) -> None:
        self._roster = roster
        self._seal = seal
        self._verbose = verbose
        self._clock = SystemClock()
        self._interrupt = GreenInterrupt()
        self._switch = KillSwitch(roster.settings.firstbell.state_dir, self._interrupt, self._tell_master)
        self._post: Post | None = None
        self._journal = open_journal(roster.journal, STATE_DIR / "journal.db", self._clock)
        self._proofs: dict[BrokerCode, PreparedCall] = {}
        self._logins = {login.key: login for login in map(self._chosen, roster.logins) if login.accounts}
        self._link: Link | None = None
        self._context: RunContext | None = None
        self._runs: LoginRuns | None = None
        self._watcher: StatsWatcher | None = None

    def runs(self) -> LoginRuns:
        """The logins' runs of this process.

        Raises:
            RuntimeError: Locust has not been initialized yet.
        """
        if self._runs is None:
            raise RuntimeError("the logins' runs are not there before Locust's init event")
        return self._runs

    def listen(self, events: Events) -> None:
        """Follow Locust from its start to its end."""
        hub = gevent.get_hub()
        hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)
        events.init.add_listener(self._on_init)
        events.test_stopping.add_listener(self._on_stopping)
        events.quitting.add_listener(self._on_quitting)

    def _chosen(self, login: Login) -> Login:
        return replace(login, accounts=tuple(each for each in login.accounts if each.name in self._roster.chosen))

    def _on_init(self, environment: Environment, **_: Any) -> None:
        roster, options = self._roster, environment.parsed_options
        console = options is not None and bool(options.skip_log_setup)
        tz = calendar(roster.settings.firstbell.market).tz
        set_up(roster.settings.firstbell.state_dir / "logs", verbose=self._verbose, console=console, tz=tz)
        if not console:
            guard()
        environment.stop_timeout = STOP_TIMEOUT_S
        environment.user_classes = [
            cls for cls in environment.user_classes if getattr(cls, "account", None) and self._takes_part(cls)
        ]
        try:
            known = self._journal.run(roster.run_id)
        except JournalError as error:
            complain(f"{error}\nThe journal's address is in the master's config; it must lead there from here.")
            sys.exit(_USAGE)
        if known is None:
            sys.stderr.write(
                f"run {roster.run_id} is not in {roster.journal}: is it another database seen from here?\n"
            )
            sys.exit(_USAGE)
        if not isinstance(environment.runner, WorkerRunner):
            raise TypeError("Locust has not made a worker of this process")
        try:
            self._take_up(environment, environment.runner)
        except FirstbellError as error:
            # Raised, it would be logged by Locust, which would go on with half a worker.
            complain(str(error))
            sys.exit(_USAGE)

    def _takes_part(self, user_class: type[Any]) -> bool:
        return issubclass(user_class, TradingUser) and user_class.account.name in self._roster.chosen

    def _take_up(self, environment: Environment, runner: WorkerRunner) -> None:
        roster, owner = self._roster, this_process()
        post = self._post = Post(runner, self._seal)
        most = roster.settings.risk.attempts_per_run(len(roster.settings.accounts))
        self._link = Link(post, owner, roster.run_id)
        self._watcher = StatsWatcher(environment)
        self._context = RunContext(
            run_id=roster.run_id,
            settings=roster.settings,
            bell=roster.bell,
            journal=self._journal,
            clock=self._clock,
            open_broker=self._open_broker,
            interrupt=self._interrupt,
            watcher=self._watcher,
            run_budget=RunBudget(most, roster.run_id, self._journal, self._clock, shared=True),
            halt=self._halt,
            started_ns=roster.started_ns,
            dry=roster.dry,
            pace_of=partial(PaceFile.of, roster.settings.firstbell.state_dir),
        )
        self._switch.arm()
        halting.hear(post, self._interrupt.halt)
        watch = MasterWatch(roster.master, self._journal.alive, self._clock)
        runs = LoginRuns(
            self._context,
            self._interrupt,
            arm=arm_by_master,
            inquire=_read_journal,
            why_not=watch.why_not,
            replaceable=True,
        )
        self._runs = runs
        self._watcher.tell_when(lambda: runs.volley.flying > 0)
        Presence(post, owner, roster.run_id, self.runs, self._logins, dealt=True).begin()
        gevent.spawn(self._keep_in_sight)
        _log.info(
            "run %s: %d logins to be dealt, bell at %s", roster.run_id, len(self._logins), roster.bell.isoformat()
        )

    def _open_broker(self, account: AccountSettings) -> Broker:
        context, link = self._context, self._link
        login = self._logins.get(account.username)
        if context is None or link is None or login is None:
            raise RuntimeError(f"{account.name} is asked for before the run is there")
        return DealtBroker(context, login, self._roster.capabilities[account.broker_code], link, self._proofs)

    def _keep_in_sight(self) -> None:
        while not self._interrupt.wait_until(self._clock.monotonic_ns() + int(IN_SIGHT_EVERY_S * _NS)):
            next_ns = self.runs().volley.next_ns()
            if next_ns is not None and next_ns - self._clock.monotonic_ns() < _CALM_NS:
                continue
            try:
                self._journal.alive(self._roster.master)
            except FirstbellError as error:
                _log.warning("%s", error)

    def _halt(self, why: str) -> None:
        """Halt all trading: here at once; the master writes it down and tells the others."""
        by = f"run {self._roster.run_id} on {this_process().host.partition('#')[0]}"
        why = redact(why)
        self._interrupt.halt(str(Halt(instant(self._clock.wall_ns()), by, why)))
        self._tell_master(why)

    def _tell_master(self, why: str) -> None:
        if self._post is not None:
            halting.tell(self._post, why)

    def _on_stopping(self, **_: Any) -> None:
        self._interrupt.stop()

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        self._interrupt.stop()
        if environment.runner is None or self._runs is None:
            return
        environment.runner.stop()
        self._runs.join(STOP_TIMEOUT_S)
        if self._watcher is not None:
            self._watcher.tell()
        self._switch.disarm()
        environment.process_exit_code = 0


def _read_journal(context: RunContext, broker: HttpBroker) -> Inquirer:
    del broker
    return JournalInquiry(context)
