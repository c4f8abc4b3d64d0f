"""`scripts/mutants` breaks what it says it breaks, leaves alone what it says it leaves, and counts right."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from mutation.mutants import Mutant, sample  # noqa: E402 - likewise
from mutation.operators import Finder  # noqa: E402 - where the script's package stands is known only now

SOURCE = '''
"""Words."""
from __future__ import annotations
from typing import TYPE_CHECKING, Protocol
if TYPE_CHECKING:
    X = 1
__all__ = ["f"]
LIMIT = 5


class P(Protocol):
    def g(self) -> int:
        return 7


def f(a: int, b: bool = True) -> int:
    """Words."""
    _log.info("words %d", a)
    if a < LIMIT and b:
        raise ValueError(f"words {a}")
    try:
        h(a, key=1)
    except (OSError, KeyError):
        return None
    del b
    return a + 1
'''


def changes():
    data = SOURCE.encode()
    for place, change in Finder(SOURCE, frozenset({"ValueError"})).changes():
        mutated = (data[: change.start] + change.text.encode() + data[change.end :]).decode()
        compile(mutated, "f.py", "exec")
        before, after = SOURCE.splitlines(), mutated.splitlines()
        yield place.qualname, next(new.strip() for old, new in zip(before, after, strict=True) if old != new)


def test_what_is_broken_and_what_is_left_alone():
    assert sorted(changes()) == sorted(
        [
            ("LIMIT", "LIMIT = 6"),
            ("LIMIT", "LIMIT = 4"),
            ("f", "def f(a: int, b: bool = False) -> int:"),
            ("f", "if True:"),
            ("f", "if False:"),
            ("f", "if (a < LIMIT or b):"),
            ("f", "if (a <= LIMIT) and b:"),
            ("f", "if (a >= LIMIT) and b:"),
            ("f", "pass"),
            ("f", "pass"),
            ("f", "h(a)"),
            ("f", "h(a, key=2)"),
            ("f", "h(a, key=0)"),
            ("f", "except (OSError,):"),
            ("f", "except (KeyError,):"),
            ("f", "raise"),
            ("f", "return None"),
            ("f", "return (a - 1)"),
            ("f", "return a + 2"),
            ("f", "return a + 0"),
        ]
    )


def test_the_same_change_keeps_its_key_wherever_it_stands():
    path = SCRIPTS.parent / "src" / "firstbell" / "model" / "f.py"
    moved = SOURCE.replace("LIMIT = 5\n", "\n\nLIMIT = 5\n")
    first, again = (
        [Mutant("model", path, text, *found) for found in Finder(text, frozenset({"ValueError"})).changes()]
        for text in (SOURCE, moved)
    )
    in_function = [mutant.key for mutant in first if mutant.place.qualname == "f"]
    assert in_function == [mutant.key for mutant in again if mutant.place.qualname == "f"]
    assert len(set(in_function)) == len(in_function)
    assert sample(first, 5, 1) == sample(first, 5, 1)
    assert len(sample(first, 5, 1)) == 5
