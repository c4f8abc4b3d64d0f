"""What waits to be told: so much and no more, and what matters least is dropped first."""

from __future__ import annotations

from collections import deque
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from firstbell.alerts.base import Importance

if TYPE_CHECKING:
    from firstbell.alerts.base import Message


class Outbox:
    """A bounded queue. Each step takes the same time however much waits; not safe for threads by itself.

    Args:
        capacity: How many messages may wait.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: dict[Importance, deque[tuple[int, Message]]] = {each: deque() for each in Importance}
        self._number = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, message: Message) -> int:
        """Add a message.

        Returns:
            How many had to be dropped for it: the oldest one of those that matter least, which may be itself.
        """
        self._number += 1
        self._waiting[message.importance].append((self._number, message))
        if self._size < self._capacity:
            self._size += 1
            return 0
        next(waiting for waiting in self._waiting.values() if waiting).popleft()
        return 1

    def take(self, most: int) -> list[Message]:
        """Take out so many: those that matter most before others, told in the order in which they came."""
        chosen: list[tuple[int, Message]] = []
        urgent = self._waiting[Importance.HIGH]
        while urgent and len(chosen) < most:
            chosen.append(urgent.popleft())
        others = [self._waiting[each] for each in Importance if each is not Importance.HIGH]
        for each in list(islice(merge(*others), most - len(chosen))):
            self._waiting[each[1].importance].popleft()
            chosen.append(each)
        self._size -= len(chosen)
        return [message for _, message in sorted(chosen, key=lambda each: each[0])]

    def clear(self) -> int:
        """Drop everything; how much that was."""
        dropped, self._size = self._size, 0
        for waiting in self._waiting.values():
            waiting.clear()
        return dropped
