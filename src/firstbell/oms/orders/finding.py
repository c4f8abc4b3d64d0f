"""Which account a name means, and which order: by our names and the brokers', whatever round it goes on under."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firstbell.config.order_settings import TradingMode
from firstbell.errors import JournalError, RunError
from firstbell.journal.base import newest_round
from firstbell.model.broker_codes import PAPER
from firstbell.model.identifiers import AccountName, ClientOrderId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.config import AccountSettings
    from firstbell.journal.base import Entry, Journal
    from firstbell.model.order_request import OrderRequest
    from firstbell.oms.orders.trader import Trader

_log = logging.getLogger(__name__)


class Finding:
    """Finds the accounts and orders of some logins.

    Args:
        traders: The logins' traders, by the logins' keys.
        journal: Where orders that nobody remembers are.
        mode: Whether accounts of other brokers than ``paper`` may place orders.
    """

    def __init__(self, traders: Mapping[str, Trader], journal: Journal, mode: TradingMode) -> None:
        self._traders = traders
        self._journal = journal
        self._mode = mode
        self.accounts: Mapping[AccountName, tuple[Trader, AccountSettings]] = {
            account.name: (trader, account) for trader in traders.values() for account in trader.login.accounts
        }
        """Every account, with its login's trader."""
        # A section with several instruments is several accounts; it may be called by its own name.
        self._sections: dict[str, list[AccountName]] = {}
        for name, (_, account) in self.accounts.items():
            self._sections.setdefault(account.section, []).append(name)

    def meant(self, name: AccountName) -> frozenset[AccountName]:
        """The accounts that a name means: one, or all of a section."""
        return frozenset({name, *self._sections.get(name, ())})

    def account(self, name: AccountName | None, request: OrderRequest | None = None) -> tuple[Trader, AccountSettings]:
        """An account by its name, or by its section's: of a section, the one for a request's instrument, if any is.

        Raises:
            RunError: Nobody knows it, or it trades with real money and the mode is paper.
        """
        if name is None:
            if len(self._sections) != 1:
                raise RunError(f"say which account: {', '.join(self._sections) or 'none is configured'}")
            name = AccountName(next(iter(self._sections)))
        if lines := () if name in self.accounts else self._sections.get(name, ()):
            fitting = [each for each in lines if request and self.accounts[each][1].isin == request.instrument]
            name = (fitting or lines)[0]
        if name not in self.accounts:
            raise RunError(f"there is no account {name}; there are {', '.join(self.accounts)}")
        trader, account = self.accounts[name]
        if account.broker_code != PAPER and self._mode is not TradingMode.LIVE:
            raise RunError(
                f"{name} trades with real money at {account.broker_code}, and this is paper trading: write mode = live "
                "into [orders] of the config and call with --live"
            )
        return trader, account

    def order(self, order_id: str | None) -> tuple[Trader, Entry]:
        """An order as it stands now, by our name or its broker's, under the round that it goes on under.

        Raises:
            RunError: There is none, or several brokers call one so.
        """
        if not order_id:
            # As of a response that was denied. What is held back has no name of its broker's either, and is not meant.
            raise RunError("there is no order without a name: it was denied before it got one")
        for trader in self._traders.values():
            if (known := trader.blotter.known(ClientOrderId(order_id))) is not None:
                try:
                    # As it stands now: another process may have taken it over.
                    now = trader.blotter.refresh(known.intent.order.client_order_id) or known
                    return trader, newest_round(now, trader.blotter.refresh)
                except JournalError as error:
                    _log.warning("as it was known last: %s", error)
                    return trader, newest_round(known, trader.blotter.known)
        found = [
            (trader, entry)
            for trader in self._traders.values()
            for entry in trader.blotter.open()
            if entry.state.venue_order_id == order_id
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise RunError(f"several brokers call an order {order_id}: name ours")
        entry = self._journal.entry(ClientOrderId(order_id))
        if entry is None or entry.intent.login not in self._traders:
            raise RunError(f"there is no order {order_id}")
        return self._traders[entry.intent.login], newest_round(entry, self._journal.entry)
