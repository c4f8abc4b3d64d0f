"""How a log file is kept from growing without end, and where its older parts are."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is begun anew, and what becomes of its older parts.

    Attributes:
        max_bytes: From which size on, in bytes.
        backups: How many older parts are kept, at least 1.
        max_age_days: After how many days an older part is removed; None: never for its age.
        compress: Whether older parts are compressed with gzip.
    """

    max_bytes: int
    backups: int
    max_age_days: int | None = None
    compress: bool = False


def older_parts(path: Path) -> list[Path]:
    """A log file's older parts, the newest first: ``orders.log.1`` or ``orders.log.1.gz``, and so on."""
    name = re.compile(re.escape(path.name) + r"\.([0-9]{1,6})(?:\.gz)?")
    with contextlib.suppress(OSError):
        found = [(int(match[1]), each) for each in path.parent.iterdir() if (match := name.fullmatch(each.name))]
        return [each for _, each in sorted(found)]
    return []


def remove_aged(path: Path, max_age_days: int) -> None:
    """Remove the older parts that were written last so many days ago; what cannot be removed stays."""
    oldest = time.time() - max_age_days * _DAY_S
    for part in older_parts(path):
        with contextlib.suppress(OSError):
            if part.lstat().st_mtime < oldest:
                part.unlink()
