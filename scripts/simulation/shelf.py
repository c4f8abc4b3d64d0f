"""The disk cache of the simulated machine: it outlives its processes, and what lies in it grows old."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from firstbell.cache.kinds import DEFAULT_LIFE_S

if TYPE_CHECKING:
    from firstbell.cache import JsonValue, Kind
    from simulation.process import Process

NS = 1_000_000_000


class Cached(dict[tuple[str, str], tuple[int, str]]):
    """What is cached: kind and key → when it ends, in ns since the epoch, and its text."""


class SimulatedShelf:
    """What `firstbell.brokers.shelf.Shelf` is to brokers, over a cache in memory.

    Args:
        process: Whose it is.
        cached: What all processes share.
    """

    def __init__(self, process: Process, cached: Cached) -> None:
        self._process = process
        self._cached = cached

    def get(self, kind: Kind, key: str) -> JsonValue | None:
        """The living entry, or None."""
        self._process.step("cache")
        ends_ns, text = self._cached.get((kind.value, key), (0, ""))
        if ends_ns <= self._process.world.wall_ns():
            return None
        value: JsonValue = json.loads(text)
        return value

    peek = get

    def put(self, kind: Kind, key: str, value: JsonValue, *, ttl_s: float | None = None) -> None:
        """Store an entry."""
        self._process.step("cache")
        life_s = DEFAULT_LIFE_S[kind] if ttl_s is None else ttl_s
        self._cached[kind.value, key] = (self._process.world.wall_ns() + int(life_s * NS), json.dumps(value))

    def forget(self, kind: Kind, key: str) -> None:
        """Remove an entry."""
        self._process.step("cache")
        self._cached.pop((kind.value, key), None)
