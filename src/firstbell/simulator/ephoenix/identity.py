"""The identity service: captcha and log-in."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any

from firstbell.simulator.ephoenix.codes import MALFORMED, WRONG_CAPTCHA, WRONG_PASSWORD
from firstbell.simulator.ephoenix.wire import read_object, reply
from firstbell.simulator.exchange_clock import NS
from firstbell.simulator.record import CaptchaDrawn, Login

if TYPE_CHECKING:
    from firstbell.simulator.ephoenix.tokens import Session
    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.ephoenix.wire import Reply

_TOO_MANY = 429
_OK = 200


def get_captcha(visit: Visit) -> Reply:
    """``GET /api/Captcha/GetCaptcha``: a picture in base64, its salt and its hash."""
    pause = visit.door.knock(visit.arrived)
    visit.desk.record.drew(CaptchaDrawn(visit.arrived, _OK if pause is None else _TOO_MANY))
    if pause is not None:
        return _too_many(pause)
    captcha = visit.desk.captchas.draw()
    picture = base64.b64encode(captcha.picture).decode()
    return reply({"captchaByteData": picture, "salt": captcha.salt, "hashedCaptcha": captcha.hashed})


def login(visit: Visit) -> Reply:
    """``POST /api/v2/accounts/login``: a token, or an ``errorCode``; HTTP 200 in any case but too many log-ins."""
    pause = visit.door.knock(visit.arrived)
    if pause is not None:
        visit.desk.record.logged_in(Login(visit.door.code, "", visit.arrived, _TOO_MANY))
        return _too_many(pause)
    try:
        body = read_object(visit.body)
        name, password = _text(body, "loginName"), _text(body, "password")
        captcha = body["captcha"]
        salt, hashed, value = _text(captcha, "salt"), _text(captcha, "hash"), _text(captcha, "value")
    except (ValueError, KeyError, TypeError):
        return _login_answer(visit, "", MALFORMED)
    if not visit.desk.captchas.is_right(salt, hashed, value):
        return _login_answer(visit, name, WRONG_CAPTCHA)
    investor = visit.door.logins.get(name)
    if investor is None or not hmac.compare_digest(investor.password.encode(), password.encode()):
        return _login_answer(visit, name, WRONG_PASSWORD)
    session = visit.desk.tokens.issue(investor, visit.arrived)
    return _login_answer(visit, name, (0, None), session)


def _login_answer(visit: Visit, name: str, error: tuple[int, str | None], session: Session | None = None) -> Reply:
    investor = visit.door.logins.get(name)
    code = investor.broker_code if investor is not None else visit.door.code
    visit.desk.record.logged_in(Login(code, name, visit.arrived, error[0]))
    return reply(
        {
            "token": session.token if session else None,
            "sessionId": session.session_id if session else None,
            "expireIn": (session.ends_at - visit.arrived) // NS if session else 0,
            "step": 0,
            "errorCode": error[0],
            "errorMessage": error[1],
            "isSuccess": session is not None,
        }
    )


def _too_many(pause: int) -> Reply:
    return reply(
        {"Message": "Too many requests", "Code": _TOO_MANY}, status=_TOO_MANY, headers={"Retry-After": str(pause)}
    )


def _text(body: dict[str, Any], key: str) -> str:
    value = body[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value
