"""What is wrong with a section, in its writer's own words: the place, what stands there, what would be right.

What stands in a place that may hold a secret is never told.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final, get_args

from pydantic import SecretStr

from firstbell.model.broker_codes import BROKER_CODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError

    from firstbell.config.ini import IniFile, RawSection
    from firstbell.config.section import Section

_NOT_WRITTEN: Final = frozenset({"name", "password_from", "isins"})
_NEVER_SHOWN: Final = frozenset({"username", "command", "chat_id"})
"""Not secrets, but what stands there by mistake may be one."""
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_LONGEST_SHOWN: Final = 60


def keys_of(model: type[Section]) -> list[str]:
    """The keys that a section may have, in order."""
    return [name for name in model.model_fields if name not in _NOT_WRITTEN]


def is_secret(model: type[Section], key: str) -> bool:
    """Whether a key's value is a secret."""
    annotation = model.model_fields[key].annotation
    return annotation is SecretStr or SecretStr in get_args(annotation)


def unknown_section(file: IniFile, section: RawSection, known: Iterable[str]) -> None:
    """Note a section that nobody knows, and the nearest one that somebody does."""
    names = {**{name: name for name in known}, "broker": "broker.CODE", "Order": "Order_NAME"}
    # Of [Ordre_Account1], the head is what is misspelt.
    near = _nearest(section.name, names) or _nearest(re.split(r"[._]", section.name)[0], names)
    sections = ", ".join(f"[{name}]" for name in names.values())
    advice = f"did you mean [{names[near]}]?" if near else f"the sections are {sections}"
    file.wrong(section.line, section.name, "", f"no such section; {advice}")


def unknown_broker(file: IniFile, section: RawSection, code: str) -> None:
    """Note a ``[broker.CODE]`` whose code nobody knows."""
    near = _nearest(code, BROKER_CODES)
    advice = f"did you mean [broker.{near}]?" if near else f"the codes are {', '.join(BROKER_CODES)}"
    file.wrong(section.line, section.name, "", f"no such broker; {advice}")


def unknown_key(file: IniFile, section: RawSection, key: str, model: type[Section]) -> None:
    """Note a key that nobody knows. One that looks like no key is not named: it may be a piece of a secret."""
    line = section.entries[key].line
    near = _nearest(key, keys_of(model))
    if key in model.elsewhere:
        file.wrong(line, section.name, key, model.elsewhere[key])
    elif near:
        file.wrong(line, section.name, key, f"no such key; did you mean {near}?")
    elif _KEY.fullmatch(key):
        file.wrong(line, section.name, key, f"no such key; the keys here are {', '.join(keys_of(model))}")
    else:
        file.wrong(line, section.name, f"line {line}", "no such key; a key is letters, digits and _")


def empty(file: IniFile, section: RawSection, key: str, model: type[Section]) -> None:
    """Note a key without a value, where that says nothing."""
    definition = model.model_fields[key]
    line = section.entries[key].line
    if definition.is_required():
        file.wrong(line, section.name, key, f"is empty: {definition.description}")
    elif definition.default is not None:
        file.wrong(line, section.name, key, "is empty; write a value, or delete the line")


def translate(
    file: IniFile, section: RawSection, error: ValidationError, model: type[Section], told: Iterable[str]
) -> None:
    """Note what pydantic found, except for the keys of which something is told already."""
    for detail in error.errors(include_url=False, include_input=False):
        key = str(detail["loc"][0]) if detail["loc"] else ""
        entry = section.entries.get(key)
        line = entry.line if entry else section.line
        cause = detail.get("ctx", {}).get("error")
        if key in told:
            continue
        if detail["type"] == "missing":
            file.wrong(line, section.name, key, f"is missing: {model.model_fields[key].description}")
        else:
            hidden = entry is None or key in _NEVER_SHOWN or is_secret(model, key)
            found = "" if entry is None or hidden else shown(entry.value)
            file.wrong(line, section.name, key, str(cause or "that cannot stand here"), found=found)


def shown(value: str) -> str:
    """A value as an error quotes it; nothing where it may be a piece of a secret."""
    if re.search(r"[@?#]", value):
        return ""
    # repr also makes visible what is not: marks of direction, spaces of other widths.
    return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None
