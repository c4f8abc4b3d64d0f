"""Sealed messages over the connection that Locust keeps between a master and its workers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from firstbell.errors import RunError
from firstbell.sniper.dealing.sealing import NotOurs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from locust.env import Environment
    from locust.rpc import Message
    from locust.runners import DistributedRunner

    from firstbell.sniper.dealing.sealing import Seal

    Receiver = Callable[[dict[str, Any], str], None]
    """Called with what a message says and with Locust's name of the node that sent it."""

_log = logging.getLogger(__name__)


def message_type(kind: str) -> str:
    """What Locust calls our messages of a kind."""
    return f"firstbell.{kind}"


class Post:
    """One node's sealed messages.

    Args:
        runner: Locust's side of this node.
        seal: Seals them.
    """

    def __init__(self, runner: DistributedRunner, seal: Seal) -> None:
        self._runner = runner
        self._seal = seal
        self._strangers: set[str] = set()

    def send(self, kind: str, document: Mapping[str, Any], to: str | None = None) -> None:
        """Send a message: to the master, or from there to the node that Locust calls `to`."""
        self._runner.send_message(message_type(kind), {"sealed": self._seal.close(kind, document)}, client_id=to)

    def receive(self, kind: str, receiver: Receiver, stranger: Callable[[str], None] | None = None) -> None:
        """Have messages of a kind received, each in a greenlet of its own.

        Args:
            kind: Which messages.
            receiver: Receives those that were sealed with our key.
            stranger: Called with the sender's name where one was not.
        """

        def listener(*, environment: Environment, msg: Message) -> None:
            del environment
            sealed = msg.data.get("sealed") if isinstance(msg.data, dict) else None
            try:
                document = self._seal.open(kind, sealed)
            except NotOurs as error:
                if msg.node_id not in self._strangers:
                    self._strangers.add(msg.node_id)
                    _log.warning("%s: %s", msg.node_id, error)
                if stranger is not None:
                    stranger(msg.node_id)
                return
            try:
                receiver(document, msg.node_id)
            except RunError as error:
                _log.warning("%s: %s", msg.node_id, error)

        self._runner.register_message(message_type(kind), listener, concurrent=True)
