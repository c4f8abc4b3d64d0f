"""How many orders are in hand just now; what can wait does not compete with them for the interpreter."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class InHand:
    """Entered by whoever has an order in hand, for as long as he has. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._when_free: list[Callable[[], None]] = []

    def when_free(self, call: Callable[[], None]) -> None:
        """Have something done, quickly, whenever the last order is in hand no more."""
        self._when_free.append(call)

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._count -= 1
            is_free = self._count == 0
        if is_free:
            for call in self._when_free:
                call()

    def any(self) -> bool:
        """Whether any order is in hand."""
        return self._count > 0
