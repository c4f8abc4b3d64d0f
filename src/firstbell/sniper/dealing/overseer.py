"""The master's eye on its workers: who lives, what the dead left, and who takes it over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust.runners import STATE_INIT, STATE_STOPPED

from firstbell.errors import FirstbellError
from firstbell.journal.base import Note
from firstbell.journal.owner import is_alive, this_process
from firstbell.model.order_status import DONE, PLACED, OrderStatus
from firstbell.oms.recovery import recover
from firstbell.sniper.dealing.documents import read_owner, text_in
from firstbell.sniper.dealing.presence import BEGAN, HERE, SEEN, TAKE
from firstbell.sniper.results import FINISHED, NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from locust.runners import MasterRunner

    from firstbell.journal.base import Entry, Owner
    from firstbell.oms.logins import Login
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.dealing.caretaker import Caretaker
    from firstbell.sniper.dealing.crew import Crew, Member
    from firstbell.sniper.dealing.post import Post

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
HAND_OVER_UNTIL_S: Final = 4
"""A login is handed over until so many seconds before the bell: later it would disturb those who are about to fire …"""
HAND_OVER_FROM_S: Final = 0.5
"""… and again from so many seconds after it, where certainly nothing of it has left: late is better than never."""
_LOCUST_DEALS_S: Final = 6
"""So long after the first worker has come, Locust should have started every account's user somewhere."""
_DEAL_ALL_S: Final = 20
"""So long before the bell, logins that no worker has begun are given to whoever is there."""
_LOOK_EVERY_S: Final = 2
_COSTS_AT_MOST: Final = 20
"""Between two looks into the journal passes this many times what one takes."""
_SIGHT_EVERY_S: Final = 1
_NOT_BEGUN: Final = frozenset({STATE_INIT, STATE_STOPPED})
"""Locust is "stopped" as well while it waits for workers and has heard of some."""
_NOBODY_LEFT: Final = "and no worker was left to take it over"
_NOBODY_CAME: Final = "no worker came to the master"


