"""A process that leaves nothing lying about: what it writes is for its owner alone, and its memory is not dumped."""

from __future__ import annotations

import os
import resource
from typing import Final

from firstbell.log import hide

_OTHERS: Final = 0o077
_SECRETS: Final = ("FIRSTBELL_KEY", "FIRSTBELL_WEB_PASSWORD", "TELEGRAM_BOT_TOKEN")
"""What the environment may hold that must not be written anywhere, whether this process needs it or not."""


def be_private() -> None:
    """Keep what this process and its children write to its owner, whoever writes it (Locust its reports, SQLite its
    logs), and have no core dumped: passwords and tokens would stand in it.
    """  # noqa: D205 - one sentence
    for name in _SECRETS:
        hide(os.environ.get(name, ""))
    os.umask(_OTHERS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
