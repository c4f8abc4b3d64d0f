"""What every call goes through: its arrival and its token are noted, faults strike, and it is put on record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstbell.simulator.ephoenix import damage
from firstbell.simulator.ephoenix.desk import DESK, DOOR, Desk, Door
from firstbell.simulator.ephoenix.wire import answer
from firstbell.simulator.faults import Call, Moment
from firstbell.simulator.record import Decision, Submission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from firstbell.simulator.roster import Investor

_ORDER_CALLS = frozenset({Call.ORDER, Call.EDIT, Call.CANCEL})
_OK = 200


@dataclass(slots=True)
class Visit:
    """One call while it is served.

    Attributes:
        call: What is asked.
        request: The HTTP request.
        desk: What all calls share.
        door: The port through which it came.
        arrived: When, in ns since the epoch on the exchange's clock.
        investor: Whose token it brought; None without a living one.
        submission: What goes on record of it, for calls that mean to change an order.
    """

    call: Call
    request: web.Request
    desk: Desk
    door: Door
    arrived: int
    investor: Investor | None = None
    submission: Submission | None = None

    @property
    def holder(self) -> Investor:
        """Whose token it brought, for calls that are served only with one."""
        if self.investor is None:
            raise RuntimeError(f"{self.call} is served without a token")
        return self.investor

    @property
    def paper(self) -> Submission:
        """What goes on record of a call that means to change an order."""
        if self.submission is None:
            raise RuntimeError(f"{self.call} is not put on record")
        return self.submission

    def arrive(self) -> None:
        """Note the time, and who it is."""
        self.arrived = self.desk.clock.now_ns()
        self.investor = self._by_token()
        if self.call in _ORDER_CALLS:
            lateness = (self.arrived - self.desk.exchange.schedule.bell) // 1_000
            if self.submission is None:
                code = self.investor.broker_code if self.investor else self.door.code
                name = self.investor.username if self.investor else None
                self.submission = Submission(self.call.value, code, name, self.arrived, lateness)
                self.desk.record.came(self.submission)
            self.submission.arrival_ns, self.submission.lateness_us = self.arrived, lateness

    def _by_token(self) -> Investor | None:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        investor = self.desk.tokens.holder(token.strip(), self.arrived)
        # A token of another broker is none here.
        return investor if investor is not None and self.door.logins.get(investor.username) is investor else None


def served(
    call: Call, handler: Callable[[Visit], Awaitable[web.Response]], *, needs_token: bool = True
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make of a call's own work what the HTTP server calls."""

    async def serve(request: web.Request) -> web.StreamResponse:
        visit = Visit(call, request, request.app[DESK], request.app[DOOR], 0)
        visit.arrive()
        response: web.StreamResponse | None = await _strike(visit, Moment.BEFORE, None)
        if response is None:
            if needs_token and visit.investor is None:
                response = _unauthorized(visit)
            else:
                response = await handler(visit)
                if response.status == _OK:
                    response = await _strike(visit, Moment.ACCEPTED, response) or response
            response = await _strike(visit, Moment.AFTER, response) or response
        if visit.submission is not None:
            visit.submission.http_status = None if isinstance(response, damage.Cut) else response.status
            visit.desk.record.answered(visit.submission)
        return response

    return serve


def _unauthorized(visit: Visit) -> web.Response:
    if visit.submission is not None:
        visit.submission.decision = Decision.UNAUTHORIZED
    return answer({"Message": "Unauthorized", "Code": 401}, status=401, headers={"WWW-Authenticate": "Bearer"})


async def _strike(visit: Visit, moment: Moment, response: web.StreamResponse | None) -> web.StreamResponse | None:
    """Let the faults of a moment strike; the last answer that one of them makes stands."""
    name = visit.investor.username if visit.investor else None
    bell_rung = visit.arrived >= visit.desk.exchange.schedule.bell
    changed = None
    for fault in visit.desk.faults.take(moment, visit.call, name, bell_rung=bell_rung):
        if visit.submission is not None:
            visit.submission.faults.append(fault.kind.name)
        changed = await damage.EFFECTS[fault.kind.name](fault, visit, response) or changed
        response = changed or response
    return changed
