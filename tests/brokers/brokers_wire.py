"""Real servers on loopback that answer exactly what a test tells them to, down to the byte."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Request, socket.socket], bytes | None]
"""Takes a request and returns the bytes to answer with; None when it has written them itself, or wants the end."""


def http(status: int = 200, body: bytes | object = b"{}", **headers: str) -> bytes:
    """An HTTP answer, whole."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


@dataclass
class WireServer:
    """Accepts connections and answers each request by its script."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    accepted_ns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.accepted_ns.append(time.time_ns())
                thread = threading.Thread(target=self._serve, args=(connection, self.connections))
                self._open.append(connection)
                self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            connection = stack.enter_context(plain)
            if self.tls:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
                with self._lock:
                    self._open.append(connection)
            reader = stack.enter_context(connection.makefile("rb"))
            while request := self._read(reader, number):
                with self._lock:
                    self.requests.append(request)
                answer = self.script(request, connection)
                if answer is None:
                    return
                connection.sendall(answer)

    @staticmethod
    def _read(reader: Any, number: int) -> Request | None:
        first = reader.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        headers = {}
        while line := reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
        return Request(first[0], first[1], headers, body, number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # Wakes up whoever accepts; closed already where a test wanted nobody at home.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(10)
