"""One login's way to its broker at the bell: a lane that is opened in time, proven, loaded, fired and read."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import gevent

from firstbell.brokers.http1 import order_bytes, request_bytes
from firstbell.errors import BrokerError, NoAnswer, NotSent
from firstbell.model.terms import Side
from firstbell.oms.carrier import ANSWER_WITHIN_S, Unfired
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.volley import Fate, Shot
from firstbell.sniper.waiting import GreenWaiter

if TYPE_CHECKING:
    from pathlib import Path

    from firstbell.brokers.base import Answer, PreparedCall, PreparedOrder
    from firstbell.oms.decision import Budget
    from firstbell.sniper.volley import Volley

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
CONNECT_WITHIN_S: Final = 5.0
"""How long a connection may take, TLS included."""
PROOF_ENDS_S: Final = 0.3
"""A proof that is still on its way this many seconds before the instant is given up: the lane must be free by then."""
CALM_S: Final = 0.04
"""No connection is begun in the last 40 ms before anything leaves: a handshake is milliseconds of work."""
_MOST_LANES: Final = 4
"""Connections tried from an attempt's instant on; a broker that ends every one of them does not want it now."""
_REOPEN_EVERY_S: Final = 1.0
"""Before its instant a connection that cannot be had, or is ended again, is tried this often, in seconds …"""
_REOPEN_SOONEST_S: Final = 0.05
"""… and more often towards the end, this far apart at the least."""


