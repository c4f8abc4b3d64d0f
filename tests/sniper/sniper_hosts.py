"""A real host on loopback that does on each connection exactly what a test tells it to, down to the byte."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BODY = b'{"isSuccess": true, "serialNumber": 77}'


def http(head: str = "", body: bytes = BODY, first: str = "HTTP/1.1 200 OK") -> bytes:
    """An answer, whole."""
    return f"{first}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode("latin-1") + body


OK = http()


class Connection:
    """One connection, as its host sees it."""

    def __init__(self, host: Host, plain: socket.socket, number: int) -> None:
        self.number = number
        self.plain = plain
        self.socket = plain
        self._host = host
        self._came = b""

    def handshake(self, context: ssl.SSLContext) -> None:
        # Wrapping takes the socket away from whoever had it.
        plain, self.plain = self.plain, self.plain.dup()
        self.socket = context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)

    def request(self) -> bytes | None:
        """The next whole request, written down; None at the end of the connection."""
        while True:
            head, found, rest = self._came.partition(b"\r\n\r\n")
            size = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    size = int(line.partition(b":")[2])
            if found and len(rest) >= size:
                request, self._came = head + found + rest[:size], rest[size:]
                self._host.requests.append((self.number, request))
                return request
            data = self.receive()
            if not data:
                self._host.left_over.append((self.number, self._came))
                return None
            self._came += data

    def receive(self) -> bytes:
        try:
            return self.socket.recv(1 << 16)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError):
            return b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """End it by a reset."""
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.plain.close()

    def notify_close(self) -> None:
        """Say over TLS that nothing more comes, and leave the connection open."""
        self.socket.settimeout(0)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            self.socket.unwrap()


class Host:
    """Accepts connections and plays a script on each, in a thread of its own.

    Args:
        script: Called with each connection; when it returns, the connection ends.
        tls: The TLS context; None where no TLS is spoken.
        address: Where to listen.
        up: Whether it listens from the start; otherwise its port refuses connections until `come_up`.
    """

    def __init__(
        self,
        script: Callable[[Connection], None],
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        *,
        up: bool = True,
    ) -> None:
        self.requests: list[tuple[int, bytes]] = []
        self.left_over: list[tuple[int, bytes]] = []
        self.accepted_ns: list[int] = []
        self.failures: list[BaseException] = []
        self.ended: queue.Queue[int] = queue.Queue()
        self._script, self._tls = script, tls
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind((address, 0))
        self.address, self.port = self._listener.getsockname()[:2]
        self._open: list[Connection] = []
        self._threads: list[threading.Thread] = []
        if up:
            self.come_up()

    def come_up(self) -> None:
        self._listener.listen(512)
        self._threads.append(threading.Thread(target=self._accept))
        self._threads[0].start()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self.accepted_ns)

    @property
    def url(self) -> str:
        name = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self._tls else 'http'}://{name}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted_ns.append(time.monotonic_ns())
            connection = Connection(self, plain, self.connections)
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            if self._tls is not None:
                connection.handshake(self._tls)
            self._script(connection)
        except (ssl.SSLError, ConnectionError) as error:
            self.failures.append(error)
        finally:
            connection.socket.close()
            connection.plain.close()
            self.ended.put(connection.number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            for each in (connection.socket, connection.plain):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)


def answering(*answers: bytes, last: bytes = OK) -> Callable[[Connection], None]:
    """Answer each request of a connection in turn, and all later ones with `last`."""

    def script(connection: Connection) -> None:
        left = list(answers)
        while connection.request() is not None:
            connection.send(left.pop(0) if left else last)

    return script


class Hosts:
    """Starts hosts, and knows an authority that vouches for them."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca_file)
        self._opened = contextlib.ExitStack()

    def serve(
        self,
        script: Callable[[Connection], None] | None = None,
        tls: ssl.SSLContext | bool | None = None,
        address: str = "127.0.0.1",
        *,
        up: bool = True,
    ) -> Host:
        context = self.server_context() if tls is True else tls or None
        host = Host(script or answering(), context, address, up=up)
        self._opened.callback(host.close)
        return host

    def server_context(self, *names: str, **options: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*(names or ("127.0.0.1", "::1", "localhost")), **options).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context

    def close_all(self) -> None:
        """End all hosts; the authority goes on."""
        self._opened.close()
