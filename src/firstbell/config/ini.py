"""Reading ``config.ini`` as text: sections, keys, values and where they stand, and all that is wrong with its lines.

The file is what Python's ``configparser.RawConfigParser`` reads with ``delimiters=("=",)`` and full-line comments,
without its liberties: no interpolation, no ``[DEFAULT]``, no value over several lines, no key or section twice. It is
read here because that parser stops at the first mistake, and quotes the line. A line that cannot be understood may be
half a password, so only its number is ever told.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from firstbell.errors import Problem

_SECTION: Final = re.compile(r"\[(?P<name>[^\[\]]+)\]")
_COMMENTS: Final = ("#", ";")
_SPACES: Final = " \t"
_FORGIVEN: Final = "\t"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``key = value``.

    Attributes:
        value: The text behind the first ``=``, without the spaces around it.
        line: Its line, counted from 1.
    """

    value: str = field(repr=False)
    line: int


@dataclass(frozen=True, slots=True)
class RawSection:
    """One section: its name, its line, and its entries by key in lower case."""

    name: str
    line: int
    entries: dict[str, Entry] = field(default_factory=dict)


@dataclass(slots=True)
class IniFile:
    """A config file's sections in order, and what is wrong, each with its line."""

    sections: list[RawSection] = field(default_factory=list)
    problems: list[tuple[int, Problem]] = field(default_factory=list)

    def wrong(self, line: int, section: str, key: str, remedy: str, *, found: str = "") -> None:
        """Note one thing that is wrong."""
        self.problems.append((line, Problem(section, key, found, remedy)))


def decode(data: bytes) -> tuple[str, Problem | None]:
    """The text of a config file; where it is not UTF-8, no text, and the problem."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "", Problem("", "", "", "the file is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", Problem("", f"line {line}", "", "not UTF-8; save the file as UTF-8")


def parse(text: str) -> IniFile:
    """Read a config file's text. Never raises: what is wrong stands in the result."""
    return _Parser().parse(text)


class _Parser:
    """Goes through the lines once."""

    def __init__(self) -> None:
        self.file = IniFile()
        self.section: RawSection | None = None
        self.by_name: dict[str, RawSection] = {}
        self.again: dict[tuple[str, str], list[int]] = {}

    def parse(self, text: str) -> IniFile:
        for number, raw in enumerate(text.split("\n"), start=1):
            line = raw.removesuffix("\r")
            content = line.strip(_SPACES)
            if not content or content.startswith(_COMMENTS):
                continue
            if any(unicodedata.category(char) == "Cc" and char not in _FORGIVEN for char in line):
                self._wrong_line(number, "holds a control character; remove it")
            elif line[0] in _SPACES:
                self._wrong_line(number, "begins with a space; a value is one line, and a key begins its line")
            elif content.startswith("["):
                self._begin(number, content)
            else:
                self._entry(number, content)
        self._tell_repeated()
        return self.file

    def _wrong_line(self, number: int, remedy: str) -> None:
        self.file.wrong(number, self.section.name if self.section else "", f"line {number}", remedy)

    def _begin(self, number: int, content: str) -> None:
        match = _SECTION.fullmatch(content)
        if match is None:
            self._wrong_line(number, "a section is its name in brackets, alone on its line: [firstbell]")
            return
        name = match["name"]
        if name in self.by_name:
            self.section = self.by_name[name]
            self.again.setdefault((name, ""), [self.section.line]).append(number)
            return
        self.section = self.by_name[name] = RawSection(name, number)
        self.file.sections.append(self.section)

    def _entry(self, number: int, content: str) -> None:
        key, equals, value = content.partition("=")
        key = key.strip(_SPACES).lower()
        if not equals:
            self._wrong_line(number, "has no '='; write key = value, or # before a comment")
        elif not key:
            self._wrong_line(number, "has no key before '='")
        elif self.section is None:
            self._wrong_line(number, "stands before the first section; write [firstbell] or [Order_NAME] above it")
        elif key in self.section.entries:
            self.again.setdefault((self.section.name, key), [self.section.entries[key].line]).append(number)
        else:
            self.section.entries[key] = Entry(value.strip(_SPACES), number)

    def _tell_repeated(self) -> None:
        for (section, key), lines in self.again.items():
            places = " and ".join(str(line) for line in lines)
            self.file.wrong(lines[1], section, key, "keep one of them", found=f"it on lines {places}")
