"""The write-ahead log beside a SQLite file: whether what it holds can be trusted.

SQLite reads it up to the first frame whose checksum is wrong and takes that for the end. For a write that a power cut
tore apart that is right: nobody was ever told that it was done. But where a whole transaction ends behind that frame,
something that was once durable has changed since, and SQLite would forget it without a word: a claim, or what became of
an order.

The format is that of https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_MAGIC: Final = (0x377F0682, 0x377F0683)
_SMALLEST_PAGE: Final = 512
_LOOKS: Final = 3
_PAUSE_S: Final = 0.02
_MASK: Final = 0xFFFFFFFF


def is_damaged(database: Path) -> bool:
    """Whether something durable in a SQLite file or its log has changed since; to be asked before it is opened.

    Another process may be writing just then, and what is half written looks like damage: so it is looked at again.

    Raises:
        OSError: It cannot be read.
    """
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_S)
        log, size = _log_of(database), database.stat().st_size
        # SQLite takes a file that is shorter than a page for a new one, and throws its log away.
        if not (0 < size < _SMALLEST_PAGE or (size == 0 and len(log) >= _HEADER)) and not _has_changed(log):
            return False
    return True


def _log_of(database: Path) -> bytes:
    try:
        return database.with_name(database.name + "-wal").read_bytes()
    except FileNotFoundError:
        return b""


def _has_changed(log: bytes) -> bool:
    if len(log) < _HEADER:
        # Its first write did not even come to an end.
        return False
    magic, _, page_size = struct.unpack_from(">3I", log)
    if magic not in _MAGIC or page_size & page_size - 1 or page_size < _SMALLEST_PAGE:
        return True
    words = "<" if magic == _MAGIC[0] else ">"
    sums = _sums(log[: _HEADER - 8], (0, 0), words)
    if sums != struct.unpack_from(">2I", log, _HEADER - 8):
        return True
    salt = log[16:24]
    whole = True
    for at in range(_HEADER, len(log) - _FRAME_HEADER - page_size + 1, _FRAME_HEADER + page_size):
        if whole:
            page = at + _FRAME_HEADER
            sums = _sums(log[at : at + 8], sums, words)
            sums = _sums(log[page : page + page_size], sums, words)
            whole = log[at + 8 : at + 16] == salt and sums == struct.unpack_from(">2I", log, at + 16)
        # The last frame of a transaction says how large the database is after it.
        if not whole and _is_of_this_log(log, at, salt) and log[at + 4 : at + 8] != bytes(4):
            return True
    return False


def _is_of_this_log(log: bytes, at: int, salt: bytes) -> bool:
    """Whether a frame was written by this log; of an earlier one's, which it writes over, neither salt is the same."""
    return log[at + 8 : at + 12] == salt[:4] or log[at + 12 : at + 16] == salt[4:]


def _sums(data: bytes, before: tuple[int, int], words: str) -> tuple[int, int]:
    """SQLite's checksum, going on from `before`."""
    first, second = before
    for even, odd in struct.iter_unpack(f"{words}2I", data):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
