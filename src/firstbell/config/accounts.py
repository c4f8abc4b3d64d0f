"""The ``[Order_*]`` sections: each one alone, and all of them together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.config.values import latin_digits, yes_or_no
from firstbell.model.broker_codes import PLANNED_CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.config.ini import IniFile, RawSection
    from firstbell.config.models import AccountSettings

PREFIX: Final = "order_"
"""How an account's section begins, in lower case."""
_NAME: Final = re.compile(r"Order_[A-Za-z0-9_]{1,64}")
_PLACEHOLDERS: Final = frozenset({"YOUR_USERNAME", "YOUR_PASSWORD"})


@dataclass(slots=True)
class Accounts:
    """The accounts of one file, checked against each other as they come.

    Attributes:
        file: Where to note what is wrong.
        made: The accounts without a mistake, in the file's order.
        sections: How many sections there were, mistaken or not.
        sound: How many of them had no mistake.
    """

    file: IniFile
    made: list[AccountSettings] = field(default_factory=list)
    sections: int = 0
    sound: int = 0
    _names: dict[str, str] = field(default_factory=dict)
    _plans: dict[tuple[str, ...], str] = field(default_factory=dict)
    _logins: dict[tuple[str, ...], AccountSettings] = field(default_factory=dict)

    def begin(self, section: RawSection) -> bool:
        """Count a section, and check its name. Whether it can be one."""
        self.sections += 1
        if not _NAME.fullmatch(section.name):
            remedy = "an account's section is Order_ and then up to 64 of A-Z, a-z, 0-9 and _"
            self.file.wrong(section.line, section.name, "", remedy)
            return False
        twin = self._names.setdefault(section.name.lower(), section.name)
        if twin != section.name:
            self.file.wrong(section.line, section.name, "", f"differs from [{twin}] in case only; rename one of them")
        return True

    def add(self, section: RawSection, accounts: Sequence[AccountSettings]) -> None:
        """Take a section's accounts in, and note how they disagree with those before them."""
        self.made.extend(accounts)
        self.sound += 1
        account = accounts[0]
        if not account.enabled:
            return
        if account.broker_code in PLANNED_CODES:
            line = section.entries["broker_code"].line
            remedy = f"{account.broker_code} is not there yet; write enabled = no until it is"
            self.file.wrong(line, section.name, "broker_code", remedy)
        login = (account.broker_code, latin_digits(account.username).casefold())
        for each in accounts:
            self._compare(section, each, login)
        first = self._logins.setdefault(login, account)
        if first.password != account.password:
            remedy = f"differs from the password of [{first.section}], which is the same login; make them the same"
            self.file.wrong(section.entries["password"].line, section.name, "password", remedy)

    def _compare(self, section: RawSection, account: AccountSettings, login: tuple[str, str]) -> None:
        twin = self._plans.setdefault((*login, account.isin, account.side), section.name)
        if twin != section.name:
            order = "is the same order as" if not account.isins else f"has an order of {account.isin}, as has"
            remedy = f"{order} [{twin}]: same broker, username, isin and side; keep one of them"
            self.file.wrong(section.line, section.name, "", remedy)

    def finish(self) -> None:
        """Note when nothing is left to do."""
        end = max((section.line for section in self.file.sections), default=0) + 1
        if not self.sections:
            remedy = "no account; a section [Order_NAME] with username, password, broker_code and isin makes one"
            self.file.wrong(end, "", "", remedy)
        elif self.sound == self.sections and not any(account.enabled for account in self.made):
            self.file.wrong(end, "", "", "every account is disabled; write enabled = yes in one of them")


def is_enabled(section: RawSection) -> bool:
    """Whether a section is to be used. One whose ``enabled`` cannot be read is, until that is mended."""
    entry = section.entries.get("enabled")
    try:
        return entry is None or yes_or_no(entry.value)
    except ValueError:
        return True


def tell_placeholders(section: RawSection, file: IniFile) -> None:
    """Note what still stands in a section as the example has it."""
    for key, entry in section.entries.items():
        if entry.value in _PLACEHOLDERS:
            file.wrong(entry.line, section.name, key, "still the example's placeholder; write your own")
