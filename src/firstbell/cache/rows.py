"""What the rows of the database mean: entries under a hashed key, and counters of hits and misses.

A row that means nothing was not written here. It is removed where it is met, and the asker gets a miss.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import time
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeGuard

from firstbell.cache import text
from firstbell.cache.disk import DamagedRow
from firstbell.cache.kinds import LONGEST_LIFE_S, UNCOUNTED, Kind
from firstbell.cache.stats import CacheStats, KindStats

if TYPE_CHECKING:
    from firstbell.cache.database import GuardedCache
    from firstbell.cache.text import JsonValue

_log: Final = logging.getLogger(__name__)
_HITS: Final = "hits"
_MISSES: Final = "misses"
_HASH: Final = re.compile(r"[0-9a-f]{32}")


def row_key(kind: Kind, key: str) -> str:
    """The key in the database: callers' keys name logins, and those have no business in a file."""
    return f"{kind.value}:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"


def read(cache: GuardedCache, kind: Kind, key: str, *, count: bool) -> JsonValue | None:
    """Read the living entry of a kind and key, and count the hit or the miss if asked to and the kind is counted."""
    name = row_key(kind, key)
    value: JsonValue | None = None
    try:
        stored, ends_at = cache.get(name, expire_time=True, retry=True)
        if stored is not None:
            value = _checked(kind, stored, ends_at)
    except (DamagedRow, ValueError):
        _log.warning("A %s entry of the cache was damaged; it is removed", kind.value)
        cache.drop(name)
    if count and kind not in UNCOUNTED:
        _count(cache, f"{_MISSES if value is None else _HITS}:{kind.value}")
    return value


def _checked(kind: Kind, stored: object, ends_at: object) -> JsonValue:
    if not isinstance(stored, str) or not _is_instant(ends_at):
        raise DamagedRow
    if ends_at > time.time() + LONGEST_LIFE_S.get(kind, math.inf):
        raise DamagedRow
    return text.read(stored)


def _count(cache: GuardedCache, counter: str) -> None:
    try:
        cache.incr(counter, retry=True)
    except (TypeError, OverflowError):
        # Something else was planted in the counter's place.
        cache.drop(counter)
        cache.incr(counter, retry=True)


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: Kind
    stored_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class _Count:
    name: str
    kind: Kind
    count: int


def _meaning(cache: GuardedCache, row: tuple[object, ...]) -> _Entry | _Count:
    """What a row is.

    Raises:
        DamagedRow: Nothing of ours.
        ValueError: Likewise.
    """
    key, raw, stored_at, ends_at, mode, filename, value = row
    name, _, rest = cache.disk.get(key, raw).partition(":")
    held = cache.disk.fetch(mode, filename, value, read=False)
    if name in (_HITS, _MISSES) and isinstance(held, int) and held >= 0:
        return _Count(name, Kind(rest), held)
    if isinstance(held, str) and _is_instant(stored_at) and _is_instant(ends_at) and _HASH.fullmatch(rest):
        return _Entry(Kind(name), float(stored_at), float(ends_at))
    raise DamagedRow


def _is_instant(value: object) -> TypeGuard[float]:
    return isinstance(value, float) and math.isfinite(value)


def tally(cache: GuardedCache) -> CacheStats:
    """Count what is in the cache."""
    now = time.time()
    counts: Counter[tuple[str, Kind]] = Counter()
    living: dict[Kind, list[_Entry]] = {kind: [] for kind in Kind}
    expired = 0
    for row in cache.rows():
        try:
            meaning = _meaning(cache, row)
        except (DamagedRow, ValueError):
            _log.warning("A row of the cache was damaged; it is removed")
            cache.drop(row[0])
            continue
        if isinstance(meaning, _Count):
            counts[meaning.name, meaning.kind] += meaning.count
        elif meaning.ends_at > now:
            living[meaning.kind].append(meaning)
        else:
            expired += 1
    kinds = {
        kind: KindStats(
            entries=len(entries),
            hits=counts[_HITS, kind],
            misses=counts[_MISSES, kind],
            oldest_age_s=max((max(0.0, now - entry.stored_at) for entry in entries), default=None),
            next_expiry_s=min((entry.ends_at - now for entry in entries), default=None),
        )
        for kind, entries in living.items()
    }
    return CacheStats(MappingProxyType(kinds), expired)


def clear(cache: GuardedCache) -> int:
    """Remove every row; the number of entries among them."""
    counters = {f"{name}:{kind}" for name in (_HITS, _MISSES) for kind in Kind}
    entries = sum(row[0] not in counters for row in cache.rows())
    cache.clear(retry=True)
    return entries


def clean(cache: GuardedCache) -> int:
    """Remove the expired entries; their number."""
    removed: int = cache.expire(retry=True)
    return removed
