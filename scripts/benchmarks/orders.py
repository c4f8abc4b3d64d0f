"""The order that everybody sends: a new order as the Tehran brokers take it, with a token as long as theirs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from firstbell.brokers.ephoenix import calls
from firstbell.brokers.http1 import request_bytes
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId
from firstbell.model.order import Order
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = "not.a.token." + "x" * 900
_TLS_OVERHEAD = 22
"""Bytes that a TLS 1.3 record adds: a header of 5, the content's type, a tag of 16."""

_CALL = calls.new_order(
    Order(
        client_order_id=ClientOrderId("benchmark"),
        account=AccountName("Order_Benchmark"),
        broker_code=BrokerCode("gs"),
        instrument=InstrumentId("IRO1MHRN0001"),
        side=Side.BUY,
        price=Decimal(5860),
        quantity=Decimal(170_018),
        day=date(2026, 11, 21),
    )
)
PATH: str = _CALL.path
"""Where a new order goes."""


def document() -> Any:
    """The body, before it is encoded."""
    return _CALL.document


def headers() -> Mapping[str, str]:
    """The request's own headers."""
    return calls.headers(_TOKEN, has_body=True)


def request(base_url: str, path: str = PATH) -> bytes:
    """The whole request as a lane sends it.

    Raises:
        NotSent: The address is not one that anything may be sent to.
    """
    return request_bytes("POST", base_url, path, headers(), _CALL.body)


def as_long_as_sealed(base_url: str) -> bytes:
    """A request in the clear that is as long as this one's TLS record."""
    return request_bytes("POST", base_url, PATH, {**headers(), "X": "x" * (_TLS_OVERHEAD - 5)}, _CALL.body)
