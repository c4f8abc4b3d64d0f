"""What is in the cache, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.cache.kinds import Kind


@dataclass(frozen=True, slots=True)
class KindStats:
    """One kind's numbers.

    Attributes:
        entries: Living entries.
        hits: Times that something was asked for and found, since the cache was last cleared.
        misses: Times that it was not, likewise.
        oldest_age_s: Seconds since the oldest living entry was stored, or None where there is none.
        next_expiry_s: Seconds until the first living entry ends, or None where there is none.
    """

    entries: int = 0
    hits: int = 0
    misses: int = 0
    oldest_age_s: float | None = None
    next_expiry_s: float | None = None

    def as_json(self) -> dict[str, int | float | None]:
        """The numbers under their names, seconds to the millisecond."""
        return {
            "entries": self.entries,
            "hits": self.hits,
            "misses": self.misses,
            "oldest_age_s": None if self.oldest_age_s is None else round(self.oldest_age_s, 3),
            "next_expiry_s": None if self.next_expiry_s is None else round(self.next_expiry_s, 3),
        }


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The whole cache's numbers.

    Attributes:
        kinds: Every kind's own, those without entries too.
        expired: Entries that have ended and have not been removed yet.
    """

    kinds: Mapping[Kind, KindStats]
    expired: int = 0

    @property
    def entries(self) -> int:
        """Living entries of all kinds."""
        return sum(kind.entries for kind in self.kinds.values())

    @property
    def hits(self) -> int:
        """Hits of all kinds."""
        return sum(kind.hits for kind in self.kinds.values())

    @property
    def misses(self) -> int:
        """Misses of all kinds."""
        return sum(kind.misses for kind in self.kinds.values())

    def as_json(self) -> dict[str, object]:
        """The document that ``firstbell cache stats --json`` prints."""
        return {
            "entries": self.entries,
            "expired": self.expired,
            "hits": self.hits,
            "misses": self.misses,
            "kinds": {kind.value: numbers.as_json() for kind, numbers in self.kinds.items()},
        }
