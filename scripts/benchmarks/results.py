"""What was measured, all of it or some parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.beyond import Beyond
    from benchmarks.clock import Aimed
    from benchmarks.memory import Memory
    from benchmarks.safety import Safety
    from benchmarks.throughput import Pace
    from benchmarks.volley import Cell
    from benchmarks.warmup import WarmUp


@dataclass(slots=True)
class Results:
    """What was measured; a part that was not is empty.

    Attributes:
        server: What received the orders, in words.
        split: How processors were shared out, in words.
        quick: Whether fewer rounds were made than usual.
        cells: The volley.
        paces: Orders per second.
        warm_up: The warm-up.
        memory: Memory per account.
        aimed: The aim.
        safety: The final checks and the kill switch.
        beyond: Orders beyond the bell.
    """

    server: str = ""
    split: str = ""
    quick: bool = False
    cells: Sequence[Cell] = field(default_factory=tuple)
    paces: Sequence[Pace] = field(default_factory=tuple)
    warm_up: WarmUp | None = None
    memory: Sequence[Memory] = field(default_factory=tuple)
    aimed: Sequence[Aimed] = field(default_factory=tuple)
    safety: Safety | None = None
    beyond: Beyond | None = None
