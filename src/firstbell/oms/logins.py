"""The logins behind the configured accounts: sections that share one login are one customer to the broker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstbell.model.identifiers import same_login

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.config import AccountSettings
    from firstbell.model.identifiers import BrokerCode


@dataclass(frozen=True, slots=True)
class Login:
    """One login at one broker, and the accounts that stand on it.

    Attributes:
        key: A digest of broker and user name, safe to write anywhere.
        broker_code: The broker.
        accounts: Its sections, in the config's order; never empty.
    """

    key: str
    broker_code: BrokerCode
    accounts: tuple[AccountSettings, ...]

    @property
    def leader(self) -> AccountSettings:
        """The first section: it speaks to the broker for all of them."""
        return self.accounts[0]


def login_key(broker_code: BrokerCode, username: str) -> str:
    """A name for a login that does not tell the user name."""
    return hashlib.blake2b(f"{broker_code}\x1f{same_login(username)}".encode(), digest_size=8).hexdigest()


def logins_of(accounts: Iterable[AccountSettings]) -> tuple[Login, ...]:
    """Group accounts by login, in the order of each login's first section."""
    groups: dict[str, list[AccountSettings]] = {}
    for account in accounts:
        groups.setdefault(login_key(account.broker_code, account.username), []).append(account)
    return tuple(Login(key, group[0].broker_code, tuple(group)) for key, group in groups.items())
