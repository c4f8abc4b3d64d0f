"""Orders per second that armed lanes deliver to an address.

Each lane is sealed with the next order as soon as the answer to the one before it has come, and fires at once. One
process, one thread: what it delivers is what one core delivers.
"""

from __future__ import annotations

import gc
import selectors
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks import orders
from firstbell.brokers.transport import tls_context
from firstbell.errors import BrokerError
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.waiting import PlainWaiter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NS = 1_000_000_000
PATIENCE_S = 10.0
"""Seconds that a connection or an answer may take."""


@dataclass(slots=True)
class Pumped:
    """What lanes have delivered.

    Attributes:
        answered: Orders whose answer came, whatever it said.
        errors: Orders that could not be sent or were not answered, and lanes that could not be opened again.
        statuses: How many answers had which HTTP status.
        seconds: How long it took.
        cpu_seconds: The processor time of this process meanwhile.
    """

    answered: int = 0
    errors: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def measure(url: str, connections: int, seconds: float, ca_file: Path | None) -> dict[str, Any]:
    """Open so many lanes to an address and send orders for so long.

    Args:
        url: Scheme, host and port; a path, where it has one, takes the place of that of a new order.
        connections: How many lanes.
        seconds: For how long.
        ca_file: A private certificate authority; None for the public ones.

    Raises:
        NotSent: The address is not one that anything may be sent to, or a lane could not be opened.
    """
    parts = urlsplit(url)
    base_url = f"{parts.scheme}://{parts.netloc}"
    path = (parts.path + (f"?{parts.query}" if parts.query else "")) if parts.path.strip("/") else orders.PATH
    address = LaneAddress.of(base_url)
    context = tls_context(ca_file) if address.tls else None
    lanes = [Lane(address, context, PlainWaiter()) for _ in range(connections)]
    try:
        for lane in lanes:
            lane.open(_deadline_ns())
        pumped = pump(lanes, orders.request(base_url, path), seconds)
    finally:
        for lane in lanes:
            lane.close()
    return {
        "orders_per_second": round(pumped.answered / pumped.seconds, 1),
        "answered": pumped.answered,
        "errors": pumped.errors,
        "connections": connections,
        "seconds": round(pumped.seconds, 3),
        "cpu_seconds": round(pumped.cpu_seconds, 3),
        "statuses": {str(status): count for status, count in sorted(pumped.statuses.items())},
    }


def pump(lanes: Sequence[Lane], request: bytes, seconds: float) -> Pumped:
    """Send on each lane again as soon as its answer has come, for so long; answers that are then due are awaited."""
    pumped = Pumped()
    collecting = gc.isenabled()
    gc.disable()
    cpu_ns, began_ns = time.process_time_ns(), time.monotonic_ns()
    try:
        _pump(lanes, request, began_ns + int(seconds * _NS), pumped)
    finally:
        pumped.seconds = (time.monotonic_ns() - began_ns) / _NS
        pumped.cpu_seconds = (time.process_time_ns() - cpu_ns) / _NS
        if collecting:
            gc.enable()
    return pumped


def _pump(lanes: Sequence[Lane], request: bytes, until_ns: int, pumped: Pumped) -> None:
    with selectors.DefaultSelector() as selector:
        for lane in lanes:
            _send(selector, lane, request, pumped)
        while selector.get_map():
            events = selector.select(PATIENCE_S)
            if not events:
                pumped.errors += len(selector.get_map())
                return
            going_on = time.monotonic_ns() < until_ns
            for key, _ in events:
                lane = key.data
                try:
                    answer = lane.read(_deadline_ns())
                except BrokerError:
                    pumped.errors += 1
                else:
                    pumped.answered += 1
                    pumped.statuses[answer.status] += 1
                if not going_on:
                    selector.unregister(key.fileobj)
                elif lane.is_open:
                    lane.seal(request)
                    lane.fire()
                else:
                    selector.unregister(key.fileobj)
                    _send(selector, lane, request, pumped)


def _send(selector: selectors.BaseSelector, lane: Lane, request: bytes, pumped: Pumped) -> None:
    """Send on a lane that is not watched yet, opening it where it has to be."""
    try:
        if not lane.is_open:
            lane.open(_deadline_ns())
        lane.seal(request)
        lane.fire()
    except BrokerError:
        pumped.errors += 1
        return
    selector.register(_fileno(lane), selectors.EVENT_READ, lane)


def _fileno(lane: Lane) -> int:
    send: Any = lane.shot()[0]
    return int(send.__self__.fileno())


def _deadline_ns() -> int:
    return time.monotonic_ns() + int(PATIENCE_S * _NS)
