"""What the chat may ask for and do: implemented above, where orders are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from firstbell.alerts.base import Message


class Desk(Protocol):
    """Answers commands. Every method may raise `firstbell.errors.FirstbellError`; its words are what is answered."""

    def status(self) -> Message:
        """Whether trading is halted, what runs, and how the day's orders stand."""
        ...

    def orders(self) -> Message:
        """The day's orders."""
        ...

    def positions(self) -> Message:
        """What was bought and sold."""
        ...

    def results(self) -> Message:
        """What the newest run came to."""
        ...

    def halted(self) -> str | None:
        """Since when, by whom and why trading is halted; None where it is not."""
        ...

    def halt(self, by: str, why: str) -> Message:
        """Halt all trading at once; what came of it."""
        ...

    def resume(self, by: str) -> Message:
        """End the halt; what came of it."""
        ...
