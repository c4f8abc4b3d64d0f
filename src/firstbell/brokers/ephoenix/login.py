"""One log-in: a captcha, its answer, and the token; politely, and with a few tries where another try is harmless."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from firstbell.brokers import token_life
from firstbell.brokers.base import Token
from firstbell.brokers.captcha import TakesTurns, taken
from firstbell.brokers.courtesy import WAITED_OUT_S
from firstbell.brokers.ephoenix import answers, calls
from firstbell.errors import BrokerError, RateLimited, WrongCaptcha, WrongPassword

if TYPE_CHECKING:
    from firstbell.brokers.base import Answer
    from firstbell.brokers.captcha import CaptchaSolver
    from firstbell.brokers.courtesy import Courtesy
    from firstbell.brokers.transport import Transport
    from firstbell.clock import Clock

CAPTCHAS: Final = 3
"""Captchas that may be answered wrongly."""
TRIES: Final = 3
"""Tries where something else goes wrong that may pass."""
PAUSE_S: Final = 1.0
"""Seconds between those, growing with each."""

_log: Final = logging.getLogger(__name__)


class Login:
    """Makes log-ins of one account.

    Args:
        username: The login name.
        password: Its password.
        identity_url: The identity service.
        before_login_s: Seconds to wait between a captcha's answer and the log-in.
        account: The account's name, for whoever reads the captcha.
        solver: Reads captchas.
        courtesy: What the identity host is owed.
        transport: Speaks HTTP.
        clock: Both clocks, and how to wait.
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        identity_url: str,
        before_login_s: float,
        account: str,
        solver: CaptchaSolver,
        courtesy: Courtesy,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._username = username
        self._password = password
        self._url = identity_url
        self._host = identity_url.partition("://")[2]
        self._before_login_s = before_login_s
        self._account = account
        self._solver = solver
        self._courtesy = courtesy
        self._transport = transport
        self._clock = clock

    def __call__(self) -> Token:
        """Log in.

        Raises:
            WrongPassword: At once: another try may lock the account.
            WrongCaptcha: A few captchas in a row were answered wrongly.
            RateLimited: The host asks for a pause that is too long to wait out here.
            CaptchaError: Nobody solved the captcha.
            BrokerError: It failed a few times, each with a pause in between.
        """
        wrong, failed = 0, 0
        while True:
            self._courtesy.wait_for_pause()
            try:
                return self._once()
            except WrongPassword:
                raise
            except WrongCaptcha as error:
                wrong += 1
                if wrong >= CAPTCHAS:
                    raise
                _log.warning("%s: %s; a new one is fetched", self._account, error)
            except BrokerError as error:
                failed += 1
                if failed >= TRIES or (isinstance(error, RateLimited) and (error.retry_after or 0) > WAITED_OUT_S):
                    raise
                _log.warning("%s: %s; trying again", self._account, error)
                self._clock.sleep(PAUSE_S * failed)

    def _once(self) -> Token:
        with self._turn():
            # Fetched only now: a captcha that waits for its reader grows old.
            self._courtesy.await_captcha()
            captcha = answers.read_captcha(self._send(calls.CAPTCHA), self._host)
            solved = taken(self._solver.solve(captcha.picture, account=self._account))
        self._clock.sleep(self._before_login_s)
        call = calls.login(self._username, self._password, captcha.salt, captcha.hashed, solved)
        text = answers.read_login(self._send(call), self._host)
        return Token(text, token_life.ends_at(text, self._clock.wall_ns()))

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        if isinstance(self._solver, TakesTurns):
            return self._solver.turn(account=self._account)
        return contextlib.nullcontext()

    def _send(self, call: calls.Call) -> Answer:
        headers = calls.headers(None, has_body=call.document is not None)
        answer = self._transport.send(call.method, self._url, call.path, headers, call.body)
        try:
            answers.check_pace(answer, self._host)
        except RateLimited as error:
            seconds = self._courtesy.pause(error.retry_after)
            raise RateLimited(
                f"{self._host} asks for a pause of {seconds:.0f} s", host=self._host, retry_after=seconds
            ) from None
        return answer
