"""The processes of this machine that can send orders: they enlist, so that a halt can be told to each of them at once.

The file of a halt alone would do, but a process that is busy, as while it spins towards the bell, looks at no file. A
signal reaches it between any two steps.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import RunError
from firstbell.journal.base import Owner
from firstbell.journal.owner import is_alive, is_suspended, this_process

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

HALT_SIGNAL: Final = signal.SIGUSR1
"""Tells an enlisted process that trading is halted. One that has not enlisted is never sent it: it would end it."""

_STOPPED: Final = ".stopped"
_ROUNDS: Final = "makes_rounds"
_LARGEST: Final = 4096


class Engines:
    """The enlisted processes of one state folder.

    Args:
        folder: Holds a file for each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """Those of a state folder."""
        return cls(state_dir / "engines")

    def enlist(self, *, makes_rounds: bool = False) -> None:
        """This process hears `HALT_SIGNAL` from now on; call it when its handler is in place.

        Args:
            makes_rounds: Whether it looks after what is held back.

        Raises:
            RunError: It cannot be written down.
        """
        owner = this_process()
        text = json.dumps({"host": owner.host, "pid": owner.pid, "started": owner.started, _ROUNDS: makes_rounds})
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(owner)
            path.with_suffix(_STOPPED).unlink(missing_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as opened:
                opened.write(text)
        except OSError as error:
            raise RunError(f"{self._folder} cannot be written to: {error.strerror}") from error

    def resign(self) -> None:
        """This process sends nothing any more."""
        path = self._path(this_process())
        for each in (path, path.with_suffix(_STOPPED)):
            _remove(each)

    def stopped(self) -> None:
        """This process has been told, and nothing new leaves it."""
        path = self._path(this_process())
        try:
            path.with_suffix(_STOPPED).touch(0o600)
        except OSError:
            # Only whoever called the halt misses the word; the halt holds.
            return

    def living(self) -> list[Owner]:
        """The enlisted processes that live; what dead ones have left is taken away."""
        owners = []
        for path in sorted(self._folder.glob("*.json")):
            owner = _read(path)
            if owner is None:
                continue
            if is_alive(owner):
                owners.append(owner)
            else:
                _remove(path)
                _remove(path.with_suffix(_STOPPED))
        return owners

    def makes_rounds(self, owner: Owner) -> bool:
        """Whether an enlisted process looks after what is held back, and has not been suspended."""
        document = _document(self._path(owner))
        return document is not None and document.get(_ROUNDS) is True and not is_suspended(owner)

    def tell(self, owner: Owner) -> str | None:
        """Tell one process that trading is halted; why it could not be told, in words."""
        try:
            os.kill(owner.pid, HALT_SIGNAL)
        except ProcessLookupError:
            return None
        except PermissionError:
            return "it belongs to another user"
        return None

    def has_stopped(self, owner: Owner) -> bool:
        """Whether a process has said that nothing new leaves it, or has ended."""
        return self._path(owner).with_suffix(_STOPPED).exists() or not is_alive(owner)

    def _path(self, owner: Owner) -> Path:
        return self._folder / f"{owner.pid}-{owner.started:.0f}.json"


def _read(path: Path) -> Owner | None:
    """A process from its file; None where that cannot be read, as while it is being written."""
    try:
        document = _document(path) or {}
        return Owner(str(document["host"]), int(document["pid"]), float(document["started"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _document(path: Path) -> dict[str, Any] | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as opened:
            document = json.loads(opened.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # It names a dead process: whoever comes next looks again.
        return
