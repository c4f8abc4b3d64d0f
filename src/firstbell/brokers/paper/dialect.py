"""The paper broker's own little dialect: how an order is written, and how the answer to one is read. Pure.

JSON both ways, numbers as texts, so that none of them is ever rounded. It is read as strictly as the dialect of a true
broker: accepted only where the answer says so, refused only with a code of the table, and unresolved in every other
case.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers import strict_json
from firstbell.brokers.base import Outcome
from firstbell.errors import Unreadable
from firstbell.model.facts import Facts
from firstbell.model.identifiers import InstrumentId, VenueOrderId
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome, OrderType, Side, TimeInForce
from firstbell.simulator.rules import Reason

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.model.order import Order

ORDER_TYPES: Final = frozenset({OrderType.LIMIT, OrderType.MARKET})
"""What can be asked for."""

MALFORMED: Final = 100
"""The code for what cannot be read as an order."""
NOBODY_THERE: Final = 114
"""The code for a market order that would meet nobody."""
CODES: Final = {
    Reason.MARKET_CLOSED: 101,
    Reason.TOO_SOON: 102,
    Reason.NO_CHANGES_NOW: 103,
    Reason.UNKNOWN_INSTRUMENT: 104,
    Reason.UNKNOWN_ORDER: 105,
    Reason.OUTSIDE_BAND: 106,
    Reason.OFF_TICK: 107,
    Reason.NOT_CLOSING_PRICE: 108,
    Reason.WRONG_QUANTITY: 109,
    Reason.VALUE_TOO_SMALL: 110,
    Reason.NOT_ENOUGH_MONEY: 111,
    Reason.NOT_ENOUGH_SHARES: 112,
    Reason.WRONG_TIME_IN_FORCE: 113,
    Reason.QUANTITY_TOO_LARGE: 115,
    Reason.DUPLICATE: 120,
}
"""Why → code."""
AGAIN: Final = frozenset({CODES[Reason.MARKET_CLOSED], CODES[Reason.TOO_SOON]})
"""Refusals after which the same order may be sent again, paced."""
STOP: Final = frozenset({*CODES.values(), MALFORMED, NOBODY_THERE}) - AGAIN - {CODES[Reason.DUPLICATE]}
"""Refusals that another try would only repeat. A duplicate is none of them: it says that the order is there."""

KINDS: Final = {
    CODES[Reason.MARKET_CLOSED]: RefusalKind.MARKET_CLOSED,
    CODES[Reason.TOO_SOON]: RefusalKind.RATE,
    CODES[Reason.OUTSIDE_BAND]: RefusalKind.PRICE,
    CODES[Reason.OFF_TICK]: RefusalKind.PRICE,
    CODES[Reason.NOT_CLOSING_PRICE]: RefusalKind.PRICE,
    CODES[Reason.WRONG_QUANTITY]: RefusalKind.QUANTITY,
    CODES[Reason.VALUE_TOO_SMALL]: RefusalKind.QUANTITY,
    CODES[Reason.QUANTITY_TOO_LARGE]: RefusalKind.QUANTITY_TOO_LARGE,
    CODES[Reason.NOT_ENOUGH_MONEY]: RefusalKind.FUNDS,
    CODES[Reason.NOT_ENOUGH_SHARES]: RefusalKind.FUNDS,
    NOBODY_THERE: RefusalKind.NO_MARKET_ORDERS,
}
"""What a refusal is about, by its code; the others are about something else."""

ORDERS: Final = "/orders"
"""Where new orders go."""

_OK: Final = 200
_UNAUTHORIZED: Final = 401
REFUSED: Final = 422
"""The HTTP status of a refusal."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A new order as it was read.

    Attributes:
        client_order_id: Our name for it.
        instrument: ISIN or symbol.
        side: Buy or sell.
        order_type: Limit or market.
        time_in_force: How long it stays.
        price: The limit price; None for a market order.
        quantity: How many shares.
    """

    client_order_id: str
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: Decimal | None
    quantity: Decimal


def new_order(order: Order) -> bytes:
    """Write a new order.

    Raises:
        ValueError: Its quantity is not a whole number, or it is of a type that paper does not take.
    """
    if order.order_type not in ORDER_TYPES:
        raise ValueError(f"paper takes no order of type {order.order_type}")
    return _encoded(
        {
            "client_order_id": order.client_order_id,
            "instrument": order.instrument,
            "side": order.side.value,
            "order_type": order.order_type.value,
            "time_in_force": order.time_in_force.value,
            "price": None if order.order_type is OrderType.MARKET else _text(order.price),
            "quantity": _whole(order.quantity),
        }
    )


def change(order: Order) -> bytes:
    """Write the new price and quantity of a working order.

    Raises:
        ValueError: The quantity is not a whole number.
    """
    return _encoded({"price": _text(order.price), "quantity": _whole(order.quantity)})


def read_new_order(body: bytes) -> Wanted:
    """Read a new order.

    Raises:
        ValueError: It is none.
    """
    facts = _facts(body)
    kind = OrderType(facts.text("order_type"))
    price = facts.maybe_number("price")
    if kind not in ORDER_TYPES or (kind is OrderType.LIMIT) is (price is None):
        raise ValueError("its type and its price do not go together")
    return Wanted(
        facts.text("client_order_id"),
        InstrumentId(facts.text("instrument")),
        Side(facts.text("side")),
        kind,
        TimeInForce(facts.text("time_in_force")),
        price,
        facts.number("quantity"),
    )


def read_change(body: bytes) -> tuple[Decimal, Decimal]:
    """Read the new price and quantity of a working order.

    Raises:
        ValueError: They are not there.
    """
    facts = _facts(body)
    return facts.number("price"), facts.number("quantity")


def accepted(serial: int) -> tuple[int, bytes]:
    """The answer that says yes: HTTP status and body."""
    return _OK, _encoded({"accepted": True, "order_id": str(serial)})


def refused(code: int, message: str) -> tuple[int, bytes]:
    """The answer that says no."""
    return REFUSED, _encoded({"accepted": False, "code": code, "message": message})


def unauthorized() -> tuple[int, bytes]:
    """The answer to whoever has no living token."""
    return _UNAUTHORIZED, _encoded({"accepted": False, "message": "there is no such token, or it has ended"})


def read_order_answer(status: int, body: bytes) -> Outcome:
    """Read the answer to a new or changed order.

    Returns:
        What it means. Never an error: what cannot be read is `UNRESOLVED`.
    """
    try:
        said = strict_json.read(body, host="paper")
    except Unreadable:
        said = None
    if not isinstance(said, dict):
        said = {}
    if status == _UNAUTHORIZED and said.get("accepted") is not True:
        return Outcome(
            AttemptOutcome.REJECTED,
            message=_message(said),
            again=True,
            token_ended=True,
            kind=RefusalKind.AUTHENTICATION,
        )
    name, code = said.get("order_id"), said.get("code")
    if status == _OK and said.get("accepted") is True and isinstance(name, str) and _is_name(name) and code is None:
        return Outcome(AttemptOutcome.ACCEPTED, venue_order_id=VenueOrderId(name))
    known = code if isinstance(code, int) and not isinstance(code, bool) else None
    certain = status == REFUSED and said.get("accepted") is False and name is None
    if certain and known is not None and known in AGAIN | STOP:
        return Outcome(
            AttemptOutcome.REJECTED,
            known,
            _message(said),
            again=known in AGAIN,
            too_early=known == CODES[Reason.MARKET_CLOSED],
            kind=KINDS.get(known, RefusalKind.OTHER),
        )
    return Outcome(AttemptOutcome.UNRESOLVED, known, _message(said))


def _is_name(name: str) -> bool:
    return name.isascii() and name.isdigit() and name != "0"


def _message(said: dict[str, Any]) -> str | None:
    message = said.get("message")
    return message if isinstance(message, str) else None


def _facts(body: bytes) -> Facts:
    try:
        return Facts(strict_json.read(body, host="paper"))
    except Unreadable as error:
        raise ValueError(str(error)) from None


def _encoded(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _text(number: Decimal) -> str:
    return format(number, "f")


def _whole(number: Decimal) -> str:
    if number != number.to_integral_value():
        raise ValueError(f"an order's quantity is a whole number, not {number}")
    return _text(number)
