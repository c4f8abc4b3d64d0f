"""The journal's tables in PostgreSQL, in a schema of their own. They can only be added to."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

SCHEMA: Final = "firstbell"
"""The schema's name: one journal a database."""
VERSION: Final = 3
"""Raised with every change of the tables. An older journal is brought up to it, a newer one is refused."""
OLDEST: Final = 2
"""The oldest version that is brought up; what is older still is refused, never guessed at."""


_TABLES: Final = """
CREATE TABLE runs (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    bell TEXT NOT NULL,
    results_dir TEXT NOT NULL,
    lines TEXT NOT NULL,
    digest TEXT NOT NULL
);

CREATE TABLE orders (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    bell_ns BIGINT NOT NULL,
    known_ids TEXT,
    owner_host TEXT NOT NULL,
    owner_pid BIGINT NOT NULL,
    owner_started DOUBLE PRECISION NOT NULL,
    claimed_at TEXT NOT NULL,
    digest TEXT NOT NULL,
    UNIQUE (plan_id, round)
);
CREATE INDEX orders_by_day ON orders (day);
CREATE INDEX orders_by_run ON orders (run_id);
CREATE INDEX orders_by_login ON orders (login);

CREATE TABLE reports (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_order_id TEXT NOT NULL REFERENCES orders (client_order_id),
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    facts TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE INDEX reports_by_order ON reports (client_order_id, seq);

CREATE TABLE notes (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT,
    client_order_id TEXT,
    digest TEXT NOT NULL
);
CREATE INDEX notes_by_run ON notes (run_id, seq);

-- One mark a transaction: whoever loses the connection while committing finds here whether it was kept.
CREATE TABLE marks (
    mark TEXT NOT NULL PRIMARY KEY
);

CREATE TABLE version (
    version INTEGER NOT NULL PRIMARY KEY
);

CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$;
"""

# Always: also for a session that plays a replica.
_ADD_ONLY: Final = "".join(
    f"CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION never();\n"
    f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER never;\n"
    for table in ("runs", "orders", "reports", "notes", "marks", "version")
)

SCHEMA_SCRIPT: Final = f"CREATE SCHEMA {SCHEMA}"
"""Makes the schema, unless an administrator has made it for us."""

_BY_VERSION: Final = MappingProxyType({3: "ALTER TABLE orders ADD COLUMN instructions TEXT;\n"})
"""What brings a journal of the version before up to each version."""


def bringing_up(version: int) -> str:
    """What makes a journal of `version` into one of `VERSION`, within the caller's transaction.

    Each version that a journal has had keeps its row, for none can be changed; the highest is the one that it has.
    """
    return "".join(
        f"{_BY_VERSION[each]}INSERT INTO version (version) VALUES ({each});\n"  # noqa: S608 - a number of ours  # nosec B608
        for each in range(version + 1, VERSION + 1)
    )


_OLD_TABLES: Final = f"{_TABLES}INSERT INTO version (version) VALUES ({OLDEST});\n{_ADD_ONLY}"  # noqa: S608 - likewise  # nosec B608
SCRIPT: Final = f"{_OLD_TABLES}{bringing_up(OLDEST)}"
"""Makes an empty schema into a journal, within the caller's transaction: an old one that is brought up."""

IS_THERE: Final = (
    f"SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = '{SCHEMA}') AS schema, EXISTS "  # noqa: S608 - our own names  # nosec B608
    f"(SELECT 1 FROM pg_tables WHERE schemaname = '{SCHEMA}' AND tablename = 'version') AS tables"
)
"""Asks what has been made already. (The functions `to_regclass` and the like may answer from what they knew before.)"""
