"""The wire: requests leave as bytes, come to the platform's face, and answers come back as bytes, or do not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from firstbell.brokers.base import Answer
from firstbell.brokers.http1 import AnswerReader, request_bytes
from firstbell.brokers.transport import LARGEST_BODY, TIMEOUT_S, checked_host
from firstbell.errors import NoAnswer, NotSent
from firstbell.simulator.ephoenix.face import ROUTES, Route, attend
from firstbell.simulator.ephoenix.visit import Visit
from firstbell.simulator.faults import Call
from simulation.answers import Raw, dripping, garbage, list_garbage, refusal, truncated, written
from simulation.process import NS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.brokers.base import PreparedOrder
    from simulation.loop import Parking
    from simulation.process import Process
    from simulation.weather import Fate

_ROUTES: Final = {(route.method, route.path): route for route in ROUTES}
_OK: Final = 200
_RETRY_AFTER: Final = re.compile(rb"Retry-After: (\d+)\r")


@dataclass(slots=True)
class Sending:
    """One sending of an order's bytes, as it truly was.

    Attributes:
        number: Which one of the history.
        process: Who sent it.
        client_order_id: What its sender calls the order.
        prepared: What it sent.
        sent_ns: When, in ns since the history began.
        sent_wall_ns: When, on the machine's clock.
        fate: What befell it.
        arrived_ns: When it came to the exchange; None while it has not.
        serial: Its number at the exchange, where that accepted it.
        refused: Whether its sender was told for certain, and truly, that it is not there.
        pause_s: How long its sender was asked to wait then, in seconds.
        ended_ns: When its sender's call ended; None where it never did.
    """

    number: int
    process: Process
    client_order_id: str
    prepared: PreparedOrder
    sent_ns: int
    sent_wall_ns: int
    fate: Fate
    arrived_ns: int | None = None
    serial: int | None = None
    refused: bool = False
    pause_s: int = 0
    ended_ns: int | None = None


@dataclass(slots=True)
class _Exchange:
    """One request and what comes back."""

    route: Route
    host: str
    path: str
    raw: bytes
    fate: Fate
    sending: Sending | None
    came: list[bytes] = field(default_factory=list)
    closed: bool = False
    parking: Parking | None = None
    honest: bool = False
    certain: bool = False
    pause_s: int = 0
    visit: Visit | None = None

    def wake(self) -> None:
        if self.parking is not None:
            self.parking.wake(value=True)


class Wire:
    """One process's way to all hosts.

    Args:
        process: Whose it is.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def ask(self, base_url: str, raw: bytes, until_ns: int, order: PreparedOrder | None = None) -> Answer:
        """Send a request's bytes now and read the answer.

        Args:
            base_url: The host.
            raw: The request.
            until_ns: How long the answer is awaited, on the monotonic clock.
            order: The order that it is, if it is one.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, and no whole answer came.
        """
        process, world = self._process, self._process.world
        host = checked_host(base_url)
        exchange = self._begun(host, raw)
        process.step("before order" if order is not None else "before send")
        fate = exchange.fate
        if fate.name:
            world.count(f"{exchange.route.call.value}: {fate.name.partition(',')[0]}")
        if fate.refused:
            process.pause(fate.there_ns)
            world.say(process.name, f"{exchange.route.call.value} to {host}: connection refused")
            raise NotSent(f"{host}: connection refused; nothing was sent", host=host)
        sent_ns, sent_wall_ns = process.clock.monotonic_ns(), process.clock.wall_ns()
        if order is not None:
            exchange.sending = world.leaves(process, order, fate)
        elif world.recording:
            world.say(process.name, f"{exchange.route.call.value} to {host}{_but(fate)}")
        world.loop.at(sent_ns + fate.there_ns, lambda: self._arrive(exchange))
        process.step("order sent" if order is not None else "sent")
        reader = self._read(exchange, until_ns)
        process.step("order answered" if order is not None else "answered")
        ended_ns = process.clock.monotonic_ns()
        if exchange.honest:
            self._looked(exchange, sent_ns)
        return Answer(
            reader.status,
            reader.headers,
            reader.body(),
            sent_wall_ns,
            sent_ns,
            process.clock.wall_ns(),
            ended_ns - sent_ns,
        )

    def _begun(self, host: str, raw: bytes) -> _Exchange:
        method, target, _ = raw.split(b" ", 2)
        path, _, _ = target.decode().partition("?")
        route = _ROUTES[method.decode(), path]
        world = self._process.world
        fate = world.weather.fate(route.call, world.since_bell_ns(), world.chance)
        return _Exchange(route, host, target.decode(), raw, fate, None)

    def _read(self, exchange: _Exchange, until_ns: int) -> AnswerReader:
        process, sending = self._process, exchange.sending
        reader = AnswerReader(exchange.host)
        try:
            while not reader.complete:
                while exchange.came and not reader.complete:
                    reader.feed(exchange.came.pop(0))
                if reader.complete:
                    break
                if exchange.closed:
                    reader.end()
                    break
                left = until_ns > process.clock.monotonic_ns()
                if not left or process.wait(until_ns, lambda parking: setattr(exchange, "parking", parking)) is None:
                    words = "nothing came in time; the request had left"
                    raise NoAnswer(f"{exchange.host}: {words}", host=exchange.host)
            if sending is not None:
                sending.refused, sending.pause_s = exchange.certain, exchange.pause_s
        finally:
            if sending is not None and process.alive:
                sending.ended_ns = process.world.loop.now_ns
        return reader

    def _looked(self, exchange: _Exchange, sent_ns: int) -> None:
        """Somebody has seen an honest, whole list of the day."""
        visit, world = exchange.visit, self._process.world
        if visit is not None and visit.investor is not None and visit.call is Call.DAY_ORDERS:
            world.looks.append((self._process, visit.investor.account, sent_ns, world.loop.now_ns))

    # --- at the other end

    def _arrive(self, exchange: _Exchange) -> None:
        world, fate, sending = self._process.world, exchange.fate, exchange.sending
        if fate.lost:
            exchange.closed = fate.lost == "reset"
            exchange.wake()
            return
        visit = exchange.visit = self._visit(exchange)
        if sending is not None:
            sending.arrived_ns = world.loop.now_ns
        if fate.ends_tokens and visit.investor is not None:
            world.desk.tokens.end_all_of(visit.investor)
        status, body, headers = _OK, b'{"isSuccess":true,"errorCode":0}', {}
        if not fate.unseen:
            reply = attend(exchange.route, visit)
            status, body, headers = reply.status, reply.body, dict(reply.headers)
            self._decided(exchange, visit)
        raw = self._answer(exchange, status, body, {"Date": self._date(), **headers})
        if raw is not None:
            self._send_back(exchange, raw)

    def _visit(self, exchange: _Exchange) -> Visit:
        world = self._process.world
        head, _, body = exchange.raw.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n")[1:])
        query = dict(parse_qsl(exchange.path.partition("?")[2]))
        visit = Visit(
            exchange.route.call,
            world.desk,
            world.door(exchange.host),
            headers.get("Authorization", ""),
            query,
            body,
        )
        visit.arrive(world.exchange_ns())
        return visit

    def _decided(self, exchange: _Exchange, visit: Visit) -> None:
        world, sending, paper = self._process.world, exchange.sending, visit.submission
        if sending is None or paper is None:
            return
        sending.serial = paper.serial
        if sending.serial is not None and exchange.fate.hidden_ns:
            world.desk.hidden_until[sending.serial] = world.exchange_ns() + exchange.fate.hidden_ns
        found = f"serial {paper.serial}" if paper.serial is not None else f"{paper.code or ''} {paper.detail or ''}"
        late = world.since_bell_ns() // 1000
        world.say("exchange", f"sending {sending.number}: {paper.decision.value} {found.strip()} ({late:+,} µs)")
        world.count(f"exchange: {paper.decision.value}{'' if paper.code is None else f' {paper.code}'}")

    def _answer(self, exchange: _Exchange, status: int, body: bytes, headers: Mapping[str, str]) -> Raw | None:
        fate, chance, sending = exchange.fate, self._process.world.chance, exchange.sending
        whole = written(status, body, headers)
        if fate.answer == "silence":
            return None
        if fate.answer == "reset":
            return Raw((), closes=True)
        if fate.answer == "truncated":
            return truncated(whole, chance)
        if fate.answer in {"list", "half"} and status == _OK:
            raw = list_garbage(body, chance, fate.answer.removeprefix("list"))
            # Half of nothing is all of it.
            exchange.honest = raw.pieces == (written(_OK, body),)
            return raw
        if fate.answer.startswith("garbage "):
            return garbage(fate.answer.removeprefix("garbage "), body, chance)
        if fate.answer == "nameless" and sending is not None and sending.serial is not None:
            whole = written(_OK, b'{"isSuccess":true,"errorCode":0,"message":null}', headers)
        certain = sending is not None and sending.serial is None and _is_certain(status, body)
        if fate.answer.startswith("refusal "):
            whole, certain = refusal(fate.answer.removeprefix("refusal "), chance, headers["Date"]), True
        exchange.certain = certain
        found = _RETRY_AFTER.search(whole) if certain else None
        exchange.pause_s = 0 if found is None else int(found.group(1))
        exchange.honest = status == _OK and fate.answer in {"", "drip"}
        return dripping(whole, chance) if fate.answer == "drip" else Raw((whole,))

    def _send_back(self, exchange: _Exchange, raw: Raw) -> None:
        loop = self._process.world.loop
        first, rest = (raw.pieces[:1], raw.pieces[1:]) if raw.pause_ns else (raw.pieces, ())

        def deliver(pieces: list[bytes], *, closes: bool) -> None:
            exchange.came += pieces
            exchange.closed = closes
            exchange.wake()

        at_ns = loop.now_ns + exchange.fate.back_ns
        loop.at(at_ns, lambda: deliver(list(first), closes=raw.closes and not rest))
        if rest:
            loop.at(at_ns + raw.pause_ns, lambda: deliver(list(rest), closes=raw.closes))

    def _date(self) -> str:
        return formatdate(self._process.world.exchange_ns() // NS, usegmt=True)


def _but(fate: Fate) -> str:
    return f" ({fate.name})" if fate.name else ""


def _is_certain(status: int, body: bytes) -> bool:
    """Whether the platform's own refusal is one of those that are known to be harmless."""
    if status == 401:  # noqa: PLR2004 - as HTTP numbers it
        return True
    said: dict[str, Any] = json.loads(body)
    return said.get("Code") in {1017, 1018, 1011, 1001, 1006}


class SimulatedTransport:
    """What `firstbell.brokers.transport.Transport` is to brokers, on the simulated wire.

    Args:
        process: Whose it is.
        wire: Its wire.
    """

    def __init__(self, process: Process, wire: Wire) -> None:
        self._process = process
        self._wire = wire

    def send(
        self,
        method: str,
        base_url: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: float = TIMEOUT_S,
        max_bytes: int = LARGEST_BODY,
    ) -> Answer:
        """Send one request, once, and read the whole answer, whatever its status.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, and no whole answer came back.
        """
        del max_bytes
        raw = request_bytes(method, base_url, path, headers, body)
        return self._wire.ask(base_url, raw, self._process.clock.monotonic_ns() + int(timeout * NS))

    def send_json(
        self, method: str, base_url: str, path: str, headers: Mapping[str, str], document: Any, **more: Any
    ) -> Answer:
        """The same with a JSON document for a body."""
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return self.send(method, base_url, path, {"Content-Type": "application/json", **headers}, body, **more)
