"""The one place where it is decided which journal a run keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.journal.address import Address
from firstbell.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

    from firstbell.clock import Clock
    from firstbell.journal.base import Journal


def open_journal(where: Address | str | None, path: Path, clock: Clock) -> Journal:
    """The journal that a config names. Nothing is opened or connected before it is first used.

    Args:
        where: The address of a PostgreSQL database, also as ``postgresql://user:password@host:port/database``; None for
            SQLite.
        path: The SQLite file, where that is meant.
        clock: Both clocks.

    Raises:
        ValueError: The address cannot be used; the text says why and never shows it.
    """
    if where is None:
        return SqliteJournal(path, clock)
    # Its driver takes a tenth of a command's start, and most have no use for it.
    from firstbell.journal.postgres import PostgresJournal  # noqa: PLC0415

    return PostgresJournal(Address.of(where) if isinstance(where, str) else where, clock)