class Overseer:
    """Watches the workers of one run.

    Args:
        context: The run.
        runner: Locust's master.
        logins: Key → login, with those of its accounts that take part.
        crew: Who has which login.
        caretaker: Looks after the orders of those who are gone.
        post: Carries messages.
    """

    def __init__(
        self,
        context: RunContext,
        runner: MasterRunner,
        logins: Mapping[str, Login],
        crew: Crew,
        caretaker: Caretaker,
        post: Post,
    ) -> None:
        self._context = context
        self._runner = runner
        self._logins = logins
        self._crew = crew
        self._caretaker = caretaker
        self._post = post
        self._here = this_process().host
        self._bell_ns = context.monotonic_of(context.bell_ns)
        self._again_from_ns = self._bell_ns + int(HAND_OVER_FROM_S * _NS)
        self._first_came_ns: int | None = None
        self._judged: set[Owner] = set()
        self._finished: set[str] = set()
        self._next_look_ns = 0
        self._next_sight_ns = 0
        self._asking: gevent.Greenlet[[], None] | None = None
        self._next_asking_ns = 0

    def listen(self) -> None:
        """Hear from now on who is there and what they have begun."""
        self._post.receive(HERE, self._on_here)
        self._post.receive(BEGAN, self._on_began)

    @property
    def nobody_left(self) -> bool:
        """Whether there were workers, and none is left."""
        return bool(self._crew.members) and not self._crew.living

    def glance(self) -> None:
        """See who has died; cheap enough for the last moments before the bell."""
        for member in self._crew.living:
            if not self._lives(member):
                _log.error("worker gone: %s", member.owner)
                self._crew.bury(member.owner, self._context.clock.wall_ns())

    def look(self) -> None:
        """See who has died, judge what they left, hand it over or look after it. Never raises."""
        self.glance()
        now_ns = self._context.clock.monotonic_ns()
        if self._first_came_ns is None and self._crew.members:
            self._first_came_ns = now_ns
        news = self._crew.gone.keys() - self._judged
        if not news and now_ns < self._next_look_ns:
            return
        try:
            if self._crew.gone:
                self._judge()
                self._judged |= news
            self._tend(now_ns)
        except FirstbellError as error:
            _log.error("the workers' orders could not be looked after: %s", error)
        ended_ns = self._context.clock.monotonic_ns()
        self._next_look_ns = ended_ns + max(_LOOK_EVERY_S * _NS, _COSTS_AT_MOST * (ended_ns - now_ns))
        if ended_ns < self._again_from_ns:
            self._next_look_ns = min(self._next_look_ns, self._again_from_ns)

    def _on_here(self, document: dict[str, Any], client_id: str) -> None:
        if self._is_ours(document, client_id):
            self._post.send(SEEN, {}, to=client_id)

    def _on_began(self, document: dict[str, Any], client_id: str) -> None:
        login = text_in(document, "login")
        if self._is_ours(document, client_id) and login in self._logins:
            self._crew.begin(login, read_owner(document.get("owner")))

    def _is_ours(self, document: dict[str, Any], client_id: str) -> bool:
        if document.get("run_id") != self._context.run_id:
            _log.warning("%s is a worker of run %s, not of this one", client_id, document.get("run_id"))
            return False
        owner = read_owner(document.get("owner"))
        self._crew.join(owner, client_id)
        if document.get("dealt") is True:
            self._caretaker.dealt.add(owner)
        return True

    def _lives(self, member: Member) -> bool:
        if member.owner.host == self._here:
            return is_alive(member.owner)
        client = self._runner.clients.get(member.client_id)
        if client is not None and client.state != "missing":
            return True
        now_ns = self._context.clock.monotonic_ns()
        if now_ns < self._next_sight_ns:
            return True
        self._next_sight_ns = now_ns + _SIGHT_EVERY_S * _NS
        try:
            return self._context.journal.alive(member.owner)
        except FirstbellError as error:
            _log.warning("%s", error)
            return True

    def _judge(self) -> None:
        """Deny what certainly never left, and say of the rest that nobody knows."""
        gone, rung = self._crew.gone, self._context.clock.monotonic_ns() >= self._bell_ns
        judged = {
            owner: gone_ns
            for owner, gone_ns in gone.items()
            # One of another machine is judged by whoever takes his login over, in the same transaction.
            if owner.host == self._here or rung or self.nobody_left
        }
        if judged:
            more = f", {_NOBODY_LEFT}" if self.nobody_left else ""
            recover(self._context.journal, self._context.clock, self._context.run_id, gone=judged, more=more)

    def _tend(self, now_ns: int) -> None:
        """Whatever no living worker has in hand: hand it over, look after it, or close it."""
        idle = [key for key in self._crew.idle(self._logins, now_ns) if key not in self._finished]
        if not self._crew.living:
            due = self.nobody_left or now_ns > self._bell_ns + self._context.give_up_ns
            idle = idle if due else []
        elif self._is_time_for_all(now_ns):
            self._wait_for_no_more()
        else:
            idle = [key for key in idle if self._crew.has_begun(key)]
        if now_ns > self._bell_ns:
            self._ask(now_ns)
        if not idle:
            return
        entries = self._entries_of(idle)
        self._finished |= self._finished_logins()
        for key in idle:
            if key not in self._finished and not self._hand_over(key, entries.get(key, ()), now_ns):
                self._close(self._logins[key], entries.get(key, ()), now_ns)

    def _is_time_for_all(self, now_ns: int) -> bool:
        """Whether it is time that every login has been begun by somebody."""
        if self._first_came_ns is None or now_ns < self._first_came_ns + _LOCUST_DEALS_S * _NS:
            return False
        return self._context.at_once or now_ns >= self._bell_ns - _DEAL_ALL_S * _NS

    def _wait_for_no_more(self) -> None:
        """Have Locust start with the workers that there are, where it still waits for others."""
        options, there = self._runner.environment.parsed_options, len(self._runner.clients.ready)
        if options is not None and self._runner.state in _NOT_BEGUN and 0 < there < options.expect_workers:
            _log.warning("%d of %d workers have come: going on with these", there, options.expect_workers)
            options.expect_workers = there

    def _entries_of(self, keys: Iterable[str]) -> dict[str, list[Entry]]:
        wanted = set(keys)
        found: dict[str, list[Entry]] = {}
        for entry in self._context.journal.entries(run_id=self._context.run_id):
            if entry.intent.login in wanted:
                found.setdefault(entry.intent.login, []).append(entry)
        return found

    def _finished_logins(self) -> set[str]:
        notes = self._context.journal.notes(self._context.run_id)
        done = {note.account for note in notes if note.kind == FINISHED}
        return {key for key, login in self._logins.items() if all(each.name in done for each in login.accounts)}

    def _hand_over(self, key: str, entries: Iterable[Entry], now_ns: int) -> bool:
        """Give a login to a living worker, if that may still do something; whether it may."""
        member = self._crew.least_busy()
        if member is None or now_ns > self._bell_ns + self._context.give_up_ns + self._armed_late_ns():
            return False
        early = now_ns < self._bell_ns - HAND_OVER_UNTIL_S * _NS
        late = now_ns >= self._again_from_ns or self._context.at_once
        # Once the bell has rung, what was claimed and not certainly denied may be at the broker: never sent again.
        if not early and any(entry.state.status is not OrderStatus.DENIED for entry in entries):
            return not late
        if early or late:
            _log.warning("%s: handed over to %s", self._logins[key].leader.name, member.owner)
            self._crew.give(key, member.owner, now_ns)
            self._post.send(TAKE, {"login": key, "run_id": self._context.run_id}, to=member.client_id)
        return True

    def _armed_late_ns(self) -> int:
        """A run that was started after its bell has its time from when it was begun."""
        return max(0, (self._first_came_ns or 0) - self._bell_ns) if self._context.at_once else 0

    def _close(self, login: Login, entries: Iterable[Entry], now_ns: int) -> None:
        """Say what became of a login that nobody will carry out any more, unless its orders are still asked for."""
        known = {entry.intent.order.account for entry in entries}
        open_ = any(entry.state.status not in DONE and entry.state.status not in PLACED for entry in entries)
        if open_ and now_ns < self._bell_ns + self._context.give_up_ns + self._armed_late_ns():
            return
        why = f"its worker had ended, {_NOBODY_LEFT}" if self._crew.members else _NOBODY_CAME
        notes = [Note(account.name, NOT_SENT, why) for account in login.accounts if account.name not in known]
        notes += [Note(account.name, FINISHED) for account in login.accounts]
        self._context.journal.note(self._context.run_id, notes)
        self._finished.add(login.key)

    def _ask(self, now_ns: int) -> None:
        """Ask the lists, beside everything else: a list may take its time."""
        busy = self._asking is not None and not self._asking.dead
        if busy or now_ns < self._next_asking_ns or not (self._crew.gone or self._caretaker.dealt):
            return
        self._next_asking_ns = now_ns + _LOOK_EVERY_S * _NS
        self._asking = gevent.spawn(self._ask_once)

    def _ask_once(self) -> None:
        began_ns = self._context.clock.monotonic_ns()
        try:
            self._caretaker.look()
        except FirstbellError as error:
            _log.error("%s", error)
        ended_ns = self._context.clock.monotonic_ns()
        self._next_asking_ns = max(self._next_asking_ns, ended_ns + (ended_ns - began_ns))
