"""Orders, their bytes and their owners as JSON documents, for messages between a master and its workers."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers.base import PreparedCall, PreparedOrder
from firstbell.journal.base import Owner
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.risk.checks import Limits, Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    Document = dict[str, Any]


_SIZES: Final = ("min_quantity", "max_quantity", "lot_size")


def owner_document(owner: Owner) -> Document:
    """A process as a document."""
    return {"host": owner.host, "pid": owner.pid, "started": owner.started}


def read_owner(document: Mapping[str, Any]) -> Owner:
    """A process from its document."""
    return Owner(str(document["host"]), int(document["pid"]), float(document["started"]))


def order_document(prepared: PreparedOrder) -> Document:
    """An order and its bytes as a document."""
    order = prepared.order
    return {
        "client_order_id": order.client_order_id,
        "account": order.account,
        "broker_code": order.broker_code,
        "instrument": order.instrument,
        "side": order.side.value,
        "price": str(order.price),
        "quantity": str(order.quantity),
        "day": order.day.isoformat(),
        "request": _request(prepared),
    }


def read_order(document: Mapping[str, Any]) -> PreparedOrder:
    """An order and its bytes from their document."""
    order = Order(
        client_order_id=document["client_order_id"],
        account=document["account"],
        broker_code=document["broker_code"],
        instrument=document["instrument"],
        side=Side(document["side"]),
        price=Decimal(document["price"]),
        quantity=Decimal(document["quantity"]),
        day=date.fromisoformat(document["day"]),
    )
    request = document["request"]
    return PreparedOrder(
        order,
        request["method"],
        request["base_url"],
        request["path"],
        dict(request["headers"]),
        base64.b64decode(request["body"] or ""),
    )


def around_document(around: Surroundings) -> Document:
    """What an order was judged against, as a document."""
    instrument, limits = around.instrument, around.limits
    return {
        "instrument": {
            "id": instrument.id,
            "band": [str(instrument.band.low), str(instrument.band.high)],
            **{name: str(getattr(instrument, name)) for name in _SIZES},
        },
        "tick_size": None if around.tick_size is None else str(around.tick_size),
        "limits": {name: None if value is None else str(value) for name, value in asdict(limits).items()},
        "value_so_far": str(around.value_so_far),
        "orders_so_far": around.orders_so_far,
    }


def read_around(document: Mapping[str, Any]) -> Surroundings:
    """What an order was judged against, from its document."""
    told = document["instrument"]
    low, high = map(Decimal, told["band"])
    smallest, largest, lot = (Decimal(told[name]) for name in _SIZES)
    limits = {name: None if value is None else Decimal(value) for name, value in document["limits"].items()}
    orders = limits.pop("max_orders_per_account")
    return Surroundings(
        Instrument(InstrumentId(told["id"]), "", "", PriceBand(low, high), smallest, largest, lot),
        None if document["tick_size"] is None else Decimal(document["tick_size"]),
        Limits(**limits, max_orders_per_account=None if orders is None else int(orders)),
        Decimal(document["value_so_far"]),
        int(document["orders_so_far"]),
    )


def call_document(call: PreparedCall) -> Document:
    """A call as a document."""
    return _request(call)


def read_call(document: Mapping[str, Any]) -> PreparedCall:
    """A call from its document."""
    body = None if document["body"] is None else base64.b64decode(document["body"])
    return PreparedCall(document["method"], document["base_url"], document["path"], dict(document["headers"]), body)


def _request(call: PreparedCall | PreparedOrder) -> Document:
    return {
        "method": call.method,
        "base_url": call.base_url,
        "path": call.path,
        "headers": dict(call.headers),
        "body": None if call.body is None else base64.b64encode(call.body).decode("ascii"),
    }
