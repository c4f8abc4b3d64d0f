"""The cache itself: entries by kind and key, each with its time to live."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final, Self, TypeVar

import diskcache

from firstbell.cache import folder, rows, text
from firstbell.cache.database import DamagedDatabase, GuardedCache, is_damage
from firstbell.cache.disk import LONGEST_TEXT
from firstbell.cache.file_lock import locked
from firstbell.cache.kinds import DEFAULT_LIFE_S, LONGEST_LIFE_S
from firstbell.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from firstbell.cache.kinds import Kind
    from firstbell.cache.stats import CacheStats
    from firstbell.cache.text import JsonValue

R = TypeVar("R")

_log: Final = logging.getLogger(__name__)
_OPENING_S: Final = 30.0
"""Seconds to wait for another process that is opening the cache; it takes some milliseconds."""


class TtlCache:
    """Small JSON values on disk, shared by all processes of one state folder.

    It may be used from several threads and greenlets, after a fork, and by several processes at once.

    Args:
        directory: The cache's own folder; made where it is missing, for its owner alone.

    Raises:
        CacheError: The folder cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        folder.check_name(directory)
        self._directory = directory
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._identity: tuple[int, int] | None = None
        self._cache: GuardedCache | None = None
        self._run(lambda cache: None)  # noqa: ARG005 - opens it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def directory(self) -> Path:
        """The cache's folder."""
        return self._directory

    def get(self, kind: Kind, key: str) -> JsonValue | None:
        """The living entry of this kind and key, or None; a hit or a miss, unless the kind is not counted.

        Raises:
            CacheError: The cache cannot be used.
        """
        return self._run(lambda cache: rows.read(cache, kind, key, count=True))

    def peek(self, kind: Kind, key: str) -> JsonValue | None:
        """The same without counting, for a second look at what was just asked for.

        Raises:
            CacheError: The cache cannot be used.
        """
        return self._run(lambda cache: rows.read(cache, kind, key, count=False))

    def put(self, kind: Kind, key: str, value: JsonValue, *, ttl_s: float | None = None) -> None:
        """Store an entry, in place of the one that was there.

        Args:
            kind: What it is of.
            key: Its name within the kind. Only a hash of it is stored.
            value: JSON without floats: money and quantities as texts or integers.
            ttl_s: Seconds that it lives, where that is not its kind's own; with nothing left to live it is not stored.

        Raises:
            CacheError: The cache cannot be used.
            TypeError: The value is not one that can be stored exactly.
            ValueError: The kind needs a `ttl_s` and none was given, or it is longer than the kind allows.
        """
        life = DEFAULT_LIFE_S.get(kind) if ttl_s is None else ttl_s
        if life is None or not math.isfinite(life):
            raise ValueError(f"an entry of kind {kind} needs a time to live")
        if life > LONGEST_LIFE_S.get(kind, math.inf):
            raise ValueError(f"an entry of kind {kind} lives {LONGEST_LIFE_S[kind]:g} s at most, not {life:g}")
        document = text.write(value)
        if len(document) > LONGEST_TEXT:
            raise TypeError(f"{len(document):,} characters are too many for the cache")
        row_key = rows.row_key(kind, key)
        if life <= 0:
            self._run(lambda cache: cache.drop(row_key))
        else:
            self._run(lambda cache: cache.set(row_key, document, expire=life, tag=kind.value, retry=True))

    def forget(self, kind: Kind, key: str) -> None:
        """Remove an entry, if it is there.

        Raises:
            CacheError: The cache cannot be used.
        """
        self._run(lambda cache: cache.drop(rows.row_key(kind, key)))

    def stats(self) -> CacheStats:
        """What is in the cache, in numbers.

        Raises:
            CacheError: The cache cannot be used.
        """
        return self._run(rows.tally)

    def clear(self) -> int:
        """Remove everything, the counters of hits and misses too.

        Returns:
            How many entries were removed.

        Raises:
            CacheError: The cache cannot be used.
        """
        return self._run(rows.clear)

    def clean(self) -> int:
        """Remove what has expired.

        Returns:
            How many entries were removed.

        Raises:
            CacheError: The cache cannot be used.
        """
        return self._run(rows.clean)

    def close(self) -> None:
        """Close the database; the cache opens again when used."""
        with self._held():
            if self._cache is not None:
                self._cache.close()
                self._cache = None

    def _held(self) -> threading.RLock:
        if self._pid != os.getpid():
            # A fork may have caught the parent's lock while another thread held it.
            self._lock = threading.RLock()
            self._pid = os.getpid()
        return self._lock

    def _run(self, work: Callable[[GuardedCache], R]) -> R:
        """Do one thing with the open database; begin a fresh one where it turns out damaged."""
        with self._held():
            for _ in range(2):
                try:
                    # An empty cache is false, as an empty list is.
                    return work(self._open() if self._cache is None else self._cache)
                except DamagedDatabase as damage:
                    self._begin_afresh(str(damage))
                except sqlite3.Error as error:
                    if not is_damage(error):
                        raise CacheError(f"the cache {self._directory} cannot be used: {error}") from None
                    self._begin_afresh(str(error))
                except diskcache.Timeout:
                    raise CacheError(f"the cache {self._directory} is busy") from None
            raise CacheError(f"the cache {self._directory} was damaged again at once: use another state_dir")

    def _open(self) -> GuardedCache:
        """Open the database, one process at a time.

        Raises:
            CacheError: The folder cannot be used.
            DamagedDatabase: The database is not one that this room made.
            sqlite3.Error: SQLite cannot use it.
        """
        with self._opening():
            self._identity = folder.identity(self._directory)
            self._identity = folder.prepare(self._directory)
            self._cache = GuardedCache(self._directory)
            return self._cache

    def _begin_afresh(self, why: str) -> None:
        """Move the damaged database aside, unless another process has done so already."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None
        with self._opening():
            if folder.identity(self._directory) == self._identity:
                aside = folder.move_aside(self._directory)
                _log.warning("The cache was damaged (%s); it lies in %s now and a fresh one is begun", why, aside)

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        """Keep other processes from opening or moving the cache meanwhile."""
        place = self._directory.with_name(f"{self._directory.name}.lock")
        try:
            folder.make_folders(place.parent)
            with locked(place, timeout_s=_OPENING_S):
                yield
        except OSError as error:
            raise CacheError(f"the cache folder {self._directory} cannot be used: {error}") from None
