"""How a run is named, and whatever else writes into the journal."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from firstbell.model.identifiers import RunId

if TYPE_CHECKING:
    from datetime import datetime


def new_run_id(now: datetime) -> RunId:
    """A name for a run that starts at `now`, exchange time: its start and four random hexadecimal digits."""
    return RunId(f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
