"""The logins that this process carries out. They outlive the Locust users that asked for them.

Locust moves users between workers whenever one comes or goes, and kills them where they were. An armed order must not
be killed with its user: the claim on it would stay with this process, and nobody would fire it. So a user only asks for
its login's run and waits for it; the run is a greenlet of the process's own.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import gevent

from firstbell.errors import FirstbellError, JournalError
from firstbell.journal.base import Note
from firstbell.model.identifiers import AccountName
from firstbell.risk.trading_state import TradingState
from firstbell.sniper.aiming import Aims
from firstbell.sniper.carrier import LaneCarrier
from firstbell.sniper.firing import Gear, LoginRun, arm_here, ask_lists, nothing_against
from firstbell.sniper.results import CLOCK, FINISHED
from firstbell.sniper.scribe import Scribe
from firstbell.sniper.volley import Volley

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.brokers.base import HttpBroker
    from firstbell.oms.logins import Login
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.firing import ArmLogin, Inquirer
    from firstbell.sniper.users import GreenInterrupt

_log = logging.getLogger(__name__)

_REMEMBER_NS: Final = 500_000_000
"""What has been finished is read again after this long: a thousand users may ask at once."""


class LoginRuns:
    """This process's runs of logins.

    Args:
        context: The run.
        interrupt: Stops it.
        arm: Arms a login.
        inquire: How it is found out what became of orders.
        why_not: Asked a last time before the bell: why nothing may leave, or None.
        began: Told of every login that is begun here.
        replaceable: Whether this is a worker: when it is stopped alone, others take over what it had.
    """

    def __init__(
        self,
        context: RunContext,
        interrupt: GreenInterrupt,
        *,
        arm: ArmLogin = arm_here,
        inquire: Callable[[RunContext, HttpBroker], Inquirer] = ask_lists,
        why_not: Callable[[], str | None] = nothing_against,
        began: Callable[[Login], None] | None = None,
        replaceable: bool = False,
    ) -> None:
        self._context = context
        self._began = began
        self.volley = Volley(interrupt, lambda: context.state() is TradingState.REDUCING)
        scribe = Scribe(context.journal, self.volley)
        self.aims = Aims(context, self._note_clock)
        carriers = partial(LaneCarrier, self.volley)
        self._gear = Gear(
            carriers, scribe, self.aims, arm=arm, inquire=inquire, why_not=why_not, replaceable=replaceable
        )
        self._greenlets: dict[str, gevent.Greenlet[[], None]] = {}
        self._finished: set[AccountName] = set()
        self._read_ns: int | None = None

    def carry_out(self, login: Login) -> None:
        """Carry a login out, or wait for the run of it that is under way; returns when it has come to its end."""
        greenlet = self._greenlets.get(login.key)
        if greenlet is None or greenlet.dead:
            greenlet = self._greenlets[login.key] = gevent.spawn(partial(self._run, login))
            if self._began is not None:
                self._began(login)
        greenlet.join()

    def are_done(self, login: Login) -> bool:
        """Whether the run has finished with a login, in whichever process: its user is one that was spawned again."""
        now_ns = self._context.clock.monotonic_ns()
        if self._read_ns is None or now_ns - self._read_ns > _REMEMBER_NS:
            self._read_ns = now_ns
            notes = self._context.journal.notes(self._context.run_id)
            self._finished = {note.account for note in notes if note.kind == FINISHED}
        return all(account.name in self._finished for account in login.accounts)

    @property
    def busy(self) -> bool:
        """Whether any of them is still under way."""
        return any(not greenlet.dead for greenlet in self._greenlets.values())

    def join(self, timeout_s: float) -> None:
        """Wait for those that are under way, so many seconds at most."""
        gevent.joinall(list(self._greenlets.values()), timeout=timeout_s)

    def _run(self, login: Login) -> None:
        try:
            LoginRun(self._context, login, self._gear).run()
        except FirstbellError as error:
            # Not even its end could be written down; what is in the journal stays true: nobody knows.
            _log.error("%s: %s", login.leader.name, error)

    def _note_clock(self, facts: str) -> None:
        # A greenlet of its own: whoever has just decided when to fire does not wait for a disk.
        gevent.spawn(self._write_clock, facts)

    def _write_clock(self, facts: str) -> None:
        try:
            self._gear.scribe.note(self._context.run_id, [Note(AccountName(""), CLOCK, facts)])
        except JournalError as error:
            _log.warning("%s", error)
