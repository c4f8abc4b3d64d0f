"""The cache's folder: for its owner alone, holding nothing but the database, and moved aside where it is damaged."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from diskcache.core import DBNAME

from firstbell.cache.database import DamagedDatabase
from firstbell.errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path

OWNER_FOLDER: Final = 0o700
OWNER_FILE: Final = 0o600

_COMPANIONS: Final = (f"{DBNAME}-wal", f"{DBNAME}-shm")
_ROLLBACK_JOURNAL: Final = f"{DBNAME}-journal"


def prepare(directory: Path) -> tuple[int, int]:
    """Make the folder and an empty database where they are missing, and close both to others.

    SQLite gives its companion files the database's own permissions, so the database is made here first.

    Returns:
        The database file's device and inode number.

    Raises:
        CacheError: The folder cannot be used; the message names the remedy.
        DamagedDatabase: Something stands there that SQLite must not open.
    """
    if os.path.lexists(directory / _ROLLBACK_JOURNAL):
        # Ours is kept in WAL mode, and a rollback journal may name another file for SQLite to delete.
        raise DamagedDatabase("it has a rollback journal")
    try:
        _make_private(directory)
        database = _open_private(directory / DBNAME, os.O_RDWR | os.O_CREAT)
        for name in _COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                _open_private(directory / name, os.O_RDWR)
    except OSError as error:
        raise CacheError(f"the cache folder {directory} cannot be used: {error.strerror}") from None
    return database


def check_name(directory: Path) -> None:
    """Refuse a name that diskcache would expand: it would work in another folder than the one that was checked.

    Raises:
        CacheError: It has the name of an environment variable in it.
    """
    if os.path.expandvars(directory) != str(directory):
        raise CacheError(f"the cache folder {directory} has the name of an environment variable in it: rename it")


def make_folders(directory: Path) -> None:
    """Make a folder and whatever is missing above it, for their owner alone.

    Raises:
        OSError: It cannot be made.
    """
    for folder in reversed((directory, *directory.parents)):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(OWNER_FOLDER)


def _make_private(directory: Path) -> None:
    make_folders(directory)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise CacheError(f"{directory} is not a folder of its own: remove it, or choose another state_dir")
    if found.st_uid != os.geteuid():
        raise CacheError(f"the cache folder {directory} belongs to another user: choose another state_dir")
    if stat.S_IMODE(found.st_mode) != OWNER_FOLDER:
        directory.chmod(OWNER_FOLDER)


def _open_private(path: Path, flags: int) -> tuple[int, int]:
    try:
        file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, OWNER_FILE)
    except OSError as error:
        # A symbolic link, a folder, a pipe or a device in place of a file.
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV}:
            raise DamagedDatabase(f"{path.name} is not a file") from None
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise DamagedDatabase(f"{path.name} is not a file")
        if stat.S_IMODE(found.st_mode) != OWNER_FILE:
            os.fchmod(file, OWNER_FILE)
        return found.st_dev, found.st_ino
    finally:
        os.close(file)


def identity(directory: Path) -> tuple[int, int] | None:
    """The database file's device and inode number, or None where there is no such file."""
    try:
        found = (directory / DBNAME).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def move_aside(directory: Path) -> Path:
    """Move the folder out of the way, keeping it for whoever wants to know what happened.

    Returns:
        Where it lies now: ``cache.damaged-20261121-084501``, or with a number behind it.

    Raises:
        CacheError: It cannot be moved.
    """
    name = f"{directory.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1000):
        target = directory.with_name(f"{name}-{number}" if number else name)
        if os.path.lexists(target):
            continue
        try:
            directory.rename(target)
        except OSError as error:
            raise CacheError(f"the damaged cache {directory} cannot be moved aside: {error.strerror}") from None
        return target
    raise CacheError(f"the damaged cache {directory} cannot be moved aside: remove what lies there already")
