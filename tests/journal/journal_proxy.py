"""A way to a PostgreSQL server that breaks exactly while something is being committed."""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import threading

COMMIT = b"; COMMIT"


class Break(enum.Enum):
    """What becomes of a commit."""

    BEFORE = enum.auto()
    """It never arrives, and the server sees the connection end."""
    AFTER = enum.auto()
    """It is done, and the answer gets lost."""
    SILENT = enum.auto()
    """It never arrives, and the server notices nothing."""


class Proxy:
    """Forwards to a server, and breaks the commits as it is told: the first, the second …"""

    def __init__(self, port: int, *breaks: Break) -> None:
        self._port = port
        self._breaks = list(breaks)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._left_open: list[socket.socket] = []
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        self.port = self._listener.getsockname()[1]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (*self._sockets, *self._left_open):
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [client, server]
                self._forward(client, server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """One connection after another is enough: a journal has one at a time."""
        broken = None
        while True:
            for one in select.select([client, server], [], [])[0]:
                data = one.recv(65536)
                if one is server and broken is Break.AFTER:
                    data = b""
                if one is client and COMMIT in data and self._breaks:
                    broken = self._breaks.pop(0)
                    if broken is not Break.AFTER:
                        data = b""
                if not data:
                    client.close()
                    if broken is Break.SILENT:
                        self._left_open.append(server)
                    else:
                        server.close()
                    return
                (server if one is client else client).sendall(data)
