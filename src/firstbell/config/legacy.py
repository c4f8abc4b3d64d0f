"""The older form of an account: twelve fields, most of which are now found out or are the only choice there is.

Nothing in it is dropped in silence. A key with a successor is read as that one; a key that says what happens anyway is
ignored; a key that asks for what firstbell does not do is an error. Each warns once for the whole file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from persiantools.jdatetime import JalaliDate

from firstbell.config.values import latin_digits, yes_or_no

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.config.ini import Entry, IniFile, RawSection

SUCCESSORS: Final = {"order_side": "side", "order_price": "price", "order_volume": "quantity"}
"""Older key → what it is called now."""
_JALALI_YEARS: Final = range(1300, 1500)
_DATE: Final = re.compile(r"([0-9]{4})([/-])([0-9]{1,2})\2([0-9]{1,2})")


@dataclass(slots=True)
class Legacy:
    """Translates the accounts of one file, and remembers which old keys it met.

    Attributes:
        today: The day at the exchange, on which an order's last day may be over.
    """

    today: date
    met: dict[str, list[str]] = field(default_factory=dict)

    def translate(self, section: RawSection, file: IniFile) -> dict[str, str]:
        """Replace a section's older keys by their successors, and note what is wrong with them in `file`.

        Returns:
            Successor → the older key that stands in the file.
        """
        renamed: dict[str, str] = {}
        for old, new in SUCCESSORS.items():
            entry = section.entries.pop(old, None)
            if entry is None:
                continue
            self._meet(old, section)
            if new in section.entries:
                lines = f"it beside {new} on line {section.entries[new].line}"
                file.wrong(entry.line, section.name, old, f"{old} is the older name of {new}; keep one", found=lines)
            else:
                section.entries[new] = entry
                renamed[new] = old
        for old, check in self._checks().items():
            entry = section.entries.pop(old, None)
            if entry is None:
                continue
            self._meet(old, section)
            remedy = check(entry.value)
            if remedy:
                file.wrong(entry.line, section.name, old, remedy, found=_shown(old, entry))
        return renamed

    def warnings(self) -> list[str]:
        """One warning for each old key that was met."""
        return [f"{key} ({', '.join(sections)}): {self._advice(key)}" for key, sections in self.met.items()]

    def _meet(self, key: str, section: RawSection) -> None:
        self.met.setdefault(key, []).append(section.name)

    @staticmethod
    def _advice(key: str) -> str:
        if key in SUCCESSORS:
            return f"an older name; write {SUCCESSORS[key]} instead"
        return "has no successor and is ignored; delete it"

    def _checks(self) -> dict[str, Callable[[str], str]]:
        """Older key without a successor → what tells the remedy, empty where it can be ignored."""
        return {
            "order_type": _type,
            "order_validity": _validity,
            "order_validity_date": self._last_day,
            "order_url": lambda _: "",
            "disclosure": _disclosure,
        }

    def _last_day(self, value: str) -> str:
        if not value:
            return ""
        day = _date(value)
        if day is None:
            return "delete it: orders are for one day, and this is no date as YYYY/MM/DD"
        if day > self.today:
            return "delete it: orders are for one day only, and one that stays longer is not sent"
        return ""


def _shown(key: str, entry: Entry) -> str:
    return "" if key == "order_url" or not entry.value else repr(entry.value[:40])


def _type(value: str) -> str:
    if value.lower() in {"", "limit"}:
        return ""
    return "only limit orders are sent; write Limit, or delete it"


def _validity(value: str) -> str:
    if value.lower() in {"", "day"}:
        return ""
    return "orders are for one day only; write Day, or delete it"


def _disclosure(value: str) -> str:
    try:
        discloses = bool(value) and yes_or_no(value)
    except ValueError:
        discloses = True
    return "orders always show their whole quantity; write false, or delete it" if discloses else ""


def _date(text: str) -> date | None:
    """A Jalali or Gregorian date, its year telling which; None where it is neither."""
    match = _DATE.fullmatch(latin_digits(text))
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[3]), int(match[4])
    try:
        if year in _JALALI_YEARS:
            gregorian: date = JalaliDate(year, month, day).to_gregorian()  # type: ignore[no-untyped-call]  # it has no types
            return gregorian
        return date(year, month, day)
    except ValueError:
        return None
