"""How a worker that was started by hand comes to its run: it asks the master before Locust knows of it.

So a worker without the right key is never counted among Locust's, and its user classes are there when Locust looks for
them.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust.exception import RPCError
from locust.rpc import Message, rpc

from firstbell.errors import RunError
from firstbell.model.facts import Facts, whole_of
from firstbell.sniper.dealing.documents import readable
from firstbell.sniper.dealing.locked_port import Handshakes
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
_ASK_EVERY_S: Final = 2.0
_SAY_AFTER: Final = 2
_SAY_EVERY: Final = 30
"""Askings after which it is said that the master does not answer, and then again."""
_TURNED_AWAY: Final = 2
"""Askings one after the other at which somebody is there and lets us not in: then our key is another."""
CLOCKS_APART_NS: Final = 1_000_000_000
"""How far this machine's clock may be from the master's. Claims are made by the master's clock, and orders fired by
this one; see `firstbell.sniper.dealing.dealer.MARGIN_NS`."""


class _Silent(Exception):  # noqa: N818 - an end of waiting, not an error
    """Nothing came within the time."""


class _TurnedAway(Exception):  # noqa: N818 - a finding
    """Somebody answers there, and does not let us in."""


def ask_for_roster(host: str, port: int, seal: Seal) -> dict[str, Any]:
    """Ask the master for the run, as long as it takes; it may be started later than its workers.

    Args:
        host: The master's host.
        port: Its port.
        seal: The key.

    Returns:
        What the master tells; see `firstbell.sniper.dealing.roster`.

    Raises:
        RunError: It refuses, has another key, or its clock is too far from ours.
    """
    turned_away = 0
    for asked in count():
        if asked == _SAY_AFTER or (asked and asked % _SAY_EVERY == 0):
            sys.stderr.write(f"Waiting for the master at {host}:{port} …\n")
            sys.stderr.flush()
        try:
            if (document := _ask(host, port, seal)) is not None:
                return document
            turned_away = 0
        except _TurnedAway:
            turned_away += 1
            if turned_away >= _TURNED_AWAY:
                raise RunError(OTHER_KEY) from None
    raise AssertionError


def _ask(host: str, port: int, seal: Seal) -> dict[str, Any] | None:
    """Ask once, on a connection of its own: on one that stands too long, unheard questions would pile up."""
    # Locust's own form: from the part before the underscore it tells which workers share a machine.
    name = f"{socket.gethostname()}_join{secrets.token_hex(16)}"
    nonce = secrets.token_hex(16)
    client = rpc.Client(host, port, name)
    context, handshakes = client.socket.context, Handshakes(client)
    try:
        asked_ns = time.time_ns()
        client.send(Message(message_type(JOIN), {"sealed": seal.close(JOIN, {"nonce": nonce})}, name))
        message = _received(client)
        if message is None:
            if handshakes.refused():
                raise _TurnedAway
            return None
        if message.type == message_type(REFUSED):
            raise RunError(OTHER_KEY)
        return _opened(message, seal, nonce, asked_ns)
    except RPCError:
        return None
    finally:
        handshakes.close()
        client.close(linger=0)
        # Not to be shared with processes that are forked later.
        context.term()


def _received(client: rpc.Client) -> Message | None:
    """The first message for us; None where none comes in time."""
    with contextlib.suppress(_Silent), gevent.Timeout(_ASK_EVERY_S, _Silent):
        while True:
            message: Message = client.recv()
            if message.type in {message_type(REFUSED), message_type(ROSTER)}:
                return message
    return None


def _opened(message: Message, seal: Seal, nonce: str, asked_ns: int) -> dict[str, Any] | None:
    answered_ns = time.time_ns()
    try:
        document = seal.open(ROSTER, (message.data or {}).get("sealed"))
    except NotOurs:
        raise RunError(OTHER_KEY) from None
    if document.get("nonce") != nonce:
        return None
    if "refused" in document:
        raise RunError(f"the master refuses this worker: {document['refused']}")
    with readable("a run"):
        now_ns = whole_of(document.get("now_ns"))
    ahead_ns = (asked_ns + answered_ns) // 2 - now_ns
    if abs(ahead_ns) - (answered_ns - asked_ns) // 2 > CLOCKS_APART_NS:
        raise RunError(
            f"this machine's clock is {ahead_ns / 1_000_000_000:+.1f} s from the master's: set both by NTP, and start "
            "this worker again"
        )
    with readable("a run"):
        return dict(Facts(document).items("roster"))
