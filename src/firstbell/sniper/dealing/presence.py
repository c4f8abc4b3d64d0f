"""A worker's presence at its master: it says that it is there and what it has begun, and takes what it is given."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.lock import BoundedSemaphore

from firstbell.sniper.dealing.documents import owner_document, text_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstbell.clock import Clock
    from firstbell.journal.base import Owner
    from firstbell.oms.logins import Login
    from firstbell.sniper.dealing.post import Post
    from firstbell.sniper.login_runs import LoginRuns

_log = logging.getLogger(__name__)

HERE: Final = "here"
SEEN: Final = "seen"
BEGAN: Final = "began"
TAKE: Final = "take"
_SAY_EVERY_S: Final = 1.0
_NS: Final = 1_000_000_000
_LOOKS: Final = 3
_BETWEEN_LOOKS_S: Final = 0.7
"""A connection may break and be made anew within a second: one look alone would hold a living master for dead."""
_LASTS_NS: Final = _NS // 2
"""What was seen holds for this long: all logins of a process look at the same moment."""


class Presence:
    """One worker at its master.

    Args:
        post: Carries messages.
        owner: This process.
        run_id: The run.
        runs: The logins' runs of this process.
        logins: Key → every login that this process may be given.
        dealt: Whether this process has no config, so that only the master can ask lists.
    """

    def __init__(
        self,
        post: Post,
        owner: Owner,
        run_id: str,
        runs: Callable[[], LoginRuns],
        logins: Mapping[str, Login],
        *,
        dealt: bool,
    ) -> None:
        self._post = post
        self._hello = {"owner": owner_document(owner), "run_id": run_id, "dealt": dealt}
        self._runs = runs
        self._logins = logins
        self._seen = False

    def begin(self) -> None:
        """Say that we are here until the master has seen us, and take what it gives."""
        self._post.receive(SEEN, self._on_seen)
        self._post.receive(TAKE, self._on_take)
        gevent.spawn(self._announce)

    def began(self, login: Login) -> None:
        """Say that a login has been begun here."""
        self._post.send(BEGAN, {**self._hello, "login": login.key})

    def _announce(self) -> None:
        while not self._seen:
            self._post.send(HERE, self._hello)
            gevent.sleep(_SAY_EVERY_S)

    def _on_seen(self, _document: dict[str, Any], _client_id: str) -> None:
        self._seen = True

    def _on_take(self, document: dict[str, Any], _client_id: str) -> None:
        login = self._logins.get(text_in(document, "login"))
        if login is not None and document.get("run_id") == self._hello["run_id"]:
            _log.info("%s: given to this worker by the master", login.leader.name)
            self.began(login)
            self._runs().carry_out(login)


class MasterWatch:
    """Whether the master of this worker still lives: without it nothing is fired, for its user may have ended it.

    Args:
        master: The master's process.
        alive: Whether a process lives.
        clock: Both clocks.
        looks: How many looks must agree that it is dead.
    """

    def __init__(self, master: Owner, alive: Callable[[Owner], bool], clock: Clock, *, looks: int = _LOOKS) -> None:
        self._master = master
        self._alive = alive
        self._clock = clock
        self._looks = looks
        self._lock = BoundedSemaphore()
        self._looked_ns: int | None = None
        self._lives = True

    def why_not(self) -> str | None:
        """Why nothing may be fired, or None.

        Raises:
            JournalError: It cannot be seen.
        """
        with self._lock:
            if self._looked_ns is None or self._clock.monotonic_ns() - self._looked_ns > _LASTS_NS:
                self._lives = self._look()
                self._looked_ns = self._clock.monotonic_ns()
        return None if self._lives else f"its master, {self._master}, had ended before the bell"

    def _look(self) -> bool:
        for look in range(self._looks):
            if look:
                gevent.sleep(_BETWEEN_LOOKS_S)
            if self._alive(self._master):
                return True
        return False
