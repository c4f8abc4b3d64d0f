"""The platform's calls as one table, and how a call is answered. Pure: HTTP, sockets and faults are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firstbell.simulator.ephoenix import api, backoffice, identity, lists, marketdata
from firstbell.simulator.ephoenix.wire import Reply, reply
from firstbell.simulator.faults import Call
from firstbell.simulator.record import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.simulator.ephoenix.visit import Visit


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the platform.

    Attributes:
        method: The HTTP method.
        path: The path, the same on every broker's host.
        call: What is asked.
        answer: What answers it.
        needs_token: Whether it is served only with a living token.
    """

    method: str
    path: str
    call: Call
    answer: Callable[[Visit], Reply]
    needs_token: bool = True


_V2: Final = "/api/v2"

ROUTES: Final = (
    Route("GET", "/api/Captcha/GetCaptcha", Call.CAPTCHA, identity.get_captcha, needs_token=False),
    Route("POST", f"{_V2}/accounts/login", Call.LOGIN, identity.login, needs_token=False),
    Route("GET", "/api/party/getcustomerinfo", Call.WHO, backoffice.get_customer_info),
    Route("POST", "/api/portfolio/getrealsecuritypositionbydate", Call.HOLDINGS, backoffice.get_holdings),
    Route("GET", f"{_V2}/tradingbook/GetLastTradingBook", Call.MONEY, api.get_last_trading_book),
    Route("POST", f"{_V2}/instruments/full", Call.INSTRUMENT, marketdata.get_full),
    Route("POST", f"{_V2}/orders/CalculateOrderParam", Call.CALCULATOR, api.calculate_order_param),
    Route("POST", f"{_V2}/orders/NewOrder", Call.ORDER, api.new_order),
    Route("POST", f"{_V2}/orders/EditOrder", Call.EDIT, api.edit_order),
    Route("DELETE", f"{_V2}/orders/CancelOrder", Call.CANCEL, api.cancel_order),
    Route("GET", f"{_V2}/orders/GetOpenOrders", Call.OPEN_ORDERS, lists.get_open_orders),
    Route("POST", f"{_V2}/orders/GetOrders", Call.DAY_ORDERS, lists.get_orders),
    Route("GET", f"{_V2}/Trades/GetDayTrades", Call.TRADES, lists.get_day_trades),
)
"""Every call. Their paths do not collide, so that one port can serve all services of a broker."""


def attend(route: Route, visit: Visit) -> Reply:
    """Answer a call that has arrived, and note in its record what was decided."""
    if route.needs_token and visit.investor is None:
        return unauthorized(visit)
    return route.answer(visit)


def unauthorized(visit: Visit) -> Reply:
    """The answer to a call without a living token."""
    if visit.submission is not None:
        visit.submission.decision = Decision.UNAUTHORIZED
    return reply({"Message": "Unauthorized", "Code": 401}, status=401, headers={"WWW-Authenticate": "Bearer"})
