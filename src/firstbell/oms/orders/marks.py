"""A set of numbers that only grows, in little room: what an order manager keeps of the orders that it has forgotten."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

_NEW: Final = 512
"""So many are kept as they came; then they are sorted and put together with others."""


class Marks:
    """A set of whole numbers of 64 bits with a sign, nearly all at 8 bytes each; Python's own takes some 100.

    They lie in sorted runs, each longer than the next: to put two of like length together costs little on average, and
    there are never more than a few to look through.
    """

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._runs: list[array[int]] = []

    def add(self, number: int) -> None:
        """Put a number in that is not in yet."""
        self._new.add(number)
        if len(self._new) < _NEW:
            return
        run = sorted(self._new)
        self._new.clear()
        while self._runs and len(self._runs[-1]) <= len(run):
            run = sorted([*self._runs.pop(), *run])
        self._runs.append(array("q", run))

    def clear(self) -> None:
        """Take all out."""
        self._new.clear()
        self._runs.clear()

    def __contains__(self, number: int) -> bool:
        return number in self._new or any(_has(run, number) for run in self._runs)


def _has(run: array[int], number: int) -> bool:
    at = bisect_left(run, number)
    return at < len(run) and run[at] == number
