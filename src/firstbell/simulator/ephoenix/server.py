"""Listening: which path leads to which call, on which ports, and the exchange's time passing while nobody calls."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from aiohttp import web

from firstbell.errors import SimulatorError
from firstbell.simulator.ephoenix import practice
from firstbell.simulator.ephoenix.desk import Desk, Door
from firstbell.simulator.ephoenix.face import ROUTES
from firstbell.simulator.ephoenix.serving import DESK, DOOR, served
from firstbell.simulator.ephoenix.travel import PRACTICE, over
from firstbell.simulator.exchange_clock import NS
from firstbell.simulator.record import PhaseBegan

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from firstbell.model.identifiers import BrokerCode

_LARGEST_BODY: Final = 64 * 1024
_KEEP_ALIVE_S: Final = 600.0
_LONGEST_NAP_S: Final = 30.0
_SHUTDOWN_S: Final = 1.0


def _routes() -> list[web.RouteDef]:
    # A HEAD is nothing that the platform knows, and counting one as the GET of its path would falsify the record.
    return [web.route(each.method, each.path, served(each)) for each in ROUTES] + _practice_routes()


def _practice_routes() -> list[web.RouteDef]:
    return [
        web.post("/practice/captcha", practice.solve_captcha),
        web.get("/practice/orders", practice.show_record),
    ]


class PracticeServer:
    """The exchange on this machine's ports.

    Args:
        desk: What is behind all ports.
        codes: The brokers.
        host: The address to listen on.
        port: The port, 0 for any; with a port for each broker, the first one's.
        port_per_broker: Whether each broker has a port of its own.
        tls: The context for serving over TLS; None for plain HTTP.
    """

    def __init__(
        self,
        desk: Desk,
        codes: Sequence[BrokerCode],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        port_per_broker: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.desk = desk
        self.ports: dict[BrokerCode, int] = {}
        self._host, self._port, self._tls = host, port, tls
        self._shares = [(code,) for code in codes] if port_per_broker else [tuple(codes)]
        self._practice_port = 0
        self._runners: list[web.AppRunner] = []
        self._ticker: asyncio.Task[None] | None = None

    @property
    def practice_address(self) -> str:
        """Where the answer key and the record are served over plain HTTP, for tools that know no private authority."""
        return self.address if self._tls is None else f"http://{self._named_host}:{self._practice_port}"

    @property
    def address(self) -> str:
        """Scheme, host and the first port."""
        return self.address_of(next(iter(self.ports)))

    def address_of(self, code: BrokerCode) -> str:
        """Scheme, host and port of a broker."""
        return f"{'http' if self._tls is None else 'https'}://{self._named_host}:{self.ports[code]}"

    @property
    def _named_host(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    async def start(self) -> None:
        """Listen on every port, and let time pass.

        Raises:
            SimulatorError: A port is taken, or accounts and ports do not fit.
        """
        try:
            for number, codes in enumerate(self._shares):
                bound = await self._listen(codes, _routes(), self._port + number if self._port else 0, self._tls)
                self.ports.update(dict.fromkeys(codes, bound))
            if self._tls is not None:
                self._practice_port = await self._listen((), _practice_routes(), 0, None)
        except SimulatorError:
            await self.stop()
            raise
        except OSError as error:
            await self.stop()
            raise SimulatorError(f"cannot listen on {self._host}: {error.strerror}") from error
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(
        self, codes: tuple[BrokerCode, ...], served_routes: list[web.RouteDef], port: int, tls: ssl.SSLContext | None
    ) -> int:
        path = self.desk.path
        ways = () if path is None else (over(path, self.desk.clock),)
        app = web.Application(client_max_size=_LARGEST_BODY, middlewares=ways)
        app[DESK] = self.desk
        app[DOOR] = Door(codes, self.desk.investors, self.desk.login_limit)
        app.add_routes(served_routes)
        app.on_response_prepare.append(self._stamp)
        runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=_KEEP_ALIVE_S, handle_signals=False, shutdown_timeout=_SHUTDOWN_S
        )
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, self._host, port, ssl_context=tls, backlog=4096).start()
        return int(runner.addresses[0][1])

    async def _stamp(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        if self.desk.path is None or request.path.startswith(PRACTICE):
            response.headers["Date"] = self.desk.clock.http_date()
        response.headers["Server"] = "practice"

    async def _tick(self) -> None:
        exchange, clock, known = self.desk.exchange, self.desk.clock, None
        while True:
            now = clock.now_ns()
            phase = exchange.advance(now)
            if phase is not known:
                known = phase
                self.desk.record.began(PhaseBegan(phase, now))
            start = exchange.schedule.next_start(now)
            nap = _LONGEST_NAP_S if start is None else min((start - now) / NS, _LONGEST_NAP_S)
            await asyncio.sleep(nap)
