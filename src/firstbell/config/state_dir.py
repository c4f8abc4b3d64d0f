"""The state folder that a config names, found even where the rest of the config cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.config.ini import decode, parse
from firstbell.config.values import absolute
from firstbell.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 1024 * 1024
"""Bytes. A config that is longer is something else."""
DEFAULT: Final = ".firstbell"
"""The state folder of a config that names none, beside the config."""


def state_dir_of(config: Path) -> Path:
    """The state folder that a config names.

    The kill switch must work while somebody edits the config: whatever else is wrong in it does not matter here.

    Args:
        config: The config file.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
        ValueError: What it names is no path.
    """
    try:
        with config.open("rb") as file:
            text, problem = decode(file.read(LONGEST))
    except OSError as error:
        problem = Problem("", "", "", f"cannot be read: {error.strerror}")
    if problem is not None:
        raise ConfigError(str(config), [problem])
    named = [
        section.entries["state_dir"].value
        for section in parse(text).sections
        if section.name == "firstbell" and "state_dir" in section.entries
    ]
    return absolute((named and named[0]) or DEFAULT, config.absolute().parent)
