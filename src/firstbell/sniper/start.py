"""Starts Locust for ``firstbell run``: ``python -P -m firstbell.sniper.start …`` where others say ``locust …``.

Locust puts the current folder first among the places that Python imports from, and reads ``locust.conf`` and
``pyproject.toml`` there. Whoever can write into the folder in which a run is started could put a module or a setting
into the run. So everything that the run is made of is imported before Locust looks there, that folder is taken out
again, and no such file is read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from locust import argument_parser, main

# Imported here, they are not looked for in the current folder later.
from firstbell.sniper import conductor as _conductor
from firstbell.sniper.dealing import joining as _joining
from firstbell.sniper.dealing import worker as _worker

__all__ = ["forget_current_folder", "start"]

_NOT_LATER = (_conductor, _joining, _worker)


def forget_current_folder() -> None:
    """Import nothing from the current folder from now on, unless it was asked for by name in ``PYTHONPATH``."""
    asked_for = {Path(path).resolve() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path}
    here = Path.cwd()
    if here not in asked_for:
        sys.path[:] = [path for path in sys.path if path and Path(path).resolve() != here]


class _Parser(argument_parser.LocustArgumentParser):
    """Locust's, without the files that it reads unasked; ``--config FILE`` is as it was."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "default_config_files": []})


def start() -> None:
    """Run Locust with this process's arguments."""
    argument_parser.LocustArgumentParser = _Parser  # type: ignore[misc]  # Locust looks it up here each time
    main.main()


if __name__ == "__main__":
    start()
