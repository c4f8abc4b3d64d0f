"""What the exchange saw: every order that came, every log-in and every captcha, with the instant on its own clock.

This is the truth that a client's own account of itself is compared with.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from firstbell.market import Phase

_MOST: Final = 500_000
"""Entries of a kind that are kept; the oldest go first."""


class Decision(StrEnum):
    """What the exchange did with an order that came."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNAUTHORIZED = "unauthorized"
    """The token had ended or there was none: the order was not looked at."""
    MALFORMED = "malformed"
    """It could not be read as an order."""
    DROPPED = "dropped"
    """A fault swallowed it before the exchange had looked at it."""


@dataclass(slots=True)
class Submission:
    """One call that meant to place, change or cancel an order.

    Attributes:
        kind: ``order``, ``edit`` or ``cancel``.
        broker_code: The broker it came to; empty where several share a port and nobody was logged in.
        account: The login name; None where it is not known.
        arrival_ns: When it came, in ns since the epoch on the exchange's clock.
        lateness_us: The same, in µs after the bell; negative before it.
        decision: What became of it.
        isin: The instrument; None where it could not be read.
        side: ``buy`` or ``sell``, likewise.
        price: The limit price in rials, likewise.
        quantity: Shares, likewise.
        code: The refusal's code.
        detail: The rule that refused it, in words with its numbers.
        serial: The order's number at the exchange.
        http_status: The answer's status; None while or where there was no answer.
        faults: The faults that struck it.
    """

    kind: str
    broker_code: str
    account: str | None
    arrival_ns: int
    lateness_us: int
    decision: Decision = Decision.DROPPED
    isin: str | None = None
    side: str | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    code: int | None = None
    detail: str | None = None
    serial: int | None = None
    http_status: int | None = None
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Login:
    """One attempt to log in.

    Attributes:
        broker_code: The broker; empty where the login name is not known.
        account: The login name as it was sent.
        at_ns: When, in ns since the epoch on the exchange's clock.
        error_code: 0 where it succeeded.
    """

    broker_code: str
    account: str
    at_ns: int
    error_code: int


@dataclass(frozen=True, slots=True)
class CaptchaDrawn:
    """One captcha that was asked for.

    Attributes:
        at_ns: When, in ns since the epoch on the exchange's clock.
        http_status: 200, or 429 where it was refused.
    """

    at_ns: int
    http_status: int


@dataclass(frozen=True, slots=True)
class PhaseBegan:
    """A phase has begun.

    Attributes:
        phase: Which.
        at_ns: When, in ns since the epoch on the exchange's clock.
    """

    phase: Phase
    at_ns: int


Entry = Submission | Login | CaptchaDrawn | PhaseBegan


class Record:
    """Everything seen, and a listener told of each entry once it is complete.

    Args:
        listener: Called with each complete entry; it must be quick and must not fail.
    """

    def __init__(self, listener: Callable[[Entry], None] | None = None) -> None:
        self.submissions: deque[Submission] = deque(maxlen=_MOST)
        self.logins: deque[Login] = deque(maxlen=_MOST)
        self.captchas: deque[CaptchaDrawn] = deque(maxlen=_MOST)
        self._listener = listener

    def logged_in(self, entry: Login) -> None:
        """Keep an attempt to log in."""
        self.logins.append(entry)
        self._tell(entry)

    def drew(self, entry: CaptchaDrawn) -> None:
        """Keep a captcha."""
        self.captchas.append(entry)
        self._tell(entry)

    def began(self, entry: PhaseBegan) -> None:
        """A phase has begun; nobody keeps that, for the schedule says it."""
        self._tell(entry)

    def came(self, entry: Submission) -> None:
        """Keep an order that has just come; it is completed later."""
        self.submissions.append(entry)

    def answered(self, entry: Submission) -> None:
        """An order that came is complete."""
        self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        if self._listener is not None:
            self._listener(entry)
