"""The logins that this process carries out. They outlive the Locust users that asked for them.

Locust moves users between workers whenever one comes or goes, and kills them where they were. An armed order must not
be killed with its user: the claim on it would stay with this process, and nobody would fire it. So a user only asks for
its login's run and waits for it; the run is a greenlet of the process's own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gevent

from firstbell.journal.base import Note
from firstbell.model.identifiers import AccountName
from firstbell.sniper.aiming import Aims
from firstbell.sniper.carrier import LaneCarrier
from firstbell.sniper.firing import Gear, LoginRun
from firstbell.sniper.results import CLOCK, FINISHED
from firstbell.sniper.scribe import Scribe
from firstbell.sniper.volley import Volley

if TYPE_CHECKING:
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.logins import Login
    from firstbell.sniper.users import GreenInterrupt


class LoginRuns:
    """This process's runs of logins.

    Args:
        context: The run.
        interrupt: Stops it.
    """

    def __init__(self, context: RunContext, interrupt: GreenInterrupt) -> None:
        self._context = context
        self.volley = Volley(interrupt)
        scribe = Scribe(context.journal, self.volley)
        self._gear = Gear(partial(LaneCarrier, self.volley), scribe, Aims(context, self._note_clock))
        self._greenlets: dict[str, gevent.Greenlet[[], None]] = {}

    def carry_out(self, login: Login) -> None:
        """Carry a login out, or wait for the run of it that is under way; returns when it has come to its end."""
        greenlet = self._greenlets.get(login.key)
        if greenlet is None or greenlet.dead:
            greenlet = self._greenlets[login.key] = gevent.spawn(LoginRun(self._context, login, self._gear).run)
        greenlet.join()

    def are_done(self, login: Login) -> bool:
        """Whether the run has finished with a login, in whichever process: its user is one that was spawned again."""
        notes = self._context.journal.notes(self._context.run_id)
        finished = {note.account for note in notes if note.kind == FINISHED}
        return all(account.name in finished for account in login.accounts)

    @property
    def busy(self) -> bool:
        """Whether any of them is still under way."""
        return any(not greenlet.dead for greenlet in self._greenlets.values())

    def join(self, timeout_s: float) -> None:
        """Wait for those that are under way, so many seconds at most."""
        gevent.joinall(list(self._greenlets.values()), timeout=timeout_s)

    def _note_clock(self, facts: str) -> None:
        # A greenlet of its own: whoever has just decided when to fire does not wait for a disk.
        note = Note(AccountName(""), CLOCK, facts)
        gevent.spawn(self._gear.scribe.note, self._context.run_id, [note])
