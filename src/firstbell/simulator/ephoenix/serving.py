"""From HTTP to the face and back, with the faults that strike on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from firstbell.simulator.ephoenix.damage import EFFECTS, Cut, Struck
from firstbell.simulator.ephoenix.desk import Desk, Door
from firstbell.simulator.ephoenix.face import Route, attend
from firstbell.simulator.ephoenix.visit import Visit
from firstbell.simulator.faults import Moment
from firstbell.simulator.record import Decision

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firstbell.simulator.ephoenix.wire import Reply

DESK: Final = web.AppKey("desk", Desk)
DOOR: Final = web.AppKey("door", Door)

_OK: Final = 200


def served(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make of a route what the HTTP server calls."""

    async def serve(request: web.Request) -> web.StreamResponse:
        desk = request.app[DESK]
        header = request.headers.get("Authorization", "")
        visit = Visit(route.call, desk, request.app[DOOR], header, request.query)
        visit.arrive(desk.clock.now_ns())
        try:
            visit.body = await request.read()
            struck = await _strike(Struck(visit, request), Moment.BEFORE)
            if struck.response is None:
                struck.response = to_http(attend(route, visit))
                if struck.response.status == _OK:
                    struck = await _strike(struck, Moment.ACCEPTED)
            struck = await _strike(struck, Moment.AFTER)
        except web.HTTPException as error:
            if visit.submission is not None:
                visit.submission.decision, visit.submission.http_status = Decision.MALFORMED, error.status
            raise
        return _closed(struck)

    return serve


def to_http(reply: Reply) -> web.Response:
    """A reply as an HTTP answer with a ``Content-Length``."""
    return web.Response(
        body=reply.body,
        status=reply.status,
        headers=reply.headers,
        content_type="application/json",
        charset="utf-8",
    )


async def _strike(struck: Struck, moment: Moment) -> Struck:
    visit = struck.visit
    name = visit.investor.username if visit.investor else None
    bell_rung = visit.arrived >= visit.desk.exchange.schedule.bell
    for fault in visit.desk.faults.take(moment, visit.call, name, bell_rung=bell_rung):
        if visit.submission is not None:
            visit.submission.faults.append(fault.kind.name)
        await EFFECTS[fault.kind.name](fault, struck)
    return struck


def _closed(struck: Struck) -> web.StreamResponse:
    response, submission = struck.response, struck.visit.submission
    if response is None:
        raise RuntimeError(f"{struck.visit.call} has no answer")
    if submission is not None:
        submission.http_status = None if isinstance(response, Cut) else response.status
        struck.visit.desk.record.answered(submission)
    return response
