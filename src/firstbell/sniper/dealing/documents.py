"""Orders, their bytes and their owners as JSON documents, for messages between a master and its workers."""

from __future__ import annotations

import base64
import contextlib
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers.base import PreparedCall, PreparedOrder
from firstbell.errors import RunError
from firstbell.journal.base import Owner
from firstbell.model.facts import Facts, day_of, number_of, text_of, texts_of
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.risk.checks import Limits, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

    Document = dict[str, Any]


_SIZES: Final = ("min_quantity", "max_quantity", "lot_size")


def owner_document(owner: Owner) -> Document:
    """A process as a document."""
    return {"host": owner.host, "pid": owner.pid, "started": repr(owner.started)}


def read_owner(document: object) -> Owner:
    """A process from its document.

    Raises:
        RunError: It is none.
    """
    with readable("a process"):
        facts = Facts(document)
        started = float(facts.text("started"))
        if not math.isfinite(started):
            raise ValueError("no process starts then")
        return Owner(facts.text("host"), facts.whole("pid"), started)


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


def read_order(document: object) -> PreparedOrder:
    """An order and its bytes from their document.

    Raises:
        RunError: It is none.
    """
    with readable("an order"):
        facts = Facts(document)
        order = Order(
            client_order_id=ClientOrderId(facts.text("client_order_id")),
            account=AccountName(facts.text("account")),
            broker_code=BrokerCode(facts.text("broker_code")),
            instrument=InstrumentId(facts.text("instrument")),
            side=Side(facts.text("side")),
            price=facts.number("price"),
            quantity=facts.number("quantity"),
            day=day_of(facts.text("day")),
        )
        method, base_url, path, headers, body = _read_request(_required(facts, "request"))
        if body is None:
            raise ValueError("it has no bytes")
        return PreparedOrder(order, method, base_url, path, headers, body)


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


def read_around(document: object) -> Surroundings:
    """What an order was judged against, from its document, which stands under ``around`` in the order's.

    Raises:
        RunError: It is none.
    """
    with readable("an order"):
        facts = _required(Facts(document), "around")
        told, limits = _required(facts, "instrument"), _required(facts, "limits")
        low, high = map(number_of, texts_of(told.list("band")))
        smallest, largest, lot = map(told.number, _SIZES)
        allowed = {each.name: limits.maybe_number(each.name) for each in fields(Limits)}
        if allowed.keys() != {name for name, _ in facts.items("limits")}:
            raise ValueError("a limit is missing")
        orders = allowed.pop("max_orders_per_account")
        return Surroundings(
            Instrument(InstrumentId(told.text("id")), "", "", PriceBand(low, high), smallest, largest, lot),
            facts.maybe_number("tick_size"),
            Limits(**allowed, max_orders_per_account=None if orders is None else int(orders)),
            facts.number("value_so_far"),
            facts.whole("orders_so_far"),
        )


def call_document(call: PreparedCall) -> Document:
    """A call as a document."""
    return _request(call)


def read_call(document: object) -> PreparedCall:
    """A call from its document.

    Raises:
        RunError: It is none.
    """
    with readable("a call"):
        return PreparedCall(*_read_request(Facts(document)))


def text_in(document: object, name: str) -> str:
    """A text of a message.

    Raises:
        RunError: It has none of that name.
    """
    with readable("a message"):
        return Facts(document).text(name)


@contextlib.contextmanager
def readable(what: str) -> Iterator[None]:
    """Read what another process wrote.

    Raises:
        RunError: It is not what it should be; the text quotes nothing, for it may hold a token.
    """
    try:
        yield
    except (ValueError, ArithmeticError) as error:
        raise RunError(f"{what} came from another process that cannot be read ({type(error).__name__})") from None


def _required(facts: Facts, name: str) -> Facts:
    inner = facts.inner(name)
    if inner is None:
        raise ValueError(f"there is no {name}")
    return inner


def _read_request(facts: Facts) -> tuple[str, str, str, dict[str, str], bytes | None]:
    encoded = facts.maybe_text("body")
    return (
        facts.text("method"),
        facts.text("base_url"),
        facts.text("path"),
        {name: text_of(value) for name, value in facts.items("headers")},
        None if encoded is None else base64.b64decode(encoded, validate=True),
    )


def _request(call: PreparedCall | PreparedOrder) -> Document:
    return {
        "method": call.method,
        "base_url": call.base_url,
        "path": call.path,
        "headers": dict(call.headers),
        "body": None if call.body is None else base64.b64encode(call.body).decode("ascii"),
    }
