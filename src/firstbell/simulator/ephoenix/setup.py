"""Putting an exchange together: instruments, accounts, a day, a clock and faults become one `Desk`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firstbell.model.broker_codes import EPHOENIX_CODES
from firstbell.simulator.ephoenix.captcha import CaptchaDesk
from firstbell.simulator.ephoenix.desk import Desk, LoginLimit
from firstbell.simulator.ephoenix.tokens import TokenDesk
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.exchange_clock import NS, ExchangeClock
from firstbell.simulator.faults import FaultBox
from firstbell.simulator.record import Record
from firstbell.simulator.roster import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstbell.model.instrument import Instrument
    from firstbell.simulator.faults import Fault
    from firstbell.simulator.path import MeasuredPath
    from firstbell.simulator.record import Entry
    from firstbell.simulator.roster import Investor
    from firstbell.simulator.rules import Rules
    from firstbell.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Setup:
    """What an exchange is made of.

    Attributes:
        schedule: Its day.
        investors: Who may log in.
        instruments: What it lists.
        rules: The numbers behind its rules; None for the usual ones.
        offset_ns: By how much its clock is ahead of this machine's, in ns.
        token_life_ns: How long a token lives, in ns.
        login_limit: How many captchas and log-ins an identity host bears.
        faults: The faults that it has.
        listener: Told of everything that is seen.
        path: The path to it; None for this machine's own, which takes no time.
        captchas: Draws its captchas; None for its own. Exchanges that share it know each other's answers.
    """

    schedule: Schedule
    investors: Sequence[Investor]
    instruments: Sequence[Instrument]
    rules: Rules | None = None
    offset_ns: int = 0
    token_life_ns: int = 3600 * NS
    login_limit: LoginLimit = field(default_factory=LoginLimit)
    faults: Sequence[Fault] = ()
    listener: Callable[[Entry], None] | None = None
    path: MeasuredPath | None = None
    captchas: CaptchaDesk | None = None


def open_desk(setup: Setup) -> Desk:
    """Open an exchange with its accounts.

    Raises:
        SimulatorError: Accounts, brokers and instruments do not fit together; the message says which and why.
    """
    check(setup.investors, EPHOENIX_CODES, setup.instruments)
    clock = ExchangeClock(setup.offset_ns)
    exchange = Exchange(setup.instruments, setup.schedule, rules=setup.rules, first_serial=_first_serial(setup))
    for investor in setup.investors:
        exchange.open_account(investor.account, investor.money, investor.holdings)
    return Desk(
        exchange,
        clock,
        setup.investors,
        setup.captchas or CaptchaDesk(),
        TokenDesk(setup.token_life_ns),
        setup.login_limit,
        FaultBox(setup.faults),
        Record(setup.listener),
        path=setup.path,
    )


def _first_serial(setup: Setup) -> int:
    # A client that keeps yesterday's serials must not meet them again today, nor after a restart.
    return setup.schedule.bell // NS * 1_000 + 1
