"""The smallest ephoenix there can be: answers each call as a test says, and counts."""

import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brokers_wire import Request, WireServer, http

from firstbell.brokers.base import HttpBroker
from firstbell.brokers.registry import open_broker
from firstbell.cache import TtlCache
from firstbell.clock import SystemClock
from firstbell.config import AccountSettings, BrokerSettings, Settings

CAPTCHA = "/api/Captcha/GetCaptcha"
LOGIN = "/api/v2/accounts/login"
MONEY = "/api/v2/tradingbook/GetLastTradingBook"
INSTRUMENT = "/api/v2/instruments/full"
CALCULATOR = "/api/v2/orders/CalculateOrderParam"
NEW_ORDER = "/api/v2/orders/NewOrder"
EDIT_ORDER = "/api/v2/orders/EditOrder"
CANCEL = "/api/v2/orders/CancelOrder"
DAY_ORDERS = "/api/v2/orders/GetOrders"
OPEN_ORDERS = "/api/v2/orders/GetOpenOrders"
TRADES = "/api/v2/Trades/GetDayTrades"
HOLDINGS = "/api/portfolio/getrealsecuritypositionbydate"
WHO = "/api/party/getcustomerinfo"

PASSWORD = "گذرواژه %;#='\""
ANSWER = "48213"

Said = bytes | Callable[[Request], bytes | None] | None


def jwt(**claims: object) -> str:
    """A token that says about itself what a test wants."""
    parts = [{"alg": "none"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


@dataclass
class Platform:
    """What is said to each call; by default, what a platform that works says."""

    serve: Callable[..., WireServer]
    says: dict[str, list[Said]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    refused_tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.server = self.serve(self._script)

    @property
    def url(self) -> str:
        return self.server.url

    def calls(self, path: str) -> list[Request]:
        return [request for request in self.server.requests if request.path.partition("?")[0] == path]

    def _script(self, request: Request, connection: socket.socket) -> bytes | None:
        del connection
        path = request.path.partition("?")[0]
        with self._lock:
            said = self.says[path].pop(0) if self.says.get(path) else self._usual
        return said(request) if callable(said) else said

    def _usual(self, request: Request) -> bytes:
        path = request.path.partition("?")[0]
        if path == CAPTCHA:
            picture = base64.b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
            return http(200, {"captchaByteData": picture, "salt": "s", "hashedCaptcha": "h"})
        if path == LOGIN:
            with self._lock:
                token = f"token-{len(self.tokens) + 1}-of-{self.server.port}"
                self.tokens.append(token)
            return http(200, {"token": token, "errorCode": 0, "isSuccess": True})
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens or token in self.refused_tokens:
            return http(401, b"")
        return http(200, USUAL[path])


USUAL: dict[str, Any] = {
    MONEY: {"buyingPower": 1_000_003_827},
    INSTRUMENT: [
        {
            "i": {"isin": "IRO1MHRN0001", "s": "مهرگان", "t": "گروه", "maxeq": 200000, "mineq": 1, "ls": 1},
            "t": {"maxap": 5860.0, "minap": 5520.0},
        }
    ],
    CALCULATOR: {"volume": 170018, "totalNetAmount": 1_000_003_000, "totalFee": 3_698_000},
    NEW_ORDER: {"isSuccess": True, "serialNumber": 4711},
    EDIT_ORDER: {"isSuccess": True, "serialNumber": 4711},
    CANCEL: {"isSuccess": True},
    DAY_ORDERS: {"rows": [], "totalRecords": 0},
    OPEN_ORDERS: [],
    TRADES: [],
    HOLDINGS: {"isError": False, "result": []},
    WHO: {"isError": False, "result": {}},
}


class Solver:
    """Reads every captcha alike, and remembers for whom."""

    def __init__(self, answer: str = ANSWER) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def solve(self, picture: bytes, *, account: str) -> str:
        assert picture.startswith(b"\x89PNG")
        self.asked.append(account)
        return self.answer


class Hurried(SystemClock):
    """The machine's clocks, with pauses that are written down and hardly waited for."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        if seconds > 0.1:
            self.pauses.append(seconds)
        time.sleep(min(max(seconds, 0), 0.001))


@dataclass
class House:
    """One state folder, and the brokers opened over it."""

    state_dir: Path
    platform: Platform
    clock: Hurried = field(default_factory=Hurried)
    solver: Solver = field(default_factory=Solver)

    def __post_init__(self) -> None:
        self.cache = TtlCache(self.state_dir / "cache")

    def settings(self, code: str = "shahr", **own: object) -> Settings:
        url = self.platform.url
        broker = {"identity_url": url, "api_url": url, "market_data_url": url, "backoffice_url": url, **own}
        return Settings.model_validate(
            {
                "file": self.state_dir / "config.ini",
                "firstbell": {"state_dir": self.state_dir},
                "brokers": {code: BrokerSettings.model_validate(broker)},
            }
        )

    def broker(
        self, username: str = "user", password: str = PASSWORD, code: str = "shahr", clock: SystemClock | None = None
    ) -> HttpBroker:
        account = AccountSettings.model_validate(
            {
                "name": f"Order_{username}",
                "username": username,
                "password": password,
                "broker_code": code,
                "isin": "IRO1MHRN0001",
            }
        )
        broker = open_broker(account, self.settings(code), self.cache, self.solver, clock=clock or self.clock)
        assert isinstance(broker, HttpBroker)
        return broker
