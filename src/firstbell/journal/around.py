"""Which orders matter on a day: so that whoever begins reads these, and not all that there have ever been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from firstbell.journal.codec import read_instructions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from firstbell.journal.store import Row, Session

_AT_ONCE: Final = 500
"""So many names are asked for in one query."""


def rows_around(
    session: Session, login: str | None, day: date, since: date, *, not_done: str, done: Sequence[str]
) -> list[Row]:
    """Orders of a day, those not done, those of which was written since, and all that these belong with.

    Args:
        session: Where to read.
        login: The login; None: all of them.
        day: The trading day.
        since: A day in UTC: orders of which anything was written on it or later are wanted as well.
        not_done: What finds the orders that are not done; takes the values of `done`.
        done: Its values.

    Returns:
        The rows, in the order in which the orders were claimed.
    """
    found: dict[int, Row] = {}
    whose, owner = ("TRUE", ()) if login is None else ("login = ?", (login,))

    def take(query: str, values: Iterable[Any]) -> list[Row]:
        rows = session.rows(f"SELECT orders.* FROM orders WHERE {whose} AND {query}", (*owner, *values))  # noqa: S608 - our own words  # nosec B608
        found.update((row["seq"], row) for row in rows)
        return list(rows)

    begun = [*take("day = ?", (day.isoformat(),)), *take(not_done, done)]
    # Days are compared, not instants: of digits alone every database says the same.
    written = "client_order_id IN (SELECT client_order_id FROM reports WHERE substr(at, 1, 10) >= ?)"
    begun += take(written, (since.isoformat(),))
    related = {name for row in begun for name in _names_of(row)}
    legs = session.rows(f"SELECT plan_id, instructions FROM orders WHERE {whose} AND instructions IS NOT NULL", owner)  # noqa: S608 - likewise  # nosec B608
    plans = related | {row["plan_id"] for row in legs if not related.isdisjoint(_names_of(row))}
    for some in _parts(sorted(plans)):
        take(f"plan_id IN ({','.join('?' * len(some))})", some)
    return [found[seq] for seq in sorted(found)]


def _names_of(row: Row) -> set[str]:
    """The names by which an order and those that it belongs with know each other."""
    terms = read_instructions(row["instructions"])
    return {row["plan_id"], *(name for name in (terms.parent_id, terms.group) if name is not None)}


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), _AT_ONCE):
        yield names[begin : begin + _AT_ONCE]
