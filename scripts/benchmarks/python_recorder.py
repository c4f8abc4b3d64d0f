"""The recorder where there is no C compiler: it does what ``native/recorder.c`` does and obeys the same commands.

Usage: ``python -m benchmarks.python_recorder UPSTREAM_PORT``. On Linux the times are the kernel's as well; elsewhere
they are taken when the bytes have been read, and this program's own slowness is in them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import NoReturn

from benchmarks.tls_server import ANSWER, Requests

_SO_TIMESTAMPNS = 35
"""Linux's, on every processor that Python is common on; the `socket` module does not name it."""
_TIMESPEC = struct.Struct("qq")
_BLOCK = 1 << 16
_NS = 1_000_000_000


@dataclass(slots=True, eq=False)
class _Connection:
    plain: socket.socket
    client: bool = True
    peer: _Connection | None = None
    pending_ns: int = 0
    order_ns: int | None = None
    requests: Requests = field(default_factory=Requests)


class _Recorder:
    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._selector = selectors.DefaultSelector()
        self._connections: list[_Connection] = []
        self._commands = b""

    def run(self) -> NoReturn:
        listeners = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(2)]
        for listener in listeners:
            _stamp(listener)
            self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        _say(" ".join(str(listener.getsockname()[1]) for listener in listeners))
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.data, _Connection):
                    self._serve(key.data)
                elif key.fileobj in listeners:
                    self._let_in(listeners[listeners.index(key.fileobj)], relay=key.fileobj is listeners[1])
                else:
                    self._obey()

    def _let_in(self, listener: socket.socket, *, relay: bool) -> None:
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _stamp(plain)
        connection = _Connection(plain)
        self._watch(connection)
        if relay:
            behind = socket.create_connection(("127.0.0.1", self._upstream_port))
            behind.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.peer = _Connection(behind, client=False, peer=connection)
            self._watch(connection.peer)

    def _watch(self, connection: _Connection) -> None:
        self._selector.register(connection.plain, selectors.EVENT_READ, connection)
        self._connections.append(connection)

    def _serve(self, connection: _Connection) -> None:
        if connection.plain.fileno() < 0:
            return
        try:
            data, stamp_ns = _take(connection.plain)
        except OSError:
            data, stamp_ns = b"", 0
        if not data:
            self._bury(connection)
            return
        peer = connection.peer
        if peer is None:
            if count := connection.requests.whole(data):
                connection.order_ns = stamp_ns
                self._give(connection, ANSWER * count)
            return
        if connection.client:
            connection.pending_ns = stamp_ns
        elif peer.pending_ns:
            peer.order_ns, peer.pending_ns = peer.pending_ns, 0
        self._give(peer, data)

    def _give(self, connection: _Connection, data: bytes) -> None:
        with contextlib.suppress(OSError):
            connection.plain.sendall(data)

    def _bury(self, connection: _Connection) -> None:
        for each in (connection, connection.peer):
            if each is not None and each.plain.fileno() >= 0:
                self._selector.unregister(each.plain)
                each.plain.close()

    def _obey(self) -> None:
        data = os.read(sys.stdin.fileno(), _BLOCK)
        if not data:
            sys.exit()
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            if line == b"report":
                _say(" ".join(str(each.order_ns) for each in self._connections if each.order_ns is not None))
                continue
            self._connections = [each for each in self._connections if each.plain.fileno() >= 0]
            for each in self._connections:
                each.order_ns = None
            _say("ok")


def _stamp(plain: socket.socket) -> None:
    if sys.platform == "linux":
        plain.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def _take(plain: socket.socket) -> tuple[bytes, int]:
    """What has come, and when, in ns since the epoch."""
    data, extras, _, _ = plain.recvmsg(_BLOCK, 256)
    for level, kind, value in extras:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, ns = _TIMESPEC.unpack(value[: _TIMESPEC.size])
            return data, seconds * _NS + ns
    return data, time.time_ns()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _Recorder(int(sys.argv[1])).run()
