"""What all calls share: the exchange behind the brokers, who may log in where, and what was seen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.errors import SimulatorError
from firstbell.simulator.exchange_clock import NS
from firstbell.simulator.faults import FaultBox
from firstbell.simulator.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from firstbell.model.identifiers import BrokerCode
    from firstbell.simulator.ephoenix.captcha import CaptchaDesk
    from firstbell.simulator.ephoenix.tokens import TokenDesk
    from firstbell.simulator.exchange import Exchange
    from firstbell.simulator.exchange_clock import ExchangeClock
    from firstbell.simulator.orders import ExchangeOrder
    from firstbell.simulator.path import MeasuredPath
    from firstbell.simulator.roster import Investor


@dataclass(frozen=True, slots=True)
class LoginLimit:
    """How many captchas and log-ins an identity host bears.

    Attributes:
        most: How many within a minute; None for any number.
        pause_ns: How long it then refuses all of them, in ns.
    """

    most: int | None = None
    pause_ns: int = 420 * NS


@dataclass(slots=True)
class Desk:
    """Everything behind the counters of all brokers.

    Attributes:
        exchange: The venue.
        clock: The exchange's clock.
        investors: Who may log in.
        captchas: Draws and checks captchas.
        tokens: Gives out and knows tokens.
        login_limit: What each identity host bears.
        faults: The faults that have been ordered.
        record: What was seen.
        path: The path to it, where it is not this machine's own.
        hidden_until: Serial → the instant until which lists do not show that order, in ns.
    """

    exchange: Exchange
    clock: ExchangeClock
    investors: Sequence[Investor]
    captchas: CaptchaDesk
    tokens: TokenDesk
    login_limit: LoginLimit = field(default_factory=LoginLimit)
    faults: FaultBox = field(default_factory=FaultBox)
    record: Record = field(default_factory=Record)
    path: MeasuredPath | None = None
    hidden_until: dict[int, int] = field(default_factory=dict)

    def shown_orders(self, investor: Investor, now: int) -> list[ExchangeOrder]:
        """An investor's orders as his lists show them, the oldest first."""
        orders = self.exchange.orders_of(investor.account)
        return [order for order in orders if self.hidden_until.get(order.serial, 0) <= now]


class Door:
    """One listening port: the brokers behind it and the log-ins that it knows.

    Args:
        codes: The brokers that share this port.
        investors: Everybody; those of other brokers are left out.
        limit: How many captchas and log-ins it bears.

    Raises:
        SimulatorError: Two investors of different brokers share a login name, and their brokers share this port.
    """

    _WINDOW: Final = 60 * NS

    def __init__(self, codes: Iterable[BrokerCode], investors: Iterable[Investor], limit: LoginLimit) -> None:
        self.codes = tuple(codes)
        self.logins: dict[str, Investor] = {}
        for investor in investors:
            if investor.broker_code not in self.codes:
                continue
            if investor.username in self.logins:
                raise SimulatorError(
                    f"the login name {investor.username} is known at two brokers: give each broker its own port"
                )
            self.logins[investor.username] = investor
        self._limit = limit
        self._knocks: deque[int] = deque()
        self._shut_until = 0

    @property
    def code(self) -> str:
        """The broker behind this door, where there is only one; otherwise an empty text."""
        return self.codes[0] if len(self.codes) == 1 else ""

    def knock(self, now: int) -> int | None:
        """Count one more captcha or log-in.

        Returns:
            None where it may come in, otherwise for how many seconds it had better stay away.
        """
        if self._limit.most is None:
            return None
        if now < self._shut_until:
            return -(-(self._shut_until - now) // NS)
        while self._knocks and self._knocks[0] <= now - self._WINDOW:
            self._knocks.popleft()
        if len(self._knocks) >= self._limit.most:
            self._shut_until = now + self._limit.pause_ns
            self._knocks.clear()
            return -(-self._limit.pause_ns // NS)
        self._knocks.append(now)
        return None
