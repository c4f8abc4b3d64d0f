"""firstbell's own volley: armed lanes, fired together by one greenlet, in a process that has loaded Locust.

Usage: ``python -m benchmarks.contenders.volley URL CONNECTIONS CA_FILE``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import locust
from gevent.fileobject import FileObject

from benchmarks import orders
from benchmarks.contenders import obey
from benchmarks.lanes import pump
from firstbell.brokers.transport import tls_context
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.volley import Fate, Shot, Volley
from firstbell.sniper.waiting import GreenWaiter

if TYPE_CHECKING:
    from collections.abc import Callable

_NS = 1_000_000_000
_PATIENCE_NS = 30 * _NS


class _Never:
    """Nobody stops a measurement."""

    def is_set(self) -> bool:
        return False

    def when_set(self, call: Callable[[], None]) -> None:
        pass


class Lanes:
    """So many lanes to one address, and the volley that fires them.

    Args:
        url: Where the orders go.
        count: How many lanes.
        ca_file: The authority behind the server's certificate.
    """

    def __init__(self, url: str, count: int, ca_file: Path) -> None:
        # Loaded as in a run: its heap and its patched standard library are part of what is measured.
        self.locust_version = locust.__version__
        address = LaneAddress.of(url)
        context = tls_context(ca_file) if address.tls else None
        self._request = orders.request(url)
        self._volley = Volley(_Never())
        self._lanes = [Lane(address, context, GreenWaiter()) for _ in range(count)]
        for lane in self._lanes:
            lane.open(time.monotonic_ns() + _PATIENCE_NS)
            lane.exchange(self._request, time.monotonic_ns() + _PATIENCE_NS)

    def fire(self, at_ns: int) -> None:
        """Send one order on each lane at that instant, and await the answers."""
        gevent.joinall([gevent.spawn(self._fire_one, lane, at_ns) for lane in self._lanes], raise_error=True)

    def _fire_one(self, lane: Lane, at_ns: int) -> None:
        lane.seal(self._request)
        shot = Shot(lane, at_ns, at_ns + _PATIENCE_NS, time.time_ns() + 2 * _PATIENCE_NS)
        if self._volley.fire(shot).fate is not Fate.FIRED:
            raise RuntimeError(f"a shot came to {shot.fate}")
        lane.read(time.monotonic_ns() + _PATIENCE_NS)

    def pump(self, seconds: float) -> int:
        """Send for so long; how many were answered."""
        return pump(self._lanes, self._request, seconds).answered


def main() -> None:
    """Be the contender."""
    url, count, ca_file = sys.argv[1:]
    obey(Lanes(url, int(count), Path(ca_file)), FileObject(sys.stdin.fileno()))


if __name__ == "__main__":
    main()
