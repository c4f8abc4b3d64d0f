"""Captcha, log-in and tokens over real HTTP."""

from __future__ import annotations

import base64
import io
import json
import random
import threading
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from PIL import Image

from firstbell.errors import SimulatorError
from firstbell.market import Phase
from firstbell.model.identifiers import BrokerCode
from firstbell.simulator.ephoenix.captcha import CaptchaDesk, draw_digits
from firstbell.simulator.ephoenix.desk import Door, LoginLimit
from firstbell.simulator.ephoenix.tokens import TokenDesk
from firstbell.simulator.exchange_clock import NS, ExchangeClock
from firstbell.simulator.record import CaptchaDrawn, Entry, Login, PhaseBegan, Submission
from firstbell.simulator.roster import Investor
from firstbell.simulator.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURE = "/api/Captcha/GetCaptcha"
LOGIN = "/api/v2/accounts/login"
WHO = "/api/party/getcustomerinfo"


@pytest.fixture
def ali(practice: Callable[..., Any]) -> Any:
    return practice().client("ali", logged_in=False)


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a test is repeatable


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_captcha_is_a_png_of_readable_size(ali: Any) -> None:
    drawn = ali.call("GET", PICTURE).json()
    with Image.open(io.BytesIO(base64.b64decode(drawn["captchaByteData"]))) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 100
    assert set(drawn) == {"captchaByteData", "salt", "hashedCaptcha"}
    assert len(ali.captcha()["value"]) == 5
    assert ali.captcha()["value"].isdigit()


def test_digits_are_darker_than_their_ground() -> None:
    with Image.open(io.BytesIO(draw_digits("88888", chance(1)))) as picture:
        shades = picture.convert("L").tobytes()
    assert sum(shade < 100 for shade in shades) > 500
    assert sum(shade > 220 for shade in shades) > 3000


def test_the_answer_key_knows_only_pictures_drawn_here(ali: Any) -> None:
    url = f"{ali.practice}/practice/captcha"
    strange = base64.b64encode(draw_digits("12345", chance(1))).decode()
    assert requests.post(url, json={"base64": strange}, timeout=20).status_code == 404
    for body in (b"", b"[]", b"{}", b'{"base64": 1}', b'{"base64": "*"}'):
        assert requests.post(url, data=body, timeout=20).status_code == 400


def test_the_answer_key_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbell.simulator.ephoenix.captcha._REMEMBERED", 2)
    desk = CaptchaDesk(chance(1))
    pictures = [desk.draw().picture for _ in range(3)]
    assert desk.answer_to(pictures[0]) is None
    assert desk.answer_to(pictures[1]) is not None


def test_a_captcha_is_checked_without_being_remembered() -> None:
    desk = CaptchaDesk(chance(1))
    captcha = desk.draw()
    answer = desk.answer_to(captcha.picture)
    assert answer is not None
    assert desk.is_right(captcha.salt, captcha.hashed, answer)
    assert not desk.is_right(captcha.salt, captcha.hashed, "x")
    assert not desk.is_right("other", captcha.hashed, answer)
    assert not desk.is_right(captcha.salt, "ناممکن", answer)
    assert not CaptchaDesk(chance(2)).is_right(captcha.salt, captcha.hashed, answer)


def test_a_right_login_gets_a_token_that_is_taken(ali: Any) -> None:
    assert ali.call("GET", WHO).status_code == 401
    answer = ali.log_in()
    assert (answer["errorCode"], answer["isSuccess"]) == (0, True)
    assert answer["expireIn"] == 3600
    claims = claims_of(answer["token"])
    assert claims["exp"] - claims["iat"] == 3600
    assert ali.call("GET", WHO).json()["result"]["userName"] == "ali"
    assert ali.call("POST", WHO).status_code == 405
    assert [(each["account"], each["error_code"]) for each in ali.seen()["logins"]] == [("ali", 0)]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"password": "wrong"}, 3000),
        ({"loginName": "nobody"}, 3000),
        ({"captcha": {"hash": "h", "salt": "s", "value": "12345"}}, -1000),
        ({"captcha": None}, 1900),
        ({"password": 5}, 1900),
    ],
)
def test_a_wrong_login_is_refused_with_http_200(ali: Any, changed: dict[str, Any], code: int) -> None:
    answer = ali.log_in(**changed)
    assert (answer["errorCode"], answer["isSuccess"], answer["token"]) == (code, False, None)
    assert ali.call("GET", WHO).status_code == 401


def test_a_body_that_is_no_json_is_refused_with_http_200(ali: Any) -> None:
    response = ali.session.post(ali.address + LOGIN, data=b"{", timeout=20)
    assert (response.status_code, response.json()["errorCode"]) == (200, 1900)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x.y.z", "Basic YTpi"])
