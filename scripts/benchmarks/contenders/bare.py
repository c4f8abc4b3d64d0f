"""A bare loop over sockets in Python, with nothing but the standard library: the floor for any Python program.

Usage: ``python -m benchmarks.contenders.bare PORT CONNECTIONS BYTES_FILE [CA_FILE]``. With an authority named it is the
ordinary TLS socket that encrypts when it sends.
"""

from __future__ import annotations

import gc
import selectors
import socket
import ssl
import sys
import time
from pathlib import Path

from benchmarks.contenders import obey

_BLOCK = 1 << 16


class Bare:
    """One send after the other.

    Args:
        sockets: The connections.
        request: What goes out on each.
    """

    def __init__(self, sockets: list[socket.socket], request: bytes) -> None:
        self._sockets = sockets
        self._request = request
        for each in sockets:
            each.send(request)
        for each in sockets:
            each.recv(_BLOCK)
        gc.collect()
        gc.freeze()
        gc.disable()

    def fire(self, at_ns: int) -> None:
        """Send one order on each connection at that instant, and await the answers."""
        request, now = self._request, time.monotonic_ns
        sends = [each.send for each in self._sockets]
        while now() < at_ns:
            pass
        for send in sends:
            send(request)
        for each in self._sockets:
            each.recv(_BLOCK)

    def pump(self, seconds: float) -> int:
        """Send for so long; how many were answered."""
        request, answered, until = self._request, 0, time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for each in self._sockets:
                selector.register(each, selectors.EVENT_READ, each)
                each.send(request)
            flying = len(self._sockets)
            while flying:
                events = selector.select()
                going_on = time.monotonic() < until
                for key, _ in events:
                    key.data.recv(_BLOCK)
                    if going_on:
                        answered += 1
                        key.data.send(request)
                    else:
                        flying -= 1
        return answered


def _connected(port: int, ca_file: str | None) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if ca_file is None:
        return plain
    return _context(ca_file).wrap_socket(plain, server_hostname="127.0.0.1")


_contexts: dict[str, ssl.SSLContext] = {}


def _context(ca_file: str) -> ssl.SSLContext:
    if ca_file not in _contexts:
        _contexts[ca_file] = ssl.create_default_context(cafile=ca_file)
    return _contexts[ca_file]


def main() -> None:
    """Be the contender."""
    port, count, file, *authority = sys.argv[1:]
    sockets = [_connected(int(port), authority[0] if authority else None) for _ in range(int(count))]
    obey(Bare(sockets, Path(file).read_bytes()), sys.stdin)


if __name__ == "__main__":
    main()
