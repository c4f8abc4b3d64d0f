"""Simulated time: greenlets that park, and one queue of events in order of time and, at one instant, of asking."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import greenlet

if TYPE_CHECKING:
    from collections.abc import Callable


class Parking:
    """One greenlet that waits; it is woken once, whoever is first.

    Args:
        loop: The loop that wakes it.
    """

    __slots__ = ("_greenlet", "_loop", "done")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._greenlet = greenlet.getcurrent()
        self.done = False

    def wake(self, value: object = None) -> None:
        """Let it go on at this instant, with a value."""
        if not self.done:
            self.done = True
            self._loop.at(self._loop.now_ns, lambda: self._greenlet.switch(value))

    def throw(self, error: BaseException) -> None:
        """Let it go on at this instant, with an error."""
        if not self.done:
            self.done = True
            self._loop.at(self._loop.now_ns, lambda: self._greenlet.throw(error))


class Loop:
    """The queue of a history.

    Attributes:
        now_ns: The instant, in ns since the history began.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._queue: list[tuple[int, int, Callable[[], object]]] = []
        self._asked = 0
        self._hub = greenlet.getcurrent()
        self._tasks: set[greenlet.greenlet] = set()

    def at(self, at_ns: int, call: Callable[[], object]) -> None:
        """Have `call` called at an instant, at once where that has passed."""
        self._asked += 1
        heapq.heappush(self._queue, (max(at_ns, self.now_ns), self._asked, call))

    def spawn(self, body: Callable[[], object]) -> None:
        """Begin a task at this instant. What it raises ends the history."""
        task = greenlet.greenlet(body, parent=self._hub)
        self._tasks.add(task)
        self.at(self.now_ns, task.switch)

    def park(self) -> Any:
        """Give up the processor until this task's parking is woken; its value."""
        return self._hub.switch()

    def run(self, until_ns: int) -> None:
        """Let time pass until an instant, or until nothing is left to happen."""
        while self._queue and self._queue[0][0] <= until_ns:
            self.now_ns, _, call = heapq.heappop(self._queue)
            call()
        self.now_ns = max(self.now_ns, until_ns)

    def end(self) -> None:
        """End every task that still waits."""
        self._queue.clear()
        for task in self._tasks:
            if not task.dead:
                task.throw(greenlet.GreenletExit())
        self._tasks.clear()
