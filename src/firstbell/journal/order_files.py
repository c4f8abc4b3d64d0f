"""The order log's two files: written to, read, and made anew from the journal."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import RunError
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG, OrderLog
from firstbell.journal.order_words import words
from firstbell.log import EventLog, Rotation, TextLog, event_line, older_parts, text_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from firstbell.config.order_log_settings import OrderLogSettings
    from firstbell.journal.base import Journal
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import Order

_ORDERS_REMEMBERED: Final = 4_096


class OrderFiles:
    """``orders.log``, with a line of JSON for each report, and ``trading_orders.log``, with a line of text an event.

    Safe for threads, forks and several processes. What cannot be written is said once, and stops nothing.

    Args:
        folder: The logs folder.
        settings: When they are rotated.

    Raises:
        RunError: The folder or a file cannot be used.
    """

    def __init__(self, folder: Path, settings: OrderLogSettings) -> None:
        rotation = Rotation(settings.max_size, settings.keep, settings.max_age, settings.compress)
        self.events = EventLog(folder / ORDER_LOG, rotation)
        self.texts = TextLog(folder / TRADING_LOG, rotation)

    def write(self, event: Mapping[str, Any]) -> None:
        """Write a line, and where it is an event, its text as well."""
        self.events.write(event)
        if event.get("event") is not None:
            self.texts.write(words(event))

    def close(self) -> None:
        """Close the files; a later `write` opens them again."""
        self.events.close()
        self.texts.close()

    def rebuild(self, journal: Journal) -> int:
        """Write both files anew from the journal, and put them whole in the places of the old ones.

        What `firstbell.journal.order_logger.OrderLogger` has written stands in no journal: it is taken over, at its
        time. Other writers wait meanwhile; a report that is written at this very moment may come to stand twice.

        Returns:
            How many events there are.

        Raises:
            JournalError: The journal cannot be read; the files are as they were.
            RunError: The files cannot be written; they are as they were.
        """
        made = [log.path.with_name(f".{log.path.name}.new") for log in (self.events, self.texts)]
        try:
            with self.events.alone(), self.texts.alone(), contextlib.ExitStack() as stack:
                for path in made:
                    path.unlink(missing_ok=True)
                new = [stack.enter_context(_create(path)) for path in made]
                count = _write_all(new[0], new[1], _merged(_told(self, journal), list(_own(self.events.path))))
                stack.close()
                for log, path in zip((self.events, self.texts), made, strict=True):
                    path.replace(log.path)
                    for part in older_parts(log.path):
                        part.unlink()
        except OSError as error:
            raise RunError(f"the order log cannot be written anew: {error.strerror or error}") from error
        finally:
            for path in made:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        return count


def lines_in(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of one file, a compressed one too; what is no JSON object is passed over.

    Raises:
        OSError: It cannot be read.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
        for text in file:
            if (line := read_line(text)) is not None:
                yield line


def read_line(text: str) -> dict[str, Any] | None:
    """One line; None where it is no JSON object."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _create(path: Path) -> TextIO:
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", errors="replace"
    )


def _write_all(events: TextIO, texts: TextIO, lines: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    for line in lines:
        events.write(event_line(line) + "\n")
        if line.get("event") is not None:
            texts.write(text_line(words(line)) + "\n")
            count += 1
    return count


def _told(files: OrderFiles, journal: Journal) -> Iterator[dict[str, Any]]:
    """The lines of all reports, in the order in which they were written."""
    log, seq = OrderLog(files, journal), 0
    orders: dict[ClientOrderId, Order] = {}
    while True:
        seq, reports = journal.reports_after(seq)
        if not reports:
            return
        for report in reports:
            name = report.client_order_id
            if name not in orders:
                entry = journal.entry(name)
                if entry is None:
                    continue
                orders[name] = entry.intent.order
                if len(orders) > _ORDERS_REMEMBERED:
                    orders.pop(next(iter(orders)))
            yield log.line(report, orders[name])


def _own(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that no report is behind, oldest first."""
    for part in (*reversed(older_parts(path)), path):
        with contextlib.suppress(FileNotFoundError):
            yield from (line for line in lines_in(part) if line.get("report") is None and line.get("event") is not None)


def _merged(lines: Iterable[dict[str, Any]], own: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    at = 0
    for line in lines:
        while at < len(own) and str(own[at].get("at")) <= line["at"]:
            yield own[at]
            at += 1
        yield line
    yield from own[at:]
