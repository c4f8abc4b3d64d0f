"""A halt told between a master and its workers: on other machines neither its file nor its signal can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.sniper.dealing.post import Post

HALT: Final = "halt"


def tell(post: Post, why: str) -> None:
    """Tell the master, or from there every worker, that trading is halted, and why."""
    post.send(HALT, {"why": why})


def hear(post: Post, halt: Callable[[str], None]) -> None:
    """Have `halt` called with the reason when the other side tells of a halt."""
    post.receive(HALT, lambda document, _: halt(str(document.get("why"))))
