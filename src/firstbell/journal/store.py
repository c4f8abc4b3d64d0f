"""What a journal needs of a database: rows read, rows added, and writing that nobody else's comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstbell.journal.base import Owner

T = TypeVar("T")


class Row(Protocol):
    """One row, read by its columns' names."""

    def __getitem__(self, column: str, /) -> Any:
        """A column's value."""
        ...


class Session(Protocol):
    """The database as one piece of work sees it."""

    def rows(self, query: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        """What a query finds; a question mark stands for each of `values`."""
        ...

    def reports_of(self, client_order_ids: Sequence[str]) -> Sequence[Row]:
        """The rows of all reports on some orders; those on one order oldest first."""
        ...

    def add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, which have the same columns, in their order."""
        ...

    def alive(self, owner: Owner) -> bool:
        """Whether the owner's process still lives."""
        ...

    def is_settled(self) -> bool:
        """Whether nobody else is writing just now: every report that got its number before can be seen, or never will.

        Where only one writes at a time, a row that can be seen has none before it that cannot, so that it always is.
        """
        ...


class Store(Protocol):
    """A database that keeps a journal's tables. Every method raises `firstbell.errors.JournalError`."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        ...

    @property
    def out_of_sight_ns(self) -> int:
        """For `firstbell.journal.claims.decide`."""
        ...

    def read(self, work: Callable[[Session], T]) -> T:
        """Do a piece of work that only reads. It may be done twice, so it changes nothing but what it returns."""
        ...

    def write(self, work: Callable[[Session], T], plans: Sequence[str] = ()) -> T:
        """Do a piece of work and keep what it added, durably, all or nothing.

        It may be done twice, the first time in vain; so it changes nothing but the database and what it returns.

        Args:
            work: What to do.
            plans: Whose orders it reads and writes: nobody else writes about these meanwhile.
        """
        ...

    def close(self) -> None:
        """Let go of the database; it can be used again afterwards."""
        ...
