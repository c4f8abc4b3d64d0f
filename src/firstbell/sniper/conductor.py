"""Locust's side of a run: its options, its beginning and its end.

Locust runs the users; the journal is what they write to and what this reads from, so that it does not matter in which
process a user lives.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.socket import wait_read
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from firstbell.clock import exchange_now
from firstbell.errors import FirstbellError
from firstbell.journal.base import Note
from firstbell.journal.owner import is_alive, this_process
from firstbell.log import complain, guard, set_up
from firstbell.model.identifiers import AccountName
from firstbell.model.instant import epoch_ns
from firstbell.oms.logins import Login, logins_of
from firstbell.oms.pace_file import PaceFile
from firstbell.oms.recovery import recover
from firstbell.oms.run_budget import RunBudget
from firstbell.oms.run_id import new_run_id
from firstbell.sniper import results
from firstbell.sniper.archive import recover_all
from firstbell.sniper.bell import choose_bell
from firstbell.sniper.context import RunContext, record_of
from firstbell.sniper.dealing.locked_port import lock
from firstbell.sniper.dealing.master import Mastery
from firstbell.sniper.dealing.post import Post
from firstbell.sniper.dealing.presence import MasterWatch, Presence
from firstbell.sniper.dealing.sealing import KEY, Seal
from firstbell.sniper.follower import LOOK_EVERY_S, Follower
from firstbell.sniper.kill_switch import KillSwitch
from firstbell.sniper.login_runs import LoginRuns
from firstbell.sniper.page import dress
from firstbell.sniper.page_port import take_port
from firstbell.sniper.users import GreenInterrupt, StatsWatcher, TradingUser

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping

    from locust.env import Environment
    from locust.event import Events
    from locust.web import WebUI

    from firstbell.oms.office import Office
    from firstbell.sniper.environment import RunWishes

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
STOP_TIMEOUT_S: Final = 8.0
"""How long Locust waits for users that were told to stop: an answer in flight is awaited for up to 5 s."""
_USAGE: Final = 2
_UNKNOWN: Final = 3
_HALTED: Final = 4
_MASTER_EVERY_S: Final = 1.0
"""How often a fork looks whether its master lives."""


class Conductor:
    """Conducts one run within Locust.

    Args:
        office: The opened rooms of the config.
        wishes: How the run is wanted.
    """

    def __init__(self, office: Office, wishes: RunWishes) -> None:
        self._office = office
        self._wishes = wishes
        self._interrupt = GreenInterrupt()
        self._switch = KillSwitch(office.state_dir, self._interrupt, self._tell_workers)
        self._context: RunContext | None = None
        self._runs: LoginRuns | None = None
        self._watcher: StatsWatcher | None = None
        self._environment: Environment | None = None
        self._mastery: Mastery | None = None
        self._conducting: gevent.Greenlet[[], None] | None = None
        # Made before Locust forks its workers, so that they all have it; other machines are told it by their user.
        self._seal = Seal.from_environment() if KEY in os.environ else Seal.fresh()
        lock(self._seal, alone=KEY not in os.environ)
        self._master = this_process()
        self._begun_here = wishes.run_id is None
        now = exchange_now(office.clock, office.calendar.tz)
        # Chosen before Locust forks its workers, so that all processes of a run agree on them.
        self._run_id = wishes.run_id or new_run_id(now)
        self._started = now
        self._follower: Follower | None = None
        self._written_down = False

    def context(self) -> RunContext:
        """The run.

        Raises:
            RuntimeError: Locust has not been initialized yet.
        """
        if self._context is None:
            raise RuntimeError("the run is not there before Locust's init event")
        return self._context

    def runs(self) -> LoginRuns:
        """The logins' runs of this process.

        Raises:
            RuntimeError: Locust has not been initialized yet.
        """
        if self._runs is None:
            raise RuntimeError("the logins' runs are not there before Locust's init event")
        return self._runs

    def listen(self, events: Events) -> None:
        """Follow Locust from its command line to its end."""
        # Ctrl-C ends a run as it should; gevent would print it as a fault.
        hub = gevent.get_hub()
        hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)
        if self._wishes.leashed:
            # Before Locust's first word, which would otherwise set up logging of its own.
            set_up(self._office.logs_dir, verbose=self._wishes.verbose, console=True, tz=self._office.calendar.tz)
        events.init_command_line_parser.add_listener(self._on_parser)
        events.init.add_listener(self._on_init_or_end)
        events.test_stopping.add_listener(self._on_stopping)
        events.quitting.add_listener(self._on_quitting)

    def _on_parser(self, parser: ArgumentParser, **_: Any) -> None:
        users = len(self._office.settings.enabled)
        # The page is for the one who sits at this machine, behind a log-in, and the run is armed by whoever started it.
        parser.set_defaults(
            web_host="127.0.0.1",
            master_bind_host="127.0.0.1",
            web_login=True,
            autostart=True,
            num_users=users,
            spawn_rate=users,
            stop_timeout=STOP_TIMEOUT_S,
        )

    def _on_init_or_end(self, environment: Environment, web_ui: WebUI | None, **_: Any) -> None:
        """Locust logs what a listener raises and goes on: a run that has not begun as a whole must not go on."""
        try:
            self._on_init(environment, web_ui)
        except FirstbellError as error:
            complain(str(error))
            sys.exit(_USAGE)
        except Exception:  # noqa: BLE001 - the last door before Locust, which would go on
            _log.exception("a fault of firstbell's own: the run has not begun")
            sys.exit(_USAGE)

    def _on_init(self, environment: Environment, web_ui: WebUI | None) -> None:
        office, options = self._office, environment.parsed_options
        if options is not None and options.skip_log_setup:
            set_up(office.logs_dir, verbose=self._wishes.verbose, console=True, tz=office.calendar.tz)
        else:
            # Locust has set up its own console; ours would say everything twice.
            set_up(office.logs_dir, verbose=self._wishes.verbose, console=False, tz=office.calendar.tz)
            guard()
        office.keep_order_log()
        if web_ui is not None:
            take_port(web_ui)
        self._environment = environment
        environment.stop_timeout = STOP_TIMEOUT_S
        run_time = None if options is None or not options.run_time else timedelta(seconds=float(options.run_time))
        bell = choose_bell(self._wishes.at, office.settings, office.calendar, self._started, run_time)
        if options is not None and run_time is not None and bell.at > self._started:
            # The run time is for the orders; waiting for the bell does not use it up.
            options.run_time = (run_time + (bell.at - self._started)).total_seconds()
        self._watcher = StatsWatcher(environment)
        most = office.settings.risk.attempts_per_run(len(office.settings.enabled))
        shared = not isinstance(environment.runner, LocalRunner)
        self._context = RunContext(
            run_id=self._run_id,
            settings=office.settings,
            bell=bell.at,
            journal=office.journal,
            clock=office.clock,
            open_broker=office.broker,
            interrupt=self._interrupt,
            watcher=self._watcher,
            run_budget=RunBudget(most, self._run_id, office.journal, office.clock, shared=shared),
            halt=self.halt,
            started_ns=epoch_ns(self._started),
            dry=self._wishes.dry,
            pace_of=partial(PaceFile.of, office.state_dir),
        )
        self._switch.arm()
        if isinstance(environment.runner, WorkerRunner):
            self._work(environment.runner, environment)
            return
        self._take_up_runs(LoginRuns(self._context, self._interrupt))
        if self._wishes.leashed:
            gevent.spawn(self._hold_leash)
        self._raise_users(environment)
        for warning in bell.warnings:
            _log.warning("%s", warning)
        _log.info("run %s: %d lines, bell at %s", self._run_id, len(office.settings.enabled), bell.at.isoformat())
        self._begin(environment)
        if isinstance(environment.runner, MasterRunner):
            self._mastery = Mastery(self._office, self._context, environment.runner, self._chosen(environment))
            self._mastery.take_up(self._seal, self.runs().aims, self.halt)
            if self._interrupt.is_halt:
                self._tell_workers(self._interrupt.why)
        overseer = None if self._mastery is None else self._mastery.overseer
        self._follower = Follower(self._office, self._context, environment.runner, self.runs().volley, overseer)
        self._follower.bring_up_to_date(ended=False)
        if web_ui is not None:
            dress(web_ui, _StopButton(self), self._office.clock)
        self._conducting = gevent.spawn(partial(self._conduct, self._follower))
        # The loop's own time stood still while everything was imported, and Locust is about to set its run time by it.
        gevent.get_hub().loop.update_now()

    def _conduct(self, follower: Follower) -> None:
        follower.follow()
        self._end_run()

    def _take_up_runs(self, runs: LoginRuns) -> None:
        self._runs = runs
        if self._watcher is not None:
            self._watcher.tell_when(lambda: runs.volley.flying > 0)

    def _work(self, runner: WorkerRunner, environment: Environment) -> None:
        """In a fork of the master: say what we have begun, and fire nothing that the master does not live to see."""
        post = Post(runner, self._seal)
        logins = {login.key: login for login in self._chosen(environment)}
        presence = Presence(post, this_process(), self._run_id, self.runs, logins, dealt=False)
        watch = MasterWatch(self._master, is_alive, self._office.clock, looks=1)
        runs = LoginRuns(self.context(), self._interrupt, why_not=watch.why_not, began=presence.began, replaceable=True)
        self._take_up_runs(runs)
        presence.begin()
        gevent.spawn(self._end_with_master, runner, runs)

    def _end_with_master(self, runner: WorkerRunner, runs: LoginRuns) -> None:
        """In a fork: end when the master has died; what is under way after the bell is brought to its end before."""
        context = self.context()
        bell_ns = context.monotonic_of(context.bell_ns)
        while is_alive(self._master):
            gevent.sleep(_MASTER_EVERY_S)
        _log.error("the master of this worker has died")
        while runs.busy and context.clock.monotonic_ns() >= bell_ns:
            gevent.sleep(_MASTER_EVERY_S)
        self.stop()
        runner.quit()

    def _chosen(self, environment: Environment) -> list[Login]:
        """The logins with those of their accounts that take part: all of them, unless some were named to Locust."""
        chosen = {cls.account.name for cls in environment.user_classes if issubclass(cls, TradingUser)}
        return list(logins_of(account for account in self._office.settings.enabled if account.name in chosen))

    def _hold_leash(self) -> None:
        """End the run when the process that started it lets go of our standard input, by its end or on purpose."""
        while True:
            wait_read(sys.stdin.fileno())
            if not os.read(sys.stdin.fileno(), 64):
                break
        self.stop()
        self._end_run()

    def _raise_users(self, environment: Environment) -> None:
        """Users never fewer than accounts, and all at once: one that is spawned late is late at the bell."""
        options, needed = environment.parsed_options, len(self._office.settings.enabled)
        if options is None:
            return
        if (options.num_users or 0) != needed:
            _log.warning("%s users asked for; every one of the %d accounts gets one", options.num_users, needed)
        options.num_users = needed
        options.spawn_rate = max(float(options.spawn_rate or 0), float(needed))

    def _begin(self, environment: Environment) -> None:
        context, office = self.context(), self._office
        if self._begun_here:
            recover_all(office.journal, office.clock, context.run_id, office.calendar.tz)
            record = record_of(
                context.run_id, context.bell, office.settings.enabled, str(office.settings.firstbell.results_dir)
            )
            office.journal.begin_run(record)
        left_out = [
            account.name
            for account in office.settings.enabled
            if not any(getattr(cls, "account", None) is account for cls in environment.user_classes)
        ]
        if left_out:
            said = "not among the users named on the command line"
            notes = [Note(AccountName(name), kind, said) for name in left_out for kind in ("not_sent", "finished")]
            office.journal.note(context.run_id, notes)

    def _end_run(self) -> None:
        environment = self._environment
        if environment is None or environment.runner is None or environment.parsed_options is None:
            return
        # Where Locust still waits for workers, that ends too.
        environment.parsed_options.expect_workers = 0
        if environment.parsed_options.headless:
            environment.runner.quit()
        else:
            environment.runner.stop()
            self._finish()
            _log.warning("the run has ended; the page stays until Ctrl-C")

    def stop(self) -> None:
        """Let no new attempt leave; answers in flight are awaited."""
        self._interrupt.stop()

    def halt(self, why: str, by: str | None = None) -> None:
        """Halt all trading until a person resumes it.

        Args:
            why: In words.
            by: Who does so; this run by default.
        """
        now = exchange_now(self._office.clock, self._office.calendar.tz)
        self._switch.halt(why, by or f"run {self._run_id}", now)

    def _tell_workers(self, why: str) -> None:
        if self._mastery is not None:
            self._mastery.tell_halt(why)

    def _on_stopping(self, **_: Any) -> None:
        if self._mastery is None or not self._mastery.overseer.nobody_left:
            self.stop()

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        self._look_after_what_is_left()
        self.stop()
        if environment.runner is None or self._context is None:
            return
        environment.runner.stop()
        # The users are gone by now; what they had begun writes down what became of it.
        self.runs().join(STOP_TIMEOUT_S)
        if self._watcher is not None:
            self._watcher.tell()
        if not isinstance(environment.runner, WorkerRunner):
            self._finish()
            environment.process_exit_code = self._exit_status()
        self._switch.disarm()

    def _look_after_what_is_left(self) -> None:
        """Locust ends when its last worker is gone, but what that one has sent has to be asked for."""
        if self._mastery is None or self._conducting is None or self._interrupt.is_set():
            return
        self._mastery.overseer.glance()
        if self._mastery.overseer.nobody_left and not self._conducting.dead:
            _log.warning("no worker is left; what may have been sent is asked for (Ctrl-C ends that)")
            try:
                self._conducting.join()
            except KeyboardInterrupt:
                self.stop()

    def _finish(self) -> None:
        """Judge what is left over and write the results for good; nothing of this run can leave any more."""
        ended = this_process() if isinstance(getattr(self._environment, "runner", None), LocalRunner) else None
        try:
            self._await_workers()
            recover(self._office.journal, self._office.clock, self._run_id, ended)
            if self._follower is not None:
                self._follower.bring_up_to_date(ended=True)
                if not self._written_down:
                    self._tell(self._follower.document)
                self._written_down = True
        except FirstbellError as error:
            _log.error("the run's end could not be written down; `firstbell orders reconcile` will: %s", error)

    def _tell(self, document: Mapping[str, Any] | None) -> None:
        """Say what it came to and where that stands, to those who drive Locust themselves."""
        if document is None or self._wishes.leashed:
            return
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in document["summary"].items())
        folder = self._office.settings.firstbell.results_dir / self._run_id
        sys.stderr.write(f"{counts}: {folder / 'orders.json'}\n")

    def _await_workers(self) -> None:
        """Wait for answers that other processes of this run still await, as long as Locust lets them."""
        until_ns = self._office.clock.monotonic_ns() + int(STOP_TIMEOUT_S * _NS)
        while self._office.clock.monotonic_ns() < until_ns:
            at_work = [
                entry
                for entry in self._office.journal.open_entries()
                if entry.run_id == self._run_id and not entry.state.unresolved
            ]
            if not any(entry.owner != this_process() and self._office.journal.alive(entry.owner) for entry in at_work):
                return
            gevent.sleep(LOOK_EVERY_S)

    def _exit_status(self) -> int:
        if self._interrupt.is_halt:
            return _HALTED
        document = None if self._follower is None else self._follower.document
        if document is None or not self._written_down:
            # Something may have left, and what became of it could not be written down.
            return _UNKNOWN
        return results.exit_status(row["outcome"] for row in document["orders"])


class _StopButton:
    """What the page's stop button does: whoever presses it wants nothing more to leave, today or after a restart."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def stop(self) -> None:
        self._conductor.halt("its stop button was pressed", by="the page")
