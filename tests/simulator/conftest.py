"""A practice exchange in a thread, and a plain client of it that knows nothing of firstbell's own."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from firstbell.market import Phase
from firstbell.model.broker_codes import MAIN_CODES
from firstbell.model.identifiers import BrokerCode, InstrumentId
from firstbell.simulator.ephoenix.background import RunningExchange, running
from firstbell.simulator.ephoenix.setup import Setup
from firstbell.simulator.exchange_clock import NS, ExchangeClock
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import Investor
from firstbell.simulator.rules import Rules
from firstbell.simulator.schedule import Schedule

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

MHRN = InstrumentId("IRO1MHRN0001")
DAY_NS = 24 * 3600 * NS
TIMEOUT_S = 20


class Client:
    """One account's raw calls over one session."""

    def __init__(self, address: str, practice: str, username: str, password: str, ca_file: Path | None = None) -> None:
        self.address, self.practice = address, practice
        self.username, self.password = username, password
        self.session = requests.Session()
        self.session.trust_env = False
        if ca_file is not None:
            self.session.verify = str(ca_file)

    def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("allow_redirects", False)
        return self.session.request(method, self.address + path, json=body, timeout=TIMEOUT_S, **kwargs)

    def captcha(self) -> dict[str, str]:
        drawn = self.call("GET", "/api/Captcha/GetCaptcha").json()
        answer = requests.post(
            f"{self.practice}/practice/captcha", json={"base64": drawn["captchaByteData"]}, timeout=TIMEOUT_S
        )
        assert answer.headers["Content-Type"].startswith("text/plain")
        return {"hash": drawn["hashedCaptcha"], "salt": drawn["salt"], "value": answer.text}

    def log_in(self, **changed: Any) -> dict[str, Any]:
        body = {"loginName": self.username, "password": self.password, "captcha": self.captcha(), **changed}
        response = self.call("POST", "/api/v2/accounts/login", body)
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        if answer["token"]:
            self.session.headers["Authorization"] = f"Bearer {answer['token']}"
        return answer

    def order(self, price: Any = 5690, volume: Any = 1000, side: Any = 1, **changed: Any) -> requests.Response:
        return self.call("POST", "/api/v2/orders/NewOrder", order_body(price, volume, side, **changed))

    def day_orders(self, day: str = "2000/01/01", **changed: Any) -> dict[str, Any]:
        body = {"page": 1, "pageSize": 50, "fromDate": day, "toDate": "2999/12/31", "side": None, "isin": None}
        body |= {"includeStatus": [], "pamCode": None, **changed}
        answer: dict[str, Any] = self.call("POST", "/api/v2/orders/GetOrders", body).json()
        return answer

    def open_orders(self) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.call("GET", "/api/v2/orders/GetOpenOrders?type=1").json()
        return answer

    def buying_power(self) -> int:
        return int(self.call("GET", "/api/v2/tradingbook/GetLastTradingBook").json()["buyingPower"])

    def seen(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.practice}/practice/orders", timeout=TIMEOUT_S).json()
        return answer


def order_body(price: Any, volume: Any, side: Any = 1, **changed: Any) -> dict[str, Any]:
    body = {"isin": MHRN, "side": side, "validity": 1, "validityDate": None, "accountType": 1}
    return {**body, "price": price, "volume": volume, "serialNumber": 0, **changed}


def phase_now(phase: Phase, offset_ns: int = 0) -> Schedule:
    """A day in which `phase` holds from yesterday until tomorrow."""
    now = ExchangeClock(offset_ns).now_ns()
    if phase is Phase.CLOSED:
        return Schedule(((now + DAY_NS, Phase.ORDER_ENTRY),))
    return Schedule(((now - 2 * DAY_NS, Phase.ORDER_ENTRY), (now - DAY_NS, phase), (now + DAY_NS, Phase.CLOSED)))


INVESTORS = (
    Investor("ali", "p;#%='\" رمز ", BrokerCode("gs"), Decimal(1_000_003_827), {MHRN: Decimal(5_000)}, MHRN),
    Investor("zahra", "z", BrokerCode("shahr"), Decimal(100_000_000), {MHRN: Decimal(5_000)}, MHRN),
    Investor("debtor", "d", BrokerCode("bbi"), Decimal(-7_000_000), {}, None),
)


class Practice:
    """A running exchange and its clients."""

    def __init__(self, exchange: RunningExchange, ca_file: Path | None, stack: ExitStack) -> None:
        self.exchange = exchange
        self._ca_file, self._stack = ca_file, stack

    def client(self, username: str = "ali", *, code: str | None = None, logged_in: bool = True) -> Client:
        investor = next(each for each in self.exchange.desk.investors if each.username == username)
        address = self.exchange.addresses[BrokerCode(code or investor.broker_code)]
        client = Client(address, self.exchange.practice_address, username, investor.password, self._ca_file)
        self._stack.enter_context(client.session)
        if logged_in:
            assert client.log_in()["isSuccess"]
        return client


@pytest.fixture
def practice() -> Iterator[Callable[..., Practice]]:
    """Opens exchanges; by default in order entry, with no interval between orders."""
    with ExitStack() as stack:

        def begin(
            phase: Phase = Phase.ORDER_ENTRY,
            *,
            schedule: Schedule | None = None,
            port_per_broker: bool = False,
            tls: ssl.SSLContext | None = None,
            ca_file: Path | None = None,
            **changed: Any,
        ) -> Practice:
            usual: dict[str, Any] = {
                "investors": INVESTORS,
                "instruments": tehran_instruments(),
                "rules": Rules(min_interval_ns=0),
            }
            setup = Setup(schedule=schedule or phase_now(phase), **(usual | changed))
            exchange = stack.enter_context(running(setup, MAIN_CODES, port_per_broker=port_per_broker, tls=tls))
            return Practice(exchange, ca_file, stack)

        yield begin
