"""The phases of an exchange's day, and a day's timetable as the exchange publishes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date, time


class Phase(StrEnum):
    """What an exchange does with orders at an instant."""

    CLOSED = "CLOSED"
    """It takes no orders."""
    ORDER_ENTRY = "ORDER_ENTRY"
    """It takes, changes and cancels orders; nothing trades yet. This phase begins with the bell."""
    NO_CANCEL = "NO_CANCEL"
    """It takes new orders, but nothing can be canceled or changed."""
    AUCTION = "AUCTION"
    """The orders gathered so far trade at one price. An instant rather than a span."""
    CONTINUOUS = "CONTINUOUS"
    """Orders trade as they meet."""
    AT_CLOSE = "AT_CLOSE"
    """Orders trade at the closing price only."""


TAKES_ORDERS: Final = frozenset({Phase.ORDER_ENTRY, Phase.NO_CANCEL, Phase.AUCTION, Phase.CONTINUOUS, Phase.AT_CLOSE})
"""Phases in which a new order is taken."""

TAKES_CHANGES: Final = TAKES_ORDERS - {Phase.NO_CANCEL}
"""Phases in which an order may be changed or canceled."""

ONLY_GATHERS: Final = TAKES_ORDERS - {Phase.CONTINUOUS, Phase.AT_CLOSE}
"""Phases in which orders are taken and none trades as it arrives."""


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """A phase and the exchange-local time at which it begins. It lasts until the next one begins."""

    phase: Phase
    at: time


@dataclass(frozen=True, slots=True)
class Timetable:
    """The phases of a trading day, from a day on.

    Attributes:
        since: The first day on which these hours hold.
        phases: The phases in order; before the first one the exchange is closed.

    Raises:
        ValueError: The phases are not in order, or none of them takes orders.
    """

    since: date
    phases: tuple[PhaseStart, ...]

    def __post_init__(self) -> None:
        times = [start.at for start in self.phases]
        if times != sorted(times):
            raise ValueError(f"the phases since {self.since} are not in order of time")
        if not any(start.phase is Phase.ORDER_ENTRY for start in self.phases):
            raise ValueError(f"the phases since {self.since} have none that takes orders")
        if self.phases[-1].phase is not Phase.CLOSED:
            raise ValueError(f"the phases since {self.since} do not end with {Phase.CLOSED}")
