"""Makes a finding small: whatever can be left out while the reader gives way in the same manner is left out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from fuzzing import trial

if TYPE_CHECKING:
    from fuzzing.targets.base import Target

PATIENCE_S: Final = 10.0
"""Seconds that one finding is worth."""


def smaller(target: Target, data: bytes, kind: str, *, patience_s: float = PATIENCE_S) -> bytes:
    """The smallest case found, within some seconds, that fails in the same manner."""
    until = time.monotonic() + patience_s
    size = len(data) // 2
    while size and time.monotonic() < until:
        shorter = _without_one(target, data, kind, size, until)
        if shorter is None:
            size //= 2
        else:
            data = shorter
            size = min(size, len(data) // 2)
    return data


def _without_one(target: Target, data: bytes, kind: str, size: int, until: float) -> bytes | None:
    for at in range(0, len(data), size):
        if time.monotonic() >= until:
            return None
        candidate = data[:at] + data[at + size :]
        failure = trial.attempt(target, candidate)
        if failure is not None and failure.kind == kind:
            return candidate
    return None
