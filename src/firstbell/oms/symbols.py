"""What people call instruments, written down by the warm-up: what is told of an order needs no broker to be asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.errors import RunError
from firstbell.oms import small_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

FILE: Final = "symbols.json"
_MOST: Final = 10_000
"""So many instruments are remembered; of more, those that were written down last."""


def load(state_dir: Path) -> dict[str, str]:
    """Every symbol that was written down, by the instrument's id; none where they cannot be read."""
    try:
        written = small_file.read(state_dir / FILE)
    except ValueError as error:
        _log.warning("%s: the instruments' symbols are not known", error)
        return {}
    found = written.get("symbols") if isinstance(written, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: symbol for name, symbol in found.items() if isinstance(symbol, str)}


def keep(state_dir: Path, symbols: Mapping[str, str]) -> None:
    """Write more of them down; where that cannot be done, alerts name the instruments by their ids alone."""
    known = load(state_dir)
    now = {**known, **symbols}
    if now == known:
        return
    try:
        small_file.write(state_dir / FILE, {"symbols": dict([*now.items()][-_MOST:])})
    except RunError as error:
        _log.warning("%s", error)
