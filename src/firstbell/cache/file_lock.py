"""Locks between processes, threads and greenlets alike: a lock on an open file.

The lock ends with the process that holds it, however that ends. Waiting is polling, with `sleep` in between, so that
under gevent the other greenlets go on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Final

import portalocker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL_S: Final = 0.02


@contextlib.contextmanager
def locked(path: Path, *, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the lock on `path`.

    The file is made where it is missing, readable by its owner alone, and left behind: removing a lock file would let
    two hold it at once.

    Args:
        path: The lock's file; its folder exists.
        timeout_s: Seconds to wait for whoever holds it.
        sleep: How to wait.

    Raises:
        TimeoutError: Somebody else held it all that time.
        OSError: The file cannot be opened; a symbolic link in its place among other things.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try(file):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path} has been locked for {timeout_s:g} s")
            sleep(_POLL_S)
        yield
    finally:
        # Closing the only handle of this opening ends its lock.
        os.close(file)


def _try(file: int) -> bool:
    try:
        portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as error:
        raise OSError(errno.ENOLCK, f"it cannot be locked: {error}") from error
    return True
