"""What each instrument of a section may spend: the section's money, divided as its weights say.

A share is never spent by another instrument of the section, not even where `orders = all` would find a use for it: what
is left of it goes to the sections behind. An instrument that has its order already has left the basket, as its money
has left the buying power; so a run that is started again divides what is there among those that are still to be bought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.model.money import divided

if TYPE_CHECKING:
    from collections.abc import Collection
    from decimal import Decimal

    from firstbell.config import AccountSettings
    from firstbell.model.identifiers import AccountName, InstrumentId


class Shares:
    """Divides one login's money, section by section.

    Args:
        bought: What the login has bought today, or has working buys of.
    """

    def __init__(self, bought: Collection[InstrumentId]) -> None:
        self._bought = bought
        self._at_first: dict[AccountName, Decimal] = {}

    def of(self, account: AccountSettings, money: Decimal) -> Decimal:
        """What an account may spend, in rials, fees included: all of `money` where its section has one instrument.

        Args:
            account: The account.
            money: What the accounts before it have left of the buying power; may be negative.
        """
        divisible = self._at_first.setdefault(account.section, money)
        if len(account.basket) == 1 or divisible <= 0:
            return money
        open_ = {
            isin: weight for isin, weight in account.basket.items() if isin == account.isin or isin not in self._bought
        }
        share = dict(zip(open_, divided(divisible, list(open_.values())), strict=True))[account.isin]
        return min(share, money)
