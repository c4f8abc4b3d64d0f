"""When a login's last order left this machine, whichever of its processes sent it: a small file, under a lock."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Final, Self

import portalocker

from firstbell.errors import NotSent
from firstbell.journal.owner import this_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

_LARGEST: Final = 512
_AHEAD_NS: Final = 10_000_000_000
"""What is said to leave later than this from now, in ns, was written by another clock."""
_PATIENCE_S: Final = 1.0
_POLL_S: Final = 0.0005
"""Whoever holds the lock reads and writes one line: that is a matter of microseconds."""


class PaceFile:
    """The pace of one login, shared by the processes of one state folder.

    Instants are those of the monotonic clock, in ns, which all processes of a machine have in common until it is
    started anew; what was written before that counts for nothing.

    Args:
        path: The file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: tuple[int, int] | None = None
        """What was reserved here last, and from when on it could have been; None where nothing is."""

    @classmethod
    def of(cls, state_dir: Path, login: str) -> Self:
        """The one of a login, by its key, which tells no user name."""
        return cls(state_dir / "pace" / login)

    def take(self, now_ns: int, interval_ns: int) -> int:
        """Leave now, if an interval has passed since the last one left; only one process at a time is told so.

        Returns:
            `now_ns`, and it counts as the last one; or the instant at which to ask again.

        Raises:
            NotSent: The file cannot be used, so nobody knows what the other processes send.
        """
        with self._locked() as file:
            last_ns = _read(file, now_ns)
            if last_ns is not None and now_ns < last_ns + interval_ns:
                return last_ns + interval_ns
            _write(file, now_ns)
            return now_ns

    def reserve(self, at_ns: int, now_ns: int, interval_ns: int) -> int:
        """Have the others keep away from an instant to come, an interval to either side of it.

        One that has passed is reserved for now. One that is further ahead than anybody would believe is not written
        down: what left last is worth more. What was reserved here before, and nobody has come after, is given up.

        Args:
            at_ns: When something is to leave.
            now_ns: Now.
            interval_ns: The interval.

        Returns:
            The instant, or a later one where something else leaves too shortly before it.

        Raises:
            NotSent: The file cannot be used.
        """
        with self._locked() as file:
            last_ns = _read(file, now_ns)
            if self._own is not None and last_ns == self._own[0]:
                free_ns = self._own[1]
            else:
                free_ns = now_ns if last_ns is None else last_ns + interval_ns
            slot_ns = max(at_ns, now_ns, free_ns)
            if slot_ns <= now_ns + _AHEAD_NS:
                _write(file, slot_ns)
                self._own = slot_ns, free_ns
            return slot_ns

    def sent(self, at_ns: int) -> None:
        """Something has left at this instant, now or long ago. Where that cannot be written down it is only said."""
        self._own = None
        try:
            with self._locked() as file:
                # What is in the file may be much later: nothing that is heard of an earlier sending sets it back.
                last_ns = _written(file)
                if last_ns is None or at_ns > last_ns:
                    _write(file, at_ns)
        except NotSent as error:
            _log.warning("%s", error)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Opened each time: a lock belongs to an opening, and a forked child would have its parent's.
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise NotSent(f"{self._path} cannot be used: {error.strerror}") from error
        try:
            self._lock(file)
            yield file
        except OSError as error:
            raise NotSent(f"{self._path} cannot be used: {error.strerror}") from error
        finally:
            os.close(file)

    def _lock(self, file: int) -> None:
        ends = time.monotonic() + _PATIENCE_S
        while True:
            try:
                portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
            except portalocker.AlreadyLocked:
                if time.monotonic() >= ends:
                    raise NotSent(f"{self._path} has been locked for {_PATIENCE_S:g} s") from None
                time.sleep(_POLL_S)
            except portalocker.LockException as error:
                # A file system without locks, say.
                raise NotSent(f"{self._path} cannot be locked: {error}") from error
            else:
                return


def _read(file: int, now_ns: int) -> int | None:
    """The instant in the file; None where that cannot be one: it is further ahead than any bell is reserved."""
    at_ns = _written(file)
    return at_ns if at_ns is not None and at_ns <= now_ns + _AHEAD_NS else None


def _written(file: int) -> int | None:
    machine, _, at = os.pread(file, _LARGEST, 0).decode("utf-8", "replace").partition(" ")
    if machine != this_process().host or not at.rstrip("\n").isascii() or not at.rstrip("\n").isdigit():
        return None
    return int(at)


def _write(file: int, at_ns: int) -> None:
    text = f"{this_process().host} {at_ns}\n".encode()
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))
