"""Reading a file that only its owner may see."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path, longest: int) -> bytes:
    """The contents of a plain file that nobody but its owner can read or change.

    Args:
        path: The file.
        longest: The most bytes that it may have.

    Raises:
        ValueError: It is another kind of file, others can read or change it, or it is too long; says what to do.
        OSError: It cannot be read.
    """
    # Not blocking, because a pipe without a writer would hold us before we know that it is one.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no plain file")
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
