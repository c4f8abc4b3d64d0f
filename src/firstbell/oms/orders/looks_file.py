"""When a login's list of the day was last read, by whichever process of a state folder: a small file.

It showed what the journal had by then, and nothing more: whatever is heard of by another process traded after that.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from firstbell.errors import RunError
from firstbell.model.facts import Facts
from firstbell.oms import small_file

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_log = logging.getLogger(__name__)

_EVERY: Final = timedelta(seconds=5)
"""It is written no more often: rows of one list differ in age by more."""


class Look(NamedTuple):
    """One look at the list of the day that has been written into the journal.

    Attributes:
        heard_at: When its process had last heard of what others had claimed: those orders it looked for.
        asked_at: When it asked for the list.
    """

    heard_at: datetime
    asked_at: datetime


class LooksFile:
    """The last look at one login's list.

    Args:
        path: The file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: datetime | None = None

    @classmethod
    def of(cls, state_dir: Path, login: str) -> Self:
        """The one of a login, by its key, which tells no user name."""
        return cls(state_dir / "looks" / f"{login}.json")

    def keep(self, look: Look) -> None:
        """Write a look down, unless that was done a moment ago. What cannot be written is only logged."""
        if self._written is not None and timedelta() <= look.asked_at - self._written < _EVERY:
            return
        self._written = look.asked_at
        try:
            small_file.write(self._path, {name: at.isoformat() for name, at in look._asdict().items()})
        except RunError as error:
            _log.warning("%s", error)

    def last(self) -> Look | None:
        """The last one that was written down; None where there is none, or it cannot be read."""
        try:
            written = small_file.read(self._path)
            if written is None:
                return None
            facts = Facts(written)
            heard_at, asked_at = facts.maybe_instant("heard_at"), facts.maybe_instant("asked_at")
        except ValueError as error:
            _log.warning("%s", error)
            return None
        return None if heard_at is None or asked_at is None else Look(heard_at, asked_at)
