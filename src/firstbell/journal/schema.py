"""The journal's tables in SQLite. Nothing in them can be changed or removed, only added."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

VERSION: Final = 3
"""Raised with every change of the tables. An older journal is brought up to it, a newer one is refused."""
OLDEST: Final = 2
"""The oldest version that is brought up; what is older still is refused, never guessed at."""

_TABLES: Final = """
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    bell TEXT NOT NULL,
    results_dir TEXT NOT NULL,
    lines TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;

CREATE TABLE orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    client_order_id TEXT NOT NULL UNIQUE,
    plan_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    login TEXT NOT NULL,
    account TEXT NOT NULL,
    broker_code TEXT NOT NULL,
    instrument TEXT NOT NULL,
    side TEXT NOT NULL,
    price TEXT NOT NULL,
    quantity TEXT NOT NULL,
    order_type TEXT NOT NULL,
    time_in_force TEXT NOT NULL,
    day TEXT NOT NULL,
    bell_ns INTEGER NOT NULL,
    known_ids TEXT,
    owner_host TEXT NOT NULL,
    owner_pid INTEGER NOT NULL,
    owner_started REAL NOT NULL,
    claimed_at TEXT NOT NULL,
    digest TEXT NOT NULL,
    UNIQUE (plan_id, round)
) STRICT;
CREATE INDEX orders_by_day ON orders (day);
CREATE INDEX orders_by_run ON orders (run_id);
CREATE INDEX orders_by_login ON orders (login);

CREATE TABLE reports (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    client_order_id TEXT NOT NULL REFERENCES orders (client_order_id),
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    facts TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;
CREATE INDEX reports_by_order ON reports (client_order_id, seq);

CREATE TABLE notes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT,
    client_order_id TEXT,
    digest TEXT NOT NULL
) STRICT;
CREATE INDEX notes_by_run ON notes (run_id, seq);
"""

_ADD_ONLY: Final = "".join(
    f"CREATE TRIGGER {table}_never_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;\n"
    for table in ("runs", "orders", "reports", "notes")
    for verb in ("UPDATE", "DELETE")
)

_BY_VERSION: Final = MappingProxyType({3: "ALTER TABLE orders ADD COLUMN instructions TEXT;\n"})
"""What brings a journal of the version before up to each version."""


def bringing_up(version: int) -> str:
    """What makes a journal of `version` into one of `VERSION`, within the caller's transaction."""
    steps = "".join(_BY_VERSION[each] for each in range(version + 1, VERSION + 1))
    return f"{steps}PRAGMA user_version = {VERSION};\n"


OLD_TABLES: Final = f"{_TABLES}{_ADD_ONLY}"
"""Makes an empty database into a journal of the version `OLDEST`, but for its number."""

# A new journal is made old and brought up, so that it is described, to the letter, like one that was old.
SCRIPT: Final = f"BEGIN IMMEDIATE;\n{OLD_TABLES}{bringing_up(OLDEST)}COMMIT;\n"
"""Makes an empty database into a journal, all at once."""
