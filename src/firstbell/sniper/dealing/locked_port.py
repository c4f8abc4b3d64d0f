"""The port between a master and its workers, locked: who has not our key can neither speak there, listen, nor do harm.

Locust's own messages (spawn, stop, quit, statistics) know no log-in. So its sockets are replaced by ours, which speak
ZeroMQ's CURVE: both sides prove that they have a key pair made of the run's one key, and what travels is encrypted.
Whoever cannot is turned away within the handshake, before Locust or msgpack see a byte of his.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import gevent
import zmq
import zmq.green
from locust.exception import RPCError
from locust.rpc import zmqrpc
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from firstbell.sniper.dealing.sealing import KEY
from firstbell.sniper.here import is_this_machine

if TYPE_CHECKING:
    from firstbell.sniper.dealing.sealing import Seal

    Socket = zmq.green.Socket[bytes]

LARGEST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes. The statistics of a thousand accounts are far from it."""
HANDSHAKE_MS: Final = 10_000
"""A connection that has not proven itself by then is closed."""
_DOORKEEPER: Final = "inproc://zeromq.zap.01"
"""Where libzmq asks who may come in (RFC 27)."""
_DOMAIN: Final = b"firstbell"
_CURVE: Final = b"CURVE"
_ADDRESS, _MECHANISM, _CREDENTIALS = 3, 5, 6
"""The frames of a question."""
_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A pair of CURVE keys, each as Z85 text."""

    public: bytes
    secret: bytes

    @classmethod
    def of(cls, seal: Seal, whose: str) -> Self:
        """The pair that everybody who has the seal's key finds for one side."""
        secret = z85.encode(seal.derived(f"curve {whose}"))
        return cls(zmq.curve_public(secret), secret)

    def __repr__(self) -> str:
        return "KeyPair(…)"


class LockedServer(zmqrpc.Server):
    """A master's end.

    Args:
        master: Its key pair.
        worker: The one key pair that may come in.
        alone: Whether nobody else can know the key, so that there is nobody to be heard from elsewhere.
        host: Where to listen.
        port: The port; 0 for any.

    Raises:
        RPCError: The port is taken.
        SystemExit: It would listen beyond this machine without a key that others could have; what to do is said.
    """

    def __init__(self, host: str, port: int, *, master: KeyPair, worker: KeyPair, alone: bool) -> None:
        if alone and not is_this_machine(host):
            sys.stderr.write(
                f"--master-bind-host {host}: beyond this machine a master listens with a key only; `firstbell key` "
                f"makes one: set it as {KEY}\n"
            )
            sys.exit(_USAGE)
        zmqrpc.BaseSocket.__init__(self, zmq.ROUTER, self.ipv4_only(host, port))
        self._door = self.socket.context.socket(zmq.REP)
        self._door.linger = 0
        self._door.bind(_DOORKEEPER)
        self._doorkeeper = gevent.spawn(_keep_door, self._door, z85.decode(worker.public))
        _limit(self.socket)
        self.socket.curve_server = True
        self.socket.curve_publickey, self.socket.curve_secretkey = master.public, master.secret
        self.socket.zap_domain = _DOMAIN
        try:
            self.port = self.socket.bind_to_random_port(f"tcp://{host}") if port == 0 else port
            if port != 0:
                self.socket.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            self.close(linger=0)
            self.socket.context.term()
            # Locust knows a taken port by these words.
            raise RPCError(f"Socket bind failure: {os.strerror(error.errno or 0)}") from error

    def close(self, linger: int | None = None) -> None:
        """Close the port."""
        self._doorkeeper.kill(block=False)
        self._door.close(linger=0)
        self.socket.close(linger=linger)


class LockedClient(zmqrpc.Client):
    """A worker's end.

    Args:
        master: The master's key pair.
        worker: This worker's.
        host: The master's host.
        port: Its port.
        identity: What the master is to call this connection.
    """

    def __init__(self, host: str, port: int, identity: str, *, master: KeyPair, worker: KeyPair) -> None:
        zmqrpc.BaseSocket.__init__(self, zmq.DEALER, self.ipv4_only(host, port))
        _limit(self.socket)
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        self.socket.curve_serverkey = master.public
        self.socket.curve_publickey, self.socket.curve_secretkey = worker.public, worker.secret
        self.socket.connect(f"tcp://{host}:{port}")


def lock(seal: Seal, *, alone: bool) -> None:
    """Have Locust use our sockets, in this process and in those that it forks.

    Args:
        seal: The run's key.
        alone: Whether it was made here and now, so that nobody else can have it.
    """
    master, worker = KeyPair.of(seal, "master"), KeyPair.of(seal, "worker")
    # Locust's runners look both up here each time they need one.
    zmqrpc.Server = partial(LockedServer, master=master, worker=worker, alone=alone)  # type: ignore[assignment,misc]
    zmqrpc.Client = partial(LockedClient, master=master, worker=worker)  # type: ignore[assignment,misc]


class Handshakes:
    """Watches whether a connection's handshakes succeed.

    Args:
        client: The connection.
    """

    _FAILED = frozenset(
        {zmq.Event.HANDSHAKE_FAILED_NO_DETAIL, zmq.Event.HANDSHAKE_FAILED_PROTOCOL, zmq.Event.HANDSHAKE_FAILED_AUTH}
    )

    def __init__(self, client: zmqrpc.Client) -> None:
        self._socket = client.socket
        self._events = client.socket.get_monitor_socket()

    def refused(self) -> bool:
        """Whether somebody answered there, and would not let us in."""
        failed = False
        while self._events.poll(0):
            event = parse_monitor_message(self._events.recv_multipart(zmq.NOBLOCK))["event"]
            if event == zmq.Event.HANDSHAKE_SUCCEEDED:
                return False
            failed = failed or event in self._FAILED
        return failed

    def close(self) -> None:
        """Watch no longer."""
        self._socket.disable_monitor()
        self._events.close(linger=0)


def _limit(socket: Socket) -> None:
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)


def _keep_door(door: Socket, known: bytes) -> None:
    """Answer libzmq: the one known key comes in, and nobody else."""
    while True:
        question = door.recv_multipart()
        welcome = question[_MECHANISM:] == [_CURVE, known]
        verdict = [b"200", b"OK"] if welcome else [b"400", b"not with this key"]
        door.send_multipart([question[0], question[1], *verdict, b"", b""])
