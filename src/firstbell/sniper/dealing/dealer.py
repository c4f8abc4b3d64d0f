"""The master's answers to workers that have no config: what the run is, and each login's armed orders."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gevent.lock import BoundedSemaphore

from firstbell.brokers.base import HttpBroker
from firstbell.errors import BrokerError, FirstbellError, RunError
from firstbell.log import redact
from firstbell.sniper.arming import Arming
from firstbell.sniper.dealing.documents import around_document, call_document, order_document, read_owner, text_in
from firstbell.sniper.dealing.joining import JOIN, REFUSED, ROSTER
from firstbell.sniper.dealing.link import DEALT, WANT
from firstbell.sniper.dealing.post import message_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from locust.runners import MasterRunner

    from firstbell.brokers.base import PreparedOrder
    from firstbell.journal.base import Owner
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.logins import Login
    from firstbell.risk.checks import Surroundings
    from firstbell.sniper.aiming import Aims
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.dealing.crew import Crew
    from firstbell.sniper.dealing.post import Post

_log = logging.getLogger(__name__)

MARGIN_NS: Final = 2_000_000_000
"""A claim for a worker says that its order leaves this much sooner: the worker goes by its own clock, which is within a
second of ours when it joins."""


@dataclass(slots=True)
class _Deal:
    """One login as it was dealt.

    Attributes:
        owner: To whom.
        lock: Held while it is being armed: who asks meanwhile gets the same answer.
        broker: Its broker, once it has been armed.
        orders: Its orders, in the order in which they may leave.
        around: What each of them was judged against, by its name.
        answer: What was answered.
        anew: The question to which it was written anew; it may be asked again while that goes on.
    """

    owner: Owner
    lock: BoundedSemaphore = field(default_factory=BoundedSemaphore)
    broker: HttpBroker | None = None
    orders: list[PreparedOrder] = field(default_factory=list)
    around: Mapping[ClientOrderId, Surroundings] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    anew: str | None = None


class Dealer:
    """Answers the workers that were started by hand.

    Args:
        context: The run.
        logins: Key → the login, with those of its accounts that take part.
        aims: The aims of this process.
        crew: Who has which login.
        post: Carries messages.
        runner: Locust's side, for those who have not our key.
        roster: Makes what a worker is told of the run; why it is refused, as a `RunError`.
    """

    def __init__(
        self,
        context: RunContext,
        logins: Mapping[str, Login],
        aims: Aims,
        crew: Crew,
        post: Post,
        runner: MasterRunner,
        roster: Callable[[], dict[str, Any]],
    ) -> None:
        self._context = context
        self._logins = logins
        self._aims = aims
        self._crew = crew
        self._post = post
        self._runner = runner
        self._roster = roster
        self._deals: dict[str, _Deal] = {}

    def listen(self) -> None:
        """Answer from now on."""
        self._post.receive(JOIN, self._on_join, self._refuse)
        self._post.receive(WANT, self._on_want)

    def _refuse(self, client_id: str) -> None:
        # In the open: who has another key could not read it otherwise.
        self._runner.send_message(message_type(REFUSED), {}, client_id=client_id)

    def _on_join(self, document: dict[str, Any], client_id: str) -> None:
        try:
            told: dict[str, Any] = {"roster": self._roster()}
        except RunError as error:
            told = {"refused": str(error)}
        now_ns = self._context.clock.wall_ns()
        self._post.send(ROSTER, {"nonce": document.get("nonce"), "now_ns": now_ns, **told}, to=client_id)

    def _on_want(self, document: dict[str, Any], client_id: str) -> None:
        nonce, login = text_in(document, "nonce"), self._logins.get(text_in(document, "login"))
        if text_in(document, "run_id") != self._context.run_id or login is None:
            answer: dict[str, Any] = {"failed": "its master has gone on to another run: start the worker anew"}
        else:
            owner = read_owner(document.get("owner"))
            self._crew.join(owner, client_id)
            answer = self._deal(login, owner, nonce if document.get("anew") is True else None)
        self._post.send(DEALT, {"nonce": nonce, **answer}, to=client_id)

    def _deal(self, login: Login, owner: Owner, anew: str | None) -> dict[str, Any]:
        if not self._crew.begin(login.key, owner):
            return {"orders": [], "proof": None, "elsewhere": [account.name for account in login.accounts]}
        deal = self._deals.get(login.key)
        if deal is None or deal.owner != owner:
            deal = self._deals[login.key] = _Deal(owner)
        with deal.lock:
            try:
                if deal.answer is None:
                    deal.answer = self._arm(login, deal)
                elif anew is not None and anew != deal.anew:
                    deal.answer = self._write_anew(deal, deal.answer)
                    deal.anew = anew
            except FirstbellError as error:
                return {"failed": redact(str(error))}
            except Exception as error:  # noqa: BLE001 - the last door before gevent, which would only print it
                _log.exception("%s: a fault of firstbell's own", login.leader.name)
                return {"failed": f"a fault of firstbell's own ({type(error).__name__}); the master's run log has it"}
            return deal.answer

    def _arm(self, login: Login, deal: _Deal) -> dict[str, Any]:
        broker = self._context.open_broker(login.leader)
        if not isinstance(broker, HttpBroker):
            raise RunError(f"orders at {broker.code} do not go over HTTP: the run cannot fire them")
        if broker.capabilities.in_process:
            raise RunError(f"orders at {broker.code} are filled in one process: a worker without a config sends none")
        settings = self._context.settings.broker(login.broker_code)
        interval_ns = max(settings.min_interval_ms, broker.capabilities.min_interval_ms) * 1_000_000
        aim = self._aims.of(login.broker_code, interval_ns)
        arming = Arming(self._context, login, broker, self._aims, aim, owner=deal.owner, margin_ns=MARGIN_NS)
        armed = arming.arm()
        deal.broker, deal.orders = broker, [prepared for _, prepared in armed.ready]
        deal.around = armed.around
        return self._answer(deal, sorted(armed.elsewhere))

    def _write_anew(self, deal: _Deal, before: Mapping[str, Any]) -> dict[str, Any]:
        """The same orders with a new token."""
        if deal.broker is None:
            raise RunError("the login has not been armed")
        deal.broker.forget_token()
        deal.broker.login()
        deal.orders = [deal.broker.prepare(prepared.order) for prepared in deal.orders]
        return self._answer(deal, before["elsewhere"])

    def _answer(self, deal: _Deal, elsewhere: list[str]) -> dict[str, Any]:
        proof = None
        if deal.broker is not None and deal.orders:
            try:
                proof = call_document(deal.broker.prepare_proof())
            except BrokerError as error:
                _log.warning("%s", error)
        orders = [
            {**order_document(each), "around": around_document(deal.around[each.order.client_order_id])}
            for each in deal.orders
        ]
        return {"orders": orders, "proof": proof, "elsewhere": elsewhere}
