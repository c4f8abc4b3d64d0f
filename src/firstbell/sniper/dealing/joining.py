"""How a worker that was started by hand comes to its run: it asks the master before Locust knows of it.

So a worker without the right key is never counted among Locust's, and its user classes are there when Locust looks for
them.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust.exception import RPCError
from locust.rpc import Message, rpc

from firstbell.errors import RunError
from firstbell.sniper.dealing.post import message_type
from firstbell.sniper.dealing.sealing import KEY, NotOurs

if TYPE_CHECKING:
    from firstbell.sniper.dealing.sealing import Seal

JOIN: Final = "join"
ROSTER: Final = "roster"
REFUSED: Final = "refused"

OTHER_KEY: Final = (
    f"the master cannot read what this worker says: it has another {KEY}, or none; start both with the same one"
)
_ASK_EVERY_S: Final = 1.0
_SAY_AFTER: Final = 3
_SAY_EVERY: Final = 60
"""Askings after which it is said that the master does not answer, and then again."""


class _Silent(Exception):  # noqa: N818 - an end of waiting, not an error
    """Nothing came within the time."""


def ask_for_roster(host: str, port: int, seal: Seal) -> dict[str, Any]:
    """Ask the master for the run, as long as it takes; it may be started later than its workers.

    Args:
        host: The master's host.
        port: Its port.
        seal: The key.

    Returns:
        What the master tells; see `firstbell.sniper.dealing.roster`.

    Raises:
        RunError: It refuses, or has another key.
    """
    # Locust's own form: from the part before the underscore it tells which workers share a machine.
    name = f"{socket.gethostname()}_join{secrets.token_hex(16)}"
    nonce = secrets.token_hex(16)
    client = rpc.Client(host, port, name)
    context = client.socket.context
    try:
        for asked in range(sys.maxsize):
            if asked == _SAY_AFTER or (asked and asked % _SAY_EVERY == 0):
                sys.stderr.write(f"Waiting for the master at {host}:{port} …\n")
                sys.stderr.flush()
            client.send(Message(message_type(JOIN), {"sealed": seal.close(JOIN, {"nonce": nonce})}, name))
            if (document := _answer(client, seal, nonce)) is not None:
                return document
    finally:
        client.close(linger=0)
        # Not to be shared with processes that are forked later.
        context.term()
    raise AssertionError


def _answer(client: rpc.Client, seal: Seal, nonce: str) -> dict[str, Any] | None:
    """What the master answers within a second; None where it says nothing that is meant for us."""
    with contextlib.suppress(_Silent), gevent.Timeout(_ASK_EVERY_S, _Silent):
        while True:
            try:
                message = client.recv()
            except RPCError:
                continue
            if message.type == message_type(REFUSED):
                raise RunError(OTHER_KEY)
            if message.type == message_type(ROSTER):
                return _opened(message, seal, nonce)
    return None


def _opened(message: Message, seal: Seal, nonce: str) -> dict[str, Any] | None:
    try:
        document = seal.open(ROSTER, (message.data or {}).get("sealed"))
    except NotOurs:
        raise RunError(OTHER_KEY) from None
    if document.get("nonce") != nonce:
        return None
    if "refused" in document:
        raise RunError(f"the master refuses this worker: {document['refused']}")
    return dict(document["roster"])
