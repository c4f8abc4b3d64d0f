"""The simulated exchange without its HTTP server: whole answers to begin with."""

from __future__ import annotations

import base64
import functools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.market import Phase
from firstbell.model.identifiers import BrokerCode, InstrumentId
from firstbell.simulator.ephoenix.desk import Door, LoginLimit
from firstbell.simulator.ephoenix.face import ROUTES, attend
from firstbell.simulator.ephoenix.setup import Setup, open_desk
from firstbell.simulator.ephoenix.visit import Visit
from firstbell.simulator.exchange_clock import NS, ExchangeClock
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import Investor
from firstbell.simulator.rules import Rules
from firstbell.simulator.schedule import Schedule

if TYPE_CHECKING:
    from firstbell.simulator.ephoenix.wire import Reply

ISIN: Final = InstrumentId("IRO1MHRN0001")
_DAY_NS: Final = 86_400 * NS
_CODE: Final = BrokerCode("shahr")


class Practice:
    """One exchange with one account that has money and shares."""

    def __init__(self) -> None:
        now = ExchangeClock().now_ns()
        schedule = Schedule(((now - _DAY_NS, Phase.ORDER_ENTRY), (now + _DAY_NS, Phase.CLOSED)))
        self._investor = Investor("ali", "pass word", _CODE, Decimal(10**12), {ISIN: Decimal(5000)}, ISIN)
        setup = Setup(schedule, [self._investor], tehran_instruments(), rules=Rules(min_interval_ns=1))
        self.desk = open_desk(setup)
        self._door = Door((_CODE,), [self._investor], LoginLimit())
        self._token = self.desk.tokens.issue(self._investor, now).token

    def ask(self, method: str, path: str, body: bytes = b"", query: dict[str, str] | None = None) -> Reply:
        """What the exchange answers to a call."""
        route = next(route for route in ROUTES if (route.method, route.path) == (method, path))
        visit = Visit(route.call, self.desk, self._door, f"Bearer {self._token}", query or {}, body)
        visit.arrive(self.desk.clock.now_ns())
        return attend(route, visit)

    def log_in(self) -> Reply:
        """What it answers to a right log-in."""
        drawn = json.loads(self.ask("GET", "/api/Captcha/GetCaptcha").body)
        answer = self.desk.captchas.answer_to(base64.b64decode(drawn["captchaByteData"]))
        captcha = {"salt": drawn["salt"], "hash": drawn["hashedCaptcha"], "value": answer}
        body = {"loginName": self._investor.username, "password": self._investor.password, "captcha": captcha}
        return self.ask("POST", "/api/v2/accounts/login", json.dumps(body).encode())


@functools.cache
def answers() -> dict[str, tuple[Any, ...]]:
    """Whole documents by what they answer: ``order``, ``captcha``, ``login`` and the names of `ephoenix`'s readers."""
    practice = Practice()
    orders = [
        {"isin": ISIN, "side": side, "price": price, "volume": volume, "serialNumber": 0}
        for side, price, volume in ((1, 5690, 1000), (1, 5600, 900), (2, 5700, 700), (2, 5690, 500), (1, 5860, 10**6))
    ]
    placed = [practice.ask("POST", "/api/v2/orders/NewOrder", json.dumps(order).encode()) for order in orders]
    wrong = [{**orders[0], **changed} for changed in ({"price": 1}, {"volume": 0}, {"isin": "x"}, {"volume": 10})]
    refused = [practice.ask("POST", "/api/v2/orders/NewOrder", json.dumps(order).encode()) for order in wrong]
    several = {"page": 1, "pageSize": 100, "fromDate": "2000/01/01", "toDate": "2999/12/31"}
    calculation = {"isin": ISIN, "side": 1, "totalNetAmount": 10**9, "price": 5860}
    asked = {
        "captcha": [practice.ask("GET", "/api/Captcha/GetCaptcha")],
        "login": [practice.log_in(), practice.ask("POST", "/api/v2/accounts/login", b"{}")],
        "buying_power": [practice.ask("GET", "/api/v2/tradingbook/GetLastTradingBook")],
        "instrument": [practice.ask("POST", "/api/v2/instruments/full", json.dumps({"isinList": [ISIN]}).encode())],
        "estimate": [practice.ask("POST", "/api/v2/orders/CalculateOrderParam", json.dumps(calculation).encode())],
        "holdings": [practice.ask("POST", "/api/portfolio/getrealsecuritypositionbydate", b'{"entity":true}')],
        "page": [practice.ask("POST", "/api/v2/orders/GetOrders", json.dumps(several).encode())],
        "open_orders": [practice.ask("GET", "/api/v2/orders/GetOpenOrders")],
        "fills": [practice.ask("GET", "/api/v2/Trades/GetDayTrades")],
        "cancel": [practice.ask("DELETE", "/api/v2/orders/CancelOrder", query={"serialNumber": "1"})],
        "order": [*placed, *refused],
    }
    return {name: tuple(json.loads(reply.body) for reply in replies) for name, replies in asked.items()}