class LaneCarrier:
    """A `firstbell.oms.carrier.Carrier` on a lane.

    Args:
        volley: Fires the lane.
        ca_file: The broker's private certificate authority, or None.
        budget: When to give up.
    """

    lead_ns = _NS
    """A lane may have to be opened anew."""

    def __init__(self, volley: Volley, ca_file: Path | None, budget: Budget) -> None:
        self._ca_file = ca_file
        self._volley = volley
        self._budget = budget
        self._lane: Lane | None = None
        self._sent_ns = 0
        self._sent_monotonic_ns = 0

    @property
    def sent_ns(self) -> int:
        """When the last attempt that left did so: ns since the epoch, on our clock."""
        return self._sent_ns

    @property
    def sent_monotonic_ns(self) -> int:
        """The same on the monotonic clock."""
        return self._sent_monotonic_ns

    def prove(self, call: PreparedCall, at_ns: int) -> None:
        """Open the lane and have one cheap call answered on it, in time for what leaves at `at_ns` (monotonic).

        A lane that cannot be proven is opened anew when it is loaded; what stands against that is said there.
        """
        until_ns = min(at_ns - int(PROOF_ENDS_S * _NS), time.monotonic_ns() + int(CONNECT_WITHIN_S * _NS))
        if until_ns <= time.monotonic_ns():
            return
        try:
            lane = self._opened(call.base_url, until_ns)
            request = request_bytes(call.method, call.base_url, call.path, call.headers, call.body)
            answer = lane.exchange(request, until_ns)
        except BrokerError as error:
            self.close()
            _log.warning("the connection could not be proven before the bell: %s", error)
            return
        if answer.status >= 400:  # noqa: PLR2004 - where HTTP's refusals begin
            _log.warning("%s: the call that proves the connection was answered HTTP %d", call.base_url, answer.status)

    def carry(self, prepared: PreparedOrder, at_ns: int) -> Answer | Unfired:
        """Load the lane, have it fired at its instant and read the answer; see the protocol.

        Until the instant a connection is tried for, however often that fails: whoever is told that nothing left may
        send again, and must not be told so before the bell.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, or may have, and no whole answer came.
        """
        request = order_bytes(prepared)
        early = late = 0
        while not self._volley.stopped:
            in_time = time.monotonic_ns() < at_ns
            result = self._try(prepared, request, at_ns)
            if not isinstance(result, NotSent):
                return result
            if in_time:
                early += 1
                _pause(at_ns, early)
            elif (late := late + 1) >= _MOST_LANES:
                raise result
        return Unfired.STOPPED

    def _try(self, prepared: PreparedOrder, request: bytes, at_ns: int) -> Answer | Unfired | NotSent:
        """One connection's try; where nothing left and another connection may be tried, the reason."""
        try:
            lane = self._loaded(prepared.base_url, request)
        except NotSent as error:
            if time.monotonic_ns() >= at_ns:
                raise
            return error
        budget, buys = self._budget, prepared.order.side is Side.BUY
        shot = Shot(lane, at_ns, budget.deadline_ns, budget.deadline_wall_ns, buys)
        if (answer := self._fire(shot)) is not None:
            return answer
        self.close()
        if shot.fate is Fate.STOPPED:
            return Unfired.STOPPED
        if shot.fate is Fate.REDUCING:
            return Unfired.REDUCING
        if shot.fate is Fate.TOO_LATE:
            return Unfired.TOO_LATE
        if shot.fate is Fate.WAITING:
            raise self._fault(shot, "while it fired")
        words = "its connections end before anything can be sent on them; nothing was sent"
        return shot.failure or NotSent(f"{lane.host}: {words}", host=lane.host)

    def _fire(self, shot: Shot) -> Answer | None:
        """Fire, and read the answer; None where nothing left."""
        lane = shot.lane
        try:
            with self._volley.in_flight():
                self._volley.fire(shot)
                if shot.fate is not Fate.FIRED:
                    return None
                self._sent_ns, self._sent_monotonic_ns = lane.sent_ns, lane.sent_monotonic_ns
                # What the system has not taken by now would leave long after a halt.
                patience_s = 0 if self._volley.stopped and lane.is_half_sent else ANSWER_WITHIN_S
                return lane.read(lane.sent_monotonic_ns + int(patience_s * _NS))
        except Exception as error:
            self.close()
            if isinstance(error, NoAnswer):
                raise
            # Whatever it was, the order may be there.
            raise self._fault(shot, type(error).__name__) from error
        except BaseException:
            # Killed while it waited: what is sealed must not leave later.
            self.close()
            raise

    def _fault(self, shot: Shot, words: str) -> NoAnswer:
        """A fault of our own, as the error to raise: the order may have left, at the latest now."""
        if shot.fate is not Fate.FIRED:
            self._sent_ns, self._sent_monotonic_ns = time.time_ns(), time.monotonic_ns()
        host = shot.lane.host
        return NoAnswer(f"{host}: a fault of firstbell's own ({words}); the order may have left", host=host)

    def close(self) -> None:
        """Give the connection up."""
        if self._lane is not None:
            self._lane.close()

    def _loaded(self, base_url: str, request: bytes) -> Lane:
        """The lane with the request sealed in it: the one that is there if it lives and leads there, else a new one."""
        lane = self._lane
        if lane is None or lane.address != LaneAddress.of(base_url) or not lane.alive():
            # Late is better than never: a lane that died just before the instant is opened all the same.
            lane = self._opened(base_url, time.monotonic_ns() + int(CONNECT_WITHIN_S * _NS))
        lane.seal(request)
        return lane

    def _wait_out(self) -> None:
        """Begin no connection while something is about to leave: it would delay the others."""
        while (next_ns := self._volley.next_ns()) is not None and next_ns - time.monotonic_ns() < CALM_S * _NS:
            gevent.sleep(max(0.001, (next_ns - time.monotonic_ns()) / _NS))

    def _opened(self, base_url: str, until_ns: int) -> Lane:
        self.close()
        self._wait_out()
        address = LaneAddress.of(base_url)
        self._lane = Lane(address, address.context(self._ca_file), GreenWaiter())
        self._lane.open(until_ns)
        return self._lane


def _pause(at_ns: int, failures: int) -> None:
    """Leave the host a moment before the next connection; none where only one has failed, or no time is left."""
    left_s = (at_ns - time.monotonic_ns()) / _NS
    if failures > 1 and left_s > 0:
        gevent.sleep(min(left_s, _REOPEN_EVERY_S, max(_REOPEN_SOONEST_S, left_s / 2)))
