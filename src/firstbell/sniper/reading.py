"""Reading what a login's orders are made of, again in the last minute before the bell, and patiently."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from firstbell.errors import BrokerError, CaptchaError, RunError, WrongPassword
from firstbell.journal.base import Note
from firstbell.model.instant import instant
from firstbell.model.terms import Side
from firstbell.oms.plan import Facts
from firstbell.sniper.results import WARNING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from firstbell.brokers.base import HttpBroker
    from firstbell.config import AccountSettings
    from firstbell.model.identifiers import AccountName, InstrumentId, VenueOrderId
    from firstbell.model.instrument import Instrument
    from firstbell.oms.logins import Login
    from firstbell.sniper.context import RunContext

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_NS: Final = 1_000_000_000
REFRESH_FROM_S: Final = 60
"""Band, buying power and token are read again from this many seconds before the bell …"""
REFRESH_UNTIL_S: Final = 10
"""… until this many. A read that fails is repeated in between."""
LATE_PATIENCE_S: Final = 8
"""How long reads are repeated where the bell is nearer than that."""
READ_AGAIN_S: Final = 1.0
"""The pause between two tries of a read, in seconds."""


class Reading:
    """The reads of one login before its bell.

    Args:
        context: The run.
        login: The login.
        broker: Its broker.
    """

    def __init__(self, context: RunContext, login: Login, broker: HttpBroker) -> None:
        self._context = context
        self._login = login
        self._broker = broker

    def patience_ns(self) -> int:
        """Until when reads are repeated, on the monotonic clock."""
        now_ns = self._context.clock.monotonic_ns()
        last_ns = self._context.monotonic_of(self._context.bell_ns) - REFRESH_UNTIL_S * _NS
        return max(last_ns, now_ns + LATE_PATIENCE_S * _NS)

    def pause(self, seconds: float) -> bool:
        """Wait; returns early, and True, when the run is stopped."""
        return self._context.interrupt.wait_until(self._context.clock.monotonic_ns() + int(seconds * _NS))

    def log_in_early(self) -> None:
        """Log in at once, and wait for the time when reading is fresh enough for the bell.

        Raises:
            BrokerError: The log-in failed.
            CaptchaError: Likewise.
            RunError: The run was stopped.
        """
        start_ns = self._context.monotonic_of(self._context.bell_ns) - REFRESH_FROM_S * _NS
        if self._context.clock.monotonic_ns() >= start_ns:
            return
        self._patiently(self._broker.login, until_ns=start_ns)
        if self._context.interrupt.wait_until(start_ns):
            raise RunError(f"{self._context.interrupt.why} before the bell")

    def log_in(self) -> None:
        """Make sure of a token that lives through the run, or at least past the bell.

        Raises:
            BrokerError: The log-in failed while there was time.
            CaptchaError: Likewise.
        """
        self._patiently(self._lasting_token, until_ns=self.patience_ns())

    def read(self, accounts: Sequence[AccountSettings]) -> tuple[Facts, frozenset[VenueOrderId] | None]:
        """Read money, instruments, holdings, and the broker's ids that are there already (None where unreadable).

        Where the money cannot be read, the login's sells go on without it, and its buys without the holdings.

        Raises:
            BrokerError: Neither its buys nor its sells could be planned when there was no time left.
            CaptchaError: The log-in failed.
        """
        broker, until_ns = self._broker, self.patience_ns()
        buys = any(account.side is Side.BUY for account in accounts)
        sells = any(account.side is Side.SELL for account in accounts)
        money, no_money = None, None
        if buys:
            money, no_money = self._unless_needless(lambda: broker.buying_power(fresh=True), until_ns, needless=sells)
        instruments: dict[InstrumentId, Instrument] = {}
        unreadable: dict[InstrumentId, str] = {}
        for isin in dict.fromkeys(account.isin for account in accounts):
            try:
                read = partial(broker.instrument, isin, fresh=True)
                instruments[isin] = self._patiently(read, until_ns=until_ns)
            except BrokerError as error:
                unreadable[isin] = str(error)
        holdings: dict[InstrumentId, Decimal] = {}
        no_holdings = None
        if sells:
            held, no_holdings = self._unless_needless(broker.positions, until_ns, needless=money is not None)
            holdings = {holding.instrument: holding.quantity for holding in held or ()}
        return Facts(money, instruments, unreadable, holdings, no_money, no_holdings), self._known_ids(until_ns)

    def _unless_needless(
        self, read: Callable[[], _T], until_ns: int, *, needless: bool
    ) -> tuple[_T | None, str | None]:
        """Read patiently; where others can do without it, what failed is told and not raised."""
        try:
            return self._patiently(read, until_ns=until_ns), None
        except WrongPassword:
            raise
        except BrokerError as error:
            if not needless:
                raise
            return None, str(error)

    def _lasting_token(self) -> None:
        """A token that lives until the run gives up; where there is none to be had, one that lives past the bell."""
        bell = instant(self._context.bell_ns)
        needed = bell + self._context.settings.firstbell.give_up_after
        token = self._broker.login()
        if token.ends_at >= needed:
            return
        try:
            self._broker.login(lasting_until=needed)
        except (BrokerError, CaptchaError) as error:
            if token.ends_at <= bell:
                raise
            text = f"the token ends at {token.ends_at.isoformat()}, and a new log-in failed: {error}"
            self._warn(self._login.leader.name, text)

    def _known_ids(self, until_ns: int) -> frozenset[VenueOrderId] | None:
        """The broker's ids that are there before the bell; None, with a warning, where its list cannot be read."""
        try:
            rows = self._patiently(lambda: self._broker.orders(self._context.day), until_ns=until_ns, tries=3)
        except BrokerError as error:
            for account in self._login.accounts:
                self._warn(
                    account.name, f"the list of the day could not be read before the bell ({error}); sent anyway"
                )
            return None
        return frozenset(row.venue_order_id for row in rows)

    def _patiently(self, read: Callable[[], _T], *, until_ns: int, tries: int = 1000) -> _T:
        """Repeat a read while there is time; what repeating cannot mend is raised at once."""
        while True:
            tries -= 1
            try:
                return read()
            except WrongPassword:
                raise
            except BrokerError:
                over = self._context.clock.monotonic_ns() + int(READ_AGAIN_S * _NS) >= until_ns
                if over or tries <= 0 or self.pause(READ_AGAIN_S):
                    raise

    def _warn(self, account: AccountName, text: str) -> None:
        _log.warning("%s: %s", account, text)
        self._context.journal.note(self._context.run_id, [Note(account, WARNING, text)])
