"""What each fault does to the wire.

An effect gets the fault, the call and the answer as it stands (None before the exchange has looked at the request). It
returns an answer in its place, or None where the answer stands.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from aiohttp import web

from firstbell.simulator.ephoenix.wire import answer
from firstbell.simulator.exchange_clock import NS
from firstbell.simulator.record import Decision

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.faults import Fault

_PAGE: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_CHANCE: Final = random.Random(1)  # noqa: S311 - only the spread of delays comes from it


class Cut(web.Response):
    """No answer: the connection has been cut. Writing it fails, which the server takes for a client that has gone."""


async def _wait(fault: Fault, visit: Visit, _: web.StreamResponse | None) -> None:
    spread = int(fault.values["spread"] * 1_000)
    microseconds = int(fault.values["ms"] * 1_000) + _CHANCE.randint(-spread, spread)
    await asyncio.sleep(max(microseconds, 0) / 1_000_000)
    if fault.kind.name == "slow_path":
        visit.arrive()


async def _cut(_: Fault, visit: Visit, __: web.StreamResponse | None) -> web.StreamResponse:
    if visit.request.transport is not None:
        visit.request.transport.abort()
    return Cut()


async def _half(_: Fault, visit: Visit, response: web.StreamResponse | None) -> web.StreamResponse:
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"{}"
    broken = web.StreamResponse(headers={"Content-Type": "application/json"})
    broken.content_length = len(body)
    await broken.prepare(visit.request)
    await broken.write(body[: len(body) // 2])
    if visit.request.transport is not None:
        visit.request.transport.close()
    return broken


async def _html(_: Fault, __: Visit, ___: web.StreamResponse | None) -> web.StreamResponse:
    return web.Response(text=_PAGE, content_type="text/html")


async def _broken(_: Fault, __: Visit, ___: web.StreamResponse | None) -> web.StreamResponse:
    return answer({"Message": "خطای سیستمی رخ داده است.", "Code": 500}, status=500)


async def _elsewhere(_: Fault, visit: Visit, __: web.StreamResponse | None) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": visit.request.path_qs})


async def _nameless(_: Fault, __: Visit, ___: web.StreamResponse | None) -> web.StreamResponse:
    return answer({"isSuccess": True, "errorCode": 0, "message": None})


async def _hide(fault: Fault, visit: Visit, _: web.StreamResponse | None) -> None:
    serial = visit.submission.serial if visit.submission is not None else None
    if serial is not None:
        visit.desk.hidden_until[serial] = visit.arrived + int(fault.values["seconds"] * NS)


async def _end_token(_: Fault, visit: Visit, __: web.StreamResponse | None) -> web.StreamResponse | None:
    if visit.investor is None:
        return None
    visit.desk.tokens.end_all_of(visit.investor)
    if visit.submission is not None:
        visit.submission.decision = Decision.UNAUTHORIZED
    return answer({"Message": "Unauthorized", "Code": 401}, status=401, headers={"WWW-Authenticate": "Bearer"})


EFFECTS: Final[
    Mapping[str, Callable[[Fault, Visit, web.StreamResponse | None], Awaitable[web.StreamResponse | None]]]
] = {
    "delay": _wait,
    "slow_path": _wait,
    "drop_before_accept": _cut,
    "drop_after_accept": _cut,
    "http_500_after_accept": _broken,
    "truncate": _half,
    "html": _html,
    "redirect": _elsewhere,
    "no_serial": _nameless,
    "slow_list": _wait,
    "list_fails": _broken,
    "hidden": _hide,
    "token_ends_at_bell": _end_token,
}
"""Every fault's effect by its name."""
