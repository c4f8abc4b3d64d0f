"""A process that leaves nothing lying about: what it writes is for its owner alone, and its memory is not dumped."""

from __future__ import annotations

import os
import resource
from typing import Final

_OTHERS: Final = 0o077


def be_private() -> None:
    """Keep what this process and its children write to its owner, whoever writes it (Locust its reports, SQLite its
    logs), and have no core dumped: passwords and tokens would stand in it.
    """  # noqa: D205 - one sentence
    os.umask(_OTHERS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
