"""What is mutated, and which tests may notice it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The clone."""
SOURCE: Final = ROOT / "src"
"""Where the package stands."""
WORK: Final = ROOT / ".mutants"
"""What is kept between two runs."""

_SNIPER: Final = ("arming", "bell", "carrier", "firing", "login_runs", "logins", "reading", "results", "volley")
"""The sniper's decision code; dealing and what wires Locust are left to the tests of whole processes."""

ROOMS: Final = ("model", "journal", "risk", "oms", "sniper")
"""The packages."""

TESTS: Final = tuple(f"tests/{room}" for room in (*ROOMS, "histories"))
"""The folders of tests, all of them in one process; tests of whole processes do not see a mutant."""


def files_of(room: str) -> list[Path]:
    """The files of a room that are mutated."""
    folder = SOURCE / "firstbell" / room
    if room == "sniper":
        return [folder / f"{name}.py" for name in _SNIPER]
    return sorted(folder.rglob("*.py"))


def test_folders() -> list[str]:
    """The folders of tests that exist."""
    return [folder for folder in TESTS if (ROOT / folder).is_dir()]


def module_of(path: Path) -> str:
    """The dotted name under which a file is imported."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
