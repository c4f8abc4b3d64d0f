"""What a messenger is to the rest of the house. Whoever writes the next one implements `Messenger`, and nothing else.

The contract: every method blocks and may be called from any thread or greenlet; it raises only
`firstbell.errors.AlertError` and its children, and no message of theirs holds a token. Waiting, trying again and
dropping are the business of `firstbell.alerts.dispatcher.Dispatcher`, never a messenger's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Importance(IntEnum):
    """What is dropped first when too much waits to be told."""

    LOW = 0
    """Nice to know."""
    NORMAL = 1
    """Confirmed orders, fills."""
    HIGH = 2
    """Halts, orders that failed, answers to what somebody asked."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be told, in plain text: how it is set is the messenger's business.

    Attributes:
        title: What it is, in a few words. Messages of one title are told under it together.
        lines: The rest, line by line.
        importance: What is dropped first.
    """

    title: str
    lines: tuple[str, ...] = ()
    importance: Importance = Importance.NORMAL


@dataclass(frozen=True, slots=True)
class Page:
    """One piece of text as a messenger sends it.

    Attributes:
        text: The text, set as the messenger wants it.
        messages: How many messages end in it.
    """

    text: str
    messages: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that somebody wrote to us.

    Attributes:
        number: Its number; later ones are larger.
        ours: Whether it came from the one chat that is configured, and is a text.
        text: What was written; empty where it is not ours.
        sender: Who wrote it, in words; a stranger chose them.
        at: When, on the messenger's clock, aware; None where it did not say.
    """

    number: int
    ours: bool
    text: str = ""
    sender: str = ""
    at: datetime | None = None


class Messenger(Protocol):
    """One chat of one messenger."""

    @property
    def name(self) -> str:
        """What it is called: ``Telegram``."""
        ...

    @property
    def key(self) -> str:
        """A name for bot and chat together under which can be remembered what was heard; no secret."""
        ...

    @property
    def pause_s(self) -> float:
        """The shortest time between two pages that this chat takes, in seconds."""
        ...

    def pages(self, messages: Sequence[Message]) -> list[Page]:
        """Set messages as pages, as few as they fit on. Pure, and never raises."""
        ...

    def send(self, page: Page, timeout_s: float) -> None:
        """Send one page, once.

        Raises:
            MessageRefused: It will never be taken.
            MessengerEnded: Nothing will be taken any more.
            AlertError: It was not taken, or nobody said; it may be sent again, not before its `retry_after`.
        """
        ...

    def hear(self, after: int | None, wait_s: float) -> Sequence[Heard]:
        """What was written to us since number `after`; waits for it, up to `wait_s` seconds.

        What is asked for by a later number is not told again: the messenger forgets all up to `after`.

        Raises:
            MessengerEnded: Nothing will be told any more.
            AlertError: It did not answer; it may be asked again, not before its `retry_after`.
        """
        ...

    def who(self, timeout_s: float) -> str:
        """The name under which this bot is addressed; the cheapest call that shows whether the token is taken.

        Raises:
            MessengerEnded: It is not.
            AlertError: It did not answer.
        """
        ...
