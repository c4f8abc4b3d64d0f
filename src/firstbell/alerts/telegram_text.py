"""Messages as pages of Telegram's HTML. Pure.

Of its marks only ``<b>`` is used, always opened and closed within one line, so that a page can be cut at any line's
end. What strangers wrote is redacted, then escaped as in the logs (marks of direction, control characters), then for
HTML: it can neither open a mark nor turn the writing around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.alerts.base import Message, Page
from firstbell.log import one_line, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST: Final = 4096
"""The longest page that Telegram takes. It counts UTF-16 units after reading the marks; here they count as well."""
_FOR_HTML: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_UNSEEN: Final = dict.fromkeys(map(ord, "\u200c\u200d"))
"""What is left of them alone shows nothing, and Telegram refuses a page that shows nothing."""
_NOTHING: Final = "…"


def pages(messages: Sequence[Message]) -> list[Page]:
    """Set messages on as few pages as they fit on, each message whole where it fits on one.

    Messages of one title that follow each other stand under it together.
    """
    done: list[Page] = []
    page = _Open()
    for message in messages:
        title, lines = f"<b>{_cut(message.title)}</b>", list(_set(message.lines))
        block = lines if page.title == title and lines else [*([""] if page.lines else []), title, *lines]
        if not page.takes(block):
            done += page.closed()
            page, block = _Open(), [title, *lines]
        for line in block:
            if not page.takes([line]):
                done += page.closed()
                page = _Open()
            page.add(line)
        page.title, page.messages = title, page.messages + 1
    return [*done, *page.closed()]


def units(text: str) -> int:
    """How long Telegram finds a text."""
    return len(text) + sum(char > "\uffff" for char in text)


class _Open:
    """The page that is being filled."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.title = ""
        self.messages = 0
        self._units = 0

    def takes(self, lines: Sequence[str]) -> bool:
        return self._units + sum(units(line) + 1 for line in lines) - (not self.lines) <= LONGEST

    def add(self, line: str) -> None:
        self._units += units(line) + bool(self.lines)
        self.lines.append(line)

    def closed(self) -> list[Page]:
        text = "\n".join(self.lines)
        if not text:
            return []
        return [Page(_NOTHING if _is_blank(text) else text, self.messages)]


def _is_blank(text: str) -> bool:
    return not text.translate(_UNSEEN).strip()


def _cut(title: str) -> str:
    pieces = list(_pieces(title, LONGEST // 4))
    return _NOTHING if not pieces or _is_blank(pieces[0]) else pieces[0]


def _set(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        for part in line.split("\n"):
            yield from _pieces(part, LONGEST)


def _pieces(text: str, longest: int) -> Iterator[str]:
    """One line as HTML, in pieces where it is too long for one page; no character is ever cut in two."""
    shown = one_line(redact(text))
    piece, length = "", 0
    for char in shown:
        each = char.translate(_FOR_HTML)
        if length + units(each) > longest:
            yield piece
            piece, length = "", 0
        piece, length = piece + each, length + units(each)
    yield piece
