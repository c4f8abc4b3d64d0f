"""Calls that no real broker has: the answer key to the captchas drawn here, and what the exchange saw."""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from aiohttp import web

from firstbell.model.money import plain
from firstbell.simulator.ephoenix.serving import DESK, to_http
from firstbell.simulator.ephoenix.wire import read_object, reply, zone
from firstbell.simulator.exchange_clock import instant


async def solve_captcha(request: web.Request) -> web.Response:
    """``POST /practice/captcha``: the digits of a picture drawn here, as plain text; 404 for any other picture.

    This is an answer key, not a reader: the exchange remembers what it drew. It takes the body that a solver named by
    ``url`` in a config gets, ``{"base64": …}``.
    """
    try:
        text = read_object(await request.read())["base64"]
        picture = base64.b64decode(text, validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return web.Response(status=400, text="a JSON object with the picture under base64 is needed\n")
    solution = request.app[DESK].captchas.answer_to(picture)
    if solution is None:
        return web.Response(status=404, text="that picture was not drawn here, or long ago\n")
    return web.Response(text=solution)


async def show_record(request: web.Request) -> web.Response:
    """``GET /practice/orders``: everything the exchange saw, for tests to compare a client's own account with.

    ``submissions`` are the calls as they came, ``orders`` the accepted orders as they stand. Whole numbers are numbers;
    ``*_ns`` are nanoseconds since the epoch on the exchange's clock.
    """
    desk = request.app[DESK]
    exchange = desk.exchange
    now = desk.clock.now_ns()
    phase = exchange.advance(now)
    tz = zone(exchange.rules.market)
    owners = {investor.account: investor for investor in desk.investors}
    orders = [
        {
            "account": owners[order.account].username,
            "broker_code": owners[order.account].broker_code,
            "isin": order.instrument,
            "side": order.side.value,
            "price": order.price,
            "quantity": order.quantity,
            "filled_qty": order.filled_qty,
            "status": order.status.value,
            "serial": order.serial,
            "created_ns": order.created_at,
        }
        for order in exchange.orders.values()
    ]
    seen = {
        "now_ns": now,
        "bell_ns": exchange.schedule.bell,
        "bell": instant(exchange.schedule.bell, tz).isoformat(timespec="milliseconds"),
        "phase": phase.value,
        "submissions": [asdict(each) for each in desk.record.submissions],
        "orders": orders,
        "trades": [asdict(each) for each in exchange.trades],
        "logins": [asdict(each) for each in desk.record.logins],
        "captchas": [asdict(each) for each in desk.record.captchas],
    }
    return to_http(reply(_plain(seen)))


def _plain(value: Any) -> Any:
    """The same with every `Decimal` as JSON takes it."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
