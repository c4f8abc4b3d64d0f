"""Cheap calls on a lane of their own: a host's clock is read on the same kind of connection that orders leave on.

The shared transport needs a millisecond of work a call. Where the seconds of several hosts change together, their
probes would wait for each other, and what they wait would look like the path.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from firstbell.brokers.http1 import request_bytes
from firstbell.errors import NotSent
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.waiting import GreenWaiter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firstbell.brokers.base import Answer, PreparedCall

_NS: Final = 1_000_000_000
_WITHIN_NS: Final = 3 * _NS
"""A probe that takes longer says nothing."""


class LaneProbe:
    """Makes one cheap call each time it is called.

    Args:
        ca_file: The broker's private certificate authority, or None.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file = ca_file
        self._writers: list[Callable[[], PreparedCall]] = []
        self._lane: Lane | None = None

    def add(self, write: Callable[[], PreparedCall]) -> None:
        """One more who can write the call; the first whose token lives does."""
        self._writers.append(write)

    def __call__(self) -> Answer:
        """Make the call and read its answer.

        Raises:
            BrokerError: It could not be made, or was not answered.
        """
        call = self._written()
        lane = self._living(call.base_url)
        request = request_bytes(call.method, call.base_url, call.path, call.headers, call.body)
        return lane.exchange(request, time.monotonic_ns() + _WITHIN_NS)

    def _written(self) -> PreparedCall:
        failure = NotSent("nobody has logged in there yet")
        for write in self._writers:
            try:
                return write()
            except NotSent as error:
                failure = error
        raise failure

    def close(self) -> None:
        """Give the connection up; the next call opens another."""
        if self._lane is not None:
            self._lane.close()

    def _living(self, base_url: str) -> Lane:
        if self._lane is None:
            address = LaneAddress.of(base_url)
            self._lane = Lane(address, address.context(self._ca_file), GreenWaiter())
        if not self._lane.alive():
            self._lane.open(time.monotonic_ns() + _WITHIN_NS)
        return self._lane
