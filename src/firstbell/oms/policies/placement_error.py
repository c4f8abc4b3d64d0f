"""What went wrong while an order was being placed, in the codes that programs ask for."""

from __future__ import annotations

from typing import Final

from firstbell.brokers.base import Outcome
from firstbell.errors import (
    CaptchaError,
    NoAnswer,
    NoSuchInstrument,
    NotSent,
    RateLimited,
    TokenEnded,
    Unreadable,
    WrongCaptcha,
    WrongPassword,
)
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome
from firstbell.risk.verdict import ErrorCode

_BY_ERROR: Final[tuple[tuple[type[Exception], ErrorCode], ...]] = (
    (NotSent, ErrorCode.NETWORK_ERROR),
    (NoSuchInstrument, ErrorCode.SYMBOL_ERROR),
    (RateLimited, ErrorCode.RATE_LIMIT_ERROR),
    (WrongPassword, ErrorCode.AUTHENTICATION_ERROR),
    (WrongCaptcha, ErrorCode.AUTHENTICATION_ERROR),
    (TokenEnded, ErrorCode.AUTHENTICATION_ERROR),
    (CaptchaError, ErrorCode.AUTHENTICATION_ERROR),
    # An answer that came, and means nothing to us.
    (Unreadable, ErrorCode.API_PLACEMENT_ERROR),
    (NoAnswer, ErrorCode.NETWORK_ERROR),
)
"""The first that fits holds."""
_BY_KIND: Final = {
    RefusalKind.RATE: ErrorCode.RATE_LIMIT_ERROR,
    RefusalKind.AUTHENTICATION: ErrorCode.AUTHENTICATION_ERROR,
    RefusalKind.MARKET_CLOSED: ErrorCode.MARKET_HOURS_ERROR,
}


def placement_error(what: Outcome | Exception) -> ErrorCode | None:
    """The code for what an attempt came to, or for the error that ended it; None where the order was accepted.

    A code says what went wrong and never what became of the order: that is its outcome.
    """
    if not isinstance(what, Outcome):
        return next((code for kind, code in _BY_ERROR if isinstance(what, kind)), ErrorCode.API_PLACEMENT_ERROR)
    if what.outcome is AttemptOutcome.ACCEPTED:
        return None
    if what.outcome is AttemptOutcome.NOT_SENT:
        return ErrorCode.NETWORK_ERROR
    if what.outcome is AttemptOutcome.REJECTED and what.kind is not None:
        return _BY_KIND.get(what.kind, ErrorCode.API_PLACEMENT_ERROR)
    return ErrorCode.API_PLACEMENT_ERROR
