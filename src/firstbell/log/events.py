"""Event logs: one JSON object a line, for programs, with the same rotation and the same boundary as the run log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from firstbell.log.escape import json_line
from firstbell.log.redaction import redact, redact_mapping
from firstbell.log.run_log import RotatingFile, make_folder, refuse_link

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PLAIN: Final = logging.Formatter("%(message)s")


class EventLog:
    """A file of events. It never stands in an order's way: what cannot be written is counted, said once, and left.

    Safe for threads, greenlets, forks and several processes.

    Args:
        path: The file; its folder is made if it is not there.

    Raises:
        RunError: The folder or the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        refuse_link(path)
        self._file = RotatingFile(path, _PLAIN)

    @property
    def lost(self) -> int:
        """How many events could not be written."""
        return self._file.lost

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event as one line.

        Args:
            event: What JSON can hold; whatever else is in it (a `Decimal`, a date) is written as its text.

        Raises:
            ValueError: It holds a number that is not finite.
        """
        text = json.dumps(redact_mapping(event), ensure_ascii=False, allow_nan=False, default=_text)
        record = logging.LogRecord("firstbell.events", logging.INFO, "", 0, json_line(text), None, None)
        self._file.handle(record)

    def close(self) -> None:
        """Close the file. A later `write` opens it again."""
        self._file.close()


def _text(value: object) -> str:
    return redact(str(value))
