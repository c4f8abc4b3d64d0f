"""Reading a file that only its owner may see."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from firstbell.config.private_folder import refuse_open_way
from firstbell.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path, longest: int) -> bytes:
    """The contents of a plain file that nobody but its owner can read, change or replace.

    Args:
        path: The file.
        longest: The most bytes that it may have.

    Raises:
        ValueError: It is another kind of file, another user's, others can read, change or replace it, or it is too
            long; says what to do.
        OSError: It cannot be read.
    """
    # Not blocking, because a pipe without a writer would hold us before we know that it is one.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no plain file")
        _refuse_strangers(path, status)
        if status.st_mode & _OTHERS:
            raise ValueError(f"{path} can be read or changed by others than its owner; run: chmod 600 {path}")
        data = b""
        while len(data) <= longest and (more := os.read(descriptor, longest + 1 - len(data))):
            data += more
    finally:
        os.close(descriptor)
    if len(data) > longest:
        raise ValueError(f"{path} is longer than {longest} bytes")
    return data


def _refuse_strangers(path: Path, status: os.stat_result) -> None:
    """Refuse what another user has made, or led us to, or could put in its place.

    Root reads the files of whose folder they stand in, as `sudo` has it.
    """
    for place, found in ((path, path.lstat()), (path.resolve(), status)):
        known = {os.geteuid(), 0} if os.geteuid() else {0, place.absolute().parent.stat().st_uid}
        if found.st_uid not in known:
            raise ValueError(f"{place} belongs to another user, who chooses what stands in it: make one of your own")
        try:
            refuse_open_way(place)
        except RunError as error:
            raise ValueError(str(error)) from None
