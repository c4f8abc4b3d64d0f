"""What a target is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from random import Random


IN_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - names in it are made by tempfile  # nosec B108
"""Where files of cases go: a folder that no disk is asked for, where the system has one."""


class Wrong(Exception):  # noqa: N818 - a finding
    """A reader has said something that its input does not say, or something that it must never say."""


def expect(holds: bool, words: str) -> None:
    """Make sure of something.

    Raises:
        Wrong: It does not hold.
    """
    if not holds:
        raise Wrong(words)


class Target(Protocol):
    """A reader, or a few that belong together."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    def make(self, rng: Random) -> bytes:
        """Make a case."""
        ...

    def attempt(self, data: bytes) -> None:
        """Try a case. Only documented errors are caught here; any other is a finding.

        Raises:
            Wrong: Something was said that the case does not say.
        """
        ...

    def close(self) -> None:
        """Let go of files and sockets."""
        ...


class Plain:
    """A target without anything to let go of."""

    def close(self) -> None:
        """Nothing is held."""
