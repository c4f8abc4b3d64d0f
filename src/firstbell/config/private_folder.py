"""Folders that are ours alone: looked at before anything in them is believed or written.

Whoever can write into the state folder can plant a journal, a token or a link that leads elsewhere; whoever can write
into a folder above it can put another one in its place. Neither is repaired: what stands there may not be ours.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING, Final

from firstbell.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNER_FOLDER: Final = 0o700
OWNER_FILE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HEALS_ITSELF: Final = "cache"
"""The cache's folders: what is wrong there is moved aside, and fetched again."""


def guard_folder(folder: Path) -> None:
    """Make sure that a folder, if it is there, and everything in it is ours alone; open permissions are closed.

    Args:
        folder: The folder; it need not exist.

    Raises:
        RunError: Somebody else can write there or above it, or something in it is another user's, a link or no file;
            says what.
    """
    try:
        refuse_open_way(folder)
        found = _status(folder)
        if found is None:
            return
        _refuse_stranger(folder, found, folder=True)
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise RunError(f"others can write into {folder}: look into it, then run: chmod 700 {folder}")
        _close(folder, found)
        for path, each in _below(folder):
            _refuse_stranger(path, each, folder=stat.S_ISDIR(each.st_mode))
            _close(path, each)
    except OSError as error:
        raise RunError(f"{error.filename or folder} cannot be looked at: {error.strerror}") from None


def refuse_open_way(path: Path) -> None:
    """Make sure that nobody else can put another thing in a path's place.

    Args:
        path: A file or folder; it need not exist.

    Raises:
        RunError: Somebody else can; says where.
        OSError: A folder cannot be looked at.
    """
    for folder in path.absolute().parent.resolve().parents:
        _refuse_open(folder)
    _refuse_open(path.absolute().parent.resolve())


def open_own_folder(folder: Path) -> int:
    """Open a folder that is ours alone, made where it is missing.

    Returns:
        A file descriptor: what is done by it happens in that very folder, whatever takes its name later.

    Raises:
        RunError: It is another user's, or no folder.
        OSError: It cannot be made or opened.
    """
    folder.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        _refuse_stranger(folder, found, folder=True)
        if found.st_mode & _OTHERS:
            os.fchmod(handle, OWNER_FOLDER)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.iterdir():
        if path.name.startswith(_HEALS_ITSELF):
            continue
        found = _status(path)
        if found is None:
            continue
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            yield from _below(path)


def _status(path: Path) -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError):
        return path.lstat()
    return None


def _refuse_stranger(path: Path, found: os.stat_result, *, folder: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise RunError(f"{path} is a symbolic link, and may lead anywhere: remove it")
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(found.st_mode):
        raise RunError(f"{path} is no {'folder' if folder else 'plain file'}: remove it")
    if found.st_uid != os.geteuid():
        raise RunError(f"{path} belongs to another user: look into it, then remove it or choose another state_dir")


def _close(path: Path, found: os.stat_result) -> None:
    if found.st_mode & _OTHERS:
        with contextlib.suppress(FileNotFoundError):
            path.chmod(OWNER_FOLDER if stat.S_ISDIR(found.st_mode) else OWNER_FILE)


def _refuse_open(folder: Path) -> None:
    found = _status(folder)
    if found is None:
        return
    # Root works in the folders of others, and trusts them as they trust themselves.
    if os.geteuid() and found.st_uid not in {os.geteuid(), 0}:
        raise RunError(f"{folder} belongs to another user, who can put what he likes there: choose another place")
    if found.st_mode & stat.S_ISVTX:
        # Anybody may add something here, but nobody can move what is another's.
        return
    if found.st_mode & stat.S_IWOTH:
        raise RunError(f"others can write into {folder}: run: chmod o-w {folder}")
    if found.st_mode & stat.S_IWGRP and not _is_alone(found.st_gid, found.st_uid):
        raise RunError(f"a group of others can write into {folder}: run: chmod g-w {folder}")


def _is_alone(group: int, user: int) -> bool:
    """Whether a group is the user's own, as many systems make one for each user, with nobody else in it."""
    try:
        own, name = pwd.getpwuid(user).pw_gid, pwd.getpwuid(user).pw_name
    except KeyError:
        own, name = user, ""
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        members = set()
    return group == own and members <= {name}
