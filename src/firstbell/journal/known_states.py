"""The orders that were written of last, as they stand: a report on one is written without reading all of it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.model.order import OrderState

_MOST: Final = 4_096
"""So many are remembered; each is as large as its attempts' answers."""


@dataclass(frozen=True, slots=True)
class Known:
    """An order as it stood after its first reports.

    Attributes:
        plan_id: Its plan.
        reports: How many reports that were. Reports are only ever added, so with as many it stands like this.
        state: How it stood.
    """

    plan_id: ClientOrderId
    reports: int
    state: OrderState


class KnownStates:
    """The newest of them. What it says is worth something only where the database has as many reports."""

    def __init__(self) -> None:
        self._states: dict[ClientOrderId, Known] = {}

    def get(self, name: ClientOrderId) -> Known | None:
        """What is remembered of an order."""
        return self._states.get(name)

    def put(self, name: ClientOrderId, known: Known) -> None:
        """Remember an order, and forget the one that was longest not written of."""
        self._states.pop(name, None)
        self._states[name] = known
        if len(self._states) > _MOST:
            # Another thread may have been quicker.
            self._states.pop(next(iter(self._states), name), None)

    def forget(self) -> None:
        """Remember none."""
        self._states.clear()
