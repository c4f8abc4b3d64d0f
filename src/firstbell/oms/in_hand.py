"""How many orders are in hand just now; what can wait does not compete with them for the interpreter."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class InHand:
    """Entered by whoever has an order in hand, for as long as he has. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._count -= 1

    def any(self) -> bool:
        """Whether any order is in hand."""
        return self._count > 0
