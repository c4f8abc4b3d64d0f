"""What each fault does to the wire. An effect gets the fault and the call it strikes, and changes its answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiohttp import web

from firstbell.simulator.exchange_clock import NS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.faults import Fault

_PAGE: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_BROKEN: Final = '{"Message":"خطای سیستمی رخ داده است.","Code":500}'
_NAMELESS: Final = '{"isSuccess":true,"errorCode":0,"message":null}'
_JSON: Final = "application/json"


class Cut(web.Response):
    """No answer: the connection has been cut. Writing it fails, which the server takes for a client that has gone."""


@dataclass(slots=True)
class Struck:
    """A call that faults may strike.

    Attributes:
        visit: The call.
        request: Its HTTP request.
        response: Its answer; None while the exchange has not looked at it.
    """

    visit: Visit
    request: web.Request
    response: web.StreamResponse | None = None


async def _delay(fault: Fault, struck: Struck) -> None:
    spread = int(fault.values["spread"] * 1_000)
    microseconds = int(fault.values["ms"] * 1_000) + struck.visit.desk.faults.chance.randint(-spread, spread)
    await asyncio.sleep(max(microseconds, 0) / 1_000_000)


async def _hold_up(fault: Fault, struck: Struck) -> None:
    await _delay(fault, struck)
    struck.visit.arrive(struck.visit.desk.clock.now_ns())


async def _cut(_: Fault, struck: Struck) -> None:
    if struck.request.transport is not None:
        struck.request.transport.abort()
    struck.response = Cut()


async def _break_off(_: Fault, struck: Struck) -> None:
    whole = struck.response.body if isinstance(struck.response, web.Response) else None
    body = whole if isinstance(whole, bytes) else b"{}"
    half = web.StreamResponse(headers={"Content-Type": _JSON})
    half.content_length = len(body)
    await half.prepare(struck.request)
    await half.write(body[: len(body) // 2])
    if struck.request.transport is not None:
        struck.request.transport.close()
    struck.response = half


async def _html(_: Fault, struck: Struck) -> None:
    struck.response = web.Response(text=_PAGE, content_type="text/html")


async def _fail(_: Fault, struck: Struck) -> None:
    struck.response = web.Response(text=_BROKEN, content_type=_JSON, status=500)


async def _redirect(_: Fault, struck: Struck) -> None:
    struck.response = web.Response(status=307, headers={"Location": struck.request.path_qs})


async def _leave_out_serial(_: Fault, struck: Struck) -> None:
    struck.response = web.Response(text=_NAMELESS, content_type=_JSON)


async def _hide(fault: Fault, struck: Struck) -> None:
    visit = struck.visit
    if visit.submission is not None and visit.submission.serial is not None:
        until = visit.arrived + int(fault.values["seconds"] * NS)
        visit.desk.hidden_until[visit.submission.serial] = until


async def _end_token(_: Fault, struck: Struck) -> None:
    if struck.visit.investor is not None:
        struck.visit.desk.tokens.end_all_of(struck.visit.investor)
        struck.visit.investor = None


EFFECTS: Final[Mapping[str, Callable[[Fault, Struck], Awaitable[None]]]] = MappingProxyType(
    {
        "delay": _delay,
        "slow_path": _hold_up,
        "drop_before_accept": _cut,
        "drop_after_accept": _cut,
        "http_500_after_accept": _fail,
        "truncate": _break_off,
        "html": _html,
        "redirect": _redirect,
        "no_serial": _leave_out_serial,
        "slow_list": _delay,
        "list_fails": _fail,
        "hidden": _hide,
        "token_ends_at_bell": _end_token,
    }
)
"""Every fault's effect by its name."""
