"""What is mutated, and which tests may notice it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parents[2]
"""The clone."""
SOURCE: Final = ROOT / "src"
"""Where the package stands."""
WORK: Final = ROOT / ".mutants"
"""What is kept between two runs."""

_SNIPER: Final = ("arming", "bell", "carrier", "firing", "login_runs", "reading", "results", "volley")
"""The sniper's decision code; dealing and what wires Locust are left to the tests of whole processes."""

ROOMS: Final = ("model", "journal", "risk", "oms", "sniper")
"""The packages."""

_TESTED_BY: Final = {
    "model": ("model", "journal", "oms"),
    "journal": ("journal", "oms"),
    "risk": ("risk", "oms"),
    "oms": ("oms", "sniper"),
    "sniper": ("sniper",),
}
"""Whose tests may notice a room's mutants: its own, and the next ones up. Those of whole processes do not see them."""


def files_of(room: str) -> list[Path]:
    """The files of a room that are mutated."""
    folder = SOURCE / "firstbell" / room
    if room == "sniper":
        return [folder / f"{name}.py" for name in _SNIPER]
    return sorted(folder.rglob("*.py"))


def test_folders(rooms: Iterable[str]) -> list[str]:
    """The folders of tests for some rooms."""
    return [f"tests/{folder}" for folder in dict.fromkeys(each for room in rooms for each in _TESTED_BY[room])]


def module_of(path: Path) -> str:
    """The dotted name under which a file is imported."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
