"""Looking into answers: tolerant of how things are written, never of what is missing or senseless.

The platform's own words for its answers are known from clients only, so names are found in any case, one level down
where an answer is wrapped, and numbers as numbers or as texts, Persian digits among them. But nothing is made up: what
is not there, or is there twice and differs, is an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Self

from firstbell.errors import Unreadable
from firstbell.model.money import exact

if TYPE_CHECKING:
    from decimal import Decimal

WRAPPERS: Final = ("result", "data")
"""Names under which an answer may be wrapped."""
LONGEST_TEXT: Final = 500
"""Characters of a text that are kept."""

_LATIN_DIGITS: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩٫", "01234567890123456789.")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_YES_OR_NO: Final = {"true": True, "false": False}


class Fields:
    """One object of an answer.

    Args:
        value: What stands there.
        what: What it should be, for errors.
        host: Who sent it.

    Raises:
        Unreadable: It is not an object, or one in which a name stands in two spellings that differ in value.
    """

    def __init__(self, value: object, what: str, host: str) -> None:
        self.what = what
        self.host = host
        if not isinstance(value, dict):
            raise self.unreadable("it is not an object")
        self._found: dict[str, Any] = {}
        for name, item in value.items():
            folded = str(name).casefold()
            # Compared as written: to Python, true is 1.
            if folded in self._found and repr(self._found[folded]) != repr(item):
                raise self.unreadable(f"{folded[:40]} stands there twice")
            self._found[folded] = item

    def unreadable(self, why: str) -> Unreadable:
        """The error that something is wrong with it."""
        return Unreadable(f"{self.host} sent a {self.what} that cannot be read: {why}", host=self.host)

    def get(self, *names: str) -> Any:
        """What stands under the first of some names, in any case; None where nothing does."""
        for name in names:
            item = self._found.get(name.casefold())
            if item is not None:
                return item
        return None

    def inner(self, name: str, what: str | None = None) -> Self:
        """The object under a name.

        Raises:
            Unreadable: There is none.
        """
        return type(self)(self.get(name), what or f"{self.what}.{name}", self.host)

    def unwrapped(self, *names: str) -> Self:
        """This object, or the one it is wrapped around, whichever has the first of the names.

        Raises:
            Unreadable: Neither has any.
        """
        if self.get(*names) is not None:
            return self
        for wrapper in WRAPPERS:
            wrapped = self.get(wrapper)
            if isinstance(wrapped, dict):
                inside = type(self)(wrapped, self.what, self.host)
                if inside.get(*names) is not None:
                    return inside
        raise self.unreadable(f"{names[0]} is missing")

    def maybe_number(self, *names: str) -> Decimal | None:
        """The number under the first of some names, or None where nothing stands.

        Raises:
            Unreadable: Something else stands there.
        """
        item = self.get(*names)
        if item is None:
            return None
        number = number_in(item)
        if number is None:
            raise self.unreadable(f"{names[0]} is not a number")
        return number

    def number(self, *names: str) -> Decimal:
        """The number under the first of some names.

        Raises:
            Unreadable: There is none.
        """
        number = self.maybe_number(*names)
        if number is None:
            raise self.unreadable(f"{names[0]} is missing")
        return number

    def positive(self, *names: str) -> Decimal:
        """The number above zero under the first of some names.

        Raises:
            Unreadable: There is none.
        """
        number = self.number(*names)
        if number <= 0:
            raise self.unreadable(f"{names[0]} is not positive")
        return number

    def count(self, *names: str) -> Decimal:
        """The whole number from zero up under the first of some names.

        Raises:
            Unreadable: There is none.
        """
        number = self.maybe_count(*names)
        if number is None:
            raise self.unreadable(f"{names[0]} is missing")
        return number

    def maybe_count(self, *names: str) -> Decimal | None:
        """The whole number from zero up under the first of some names, or None where nothing stands.

        Raises:
            Unreadable: Something else stands there.
        """
        number = self.maybe_number(*names)
        if number is not None and (number < 0 or number != number.to_integral_value()):
            raise self.unreadable(f"{names[0]} is not a count")
        return number

    def shares(self, *names: str) -> Decimal:
        """The whole number above zero under the first of some names: there are no parts of shares.

        Raises:
            Unreadable: There is none.
        """
        number = self.count(*names)
        if number == 0:
            raise self.unreadable(f"{names[0]} is zero")
        return number

    def text(self, *names: str) -> str:
        """The text under the first of some names, cut where it is too long; empty where there is none."""
        item = self.get(*names)
        if isinstance(item, str):
            return item.strip()[:LONGEST_TEXT]
        return str(item) if isinstance(item, int) and not isinstance(item, bool) else ""

    def text_whole(self, name: str) -> str:
        """The text under a name, every character of it.

        Raises:
            Unreadable: There is none.
        """
        item = self.get(name)
        if not isinstance(item, str):
            raise self.unreadable(f"{name} is missing")
        return item

    def flag(self, name: str) -> bool | None:
        """Yes or no, or None where nothing stands there.

        Raises:
            Unreadable: Something else stands there.
        """
        item = self.get(name)
        if item is None or isinstance(item, bool):
            return item
        if isinstance(item, str) and item.strip().casefold() in _YES_OR_NO:
            return _YES_OR_NO[item.strip().casefold()]
        raise self.unreadable(f"{name} is neither yes nor no")


def number_in(item: object) -> Decimal | None:
    """A number, as one or in a text; None for anything else, such as yes and no, which are numbers to Python alone.

    In texts, Persian and Arabic digits and their decimal point are read as what they certainly mean. There are no
    separators between thousands: a comma may be one, or a decimal point, and that is not for guessing. Nor is any
    number of more than 28 digits; see `firstbell.model.money.exact`.
    """
    if isinstance(item, str):
        item = item.strip().translate(_LATIN_DIGITS)
        if not _NUMBER.fullmatch(item):
            return None
    try:
        return exact(item)
    except ValueError:
        return None


def rows_in(document: object, what: str, host: str, *names: str) -> list[Any]:
    """The array that an answer is, or has under one of some names, wrapped or not.

    Raises:
        Unreadable: There is none.
    """
    if isinstance(document, list):
        return document
    answer = Fields(document, what, host)
    for name in (*names, *WRAPPERS):
        item = answer.get(name)
        if isinstance(item, list):
            return item
        if isinstance(item, dict):
            inside = Fields(item, what, host)
            for inner in names:
                if isinstance(found := inside.get(inner), list):
                    return found
    raise answer.unreadable("it has no rows")
