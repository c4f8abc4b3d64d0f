"""What brokers said a moment ago, on disk: small JSON texts, each with its time to live.

The cache holds nothing that cannot be fetched again, and nothing in it can make this program execute or open anything:
what is not exactly what this room writes counts as damage and is thrown away.
"""

from __future__ import annotations

from firstbell.cache.kinds import Kind
from firstbell.cache.stats import CacheStats, KindStats
from firstbell.cache.text import JsonValue
from firstbell.cache.ttl_cache import TtlCache

__all__ = ["CacheStats", "JsonValue", "Kind", "KindStats", "TtlCache"]
