"""Orders, their bytes and their owners as JSON documents, for messages between a master and its workers."""

from __future__ import annotations

import base64
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from firstbell.brokers.base import PreparedCall, PreparedOrder
from firstbell.journal.base import Owner
from firstbell.model.order import Order
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    Document = dict[str, Any]


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
