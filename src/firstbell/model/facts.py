"""Looking into documents that firstbell itself wrote: each fact as what it was written as, and nothing guessed. Pure.

They come back from a journal or from another process; so whatever differs in kind has changed since, or was written by
something else, and is a `ValueError`.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self

from firstbell.model import strict_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER: Final = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?(?:E[+-]?[0-9]{1,2})?")
"""How `str` writes a `Decimal` of any number that makes sense."""
_YEARS: Final = range(2, 9999)
"""Beyond them, an instant cannot be told in every time zone."""


def document(text: str) -> Any:
    """A document's text, read.

    Raises:
        ValueError: It is none of ours.
    """
    # Reasons and answers may hold halves of characters, for they are kept as they came.
    return strict_json.parse(text, halves=True)


def number_of(text: object) -> Decimal:
    """A number from its text.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ValueError("a number is not one")
    return Decimal(text)


def instant_of(text: object) -> datetime:
    """An aware instant from its text.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(text_of(text))
    if moment.tzinfo is None or moment.year not in _YEARS:
        raise ValueError("an instant is not one")
    return moment


def day_of(text: object) -> date:
    """A day from its text.

    Raises:
        ValueError: It is none, or not written as we write it: orders are found by that text.
    """
    day = date.fromisoformat(text_of(text))
    if day.isoformat() != text:
        raise ValueError("a day is not written as one")
    return day


def text_of(value: object) -> str:
    """A text.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, str):
        raise ValueError("a text is not one")  # noqa: TRY004 - one error for all that is damaged
    return value


def texts_of(value: object) -> list[str]:
    """A list of texts.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, list):
        raise ValueError("a list is not one")  # noqa: TRY004 - one error for all that is damaged
    return [text_of(item) for item in value]


def whole_of(value: object) -> int:
    """A whole number.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number is not one")  # noqa: TRY004 - one error for all that is damaged
    return value


class Facts:
    """One object of facts.

    Args:
        value: What stands there.

    Raises:
        ValueError: It is no object.
    """

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise ValueError("an object is not one")  # noqa: TRY004 - one error for all that is damaged
        self._found: dict[str, object] = value

    def inner(self, name: str) -> Self | None:
        """The object of a name, or None where nothing stands; raises `ValueError` like all here."""
        value = self._found.get(name)
        return None if value is None else type(self)(value)

    def items(self, name: str) -> list[tuple[str, object]]:
        """What the object of a name holds, name by name."""
        value = self._found.get(name)
        if not isinstance(value, dict):
            raise ValueError("an object is not one")  # noqa: TRY004 - one error for all that is damaged
        return list(value.items())

    def list(self, name: str, *, unsaid: list[object] | None = None) -> list[object]:
        """The list of a name; `unsaid`, where there is one, if nothing stands."""
        value = self._found.get(name, unsaid)
        if not isinstance(value, list):
            raise ValueError("a list is not one")  # noqa: TRY004 - one error for all that is damaged
        return value

    def text(self, name: str) -> str:
        """The text of a name."""
        return text_of(self._found.get(name))

    def maybe_text(self, name: str) -> str | None:
        """The same, or None where nothing stands."""
        return None if self._found.get(name) is None else self.text(name)

    def maybe_texts(self, name: str) -> Sequence[str] | None:
        """The list of texts of a name, or None where nothing stands."""
        found = self._found.get(name)
        return None if found is None else texts_of(found)

    def whole(self, name: str) -> int:
        """The whole number of a name."""
        return whole_of(self._found.get(name))

    def maybe_whole(self, name: str) -> int | None:
        """The same, or None where nothing stands."""
        return None if self._found.get(name) is None else self.whole(name)

    def number(self, name: str) -> Decimal:
        """The exact number of a name, which stands there as a text."""
        return number_of(self._found.get(name))

    def maybe_number(self, name: str) -> Decimal | None:
        """The same, or None where nothing stands."""
        return None if self._found.get(name) is None else self.number(name)

    def maybe_instant(self, name: str) -> datetime | None:
        """The instant of a name, or None where nothing stands."""
        return None if self._found.get(name) is None else instant_of(self._found[name])

    def flag(self, name: str, *, unsaid: bool | None = None) -> bool:
        """Yes or no; `unsaid`, where there is one, if nothing stands."""
        value = self._found.get(name, unsaid)
        if not isinstance(value, bool):
            raise ValueError("yes or no is neither")  # noqa: TRY004 - one error for all that is damaged
        return value
