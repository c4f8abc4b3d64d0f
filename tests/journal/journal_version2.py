"""Journals of version 2 as firstbells of then made them, to the letter, and the rows that one of them wrote."""

from __future__ import annotations

import contextlib
import json
import sqlite3

SQLITE = """\
BEGIN IMMEDIATE;

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
CREATE TRIGGER runs_never_update BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER runs_never_delete BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER orders_never_update BEFORE UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER orders_never_delete BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER reports_never_update BEFORE UPDATE ON reports BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER reports_never_delete BEFORE DELETE ON reports BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER notes_never_update BEFORE UPDATE ON notes BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER notes_never_delete BEFORE DELETE ON notes BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
PRAGMA user_version = 2;
COMMIT;
"""  # noqa: E501

POSTGRES = """\
CREATE SCHEMA firstbell;
SET search_path = firstbell, pg_temp;

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
INSERT INTO version (version) VALUES (2);
CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON runs FOR EACH STATEMENT EXECUTE FUNCTION never();
ALTER TABLE runs ENABLE ALWAYS TRIGGER never;
CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION never();
ALTER TABLE orders ENABLE ALWAYS TRIGGER never;
CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON reports FOR EACH STATEMENT EXECUTE FUNCTION never();
ALTER TABLE reports ENABLE ALWAYS TRIGGER never;
CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON notes FOR EACH STATEMENT EXECUTE FUNCTION never();
ALTER TABLE notes ENABLE ALWAYS TRIGGER never;
CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON marks FOR EACH STATEMENT EXECUTE FUNCTION never();
ALTER TABLE marks ENABLE ALWAYS TRIGGER never;
CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON version FOR EACH STATEMENT EXECUTE FUNCTION never();
ALTER TABLE version ENABLE ALWAYS TRIGGER never;
"""

ROWS = json.loads(
    r"""
[
["runs", {"run_id": "run", "bell": "2026-11-21T05:15:00.123456+00:00", "results_dir": "/results",
  "lines": "[[\"Order_A\", \"gs\", \"IRO1MHRN0001\", \"buy\"]]", "digest": "8e27b78a731dffaae13e6b7a6d48c62f"}],
["orders", {"client_order_id": "fb-20261121-0011aabbccdd-0", "plan_id": "fb-20261121-0011aabbccdd-0", "round": 1,
  "run_id": "run", "login": "login", "account": "Order_A", "broker_code": "gs", "instrument": "IRO1MHRN0001",
  "side": "buy", "price": "5860", "quantity": "170018", "order_type": "limit", "time_in_force": "day",
  "day": "2026-11-21", "bell_ns": 4611686018427387904, "known_ids": "[\"1\"]", "owner_host": "elsewhere#1",
  "owner_pid": 11, "owner_started": 1.5, "claimed_at": "2026-11-28T05:26:57.996650+00:00",
  "digest": "d65fd6ce7f70eadb35e7d0c364b476ef"}],
["orders", {"client_order_id": "fb-20261121-2233aabbccdd-0", "plan_id": "fb-20261121-2233aabbccdd-0", "round": 1,
  "run_id": "run", "login": "login", "account": "Order_A", "broker_code": "gs", "instrument": "IRO1MHRN0001",
  "side": "buy", "price": "5860", "quantity": "170018", "order_type": "limit", "time_in_force": "day",
  "day": "2026-11-21", "bell_ns": 4611686018427387904, "known_ids": null, "owner_host": "elsewhere#1",
  "owner_pid": 11, "owner_started": 1.5, "claimed_at": "2026-11-28T05:26:57.998216+00:00",
  "digest": "53d643e56010bf205cd3c15e08d24de6"}],
["reports", {"client_order_id": "fb-20261121-0011aabbccdd-0", "run_id": "run", "kind": "INITIALIZED",
  "at": "2026-11-28T05:26:57.996756+00:00", "facts": "{}", "digest": "01bb266b4c7f8f7e01b5acdb555bdc3d"}],
["reports", {"client_order_id": "fb-20261121-0011aabbccdd-0", "run_id": "run", "kind": "SUBMITTED",
  "at": "2026-11-21T05:15:00.123456+00:00", "facts": "{}", "digest": "424ab01bb1f877ce77e215584f9d3e2f"}],
["reports", {"client_order_id": "fb-20261121-0011aabbccdd-0", "run_id": "run", "kind": "ACCEPTED",
  "at": "2026-11-21T05:15:00.123456+00:00", "facts": "{\"venue_order_id\":\"77\"}",
  "digest": "7d13ecc283a8c21c4b8499f32731475a"}],
["reports", {"client_order_id": "fb-20261121-0011aabbccdd-0", "run_id": "run", "kind": "PARTIALLY_FILLED",
  "at": "2026-11-21T05:15:00.123456+00:00",
  "facts": "{\"fill\":{\"trade_id\":\"t1\",\"last_qty\":\"18\",\"last_px\":\"5850.5\"}}",
  "digest": "96833cf12b9f7636b4602d0048205dd2"}],
["reports", {"client_order_id": "fb-20261121-2233aabbccdd-0", "run_id": "run", "kind": "INITIALIZED",
  "at": "2026-11-28T05:26:57.998269+00:00", "facts": "{}", "digest": "72bf0405ef1ab2b6b57645d179ffca01"}],
["reports", {"client_order_id": "fb-20261121-2233aabbccdd-0", "run_id": "run", "kind": "SUBMITTED",
  "at": "2026-11-21T05:15:00.123456+00:00", "facts": "{}", "digest": "8a6c4de39469e2e47bacca50b5279368"}],
["reports", {"client_order_id": "fb-20261121-2233aabbccdd-0", "run_id": "run", "kind": "UNRESOLVED",
  "at": "2026-11-21T05:15:00.123456+00:00", "facts": "{\"reason\":\"بی‌پاسخ\"}",
  "digest": "edafffd06a4dbb8ee409d2bd026fee0d"}],
["notes", {"run_id": "run", "account": "Order_A", "kind": "warning", "text": "words", "client_order_id": null,
  "digest": "aba12f3667ebb4a52f765dacc27b1623"}]
]
"""
)
"""Each row's table and columns: of two orders, the first has partly traded and of the second nobody knows."""


def make(place):
    """A journal of version 2 with rows in it."""
    if place.server is None:
        place.where.path.parent.mkdir(mode=0o700, parents=True)
        with contextlib.closing(sqlite3.connect(place.where.path)) as db:
            db.executescript(SQLITE)
            for table, row in ROWS:
                db.execute(_insert(table, row, ", ".join("?" * len(row))), tuple(row.values()))
            db.commit()
        return
    place.server.run(POSTGRES, place.database)
    for table, row in ROWS:
        place.run(_insert(table, row, ", ".join(map(_literal, row.values()))))


def _insert(table, row, values):
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"  # noqa: S608 - our own names


def _literal(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
