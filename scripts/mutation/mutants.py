"""Mutants: a file's text with one change, and what is needed to try it."""

from __future__ import annotations

import difflib
import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mutation.operators import Finder, error_names
from mutation.rooms import ROOT, files_of, module_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mutation.expressions import Change, Place


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        room: The package.
        path: The file.
        source: Its text before.
        place: The function or name around the change.
        change: The change.
    """

    room: str
    path: Path
    source: str
    place: Place
    change: Change

    @property
    def module(self) -> str:
        """The dotted name under which the file is imported."""
        return module_of(self.path)

    @property
    def file(self) -> str:
        """The file, from the clone's root."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def mutated(self) -> str:
        """The file's text with the change."""
        data = self.source.encode()
        return (data[: self.change.start] + self.change.text.encode() + data[self.change.end :]).decode()

    @cached_property
    def diff(self) -> str:
        """What changed, as a unified diff without a head."""
        before, after = self.source.splitlines(), self.mutated.splitlines()
        lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[3:]
        return "\n".join(lines)

    @cached_property
    def key(self) -> str:
        """The same for the same change of the same lines in the same function, wherever they stand in the file."""
        text = f"{self.file}\x1f{self.place.qualname}\x1f{self.change.kind}\x1f{self.diff}"
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def find(rooms: Sequence[str]) -> list[Mutant]:
    """Every mutant of these rooms that Python can read, each once."""
    errors = error_names()
    found = {}
    for room in rooms:
        for path in files_of(room):
            source = path.read_text(encoding="utf-8")
            for place, change in Finder(source, errors).changes():
                mutant = Mutant(room, path, source, place, change)
                if mutant.mutated != source and _compiles(mutant):
                    found[path, change.start, change.end, change.text] = mutant
    return list(found.values())


def sample(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of them, by chance but the same for the same seed, in their order."""
    if count >= len(mutants):
        return list(mutants)
    chosen = sorted(random.Random(seed).sample(range(len(mutants)), count))  # noqa: S311 - a sample, no secret  # nosec B311
    return [mutants[number] for number in chosen]


def _compiles(mutant: Mutant) -> bool:
    try:
        compile(mutant.mutated, str(mutant.path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
