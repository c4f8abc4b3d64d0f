"""How requests are written: every call of the platform that firstbell makes. Pure.

Prices and volumes go out as whole numbers, for that is what the platform takes; a fraction is a `ValueError` here,
before anything leaves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers.transport import USER_AGENT
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from firstbell.model.identifiers import InstrumentId, VenueOrderId
    from firstbell.model.order import Order


class Service(StrEnum):
    """The platform's services, each on a host of its own."""

    IDENTITY = "identity"
    API = "api"
    MARKET_DATA = "market_data"
    BACKOFFICE = "backoffice"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, before it has a host and a token.

    Attributes:
        service: Who is asked.
        method: The HTTP method.
        path: Path and query.
        document: The body, as JSON; None without one.
    """

    service: Service
    method: str
    path: str
    document: Any = None

    @property
    def body(self) -> bytes | None:
        """The body, encoded."""
        return None if self.document is None else encoded(self.document)


PAGE_SIZE: Final = 100
"""Rows asked for at once."""

_SIDES: Final = {Side.BUY: 1, Side.SELL: 2}
_DAY_ORDER: Final = 1
_OWN_ACCOUNT: Final = 1

CAPTCHA: Final = Call(Service.IDENTITY, "GET", "/api/Captcha/GetCaptcha")
WHO_AM_I: Final = Call(Service.BACKOFFICE, "GET", "/api/party/getcustomerinfo")
BUYING_POWER: Final = Call(Service.API, "GET", "/api/v2/tradingbook/GetLastTradingBook")
OPEN_ORDERS: Final = Call(Service.API, "GET", "/api/v2/orders/GetOpenOrders?type=1")
DAY_TRADES: Final = Call(Service.API, "GET", "/api/v2/Trades/GetDayTrades")
HOLDINGS: Final = Call(Service.BACKOFFICE, "POST", "/api/portfolio/getrealsecuritypositionbydate", {"entity": True})


def login(username: str, password: str, salt: str, hashed: str, answer: str) -> Call:
    """Log in, with a captcha's salt and hash as they came and its answer."""
    captcha = {"hash": hashed, "salt": salt, "value": answer}
    document = {"loginName": username, "password": password, "captcha": captcha}
    return Call(Service.IDENTITY, "POST", "/api/v2/accounts/login", document)


def instrument(isin: InstrumentId) -> Call:
    """Ask for one instrument."""
    return Call(Service.MARKET_DATA, "POST", "/api/v2/instruments/full", {"isinList": [isin]})


def calculate(isin: InstrumentId, side: Side, money: Decimal, price: Decimal) -> Call:
    """Ask what `money` rials buy at `price`.

    Raises:
        ValueError: The price is not a whole number.
    """
    document = {"isin": isin, "side": _SIDES[side], "totalNetAmount": int(money), "price": _whole("price", price)}
    return Call(Service.API, "POST", "/api/v2/orders/CalculateOrderParam", document)


def new_order(order: Order) -> Call:
    """Place an order.

    Raises:
        ValueError: Its price or quantity is not a whole number.
    """
    return Call(Service.API, "POST", "/api/v2/orders/NewOrder", _order(order, serial=0))


def edit_order(order: Order, venue_order_id: VenueOrderId) -> Call:
    """Give a working order the price and quantity of `order`.

    Raises:
        ValueError: They are not whole numbers, or the id is not one of this platform.
    """
    return Call(Service.API, "POST", "/api/v2/orders/EditOrder", _order(order, _serial(venue_order_id)))


def cancel_order(venue_order_id: VenueOrderId) -> Call:
    """Take an order off the book.

    Raises:
        ValueError: The id is not one of this platform.
    """
    return Call(Service.API, "DELETE", f"/api/v2/orders/CancelOrder?serialNumber={_serial(venue_order_id)}")


def day_orders(day: date, page: int) -> Call:
    """Ask for one page of a day's orders. Days are Gregorian."""
    text = f"{day:%Y/%m/%d}"
    document = {
        "page": page,
        "pageSize": PAGE_SIZE,
        "fromDate": text,
        "toDate": text,
        "side": None,
        "isin": None,
        "includeStatus": [],
        "pamCode": None,
    }
    return Call(Service.API, "POST", "/api/v2/orders/GetOrders", document)


def headers(token: str | None, *, has_body: bool) -> dict[str, str]:
    """All headers of a call: one browser name for log-ins and orders alike."""
    found = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if has_body:
        found["Content-Type"] = "application/json"
    if token is not None:
        found["Authorization"] = f"Bearer {token}"
    return found


def encoded(document: Any) -> bytes:
    """A document as JSON in UTF-8, without spaces."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _order(order: Order, serial: int) -> dict[str, Any]:
    return {
        "isin": order.instrument,
        "side": _SIDES[order.side],
        "validity": _DAY_ORDER,
        "validityDate": None,
        "accountType": _OWN_ACCOUNT,
        "price": _whole("price", order.price),
        "volume": _whole("quantity", order.quantity),
        "serialNumber": serial,
    }


def _whole(name: str, number: Decimal) -> int:
    if number != number.to_integral_value():
        raise ValueError(f"an order's {name} is a whole number here, not {number}")
    return int(number)


def _serial(venue_order_id: VenueOrderId) -> int:
    if not (venue_order_id.isascii() and venue_order_id.isdigit()):
        raise ValueError(f"{venue_order_id!r} is not the number of an order here")
    return int(venue_order_id)
