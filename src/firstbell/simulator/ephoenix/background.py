"""An exchange inside another program: in a thread of its own, with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstbell.errors import SimulatorError
from firstbell.simulator.ephoenix.server import PracticeServer
from firstbell.simulator.ephoenix.setup import Setup, open_desk

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from firstbell.model.identifiers import BrokerCode
    from firstbell.simulator.ephoenix.desk import Desk

_START_S = 30


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """An exchange that listens.

    Attributes:
        address: Scheme, host and the first port.
        addresses: The same by broker.
        practice_address: Where the answer key and the record are served over plain HTTP.
        desk: What is behind it. Its record may be read from any thread; everything else belongs to the exchange's.
    """

    address: str
    addresses: dict[BrokerCode, str]
    practice_address: str
    desk: Desk


@contextmanager
def running(
    setup: Setup,
    codes: Sequence[BrokerCode],
    *,
    port_per_broker: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Iterator[RunningExchange]:
    """Run an exchange on any free port of 127.0.0.1 until the block ends.

    Args:
        setup: What it is made of.
        codes: The brokers.
        port_per_broker: Whether each broker has a port of its own.
        tls: The context for serving over TLS; None for plain HTTP.

    Raises:
        SimulatorError: It cannot be opened.
    """
    server = PracticeServer(open_desk(setup), codes, port_per_broker=port_per_broker, tls=tls)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="practice-exchange", daemon=True)
    thread.start()
    try:
        try:
            asyncio.run_coroutine_threadsafe(server.start(), loop).result(_START_S)
        except TimeoutError:
            raise SimulatorError("the exchange did not begin to listen") from None
        addresses = {code: server.address_of(code) for code in codes}
        yield RunningExchange(server.address, addresses, server.practice_address, server.desk)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
