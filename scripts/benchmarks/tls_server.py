"""The TLS server behind the recorder: it takes every whole request for an order and accepts it.

Usage: ``python -m benchmarks.tls_server FOLDER``, with the folder of `firstbell.simulator.tls`. It prints its port, and
ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gc
import re
import ssl
import sys
from pathlib import Path

BODY = b'{"isSuccess":true,"serialNumber":1,"trackingNumber":1}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class Requests:
    """Whole HTTP/1.1 requests out of the bytes of one connection."""

    def __init__(self) -> None:
        self._came = b""

    def whole(self, data: bytes) -> int:
        """Take in bytes; how many requests they completed."""
        self._came += data
        count = 0
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._came, 0, end)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self._came) < size:
                break
            self._came = self._came[size:]
            count += 1
        return count


class _Server(asyncio.Protocol):
    def __init__(self) -> None:
        self._requests = Requests()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def data_received(self, data: bytes) -> None:
        count = self._requests.whole(data)
        if count and self._transport is not None:
            self._transport.write(ANSWER * count)


async def _serve(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    server = await loop.create_server(_Server, "127.0.0.1", 0, ssl=context, backlog=4096, ssl_handshake_timeout=60)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    gc.freeze()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
