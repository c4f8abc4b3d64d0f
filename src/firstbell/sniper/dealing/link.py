"""How a worker without a config asks its master for a login's armed orders."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from gevent.event import AsyncResult

from firstbell.errors import RunError
from firstbell.sniper.dealing.documents import owner_document, text_in

if TYPE_CHECKING:
    from firstbell.journal.base import Owner
    from firstbell.model.identifiers import RunId
    from firstbell.oms.logins import Login
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.dealing.post import Post

WANT: Final = "want"
DEALT: Final = "dealt"
_AGAIN_S: Final = 10.0
"""A question that nobody has answered after so long is asked again: the master answers it as before."""
_LOOK_S: Final = 0.25
_NS: Final = 1_000_000_000


class Link:
    """Asks the master, and waits for what it answers.

    Args:
        post: Carries questions and answers.
        owner: This process.
        run_id: The run.
    """

    def __init__(self, post: Post, owner: Owner, run_id: RunId) -> None:
        self._post = post
        self._owner = owner
        self._run_id = run_id
        self._open: dict[str, AsyncResult[dict[str, Any]]] = {}
        post.receive(DEALT, self._answered)

    def ask(
        self, context: RunContext, login: Login, *, anew: bool = False, within_s: float | None = None
    ) -> dict[str, Any]:
        """Ask for a login's armed orders.

        Args:
            context: The run; stopping it ends the waiting.
            login: The login.
            anew: Whether its token has ended: then the master logs in anew, and writes them anew.
            within_s: How long to wait; without it, until the run is stopped.

        Raises:
            RunError: The run was stopped, the master could not do it, or it did not answer.
        """
        nonce = secrets.token_hex(16)
        result: AsyncResult[dict[str, Any]] = AsyncResult()
        self._open[nonce] = result
        question = {
            "nonce": nonce,
            "run_id": self._run_id,
            "login": login.key,
            "owner": owner_document(self._owner),
            "anew": anew,
        }
        until_ns = None if within_s is None else context.clock.monotonic_ns() + int(within_s * _NS)
        asked_ns: int | None = None
        try:
            while not result.ready():
                now_ns = context.clock.monotonic_ns()
                if until_ns is not None and now_ns >= until_ns:
                    raise RunError("the master did not answer")
                if asked_ns is None or now_ns - asked_ns > _AGAIN_S * _NS:
                    asked_ns = now_ns
                    self._post.send(WANT, question)
                if context.interrupt.is_set():
                    raise RunError(f"{context.interrupt.why} before the bell")
                result.wait(_LOOK_S)
        finally:
            del self._open[nonce]
        answer = result.get() or {"failed": "the master answered nothing"}
        if "failed" in answer:
            raise RunError(text_in(answer, "failed"))
        return answer

    def _answered(self, document: dict[str, Any], _client_id: str) -> None:
        result = self._open.get(text_in(document, "nonce"))
        if result is not None and not result.ready():
            result.set(document)
