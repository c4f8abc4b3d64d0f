"""The one place where it is decided which journal a run keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.journal.address import Address
from firstbell.journal.postgres import PostgresJournal
from firstbell.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

    from firstbell.clock import Clock
    from firstbell.journal.base import Journal


def open_journal(url: str | None, path: Path, clock: Clock) -> Journal:
    """The journal that a config names. Nothing is opened or connected before it is first used.

    Args:
        url: ``postgresql://user:password@host:port/database``, or None for SQLite.
        path: The SQLite file, where there is no `url`.
        clock: Both clocks.

    Raises:
        ValueError: The address cannot be used; the text says why and never shows it.
    """
    if url is None:
        return SqliteJournal(path, clock)
    return PostgresJournal(Address.of(url), clock)
