"""A section with several instruments: one account for each of them, which share its login and what it may spend."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from firstbell.config.ini import Entry
from firstbell.config.mistakes import shown
from firstbell.config.models import INSTRUMENT_MARK
from firstbell.config.values import between_commas
from firstbell.model.identifiers import AccountName
from firstbell.model.money import divided
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.config.ini import IniFile, RawSection
    from firstbell.config.models import AccountSettings


def split(section: RawSection, file: IniFile) -> list[RawSection]:
    """The section once for each of its instruments, and what is wrong with its having several noted in `file`."""
    entry = section.entries.get("isin")
    named = () if entry is None else between_commas(entry.value)
    if entry is None or len(named) <= 1:
        _check_single(section, file)
        return [section]
    if "" in named:
        file.wrong(entry.line, section.name, "isin", "has nothing between two commas, or at an end; delete a comma")
    for isin in dict.fromkeys(isin for isin in named if isin and named.count(isin) > 1):
        found = f"{shown(isin)} {named.count(isin)} times".strip()
        file.wrong(entry.line, section.name, "isin", "an instrument stands there once; keep one of them", found=found)
    instruments = [isin for isin in dict.fromkeys(named) if isin]
    _check_several(section, file, len(instruments))
    return [
        replace(section, entries={**section.entries, "isin": Entry(isin, entry.line)})
        for isin in instruments or [entry.value]
    ]


def join(section: RawSection, accounts: Sequence[AccountSettings], file: IniFile) -> tuple[AccountSettings, ...]:
    """The accounts of a section, each with its name and its part of ``max_value``.

    Args:
        section: Where they stand.
        accounts: One for each of the section's instruments, all with the section's own name and ``max_value``.
        file: Where to note what is wrong.
    """
    first = accounts[0]
    if len(accounts) == 1:
        return (first,)
    isins = tuple(account.isin for account in accounts)
    named = [
        account.model_copy(
            update={"name": AccountName(f"{section.name}{INSTRUMENT_MARK}{account.isin}"), "isins": isins}
        )
        for account in accounts
    ]
    if first.max_value is None:
        return tuple(named)
    parts = divided(first.max_value, list(named[0].basket.values()))
    if not all(parts):
        line = section.entries["max_value"].line
        remedy = f"is too little to be divided over {len(accounts)} instruments; write more, or name fewer of them"
        file.wrong(line, section.name, "max_value", remedy, found=shown(_said(section, "max_value")))
    return tuple(account.model_copy(update={"max_value": part}) for account, part in zip(named, parts, strict=True))


def _check_single(section: RawSection, file: IniFile) -> None:
    if weights := _said(section, "weights"):
        remedy = "divides the money over several instruments, and isin names one; to spend less of it, write max_value"
        file.wrong(section.entries["weights"].line, section.name, "weights", remedy, found=shown(weights))


def _check_several(section: RawSection, file: IniFile, count: int) -> None:
    weights = between_commas(_said(section, "weights"))
    sells = _said(section, "side").lower() == Side.SELL.value
    if price := _said(section, "price"):
        remedy = "holds for one instrument, and isin names several: delete it, or write a section for each instrument"
        file.wrong(section.entries["price"].line, section.name, "price", remedy, found=shown(price))
    if any(weights) and sells:
        remedy = "divides what is spent, and a sell sells what is held of each instrument; delete it"
        file.wrong(
            section.entries["weights"].line,
            section.name,
            "weights",
            remedy,
            found=shown(section.entries["weights"].value),
        )
    elif any(weights) and len(weights) != count:
        remedy = f"isin names {count} instruments: write as many, in the same order"
        found = "1 weight" if len(weights) == 1 else f"{len(weights)} weights"
        file.wrong(section.entries["weights"].line, section.name, "weights", remedy, found=found)
    if sells and (most := _said(section, "max_value")):
        remedy = "holds for one instrument in a sell, and isin names several: write a section for each instrument"
        file.wrong(section.entries["max_value"].line, section.name, "max_value", remedy, found=shown(most))


def _said(section: RawSection, key: str) -> str:
    entry = section.entries.get(key)
    return "" if entry is None else entry.value