def test_without_a_living_token_everything_else_is_401(ali: Any, header: str) -> None:
    headers = {"Authorization": header}
    for method, path in (
        ("GET", WHO),
        ("POST", "/api/portfolio/getrealsecuritypositionbydate"),
        ("GET", "/api/v2/tradingbook/GetLastTradingBook"),
        ("POST", "/api/v2/instruments/full"),
        ("POST", "/api/v2/orders/CalculateOrderParam"),
        ("POST", "/api/v2/orders/NewOrder"),
        ("POST", "/api/v2/orders/EditOrder"),
        ("DELETE", "/api/v2/orders/CancelOrder?serialNumber=1"),
        ("GET", "/api/v2/orders/GetOpenOrders?type=1"),
        ("POST", "/api/v2/orders/GetOrders"),
        ("GET", "/api/v2/Trades/GetDayTrades"),
    ):
        assert ali.call(method, path, headers=headers).status_code == 401, path
    assert {each["decision"] for each in ali.seen()["submissions"]} == {"unauthorized"}


def test_a_token_that_has_ended_is_401(practice: Callable[..., Any]) -> None:
    ali = practice(token_life_ns=0).client("ali")
    assert ali.call("GET", WHO).status_code == 401


def test_tokens_live_until_their_end_and_can_all_be_ended() -> None:
    investor = Investor("a", "p", BrokerCode("gs"), Decimal(0), {})
    other = Investor("b", "p", BrokerCode("gs"), Decimal(0), {})
    desk = TokenDesk(10 * NS, chance(1))
    first, second, third = desk.issue(investor, 5), desk.issue(investor, 6), desk.issue(other, 6)
    assert desk.holder(first.token, 10 * NS + 4) is investor
    assert desk.holder(first.token, 10 * NS + 5) is None
    assert desk.holder(second.token, 10 * NS + 5) is investor
    desk.end_all_of(investor)
    assert desk.holder(second.token, 7) is None
    assert desk.holder(third.token, 7) is other
    assert first.token not in repr(first)


def test_too_many_logins_are_429_with_retry_after(practice: Callable[..., Any]) -> None:
    limited = practice(login_limit=LoginLimit(2, 420 * NS))
    limited.client("ali")
    refused = limited.client("zahra", logged_in=False).call("GET", PICTURE)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 420


def test_a_shut_door_opens_after_its_pause() -> None:
    door = Door([BrokerCode("gs")], [], LoginLimit(2, 10 * NS))
    assert [door.knock(at) for at in (0, 1, 2, 3)] == [None, None, 10, 10]
    assert door.knock(10 * NS + 1) == 1
    assert door.knock(10 * NS + 2) is None
    assert [door.knock(70 * NS + at) for at in (1, 2, 3)] == [None, None, 10]


def test_each_port_knows_its_own_brokers_accounts_alone(practice: Callable[..., Any]) -> None:
    apart = practice(port_per_broker=True)
    assert len(set(apart.exchange.addresses.values())) == 6
    ali = apart.client("ali")
    assert apart.client("ali", code="shahr", logged_in=False).log_in()["errorCode"] == 3000
    ali.address = apart.exchange.addresses[BrokerCode("shahr")]
    assert ali.call("GET", WHO).status_code == 401


def test_one_login_name_at_two_brokers_needs_a_port_for_each(practice: Callable[..., Any]) -> None:
    twins = [Investor("ali", code, BrokerCode(code), Decimal(0), {}) for code in ("gs", "bbi")]
    with pytest.raises(SimulatorError, match="its own port"):
        practice(investors=twins)
    apart = practice(investors=twins, port_per_broker=True)
    assert apart.exchange.addresses[BrokerCode("gs")] != apart.exchange.addresses[BrokerCode("bbi")]


def test_dates_are_those_of_the_exchanges_clock_on_every_answer(practice: Callable[..., Any]) -> None:
    offset = 5 * 3600 * NS
    ali = practice(Phase.CLOSED, offset_ns=offset).client("ali", logged_in=False)
    for path in (PICTURE, "/nothing/here", WHO):
        response = ali.call("GET", path)
        ahead = parsedate_to_datetime(response.headers["Date"]).timestamp() - ExchangeClock().now_ns() / NS
        assert 4.5 * 3600 < ahead < 5.5 * 3600
        assert "Content-Length" in response.headers


def test_a_token_is_taken_as_a_bearers_alone(practice: Callable[..., Any]) -> None:
    ali = practice().client("ali")
    token = ali.session.headers["Authorization"].removeprefix("Bearer ")
    for scheme, status in (("bearer", 200), ("Basic", 401), ("Token", 401)):
        assert ali.call("GET", WHO, headers={"Authorization": f"{scheme} {token}"}).status_code == status


def test_a_listener_hears_of_everything(practice: Callable[..., Any]) -> None:
    heard: list[Any] = []
    practice(listener=heard.append).client("ali").order()
    assert [type(each) for each in heard] == [PhaseBegan, CaptchaDrawn, Login, Submission]


def test_phases_begin_while_nobody_calls(practice: Callable[..., Any]) -> None:
    closed = threading.Event()
    now = ExchangeClock().now_ns()
    day = Schedule(((now - NS, Phase.ORDER_ENTRY), (now + NS // 5, Phase.CLOSED)))

    def hear(entry: Entry) -> None:
        if isinstance(entry, PhaseBegan) and entry.phase is Phase.CLOSED:
            closed.set()

    practice(schedule=day, listener=hear)
    assert closed.wait(20)
