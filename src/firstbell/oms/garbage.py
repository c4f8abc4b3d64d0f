"""Keeping Python's garbage collection out of the way of orders."""

from __future__ import annotations

import gc
from typing import Final

_OBJECTS: Final = 10_000
"""A collection every so many new objects, some hundreds of orders, rather than every 700."""
_OF_THEM: Final = 3
"""A larger one at the latest with every so many: of ten times the objects, or garbage would pile up."""


def keep_out_of_the_way() -> None:
    """Collect garbage now, exempt what has survived from every later collection, and collect less often.

    A whole collection would hold an order up for some tens of milliseconds; a small one, every fortieth order, for half
    of one. This is for the whole process, and is not undone.
    """
    gc.collect()
    gc.freeze()
    first, *others = gc.get_threshold()
    if 0 < first < _OBJECTS:
        gc.set_threshold(_OBJECTS, *(min(each, _OF_THEM) for each in others))
