"""What a captcha solver is, and what an answer looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from firstbell.errors import CaptchaError
from firstbell.log import hide

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_ANSWER: Final = re.compile(r"[0-9A-Za-z]{1,10}")
_PERSIAN_AND_ARABIC: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")


class CaptchaSolver(Protocol):
    """Somebody who reads captchas."""

    def solve(self, picture: bytes, *, account: str) -> str:
        """Read a captcha.

        Args:
            picture: A PNG or JPEG file's bytes.
            account: For whom, for a person to read.

        Raises:
            CaptchaError: Nobody read it; the message names the remedy.
        """
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """A solver that reads one captcha at a time, so that a captcha is fetched only when it is free."""

    def turn(self, *, account: str) -> AbstractContextManager[None]:
        """Wait until it is free, and keep it until the block ends.

        Raises:
            CaptchaError: It was never free.
        """
        ...


def taken(answer: str) -> str:
    """An answer as it is sent: trimmed, its digits Latin; and remembered as a secret.

    Raises:
        CaptchaError: It does not look like one.
    """
    plain = answer.strip().translate(_PERSIAN_AND_ARABIC)
    if not _ANSWER.fullmatch(plain):
        raise CaptchaError("a captcha's answer has 1 to 10 letters and digits, and this one has not")
    hide(plain)
    return plain
