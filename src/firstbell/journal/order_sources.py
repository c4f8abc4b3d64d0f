"""Where the lines of an order log come from: the files as they stand, and the journal."""

from __future__ import annotations

import contextlib
import gzip
import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from firstbell.log import older_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from firstbell.journal.base import Journal
    from firstbell.journal.order_log import OrderLog
    from firstbell.log import EventLog
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import Order

_ORDERS_REMEMBERED: Final = 4_096
_TRIES: Final = 5


class Told:
    """The lines of a journal's reports, in the order in which they were written.

    Args:
        log: Makes lines of them.
        journal: What they stand in.
    """

    def __init__(self, log: OrderLog, journal: Journal) -> None:
        self._log = log
        self._journal = journal
        self._seq = 0
        self._orders: dict[ClientOrderId, Order] = {}

    def more(self) -> Iterator[dict[str, Any]]:
        """What has come since the last time.

        Raises:
            JournalError: The journal cannot be read.
        """
        while True:
            self._seq, reports = self._journal.reports_after(self._seq)
            if not reports:
                return
            for report in reports:
                order = self._order(report.client_order_id)
                if order is not None:
                    yield self._log.line(report, order)

    def _order(self, name: ClientOrderId) -> Order | None:
        if name not in self._orders:
            entry = self._journal.entry(name)
            if entry is None:
                return None
            self._orders[name] = entry.intent.order
            if len(self._orders) > _ORDERS_REMEMBERED:
                self._orders.pop(next(iter(self._orders)))
        return self._orders[name]


class OwnLines:
    """The events of a log that no report is behind.

    Args:
        log: The log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._read_to: dict[bytes, int] = {}
        """Of each part, known by its first line whatever it is called by now, where nothing has been read yet."""

    def settled(self) -> list[dict[str, Any]]:
        """Those that stand there, oldest first; others may write meanwhile, and put files aside.

        Raises:
            OSError: A file cannot be read.
        """
        for _ in range(_TRIES):
            with self._log.alone():
                before = self._standing()
            # What is put aside at this moment may be found twice, or by half: then all is read again.
            with contextlib.suppress(OSError, EOFError):
                found = self._all()
                with self._log.alone():
                    if self._standing() == before:
                        return found
        with self._log.alone():
            return self._all()

    def later(self) -> list[dict[str, Any]]:
        """Those that have come since `settled`; nobody else may write meanwhile.

        Raises:
            OSError: A file cannot be read.
        """
        found: list[dict[str, Any]] = []
        for part in (self._log.path, *older_parts(self._log.path)):
            with contextlib.suppress(FileNotFoundError), open_part(part) as file:
                head = file.readline()
                file.seek(self._read_to.get(head, 0))
                found = [*filter(_is_own, map(read_line, file)), *found]
                if head in self._read_to:
                    break
        return found

    def _all(self) -> list[dict[str, Any]]:
        self._read_to.clear()
        found: list[dict[str, Any]] = []
        for part in (*reversed(older_parts(self._log.path)), self._log.path):
            with contextlib.suppress(FileNotFoundError), open_part(part) as file:
                head, at = b"", 0
                for text in takewhile(_is_whole, file):
                    head, at = head or text, at + len(text)
                    line = read_line(text)
                    if _is_own(line):
                        found.append(line)
                if head:
                    self._read_to[head] = at
        return found

    def _standing(self) -> list[tuple[str, int]]:
        parts = (self._log.path, *older_parts(self._log.path))
        return [(part.name, part.stat().st_ino) for part in parts if part.exists()]


def lines_in(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of one file, a compressed one too; what is no JSON object is passed over.

    Raises:
        OSError: It cannot be read.
    """
    with open_part(path) as file:
        yield from (line for text in file if (line := read_line(text)) is not None)


def open_part(path: Path) -> BinaryIO:
    """Open a part of a log to be read, a compressed one too.

    Raises:
        OSError: It cannot be opened.
    """
    return cast("BinaryIO", gzip.open(path) if path.suffix == ".gz" else path.open("rb"))


def read_line(text: bytes) -> dict[str, Any] | None:
    """One line; None where it is no JSON object."""
    try:
        line = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _is_own(line: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    return line is not None and line.get("report") is None and line.get("event") is not None


def _is_whole(text: bytes) -> bool:
    return text.endswith(b"\n")
