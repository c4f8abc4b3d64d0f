"""The cache as brokers use it: where it fails, they go on without it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.errors import CacheError

if TYPE_CHECKING:
    from firstbell.cache import JsonValue, Kind, TtlCache

_log: Final = logging.getLogger(__name__)


class Shelf:
    """A `TtlCache` whose failures are logged and cost no more than what it would have saved.

    A full disk must not keep an order from leaving; what is not cached is asked for again.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: TtlCache) -> None:
        self._cache = cache

    def get(self, kind: Kind, key: str) -> JsonValue | None:
        """The living entry, or None."""
        try:
            return self._cache.get(kind, key)
        except CacheError as error:
            _log.warning("%s", error)
            return None

    def peek(self, kind: Kind, key: str) -> JsonValue | None:
        """The same, not counted as a hit or a miss."""
        try:
            return self._cache.peek(kind, key)
        except CacheError as error:
            _log.warning("%s", error)
            return None

    def put(self, kind: Kind, key: str, value: JsonValue, *, ttl_s: float | None = None) -> None:
        """Store an entry, if that can be done."""
        try:
            self._cache.put(kind, key, value, ttl_s=ttl_s)
        except CacheError as error:
            _log.warning("%s", error)

    def forget(self, kind: Kind, key: str) -> None:
        """Remove an entry, if that can be done."""
        try:
            self._cache.forget(kind, key)
        except CacheError as error:
            _log.warning("%s", error)
