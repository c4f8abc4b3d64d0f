"""Event logs: an event a line, as JSON for programs or as text for people, with the same boundary as the run log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from firstbell.log.escape import json_line, one_line
from firstbell.log.redaction import redact, redact_mapping
from firstbell.log.run_log import RotatingFile, make_folder, refuse_link

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from firstbell.log.rotation import Rotation

_PLAIN: Final = logging.Formatter("%(message)s")


class _Lines:
    """A file of lines. It never stands in an order's way: what cannot be written is counted, said once, and left."""

    def __init__(self, path: Path, rotation: Rotation | None) -> None:
        make_folder(path.parent)
        refuse_link(path)
        self.path = path
        self._file = RotatingFile(path, _PLAIN, rotation)

    @property
    def lost(self) -> int:
        """How many lines could not be written."""
        return self._file.lost

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep every other writer, of whatever process, waiting."""
        return self._file.alone()

    def close(self) -> None:
        """Close the file. A later `write` opens it again."""
        self._file.close()

    def add(self, lines: Sequence[str]) -> None:
        """Append lines that are written already, with nobody else's between them."""
        if lines:
            record = logging.LogRecord("firstbell.events", logging.INFO, "", 0, "\n".join(lines), None, None)
            record.lines = len(lines)
            self._file.handle(record)


class EventLog(_Lines):
    """A file of events, each one JSON object in a line.

    It never stands in an order's way: what cannot be written is counted, said once, and left. Safe for threads,
    greenlets, forks and several processes.

    Args:
        path: The file; its folder is made if it is not there.
        rotation: When it is rotated; by default like the run log.

    Raises:
        RunError: The folder or the file cannot be used.
    """

    def __init__(self, path: Path, rotation: Rotation | None = None) -> None:
        super().__init__(path, rotation)

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event as one line.

        Args:
            event: What JSON can hold; whatever else is in it (a `Decimal`, a date) is written as its text.

        Raises:
            ValueError: It holds a number that is not finite.
        """
        self.add([event_line(event)])


class TextLog(_Lines):
    """The same for people: each event a line of text.

    Args:
        path: The file; its folder is made if it is not there.
        rotation: When it is rotated; by default like the run log.

    Raises:
        RunError: The folder or the file cannot be used.
    """

    def __init__(self, path: Path, rotation: Rotation | None = None) -> None:
        super().__init__(path, rotation)

    def write(self, text: str) -> None:
        """Append one event as one line."""
        self.add([text_line(text)])


def event_line(event: Mapping[str, Any]) -> str:
    """An event as `EventLog` writes it, without the line's end.

    Raises:
        ValueError: It holds a number that is not finite.
    """
    return json_line(json.dumps(redact_mapping(event), ensure_ascii=False, allow_nan=False, default=_text))


def text_line(text: str) -> str:
    """A text as `TextLog` writes it, without the line's end."""
    return one_line(redact(text))


def _text(value: object) -> str:
    return redact(str(value))
