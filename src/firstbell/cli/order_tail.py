"""What is written into the order log while somebody looks at it."""

from __future__ import annotations

import os
import zlib
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from firstbell.journal.order_sources import open_part, read_line
from firstbell.log import older_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_REMEMBERED: Final = 1_024
"""Lines. Where a file was written anew, so many may stand in another order than they were shown in."""
_TRIES: Final = 25
"""Looks at a part that cannot be read, before it is passed over."""


class Tail:
    """What stands in a file and is written into it later, also when it is put aside and begun anew.

    Args:
        path: The file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)
        self._rest = b""
        self._failed = 0
        # So that it is known where new lines begin, should there be none yet in the newest file.
        newest = older_parts(path)[:1]
        self._seen = deque((_whole(newest[0]) or [])[-1:] if newest else [], maxlen=_REMEMBERED)

    def new(self) -> Iterator[dict[str, Any]]:
        """The whole lines since the last look; at the first look those of the newest file."""
        # Asked first: once another file stands there, nobody writes into this one any more.
        has_moved = self._has_moved()
        yield from self._told(self._read())
        if has_moved:
            yield from self._told(self._moved())

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _has_moved(self) -> bool:
        if self._file is None:
            return True
        try:
            there, here = self.path.stat(), os.fstat(self._file.fileno())
        except OSError:
            return False
        return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev)

    def _told(self, texts: list[bytes]) -> Iterator[dict[str, Any]]:
        for text in texts:
            self._seen.append(text)
            if (line := read_line(text)) is not None:
                yield line

    def _read(self) -> list[bytes]:
        if self._file is None:
            return []
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return whole

    def _moved(self) -> list[bytes]:
        """What came behind the last line that was seen, wherever that stands now."""
        # Opened before the older parts are looked through: one that is put aside in between is found twice, not never.
        file = _open(self.path)
        *whole, rest = (b"" if file is None else file.read()).split(b"\n")
        found = self._behind_the_last(whole)
        if found is None:
            # A part is being put aside at this moment: all is looked at again the next time.
            if file is not None:
                file.close()
            return []
        self.close()
        self._file, self._rest, self._failed = file, rest, 0
        return found

    def _behind_the_last(self, found: list[bytes]) -> list[bytes] | None:
        """The lines behind the last one that was seen; None where they cannot be told now."""
        last = self._seen[-1] if self._seen else None
        for part in older_parts(self.path):
            if last in found:
                break
            older = _whole(part)
            if older is None and self._failed < _TRIES:
                self._failed += 1
                return None
            found = [*(older or []), *found]
        if last in found:
            found = found[len(found) - found[::-1].index(last) :]
        elif last is not None:
            # Written anew in other words, or put aside for good: the time tells.
            found = [each for each in found if _at(each) > _at(last)]
        known = set(self._seen)
        return [each for each in dict.fromkeys(found) if each not in known]


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except OSError:
        return None


def _whole(part: Path) -> list[bytes] | None:
    try:
        with open_part(part) as file:
            return file.read().split(b"\n")[:-1]
    except (OSError, EOFError, zlib.error):
        return None


def _at(text: bytes) -> datetime:
    """When a line was written; long ago where it does not say so."""
    try:
        at = datetime.fromisoformat(str((read_line(text) or {}).get("at")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
