"""Imports run down the floors, never up; locust and gevent stay in the sniper's four files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import firstbell

PACKAGE = Path(firstbell.__file__).parent
FLOORS = {
    "model": 0,
    "errors": 0,
    "simulator": 1,
    "market": 1,
    "config": 1,
    "cache": 1,
    "clock": 1,
    "log": 1,
    "brokers": 2,
    "journal": 2,
    "risk": 3,
    "alerts": 3,
    "oms": 4,
    "sniper": 5,
    "cli": 6,
}
# On one floor a room may know these, and no other way round.
SAME_FLOOR = {("simulator", "market"), ("config", "log"), ("cache", "log"), ("config", "market"), ("clock", "market")}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name == "errors.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down(path):
    room = room_of(path)
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "firstbell" or len(parts) == 1 or parts[1] == "__version__":
            continue
        other = parts[1]
        assert other in FLOORS, f"{path.name} imports {name}, which stands on no floor"
        if other == room:
            continue
        below = FLOORS[other] < FLOORS[room]
        assert below or (room, other) in SAME_FLOOR or {room, other} == {"model", "errors"}, (
            f"{room} (floor {FLOORS[room]}) imports {name} (floor {FLOORS[other]})"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_sniper_knows_locust(path):
    heads = {name.split(".")[0] for name in imports_of(path)}
    if heads & {"locust", "gevent"}:
        assert room_of(path) == "sniper"


def test_no_broker_wire_above_the_brokers():
    for path in MODULES:
        if FLOORS[room_of(path)] > FLOORS["brokers"] and room_of(path) != "cli":
            assert not any("firstbell.brokers.ephoenix" in name for name in imports_of(path)), path
