"""The tokens of the paper market's accounts: everybody has one who asks."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from firstbell.model.identifiers import same_login


class Tokens:
    """What logins have been given, in this process."""

    def __init__(self) -> None:
        self._generations: defaultdict[str, int] = defaultdict(int)
        self._logins: defaultdict[str, int] = defaultdict(int)

    def log_in(self, username: str) -> str:
        """A token for an account; everybody has one who asks."""
        account = same_login(username)
        self._logins[account] += 1
        return f"{self._generation(account)}{self._logins[account]}"

    def log_ins(self, username: str) -> int:
        """How often an account has logged in, in this process."""
        return self._logins[same_login(username)]

    def knows(self, username: str, token: str) -> bool:
        """Whether a token lives."""
        return token.startswith(self._generation(same_login(username)))

    def end_all(self, username: str) -> None:
        """Take no token any more that an account has been given so far."""
        self._generations[same_login(username)] += 1

    def _generation(self, account: str) -> str:
        return f"paper-{hashlib.blake2b(account.encode(), digest_size=6).hexdigest()}-{self._generations[account]}-"
