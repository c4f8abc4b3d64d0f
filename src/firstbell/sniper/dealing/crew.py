"""Who carries out which login: the master's own book of its workers. No clock, no network, no journal.

Locust moves users about as it sees fit; this book says who has what. It saves work, not orders: it may be wrong, and
the claim in the journal still lets one process alone send an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.journal.base import Owner

ASK_AGAIN_NS: Final = 3_000_000_000
"""A worker that was told to take a login and has not said so after this long is told again."""


@dataclass(slots=True)
class Member:
    """One worker.

    Attributes:
        owner: Its process.
        client_id: What Locust calls it.
        gone_ns: When it was first seen to be gone, in ns since the epoch; None while it lives.
    """

    owner: Owner
    client_id: str
    gone_ns: int | None = None


@dataclass(slots=True)
class _Post:
    holder: Owner
    told_ns: int | None


class Crew:
    """The workers of one run and what they have in hand."""

    def __init__(self) -> None:
        self._members: dict[Owner, Member] = {}
        self._posts: dict[str, _Post] = {}

    def join(self, owner: Owner, client_id: str) -> None:
        """A worker says who it is; it may do so again, also under another of Locust's names."""
        member = self._members.setdefault(owner, Member(owner, client_id))
        member.client_id = client_id
        # Whoever speaks lives.
        member.gone_ns = None

    @property
    def members(self) -> tuple[Member, ...]:
        """Every worker that ever came."""
        return tuple(self._members.values())

    @property
    def living(self) -> tuple[Member, ...]:
        """The workers that have not been seen to be gone."""
        return tuple(member for member in self._members.values() if member.gone_ns is None)

    @property
    def gone(self) -> dict[Owner, int]:
        """The workers that are gone, and since when."""
        return {member.owner: member.gone_ns for member in self._members.values() if member.gone_ns is not None}

    def bury(self, owner: Owner, now_ns: int) -> None:
        """A worker has been seen to be gone."""
        if owner in self._members and self._members[owner].gone_ns is None:
            self._members[owner].gone_ns = now_ns

    def begin(self, login: str, owner: Owner) -> bool:
        """A worker begins with a login; whether it has it from now on. If not, a living one has had it before."""
        post = self._posts.get(login)
        if post is not None and post.holder != owner and self._lives(post.holder):
            return False
        self._posts[login] = _Post(owner, None)
        return True

    def give(self, login: str, owner: Owner, now_ns: int) -> None:
        """A worker is told to take a login, at an instant of whatever clock."""
        self._posts[login] = _Post(owner, now_ns)

    def has_begun(self, login: str) -> bool:
        """Whether any worker ever had this login."""
        return login in self._posts

    def idle(self, logins: Iterable[str], now_ns: int) -> list[str]:
        """Those of these logins that no living worker has in hand, or one that was told so and never said it had."""
        return [login for login in logins if not self._is_in_hand(login, now_ns)]

    def least_busy(self) -> Member | None:
        """The living worker that has the fewest logins."""
        counts = {member.owner: 0 for member in self.living}
        for post in self._posts.values():
            if post.holder in counts:
                counts[post.holder] += 1
        if not counts:
            return None
        return self._members[min(counts, key=lambda owner: counts[owner])]

    def _is_in_hand(self, login: str, now_ns: int) -> bool:
        post = self._posts.get(login)
        if post is None or not self._lives(post.holder):
            return False
        return post.told_ns is None or now_ns - post.told_ns < ASK_AGAIN_NS

    def _lives(self, owner: Owner) -> bool:
        member = self._members.get(owner)
        # One that we have not met yet may well live.
        return member is None or member.gone_ns is None
