"""The order log's two files: written to, read, and made anew from the journal."""

from __future__ import annotations

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from firstbell.errors import RunError
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG, OrderLog
from firstbell.journal.order_sources import OwnLines, Told
from firstbell.journal.order_words import words
from firstbell.log import EventLog, Rotation, TextLog, event_line, older_parts, text_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path
    from typing import TextIO

    from firstbell.config.order_log_settings import OrderLogSettings
    from firstbell.journal.base import Journal


class OrderFiles:
    """``orders.log``, with a line of JSON for each report, and ``trading_orders.log``, with a line of text an event.

    Safe for threads, forks and several processes. What cannot be written is said once, and stops nothing.

    Args:
        folder: The logs folder.
        settings: When they are rotated.
        tz: In which zone the text tells times; by default as they stand in ``orders.log``.

    Raises:
        RunError: The folder or a file cannot be used.
    """

    def __init__(self, folder: Path, settings: OrderLogSettings, tz: tzinfo | None = None) -> None:
        rotation = Rotation(settings.max_size, settings.keep, settings.max_age, settings.compress)
        self.events = EventLog(folder / ORDER_LOG, rotation)
        self.texts = TextLog(folder / TRADING_LOG, rotation)
        self._tz = tz

    def write(self, event: Mapping[str, Any]) -> None:
        """Write a line, and where it is an event, its text as well."""
        self.add([self.written(event)])

    def written(self, line: Mapping[str, Any]) -> tuple[str, str | None]:
        """A line as it is written, and its text where it is an event; for `add`.

        Raises:
            ValueError: It holds a number that is not finite.
        """
        return event_line(line), None if line.get("event") is None else text_line(words(line, self._tz))

    def add(self, written: Sequence[tuple[str, str | None]]) -> None:
        """Append what `written` made of lines, those of a file together."""
        self.events.add([event for event, _ in written])
        self.texts.add([text for _, text in written if text is not None])

    def close(self) -> None:
        """Close the files; a later `write` opens them again."""
        self.events.close()
        self.texts.close()

    def rebuild(self, journal: Journal) -> int:
        """Write both files anew from the journal, and put them whole in the places of the old ones.

        What `firstbell.journal.order_logger.OrderLogger` has written stands in no journal: it is taken over, at its
        time. Other writers wait only while the last few lines are caught up with; a report that is written at this
        very moment may come to stand twice.

        Returns:
            How many events there are.

        Raises:
            JournalError: The journal cannot be read; the files are as they were.
            RunError: The files cannot be written; they are as they were.
        """
        logs = (self.events, self.texts)
        made = [log.path.with_name(f".{log.path.name}.new") for log in logs]
        try:
            with _only_one(self.events.path.parent), contextlib.ExitStack() as stack:
                stack.callback(_remove, made)
                events, texts = [stack.enter_context(_create(path)) for path in made]
                new = _New(events, texts, self._tz)
                told, own = Told(OrderLog(self, journal), journal), OwnLines(self.events)
                new.write(_merged(told.more(), own.settled()))
                new.sync()
                with self.events.alone(), self.texts.alone():
                    new.write(_merged(told.more(), own.later()))
                    new.sync()
                    for log, path in zip(logs, made, strict=True):
                        path.replace(log.path)
                        for part in older_parts(log.path):
                            part.unlink()
        except OSError as error:
            raise RunError(f"the order log cannot be written anew: {error.strerror or error}") from error
        return new.count


class _New:
    """The two files that are being made."""

    def __init__(self, events: TextIO, texts: TextIO, tz: tzinfo | None) -> None:
        self.count = 0
        self._events = events
        self._texts = texts
        self._tz = tz

    def write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        for line in lines:
            self._events.write(event_line(line) + "\n")
            if line.get("event") is not None:
                self._texts.write(text_line(words(line, self._tz)) + "\n")
                self.count += 1

    def sync(self) -> None:
        for file in (self._events, self._texts):
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Wait until nobody else writes files anew in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _create(path: Path) -> TextIO:
    path.unlink(missing_ok=True)
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", errors="replace"
    )


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _merged(lines: Iterable[dict[str, Any]], own: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    at = 0
    for line in lines:
        while at < len(own) and _instant(own[at]) <= _instant(line):
            yield own[at]
            at += 1
        yield line
    yield from own[at:]


def _instant(line: Mapping[str, Any]) -> datetime:
    """When a line was written; one that does not say when goes right behind the one before it."""
    try:
        at = datetime.fromisoformat(str(line.get("at")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
