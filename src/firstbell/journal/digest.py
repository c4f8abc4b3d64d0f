"""A digest in every row of the journal, by which a row that has changed on disk is told from one that was written.

A database looks at its own structure, not at what stands in a row: one turned bit in a price or a report would be read
as if it had been written. A digest is no protection against somebody who means to deceive; he could reckon it anew.
"""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import JournalDamaged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.journal.store import Row

DIGEST: Final = "digest"
"""The column that it stands in."""

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "runs": ("run_id", "bell", "results_dir", "lines"),
        "orders": (
            "client_order_id",
            "plan_id",
            "round",
            "run_id",
            "login",
            "account",
            "broker_code",
            "instrument",
            "side",
            "price",
            "quantity",
            "order_type",
            "time_in_force",
            "day",
            "bell_ns",
            "known_ids",
            "owner_host",
            "owner_pid",
            "owner_started",
            "claimed_at",
        ),
        "reports": ("client_order_id", "run_id", "kind", "at", "facts"),
        "notes": ("run_id", "account", "kind", "text", "client_order_id"),
    }
)
"""What it is made of; all but the number that the database gives a row, which its indexes hold as well."""
_LATER: Final[Mapping[str, str]] = MappingProxyType({"orders": "instructions"})
"""Columns that came with a later version: a row in which nothing stands there has the digest that it always had."""
_VALUES: Final = {table: itemgetter(*columns) for table, columns in _COLUMNS.items()}
"""What takes them out of a row."""

TABLES: Final = tuple(_COLUMNS)
"""The tables whose rows have one."""


def with_digest(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row that is about to be written, with its digest."""
    return {**row, DIGEST: _digest(table, row)}


def check(table: str, row: Row) -> None:
    """See whether a row is as it was written.

    Raises:
        JournalDamaged: It is not; the text names it.
    """
    if row[DIGEST] != _digest(table, row):
        name = row["run_id"] if table in {"runs", "notes"} else row["client_order_id"]
        raise JournalDamaged(
            f"row {row['seq']} of the journal's {table} ({name}) is not as it was written: the journal is damaged; "
            "nothing is sent until a person has moved it aside and checked the broker"
        )


def _digest(table: str, row: Mapping[str, Any] | Row) -> str:
    values = [table, *_VALUES[table](row)]
    if table in _LATER and row[_LATER[table]] is not None:
        values.append(row[_LATER[table]])
    text = f"[{', '.join(map(_as_json, values))}]"
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest()


def _as_json(value: Any) -> str:
    """A value as `json.dumps` writes it, which takes twice as long for so little."""
    if type(value) is str:
        return encode_basestring_ascii(value)
    if type(value) is int:
        return int.__repr__(value)
    return "null" if value is None else json.dumps(value)
