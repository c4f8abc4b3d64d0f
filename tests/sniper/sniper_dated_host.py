"""A small HTTP server on a socket of its own: far away, with a clock that is off, and whatever else a host may do."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from email.utils import formatdate


class DatedHost:
    """Answers every request with its date.

    Args:
        offset_s: How far its clock is ahead of ours; several for several machines that take turns.
        there_s: How long a request takes to it, at least and at most.
        back_s: How long an answer takes from it.
        keeps: Whether it keeps connections open.
        headers: More headers; a `Date` among them replaces its own, an empty one leaves it out.
        status: What it answers.
        fails: How many requests it hangs up on first.
    """

    def __init__(
        self, *offset_s, there_s=(0, 0), back_s=(0, 0), keeps=True, headers=(), status="404 Not Found", fails=0
    ):
        self.offsets = offset_s or (0.0,)
        self.there_s, self.back_s, self.keeps, self.status = there_s, back_s, keeps, status
        self.headers = dict(headers)
        self.fails = fails
        self.seen = 0
        self.connections = 0
        self.chance = random.Random(1)  # noqa: S311 - a path's chance
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = set()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # shutdown wakes the accepting thread; close alone would not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while self._read(connection):
                time.sleep(self.chance.uniform(*self.there_s))
                self.seen += 1
                if self.seen <= self.fails:
                    break
                date_s = time.time() + self.offsets[self.seen % len(self.offsets)]
                connection_header = {} if self.keeps else {"Connection": "close"}
                fields = {"Date": formatdate(int(date_s), usegmt=True), "Content-Length": "0"}
                fields |= connection_header | self.headers
                head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
                time.sleep(self.chance.uniform(*self.back_s))
                connection.sendall(f"HTTP/1.1 {self.status}\r\n{head}\r\n".encode())
                if not self.keeps:
                    break
        self.open.discard(connection)

    @staticmethod
    def _read(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            block = connection.recv(4096)
            if not block:
                return False
            data += block
        return True
