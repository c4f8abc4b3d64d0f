"""The way from a client to the exchange and back, where a measured path lies between them.

Unlike a fault, which strikes single calls, a path holds for everything that goes over it: also for the requests that
only want to know the time. And the ``Date`` of an answer is that of its leaving, not of its coming.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from firstbell.simulator.exchange_clock import ExchangeClock
    from firstbell.simulator.path import MeasuredPath

PRACTICE: Final = "/practice/"
"""Calls under this path are no part of the exchange, and travel no path."""
_WAKES_LATE_S: Final = 0.0005
"""An event loop counts in milliseconds and wakes up to one late: half of one on average."""


def over(path: MeasuredPath, clock: ExchangeClock) -> Middleware:
    """What lets every call of an application travel a path, and dates its answer.

    Args:
        path: The path.
        clock: The clock by which answers are dated when they leave.
    """

    @web.middleware
    async def travel(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(PRACTICE):
            return await handler(request)
        there_ns, back_ns = path.draw()
        await _pass(there_ns)
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            refusal.headers["Date"] = clock.http_date()
            await _pass(back_ns)
            raise
        response.headers["Date"] = clock.http_date()
        await _pass(back_ns)
        return response

    return travel


async def _pass(ns: int) -> None:
    await asyncio.sleep(max(0.0, ns / 1e9 - _WAKES_LATE_S))
