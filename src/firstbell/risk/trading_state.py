"""Whether orders may leave at all, and what takes that away: a halt, written down so that it survives a restart.

A limit on losses may take away less: then trading is only reducing, which is written down in the same way beside it.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firstbell.errors import RunError
from firstbell.model.instant import TEHRAN

if TYPE_CHECKING:
    from typing import Self

_LARGEST: Final = 1 << 16
"""Bytes of a halt's file: what is larger is none of ours."""


class TradingState(StrEnum):
    """What may leave."""

    ACTIVE = "ACTIVE"
    """Everything."""
    REDUCING = "REDUCING"
    """Sells alone; and cancels."""
    HALTED = "HALTED"
    """Nothing but cancels."""


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt that is in force, or the lesser one that lets trading only reduce.

    Attributes:
        since: When it was called, aware; None where its file cannot be read.
        by: Who called it: a person's name on this machine, or a run's.
        why: Why, in words.
        state: What it leaves: `HALTED` or `REDUCING`.
    """

    since: datetime | None
    by: str
    why: str
    state: TradingState = TradingState.HALTED

    def __str__(self) -> str:
        return f"{self.state.value.lower()} {self.call}"

    @property
    def call(self) -> str:
        """Since when, by whom and why, in words."""
        at = None if self.since is None else self.since.astimezone(TEHRAN)
        since = "" if at is None else f"since {at.isoformat(sep=' ', timespec='seconds')} "
        return f"{since}by {self.by} ({self.why})"

    @classmethod
    def unreadable(cls, why: str, state: TradingState = TradingState.HALTED) -> Self:
        """A halt of which nothing is known but that something stands in its place: in doubt nothing leaves."""
        return cls(None, "nobody we know", why, state)


class HaltFile:
    """Where a halt is written down, for every process of one state folder.

    Args:
        path: The file; it is there as long as the halt is.
        state: What the halts in it leave: `HALTED` or `REDUCING`.
    """

    def __init__(self, path: Path, state: TradingState = TradingState.HALTED) -> None:
        self.path = path
        self.state = state

    @classmethod
    def of(cls, state_dir: Path, state: TradingState = TradingState.HALTED) -> Self:
        """The one of a state folder: ``halted.json``, or ``reducing.json`` where trading only reduces."""
        return cls(state_dir / f"{state.value.lower()}.json", state)

    @property
    def is_there(self) -> bool:
        """Whether anything stands in its place. Cheap: one look at the folder."""
        return os.path.lexists(self.path)

    def read(self) -> Halt | None:
        """The halt in force, or None. What cannot be read is a halt too."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Halt.unreadable(f"{self.path} cannot be read: {error.strerror}", self.state)
        try:
            document = json.loads(os.read(file, _LARGEST))
            since = datetime.fromisoformat(document["since"]).astimezone(UTC)
            return Halt(since, str(document["by"]), str(document["why"]), self.state)
        except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return Halt.unreadable(f"{self.path} is damaged", self.state)
        finally:
            os.close(file)

    def write(self, halt: Halt) -> None:
        """Call a halt, durably. One that is in force already stays as it was called first.

        Raises:
            RunError: It cannot be written.
        """
        since = None if halt.since is None else halt.since.isoformat(timespec="microseconds")
        text = json.dumps({"since": since, "by": halt.by, "why": halt.why}, ensure_ascii=False) + "\n"
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made beside it and put in its place whole: nobody reads half of it.
            handle, name = tempfile.mkstemp(prefix=f".{self.path.stem}-", dir=folder)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                self._put(Path(name))
            finally:
                Path(name).unlink(missing_ok=True)
            _keep(folder)
        except OSError as error:
            # A full disk may still have room for an empty file, and that is a halt as well.
            if not self._put_empty():
                raise RunError(f"the halt cannot be written to {self.path}: {error.strerror}") from error

    def _put(self, written: Path) -> None:
        try:
            os.link(written, self.path)
        except FileExistsError:
            return
        except OSError:
            # A file system without hard links.
            written.replace(self.path)

    def _put_empty(self) -> bool:
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError:
            return self.is_there
        return True

    def remove(self) -> None:
        """End the halt, durably.

        Raises:
            RunError: It cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
            _keep(self.path.parent)
        except FileNotFoundError:
            # There is no such folder yet, so nothing was ever called in it.
            return
        except OSError as error:
            raise RunError(f"the halt {self.path} cannot be removed: {error.strerror}") from error


def in_force(state_dir: Path) -> Halt | None:
    """What is called in a state folder, a halt before the lesser one; None where all may leave."""
    for file in _files(state_dir):
        halt = file.read()
        if halt is not None:
            return halt
    return None


def trading_state(state_dir: Path) -> TradingState:
    """What may leave, as the files of a state folder say it. Cheap: two looks at the folder."""
    for file in _files(state_dir):
        if file.is_there:
            return file.state
    return TradingState.ACTIVE


@lru_cache(maxsize=16)
def _files(state_dir: Path) -> tuple[HaltFile, ...]:
    return tuple(HaltFile.of(state_dir, state) for state in (TradingState.HALTED, TradingState.REDUCING))


def _keep(folder: Path) -> None:
    """Have the folder's entries survive the machine losing its power."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
