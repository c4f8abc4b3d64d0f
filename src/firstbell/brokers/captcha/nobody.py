"""No solver at all, for whoever only asks and logs nobody in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from firstbell.errors import CaptchaError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Nobody:
    """A `firstbell.brokers.captcha.CaptchaSolver` whose turn never comes: so no captcha is fetched for it either."""

    def turn(self, *, account: str) -> AbstractContextManager[None]:
        """Refuse at once.

        Raises:
            CaptchaError: Always.
        """
        self._refuse(account)

    def solve(self, picture: bytes, *, account: str) -> str:
        """Refuse likewise.

        Raises:
            CaptchaError: Always.
        """
        del picture
        self._refuse(account)

    def _refuse(self, account: str) -> NoReturn:
        raise CaptchaError(f"{account} has no living token, and this logs nobody in: `firstbell warmup` does")
