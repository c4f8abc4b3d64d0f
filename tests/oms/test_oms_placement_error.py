from __future__ import annotations

import pytest

from firstbell.brokers.base import Outcome
from firstbell.errors import (
    BrokerError,
    CaptchaError,
    NoAnswer,
    NoSuchInstrument,
    NotSent,
    RateLimited,
    Refused,
    TokenEnded,
    Unreadable,
    WrongCaptcha,
    WrongPassword,
)
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.policies.placement_error import placement_error

API, NETWORK, RATE, LOGIN = "API_PLACEMENT_ERROR", "NETWORK_ERROR", "RATE_LIMIT_ERROR", "AUTHENTICATION_ERROR"
REJECTED = AttemptOutcome.REJECTED


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (NotSent("no DNS"), NETWORK),
        (NoAnswer("reset"), NETWORK),
        (Unreadable("HTML"), API),
        (RateLimited("429"), RATE),
        (WrongPassword("no"), LOGIN),
        (WrongCaptcha("no"), LOGIN),
        (TokenEnded("no"), LOGIN),
        (CaptchaError("nobody"), LOGIN),
        (Refused("no"), API),
        (NoSuchInstrument("no"), "SYMBOL_ERROR"),
        (BrokerError("?"), API),
        (Outcome(AttemptOutcome.NOT_SENT), NETWORK),
        (Outcome(AttemptOutcome.UNRESOLVED), API),
        (Outcome(AttemptOutcome.UNRESOLVED, kind=RefusalKind.RATE), API),
        (Outcome(REJECTED), API),
        (Outcome(REJECTED, 1018, kind=RefusalKind.RATE), RATE),
        (Outcome(REJECTED, kind=RefusalKind.AUTHENTICATION), LOGIN),
        (Outcome(REJECTED, 1011, kind=RefusalKind.FUNDS), API),
        (Outcome(AttemptOutcome.ACCEPTED, kind=RefusalKind.RATE), None),
    ],
    ids=str,
)
def test_what_went_wrong_has_its_code(what, code):
    assert placement_error(what) == code
