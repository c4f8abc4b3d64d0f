"""How far the chat has been heard: kept in the state folder, so that no command is carried out twice."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firstbell.errors import RunError

if TYPE_CHECKING:
    from firstbell.clock import Clock

FORGET_AFTER_S: Final = 6 * 86_400
"""After a week without updates Telegram begins to count anew, perhaps below what was heard last."""
_LARGEST: Final = 4096


class Bookmark:
    """The number heard last, by bot and chat.

    Args:
        path: The file.
        key: Which bot and chat it is of; what was kept of others says nothing.
        clock: Tells how old it is.
    """

    def __init__(self, path: Path, key: str, clock: Clock) -> None:
        self._path = path
        self._key = key
        self._clock = clock
        self._number, self._at_s = self._read()

    @property
    def number(self) -> int | None:
        """The number heard last; None where nothing was, or so long ago that numbers may have begun anew."""
        return None if abs(self._now_s() - self._at_s) > FORGET_AFTER_S else self._number

    def move(self, number: int) -> None:
        """Everything up to `number` is heard, durably.

        Raises:
            RunError: It cannot be written; in this process it is remembered all the same.
        """
        self._number, self._at_s = number, self._now_s()
        text = json.dumps({"key": self._key, "heard": number, "at": self._at_s})
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".heard-", dir=self._path.parent)
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{self._path} cannot be written: {error.strerror}") from error

    def _read(self) -> tuple[int | None, int]:
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(file, "rb") as opened:
                found = json.loads(opened.read(_LARGEST))
            if found["key"] != self._key:
                return None, 0
            return int(found["heard"]), int(found["at"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return None, 0

    def _now_s(self) -> int:
        return self._clock.wall_ns() // 1_000_000_000
